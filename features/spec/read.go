package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// mostNodes bounds what is looked at, for aliases that repeat one another.
const mostNodes = 1 << 18

const mostMerges = 8

// reader walks the syntax tree of a project file and collects faults.
type reader struct {
	faults  []Fault
	anchors map[string]ast.Node
	nodes   int
	merging int // how many << deep
}

// place is where something stands in the file.
type place struct{ line, column int }

// placeOf is where a node begins.
func placeOf(n ast.Node) place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	case *ast.AnchorNode:
		if m.Value != nil {
			return placeOf(m.Value)
		}
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return place{1, 1}
	}
	p := n.GetToken().Position
	return place{p.Line, p.Column}
}

func (r *reader) fault(at place, format string, args ...any) {
	r.faults = append(r.faults, Fault{Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)})
}

// bare is a node without anchors, aliases and tags; nil if there is nothing.
func (r *reader) bare(n ast.Node) ast.Node {
	for {
		r.nodes++
		if r.nodes > mostNodes {
			if r.nodes == mostNodes+1 {
				r.fault(placeOf(n), "aliases make this file too large to read: write out what they stand for")
			}
			return nil
		}
		switch m := n.(type) {
		case *ast.AnchorNode:
			n = m.Value
		case *ast.TagNode:
			n = m.Value
		case *ast.AliasNode:
			name := m.Value.GetToken().Value
			known, ok := r.anchors[name]
			if !ok {
				r.fault(placeOf(m), "the alias *%s has no anchor &%s before it", name, name)
				return nil
			}
			n = known
		case *ast.NullNode, nil:
			return nil
		default:
			return n
		}
	}
}

// findAnchors finds the anchors of the file by name.
func findAnchors(n ast.Node) map[string]ast.Node {
	found := map[string]ast.Node{}
	ast.Walk(anchorVisitor(found), n)
	return found
}

type anchorVisitor map[string]ast.Node

func (v anchorVisitor) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		v[a.Name.GetToken().Value] = a.Value
	}
	return v
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	at    place // of the key
	value ast.Node
}

// entries are those of a mapping, in the order of the file, with what is merged
// (<<) last. A fault if it is none.
func (r *reader) entries(n ast.Node, at place, what string) []entry {
	var values []*ast.MappingValueNode
	switch m := r.bare(n).(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	case nil:
		r.fault(at, "%s is empty: write its keys, or leave it out", what)
		return nil
	default:
		r.fault(placeOf(m), "%s is not keys and values (key: value)", what)
		return nil
	}
	var out, merged []entry
	has := map[string]bool{}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			if r.merging++; r.merging <= mostMerges {
				merged = append(merged, r.entries(v.Value, placeOf(v.Key), "what << merges")...)
			} else {
				r.fault(placeOf(v.Key), "<< merges what merges in turn, more than %d deep: write it out", mostMerges)
			}
			r.merging--
			continue
		}
		e := entry{key: keyText(v.Key), at: placeOf(v.Key), value: v.Value}
		if has[e.key] {
			r.fault(e.at, "%s is there twice in %s: keep one", e.key, what)
			continue
		}
		has[e.key] = true
		out = append(out, e)
	}
	for _, e := range merged {
		if !has[e.key] {
			has[e.key] = true
			out = append(out, e)
		}
	}
	return out
}

func (r *reader) isMapping(n ast.Node) bool {
	switch r.bare(n).(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

func keyText(k ast.MapKeyNode) string {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value
	case *ast.MappingKeyNode:
		if s, ok := k.Value.(*ast.StringNode); ok {
			return s.Value
		}
	}
	if t := k.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

// fields are a mapping's entries by key, of which only the known may be there.
type fields struct {
	r    *reader
	what string
	at   place
	list []entry
	none bool // it is no mapping, which was told
}

func (r *reader) fields(n ast.Node, at place, what string, known []string) fields {
	f := fields{r: r, what: what, at: at, none: !r.isMapping(n)}
	for _, e := range r.entries(n, at, what) {
		if !slices.Contains(known, e.key) {
			r.fault(e.at, "%s has no key %q: %s", what, e.key, nearest(e.key, known))
			continue
		}
		f.list = append(f.list, e)
	}
	return f
}

func (f fields) find(key string) (entry, bool) {
	for _, e := range f.list {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

func (f fields) has(key string) bool {
	_, ok := f.find(key)
	return ok
}

// placeOf is where the value of a key stands, or else the mapping.
func (f fields) placeOf(key string) place {
	if e, ok := f.find(key); ok {
		if n := e.value; n != nil {
			return placeOf(n)
		}
		return e.at
	}
	return f.at
}

func (f fields) fault(key, format string, args ...any) {
	f.r.fault(f.placeOf(key), "%s: %s", f.what, fmt.Sprintf(format, args...))
}

// text is the text of a scalar, as written; "" with no such key.
func (f fields) text(key string) string {
	e, ok := f.find(key)
	if !ok {
		return ""
	}
	s, ok := f.r.scalar(e.value, e.at, f.what+": "+key)
	if ok && s == "" {
		f.fault(key, "%s is empty: write it, or leave the key out", key)
	}
	return s
}

// scalar is the text of a scalar node.
func (r *reader) scalar(n ast.Node, at place, what string) (string, bool) {
	switch m := r.bare(n).(type) {
	case nil:
		r.fault(at, "%s is empty: write it, or leave the key out", what)
	case *ast.StringNode:
		return m.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(m.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return m.GetToken().Value, true
	default:
		r.fault(placeOf(m), "%s is to be one value", what)
	}
	return "", false
}

// item is one of a list.
type item struct {
	at   place
	node ast.Node
}

// items are those of a list; one value counts as a list of it.
func (f fields) items(key string) []item {
	e, ok := f.find(key)
	if !ok {
		return nil
	}
	n := f.r.bare(e.value)
	if n == nil {
		f.fault(key, "%s is empty: list its values, or leave the key out", key)
		return nil
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		return []item{{placeOf(n), n}}
	}
	var out []item
	for _, v := range s.Values {
		out = append(out, item{placeOf(v), v})
	}
	return out
}

// texts are the texts of a list.
func (f fields) texts(key string) []string {
	var out []string
	seen := map[string]bool{}
	for _, i := range f.items(key) {
		if s, ok := f.r.scalar(i.node, i.at, f.what+": an entry of "+key); ok {
			if seen[s] {
				f.r.fault(i.at, "%s: %s names %q twice", f.what, key, s)
				continue
			}
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// names are texts that are names, not empty.
func (f fields) names(key string) []string {
	return slices.DeleteFunc(f.texts(key), func(s string) bool {
		if s == "" {
			f.fault(key, "%s has an empty name", key)
		}
		return s == ""
	})
}

func (f fields) window(key string) Window {
	if !f.has(key) {
		return Window{}
	}
	s := f.text(key)
	if s == "" {
		return Window{}
	}
	w, err := ParseWindow(s)
	if err != nil {
		f.fault(key, "%s: %v", key, err)
	}
	return w
}

func (f fields) windows(key string) []Window {
	var out []Window
	for _, i := range f.items(key) {
		s, ok := f.r.scalar(i.node, i.at, f.what+": an entry of "+key)
		if !ok {
			continue
		}
		w, err := ParseWindow(s)
		switch {
		case err != nil:
			f.r.fault(i.at, "%s: %s: %v", f.what, key, err)
		case slices.Contains(out, w):
			f.r.fault(i.at, "%s: %s has %s twice", f.what, key, w)
		default:
			out = append(out, w)
		}
	}
	return out
}

func (f fields) boolean(key string, absent bool) bool {
	e, ok := f.find(key)
	if !ok {
		return absent
	}
	if b, ok := f.r.bare(e.value).(*ast.BoolNode); ok {
		return b.Value
	}
	f.fault(key, "%s is to be true or false", key)
	return absent
}

// number is that of a scalar, not 0; a share may be written 10%.
func (f fields) number(key string) float64 {
	s := f.text(key)
	if s == "" {
		return 0
	}
	digits, percent := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(digits, 64)
	if err != nil || x == 0 || x != x || x > 1e15 || x < -1e15 {
		f.fault(key, "%s %q is no number other than 0", key, s)
		return 0
	}
	if percent {
		return x / 100
	}
	return x
}

// pairs are the entries of a mapping of names that the user chose.
func (f fields) pairs(key string) []entry {
	e, ok := f.find(key)
	if !ok {
		return nil
	}
	return f.r.entries(e.value, e.at, f.what+": "+key)
}
