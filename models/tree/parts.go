package tree

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

const (
	// maxPartSplits and maxPartLeaves keep the numbers of a part's conditions and
	// nodes within 16 bits and those of a tree's leaves within 8.
	maxPartSplits = 1<<15 - 1
	maxPartLeaves = 1 << 8

	// maxCategoryWords bounds what the answers of categories take in an ensemble:
	// 32 MiB.
	maxCategoryWords = 1 << 22

	// quickFeatures is how many features a row may have to answer conditions of,
	// for each tree, before walking node by node is quicker. Answers take
	// some 16 ns a feature and save up to 75 ns a tree.
	quickFeatures = 2
)

// part is a run of trees whose splits are asked together. A condition is one
// distinct test, x <= threshold or a set of categories, with the sides of missing
// and unseen values. A row answers all conditions before any tree is looked at,
// those of a number with one binary search.
//
// Conditions are numbered from 1; number 0 is never true. Those of categories
// come first, then those of numbers, each feature's in one piece.
type part struct {
	first, end int // the trees
	// asked says whether there are conditions at all: a tree of too many leaves
	// has none, nor have categories of too many levels.
	asked      bool
	condition  []uint16 // per node, of the splits
	conditions int      // including number 0
	categories []category
	numbers    []number
	ramp       []uint8 // zeros, then as many ones

	walk  *walk  // nil: node by node is quicker
	slice *slice // nil likewise
}

// number is the conditions of a numeric feature.
type number struct {
	feature   int
	from      int       // the number of the first condition
	threshold []float64 // in ascending order
	missing   []uint8   // what NaN answers
	// aligned are the thresholds from place 1 on, filled up with infinity to a
	// power of two, 2 << top; nil for more than 255 of them.
	aligned *[256]float64
	top     int
	buckets *buckets // nil: they save too little
}

// category is the conditions of a categorical feature. Bit k of the words of a
// value's place is what the value answers to condition from + k.
type category struct {
	feature int
	levels  int
	from    int
	words   int // of each place
	answers []uint64
}

// cut gives the parts of the ensemble.
func (e *Ensemble) cut() []part {
	e.cutOnce.Do(func() {
		words := maxCategoryWords
		for first := 0; first < len(e.roots); {
			p := part{first: first, end: e.partEnd(first)}
			if p.end > first {
				p.ask(e, &words)
			} else {
				p.end++
			}
			if p.asked && len(p.categories)+len(p.numbers) <= quickFeatures*(p.end-first) {
				p.walk, p.slice = newWalk(e, &p), newSlice(e, &p)
			}
			e.parts = append(e.parts, p)
			first = p.end
		}
	})
	return e.parts
}

// partEnd is how far a part that starts with a tree may go.
func (e *Ensemble) partEnd(tree int) int {
	splits := 0
	for ; tree < len(e.roots); tree++ {
		first, end := e.span(tree)
		n := (end - first) / 2
		if splits += n; n >= maxPartLeaves || splits > maxPartSplits {
			break
		}
	}
	return tree
}

// ask numbers the conditions, unless the answers of categories take more words
// than there are.
func (p *part) ask(e *Ensemble, words *int) {
	first, _ := e.span(p.first)
	_, end := e.span(p.end - 1)
	nodes := e.nodes[first:end]
	var splits []int32
	for i := range nodes {
		if nodes[i].feature >= 0 {
			splits = append(splits, int32(i))
		}
	}
	slices.SortFunc(splits, func(i, j int32) int { return e.compare(&nodes[i], &nodes[j]) })

	p.condition, p.conditions = make([]uint16, len(nodes)), 1
	most := 0
	for len(splits) > 0 {
		feature := nodes[splits[0]].feature
		from := p.conditions
		var distinct []*node
		for len(splits) > 0 && nodes[splits[0]].feature == feature {
			n := &nodes[splits[0]]
			if len(distinct) == 0 || e.compare(distinct[len(distinct)-1], n) != 0 {
				distinct = append(distinct, n)
				p.conditions++
			}
			p.condition[splits[0]] = uint16(p.conditions - 1)
			splits = splits[1:]
		}
		if levels := e.levels[feature]; levels > 0 {
			c := category{feature: int(feature), levels: levels, from: from, words: (len(distinct) + 63) / 64}
			if *words -= c.words * (levels + 2); *words < 0 {
				*words += c.words * (levels + 2)
				p.condition, p.categories = nil, nil
				return
			}
			c.fill(e.sets, distinct)
			p.categories = append(p.categories, c)
			continue
		}
		n := number{feature: int(feature), from: from}
		for _, d := range distinct {
			n.threshold = append(n.threshold, d.number)
			n.missing = append(n.missing, uint8(bit(d.set == missingYes)))
		}
		p.numbers = append(p.numbers, n)
		most = max(most, len(distinct))
	}
	p.align()
	for i := range p.numbers {
		p.numbers[i].buckets = newBuckets(p.numbers[i].threshold)
	}
	p.ramp = slices.Concat(make([]uint8, most), slices.Repeat([]uint8{1}, most))
	p.asked = true
}

// compare orders splits: categories first, then by feature, then by what is
// asked. Splits that ask the same are equal.
func (e *Ensemble) compare(a, b *node) int {
	x, y := e.levels[a.feature], e.levels[b.feature]
	if a.feature != b.feature {
		return cmp.Or(cmp.Compare(min(y, 1), min(x, 1)), cmp.Compare(a.feature, b.feature))
	}
	if x > 0 {
		words := int32(setWords(x))
		return slices.Compare(e.sets[a.set:a.set+words], e.sets[b.set:b.set+words])
	}
	return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.set, b.set))
}

// fill turns the sets, a bit a place, into answers, a bit a condition.
func (c *category) fill(sets []uint64, distinct []*node) {
	c.answers = make([]uint64, c.words*(c.levels+2))
	for k, n := range distinct {
		for at := range c.levels + 2 {
			c.answers[at*c.words+k>>6] |= sets[int(n.set)+at>>6] >> (at & 63) & 1 << (k & 63)
		}
	}
}

// align makes the aligned thresholds: views of one array, which overlap.
func (p *part) align() {
	var all []float64
	for i := range p.numbers {
		n := &p.numbers[i]
		if len(n.threshold) > 255 {
			continue
		}
		n.top = bits.Len(uint(len(n.threshold))) - 1
		all = append(append(all, 0), n.threshold...)
		for range 2<<n.top - 1 - len(n.threshold) {
			all = append(all, math.Inf(1))
		}
	}
	all = append(all, make([]float64, 256)...)
	for i := range p.numbers {
		if n := &p.numbers[i]; len(n.threshold) <= 255 {
			n.aligned = (*[256]float64)(all)
			all = all[2<<n.top:]
		}
	}
}

// bit is 1 for true, without a branch.
func bit(b bool) int {
	n := 0
	if b {
		n = 1
	}
	return n
}
