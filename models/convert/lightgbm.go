package convert

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"propensity/models/tree"
)

// ReadLightGBM reads a model that LightGBM 3 or 4 saved as text (version v3 or
// v4): boosting, DART or a random forest for the objective binary or
// cross_entropy, with numeric and categorical splits. Raw is always the log-odds of
// LightGBM's probability: its raw score times the sigmoid of the objective (1
// unless set) and, for a forest, divided by the number of trees.
//
// Values go where LightGBM sends them. A number that is NaN goes to the default
// side where the feature has the missing type NaN, is 0 where it has none, and
// goes with 0 to the default side where it has the type Zero, which can take
// three nodes a split. Numbers within 1e-35 of zero are zero. In a category NaN,
// negative values and codes that the split does not name go right; only a fraction
// differs: LightGBM cuts 1.7 down to the code 1, here it is no code, so unseen.
//
// Covers are the leaves' counts of training rows, summed upwards, so that
// explanations agree with LightGBM's. A first tree of one leaf becomes the base.
//
// A file that is cut short, contradicts itself or holds what cannot be held here
// is an error that names line and field and wraps ErrFormat or ErrUnsupported.
func ReadLightGBM(r io.Reader) (*Model, error) {
	l := &lightgbm{lines: newLines(r)}
	if err := l.readHeader(); err != nil {
		return nil, err
	}
	if err := l.readTrees(); err != nil {
		return nil, err
	}
	if err := l.readCategories(); err != nil {
		return nil, err
	}
	return l.model()
}

// lightgbm is a model while it is read.
type lightgbm struct {
	lines    *lines
	features []lightgbmFeature
	trees    []lightgbmTree
	declared int     // trees that the header announces
	scale    float64 // what a leaf's value is to be multiplied with
	average  bool    // over the trees
	texts    [][]string
	nodes    int // of all trees
	codes    int // in all sets
	unfolder unfolder
}

type lightgbmFeature struct {
	name     string
	listed   bool // as a category
	levels   int  // the largest code and one
	numbers  int  // the line of a tree that compares it with a number; 0 if none does
	category int  // the line of a tree that splits its codes; 0 if none does
}

type lightgbmTree struct {
	line  int
	nodes []tree.Node
}

func (l *lightgbm) readHeader() error {
	if !l.lines.next() || l.lines.text != "tree" {
		return l.lines.fault("the first line is %q, want \"tree\": is it a LightGBM model saved as text?", clip(l.lines.text))
	}
	h, err := l.lines.section()
	if err != nil {
		return err
	}
	switch version, err := h.text("version"); {
	case err != nil:
		return err
	case version != "v3" && version != "v4":
		return h.unsupported("version", "%q: v3 and v4 can be read; save it again with LightGBM 3 or 4", clip(version))
	}
	for _, name := range [...]string{"num_class", "num_tree_per_iteration"} {
		switch n, err := h.text(name); {
		case err != nil:
			return err
		case n != "1":
			return h.unsupported(name, "%q: a model of several outcomes", clip(n))
		}
	}
	if err := l.readObjective(h); err != nil {
		return err
	}
	_, l.average = h["average_output"]
	sizes, err := h.ints("tree_sizes", -1)
	if err != nil {
		return err
	}
	l.declared = len(sizes)
	return l.readFeatures(h)
}

func (l *lightgbm) readObjective(h section) error {
	if _, ok := h["objective"]; !ok {
		return h.unsupported("objective", "there is none: only scores that are log-odds can be read (binary, cross_entropy)")
	}
	objective, err := h.text("objective")
	if err != nil {
		return err
	}
	words := strings.Fields(objective)
	l.scale = 1
	switch {
	case len(words) > 0 && words[0] == "binary":
	case len(words) == 1 && words[0] == "cross_entropy":
	default:
		return h.unsupported("objective", "%q: only scores that are log-odds can be read (binary, cross_entropy)", clip(objective))
	}
	for _, word := range words[1:] {
		value, ok := strings.CutPrefix(word, "sigmoid:")
		if !ok {
			continue
		}
		if l.scale, err = strconv.ParseFloat(value, 64); err != nil || !(l.scale > 0) || math.IsInf(l.scale, 0) {
			return h.fault("objective", "%q: the sigmoid is no number above 0", clip(objective))
		}
	}
	return nil
}

func (l *lightgbm) readFeatures(h section) error {
	last, err := h.ints("max_feature_idx", 1)
	if err != nil {
		return err
	}
	if last[0] < 0 || last[0] >= maxFeatures {
		return h.fault("max_feature_idx", "%d, want 0 to %d", last[0], maxFeatures-1)
	}
	names, err := h.words("feature_names", last[0]+1)
	if err != nil {
		return err
	}
	infos, err := h.words("feature_infos", last[0]+1)
	if err != nil {
		return err
	}
	l.features = make([]lightgbmFeature, len(names))
	for j := range l.features {
		f := &l.features[j]
		f.name = names[j]
		if infos[j] == "none" || strings.HasPrefix(infos[j], "[") {
			continue // a constant, or the range of a number
		}
		f.listed = true
		for word := range strings.SplitSeq(infos[j], ":") {
			code, err := strconv.ParseInt(word, 10, 32)
			if err != nil {
				return h.fault("feature_infos", "%q of feature %q is neither a range nor codes", clip(infos[j]), clip(f.name))
			}
			f.levels = max(f.levels, int(code)+1) // -1 is listed for missing values
		}
	}
	return nil
}

func (l *lightgbm) readTrees() error {
	for l.lines.text != endOfTrees {
		if want := "Tree=" + strconv.Itoa(len(l.trees)); l.lines.text != want {
			return l.lines.fault("%q, want %q", clip(l.lines.text), want)
		}
		line := l.lines.number
		s, err := l.lines.section()
		if err != nil {
			return err
		}
		nodes, err := l.readTree(s, line)
		if err != nil {
			return err
		}
		l.trees = append(l.trees, lightgbmTree{line, nodes})
		if l.nodes += len(nodes); l.nodes > maxNodes {
			return l.lines.unsupported("more than %d nodes in all", maxNodes)
		}
	}
	if len(l.trees) != l.declared {
		return l.lines.fault("the file has %d trees, but tree_sizes has %d", len(l.trees), l.declared)
	}
	return nil
}

// The bits of a decision type; above them is the missing type.
const (
	categoricalBit = 1
	defaultLeftBit = 2
	missingShift   = 2
)

// The missing types.
const (
	missingNone = iota
	missingZero
	missingNaN
)

// readTree gives the nodes of one tree, unfolded.
func (l *lightgbm) readTree(s section, line int) ([]tree.Node, error) {
	if linear, err := s.optionalInt("is_linear"); err != nil {
		return nil, err
	} else if linear != 0 {
		return nil, s.unsupported("is_linear", "leaves with linear models cannot be read")
	}
	count, err := s.ints("num_leaves", 1)
	if err != nil {
		return nil, err
	}
	leaves := count[0]
	if leaves < 1 || leaves > maxTree/2 {
		return nil, s.fault("num_leaves", "%d, want 1 to %d", leaves, maxTree/2)
	}
	values, err := s.floats("leaf_value", leaves)
	if err != nil {
		return nil, err
	}
	if leaves == 1 { // the count may be absent, and is of no consequence
		return []tree.Node{{Feature: -1, Value: values[0], Cover: 1}}, nil
	}
	covers, err := s.ints("leaf_count", leaves)
	if err != nil {
		return nil, err
	}
	nodes := make([]tree.Node, 2*leaves-1)
	for k := range leaves {
		if covers[k] < 0 {
			return nil, s.fault("leaf_count", "%d of leaf %d is negative", covers[k], k)
		}
		nodes[leaves-1+k] = tree.Node{Feature: -1, Value: values[k], Cover: float64(covers[k])}
	}
	if nodes, err = l.readSplits(s, line, nodes); err != nil {
		return nil, err
	}
	if nodes, err = l.unfolder.unfold(nodes); err != nil {
		return nil, fmt.Errorf("line %d: tree %d: %w", line, len(l.trees), err)
	}
	return nodes, nil
}

// readSplits fills the nodes above the leaves, which are the last of nodes.
func (l *lightgbm) readSplits(s section, line int, nodes []tree.Node) ([]tree.Node, error) {
	splits := len(nodes) / 2
	var ints [4][]int
	for k, name := range [...]string{"split_feature", "decision_type", "left_child", "right_child"} {
		var err error
		if ints[k], err = s.ints(name, splits); err != nil {
			return nil, err
		}
	}
	features, decisions, left, right := ints[0], ints[1], ints[2], ints[3]
	thresholds, err := s.floats("threshold", splits)
	if err != nil {
		return nil, err
	}
	sets, err := l.readSets(s)
	if err != nil {
		return nil, err
	}
	place := func(child int) int {
		if child < 0 {
			return splits + ^child
		}
		return child
	}
	for i := range splits {
		if features[i] < 0 || features[i] >= len(l.features) {
			return nil, s.fault("split_feature", "%d of split %d, want 0 to %d", features[i], i, len(l.features)-1)
		}
		for k, child := range [...]int{left[i], right[i]} {
			if child >= splits || ^child > splits {
				return nil, s.fault([...]string{"left_child", "right_child"}[k], "%d of split %d is no split and no leaf", child, i)
			}
		}
		nodes[i] = tree.Node{Feature: features[i], Yes: place(left[i]), No: place(right[i])}
	}
	if err := onlyTree(nodes); err != nil {
		return nil, s.fault("left_child", "%w", err)
	}
	for i := range splits {
		n, f := &nodes[i], &l.features[features[i]]
		t, missing, defaultLeft := thresholds[i], decisions[i]>>missingShift, decisions[i]&defaultLeftBit != 0
		if math.IsInf(t, 1) { // missing against all numbers
			t = math.MaxFloat64
		}
		switch {
		case decisions[i] < 0 || missing > missingNaN:
			return nil, s.fault("decision_type", "%d of split %d is unknown", decisions[i], i)
		case decisions[i]&categoricalBit != 0:
			if n.Set, err = takeSet(sets, t); err != nil {
				return nil, s.fault("threshold", "%v of split %d: %w", t, i, err)
			}
			f.category = line
			f.levels = max(f.levels, int(n.Set[len(n.Set)-1])+1)
			continue
		case math.IsNaN(t) || math.IsInf(t, 0):
			return nil, s.fault("threshold", "%v of split %d is not finite", t, i)
		case missing == missingZero:
			nodes = zeroMissing(nodes, i, n.Feature, t, defaultLeft, n.Yes, n.No)
		case missing == missingNaN:
			n.Threshold, n.MissingYes = besideZero(t), defaultLeft
		default: // NaN is 0
			n.Threshold, n.MissingYes = besideZero(t), 0 <= t
		}
		if missing != missingNaN || t != math.MaxFloat64 {
			f.numbers = line
		}
	}
	return nodes, nil
}

// readSets reads the codes of each categorical split.
func (l *lightgbm) readSets(s section) ([][]int32, error) {
	n, err := s.optionalInt("num_cat")
	if err != nil || n == 0 {
		return nil, err
	}
	if n < 0 || n > maxTree {
		return nil, s.fault("num_cat", "%d, want 0 to %d", n, maxTree)
	}
	bounds, err := s.ints("cat_boundaries", n+1)
	if err != nil {
		return nil, err
	}
	words, err := s.ints("cat_threshold", -1)
	if err != nil {
		return nil, err
	}
	if bounds[0] != 0 || bounds[n] != len(words) || !slices.IsSorted(bounds) {
		return nil, s.fault("cat_boundaries", "they do not cut the %d words of cat_threshold in order", len(words))
	}
	sets := make([][]int32, n)
	for k := range sets {
		for w, word := range words[bounds[k]:bounds[k+1]] {
			if word < 0 || word > math.MaxUint32 {
				return nil, s.fault("cat_threshold", "%d is no word of 32 bits", word)
			}
			for bit := range 32 {
				if word>>bit&1 != 0 {
					sets[k] = append(sets[k], int32(32*w+bit))
				}
			}
		}
		if len(sets[k]) == 0 {
			return nil, s.fault("cat_threshold", "set %d has no codes", k)
		}
		if l.codes += len(sets[k]); l.codes > maxCodes {
			return nil, s.unsupported("cat_threshold", "more than %d codes in all", maxCodes)
		}
	}
	return sets, nil
}

// takeSet takes the set that a categorical split names, which no other may name.
func takeSet(sets [][]int32, place float64) ([]int32, error) {
	if !(place >= 0 && place < float64(len(sets))) || place != math.Trunc(place) {
		return nil, fmt.Errorf("there are %d sets of codes", len(sets))
	}
	set := sets[int(place)]
	if set == nil {
		return nil, fmt.Errorf("two splits share a set of codes")
	}
	sets[int(place)] = nil
	return set, nil
}

// model builds what has been read.
func (l *lightgbm) model() (*Model, error) {
	m := &Model{Features: make([]string, len(l.features)), Categories: make([][]string, len(l.features))}
	levels, total := make([]int, len(l.features)), 0
	for j := range l.features {
		f := &l.features[j]
		m.Features[j] = f.name
		switch {
		case f.category > 0 && f.numbers > 0:
			return nil, fmt.Errorf("%w: feature %q is a category in the tree of line %d and a number in that of line %d",
				ErrUnsupported, clip(f.name), f.category, f.numbers)
		case f.category > 0, f.listed && f.numbers == 0:
			levels[j] = f.levels
		}
		if total += levels[j]; total > maxCodes {
			return nil, fmt.Errorf("%w: feature_infos: feature %q brings the codes of categories to more than %d", ErrUnsupported, clip(f.name), maxCodes)
		}
	}
	l.nameCategories(m, levels)
	scale := l.scale
	if l.average {
		scale /= float64(max(1, len(l.trees)))
	}
	base, trees := 0.0, l.trees
	if len(trees) > 0 && len(trees[0].nodes) == 1 {
		base, trees = trees[0].nodes[0].Value*scale, trees[1:]
	}
	all := make([][]int32, len(levels)) // per feature: its codes, where a split needs them
	b := tree.NewBuilder(levels, base)
	for i := range trees {
		nodes := trees[i].nodes
		for k := range nodes {
			n := &nodes[k]
			switch {
			case n.Feature < 0:
				n.Value *= scale
			case levels[n.Feature] > 0 && n.Set == nil: // a number below the largest: whatever is not missing
				for code := int32(len(all[n.Feature])); int(code) < levels[n.Feature]; code++ {
					all[n.Feature] = append(all[n.Feature], code)
				}
				n.Threshold, n.Set, n.UnseenYes = 0, all[n.Feature], true
			}
		}
		if err := b.Add(nodes); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, trees[i].line, err)
		}
		trees[i].nodes = nil
	}
	var err error
	if m.Ensemble, err = b.Build(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return m, nil
}
