package tree

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrInvalid is wrapped by every error about a tree, a table of trees or the
// features they are built for.
var ErrInvalid = errors.New("invalid tree ensemble")

// The limits of an ensemble. They are far beyond any useful model and keep a
// hostile one from exhausting the memory or the stack.
const (
	maxDepth    = 1000
	maxNodes    = 1 << 26
	maxSetWords = 1 << 24 // 128 MiB of category sets

	// maxMagnitude bounds values and covers, so that no sum, product or square
	// of theirs overflows.
	maxMagnitude = 1e100

	// coverTolerance is what the covers of two children may differ from their
	// parent's, relative to it: sums of weights round.
	coverTolerance = 1e-6
)

// Builder makes an Ensemble out of trees from any source and lets nothing
// through that would make serving panic, loop or guess.
type Builder struct {
	e      *Ensemble
	tracer tracer
	err    error
}

// NewBuilder starts an ensemble over features with these levels: 0 for a number,
// n > 0 for a category with codes 0 to n-1. The base is the log-odds that every
// tree adds to. Bad levels or a bad base are the error of Add and Build.
func NewBuilder(levels []int, base float64) *Builder {
	e := &Ensemble{levels: slices.Clone(levels), base: base + 0} // -0 + 0 is 0
	b := &Builder{e: e, tracer: tracer{e: e, open: make([]int32, len(levels)), zero: make([]float64, maxDepth+1)}}
	if !bounded(base) {
		b.err = fmt.Errorf("%w: base %v", ErrInvalid, base)
	}
	for j, n := range levels {
		if n < 0 || n > 64*maxSetWords-2 {
			b.err = fmt.Errorf("%w: feature %d has %d levels", ErrInvalid, j, n)
		}
	}
	return b
}

// Add appends one tree. An error wraps ErrInvalid and names the tree and the
// node, both counted from 0; after an error the Builder is of no more use.
func (b *Builder) Add(nodes []Node) error {
	if b.err == nil {
		b.err = b.add(nodes)
	}
	return b.err
}

// Build returns the ensemble, or the first error of all. No tree at all is a
// model too: its base. The Builder is of no use afterwards.
func (b *Builder) Build() (*Ensemble, error) {
	if b.err != nil {
		return nil, b.err
	}
	e := b.e
	b.e, b.err = nil, fmt.Errorf("%w: it is built already", ErrInvalid)
	e.ready()
	return e, nil
}

func (b *Builder) add(nodes []Node) error {
	e := b.e
	tree := len(e.roots)
	if len(nodes) == 0 {
		return fmt.Errorf("%w: tree %d has no nodes", ErrInvalid, tree)
	}
	if len(nodes) > maxNodes-len(e.nodes) {
		return fmt.Errorf("%w: tree %d: more than %d nodes in all", ErrInvalid, tree, maxNodes)
	}
	if i, err := check(nodes, e.levels); err != nil {
		return fmt.Errorf("%w: tree %d, node %d: %w", ErrInvalid, tree, i, err)
	}
	words := 0
	for i := range nodes {
		if n := &nodes[i]; n.Feature >= 0 && e.levels[n.Feature] > 0 {
			words += setWords(e.levels[n.Feature])
			if words > maxSetWords-len(e.sets) {
				return fmt.Errorf("%w: tree %d, node %d: the sets of categories take more than %d MiB in all",
					ErrInvalid, tree, i, maxSetWords>>17)
			}
		}
	}
	root := int32(len(e.nodes))
	e.append(nodes)
	e.roots = append(e.roots, root)
	e.shapes = append(e.shapes, b.tracer.shape(root))
	return nil
}

// check says which node of a tree is wrong and why.
func check(nodes []Node, levels []int) (int, error) {
	depth := make([]int, len(nodes)) // 0: no parent seen yet
	depth[0] = 1
	for i := range nodes {
		n := &nodes[i]
		switch {
		case depth[i] == 0:
			return i, errors.New("no node before it leads to it")
		case depth[i] > maxDepth+1:
			return i, fmt.Errorf("deeper than %d", maxDepth)
		case !(n.Cover > 0) || !bounded(n.Cover):
			return i, fmt.Errorf("cover %v, want above 0 and at most %v", n.Cover, maxMagnitude)
		}
		if n.Feature < 0 {
			if err := checkLeaf(n); err != nil {
				return i, err
			}
			continue
		}
		if n.Feature >= len(levels) {
			return i, fmt.Errorf("feature %d of %d", n.Feature, len(levels))
		}
		if err := checkSplit(n, levels[n.Feature]); err != nil {
			return i, err
		}
		for _, c := range [2]int{n.Yes, n.No} {
			switch {
			case c <= i || c >= len(nodes):
				return i, fmt.Errorf("child %d, want one of %d to %d", c, i+1, len(nodes)-1)
			case depth[c] != 0:
				return i, fmt.Errorf("child %d has a parent already", c)
			}
			depth[c] = depth[i] + 1
		}
		sum := nodes[n.Yes].Cover + nodes[n.No].Cover
		if !(math.Abs(sum-n.Cover) <= coverTolerance*n.Cover) {
			return i, fmt.Errorf("cover %v, but its children's sum to %v", n.Cover, sum)
		}
	}
	return 0, nil
}

func checkLeaf(n *Node) error {
	if n.Threshold != 0 || len(n.Set) > 0 || n.MissingYes || n.UnseenYes || n.Yes != 0 || n.No != 0 {
		return errors.New("a leaf has fields of a split: leave them zero")
	}
	if !bounded(n.Value) {
		return fmt.Errorf("value %v, want a number within %v", n.Value, maxMagnitude)
	}
	return nil
}

func checkSplit(n *Node, levels int) error {
	if n.Value != 0 {
		return fmt.Errorf("a split has no value, got %v", n.Value)
	}
	if levels == 0 {
		switch {
		case len(n.Set) > 0:
			return fmt.Errorf("a set of categories, but feature %d is a number", n.Feature)
		case n.UnseenYes:
			return fmt.Errorf("a side for unseen categories, but feature %d is a number", n.Feature)
		case math.IsNaN(n.Threshold) || math.IsInf(n.Threshold, 0):
			return fmt.Errorf("threshold %v is not finite", n.Threshold)
		}
		return nil
	}
	if n.Threshold != 0 {
		return fmt.Errorf("threshold %v, but feature %d is a category", n.Threshold, n.Feature)
	}
	for k, code := range n.Set {
		switch {
		case code < 0 || int(code) >= levels:
			return fmt.Errorf("category %d, but feature %d has %d", code, n.Feature, levels)
		case k > 0 && code <= n.Set[k-1]:
			return fmt.Errorf("category %d after %d: sort the set", code, n.Set[k-1])
		}
	}
	// A set of no or of all categories is a split still if missing or unseen
	// values go the other way.
	if len(n.Set) == 0 && !n.MissingYes && !n.UnseenYes {
		return errors.New("nothing goes to its yes side")
	}
	if len(n.Set) == levels && n.MissingYes && n.UnseenYes {
		return errors.New("nothing goes to its no side")
	}
	return nil
}

func bounded(x float64) bool { return math.Abs(x) <= maxMagnitude }
