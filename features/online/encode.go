package online

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features/facts"
)

// The content of a version, which is all of a fact but what names it and its arrival:
// a format byte, the instants occurred and end (zigzag varints), and each value that
// is there by the order of the columns' names: length and letters of the name, kind,
// and eight bytes of a number, one of a boolean, a zigzag varint of a time, or length
// and letters. Facts that say the same have the same bytes.
const contentFormat = 1

// errContent is the error of a content that no store of ours has written.
var errContent = errors.New("the content of a fact is damaged")

// encode appends the content of a fact.
func encode(out []byte, f *facts.Fact) []byte {
	out = append(out, contentFormat)
	out = binary.AppendVarint(out, f.Occurred)
	out = binary.AppendVarint(out, f.End)
	var room [16]string
	names := room[:0]
	for name := range f.Values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := f.Values[name]
		if v.Missing() || v.Kind == datasets.Number && math.IsNaN(v.Number) {
			continue
		}
		out = appendText(out, name)
		out = append(out, byte(v.Kind))
		switch v.Kind {
		case datasets.Number:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v.Number+0)) // -0 + 0 is 0
		case datasets.Boolean:
			b := byte(0)
			if v.Number != 0 {
				b = 1
			}
			out = append(out, b)
		case datasets.Time:
			out = binary.AppendVarint(out, v.Time)
		default:
			out = appendText(out, v.Text)
		}
	}
	return out
}

func appendText(out []byte, text string) []byte {
	out = binary.AppendUvarint(out, uint64(len(text)))
	return append(out, text...)
}

// instants reads only when a version occurred and ended.
func (r *record) instants() (occurred, end int64, err error) {
	c := reader{rest: r.content}
	occurred, end = c.instants()
	return occurred, end, r.damage(&c)
}

// fact reads a version.
func (r *record) fact() (facts.Fact, error) {
	f := facts.Fact{Source: r.source, Account: r.account, ID: r.id, Arrived: r.arrived}
	c := reader{rest: r.content}
	f.Occurred, f.End = c.instants()
	for c.more() {
		name, v, text := c.value()
		v.Text = string(text)
		if f.Values == nil {
			f.Values = make(map[string]datasets.Value, 4)
		}
		f.Values[string(name)] = v
	}
	return f, r.damage(&c)
}

// gather reads a version into the columns of a source, whose kinds it makes the values fit
// as far as they can.
func (r *record) gather(g *facts.Gather, source int) error {
	c := reader{rest: r.content}
	occurred, end := c.instants()
	g.Add(source, r.account, r.id, occurred, r.arrived, end)
	for c.more() {
		name, v, text := c.value()
		for column, kind := range g.Columns(source, name) {
			if text != nil && (kind == datasets.Category || kind == datasets.Text) {
				g.SetText(source, column, text)
				continue
			}
			w := v
			w.Text = string(text)
			if fit, ok := Fit(w, kind); ok {
				w = fit
			}
			g.Set(source, column, w)
		}
	}
	return r.damage(&c)
}

// damage is the error of a reader of the content.
func (r *record) damage(c *reader) error {
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("%w: source %q, account %q, id %q", c.err, clip(r.source), clip(r.account), clip(r.id))
}

// reader takes a content apart; after a fault it gives zeros.
type reader struct {
	rest []byte
	last []byte // the name before
	err  error
}

// instants comes first.
func (r *reader) instants() (occurred, end int64) {
	if r.byte() != contentFormat {
		r.fail()
	}
	return r.varint(), r.varint()
}

func (r *reader) more() bool { return r.err == nil && len(r.rest) > 0 }

// value reads a value with its name; a text is not nil, and not in the value.
func (r *reader) value() (name []byte, v datasets.Value, text []byte) {
	name = r.text()
	if r.last != nil && bytes.Compare(name, r.last) <= 0 {
		r.fail()
	}
	r.last = name
	switch v.Kind = datasets.Kind(r.byte()); v.Kind {
	case datasets.Number:
		v.Number = math.Float64frombits(r.fixed())
		if math.IsNaN(v.Number) || v.Number == 0 && math.Signbit(v.Number) {
			r.fail()
		}
	case datasets.Boolean:
		b := r.byte()
		v.Number = float64(b)
		if b > 1 {
			r.fail()
		}
	case datasets.Time:
		v.Time = r.varint()
	case datasets.Category, datasets.Text:
		text = r.text()
	default:
		r.fail()
	}
	return name, v, text
}

func (r *reader) fail() {
	r.err, r.rest = errContent, nil
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 { // spelled longer than it has to be
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *reader) fixed() uint64 {
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return x
}

// text is letters of the content itself, never nil.
func (r *reader) text() []byte {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || size > 1 && r.rest[size-1] == 0 || n > uint64(len(r.rest)-size) {
		r.fail()
		return []byte{}
	}
	text := r.rest[size : size+int(n) : size+int(n)]
	r.rest = r.rest[size+int(n):]
	return text
}
