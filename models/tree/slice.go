package tree

import "math/bits"

// slice is the trees of a part for 64 rows at once, a bit of a word each. A tree
// starts with one leaf that all rows reach; each split sends those of a leaf's
// rows that answer yes to a new one. So a tree takes a few operations on words a
// node, whatever paths the rows take.
type slice struct {
	splits []uint32 // the number of the condition and, above, that of the leaf it splits
	trees  []slicedTree
	values []float64 // of the leaves, tree by tree, and room for maxPartLeaves more
	spread [256]uint64
}

type slicedTree struct {
	splits int
	planes int // of bits that number its leaves
}

func newSlice(e *Ensemble, p *part) *slice {
	s := &slice{}
	for b := range s.spread {
		s.spread[b] = spread(uint8(b))
	}
	offset, _ := e.span(p.first)
	for i := p.first; i < p.end; i++ {
		first, end := e.span(i)
		splits := (end - first) / 2
		s.trees = append(s.trees, slicedTree{splits: splits, planes: bits.Len(uint(splits))})
		leaf := make([]uint8, end-first) // of which the node is a split, or which it is
		value := make([]float64, splits+1)
		made := uint8(0)
		for k := first; k < end; k++ {
			n, l := &e.nodes[k], leaf[k-first]
			if n.feature < 0 {
				value[l] = n.number
				continue
			}
			made++
			leaf[int(n.no)-first], leaf[int(n.yes)-first] = l, made
			s.splits = append(s.splits, uint32(l)<<16|uint32(p.condition[k-offset]))
		}
		s.values = append(s.values, value...)
	}
	s.values = append(s.values, make([]float64, maxPartLeaves)...)
	return s
}

// add adds the leaves that 64 rows reach to their sums, tree by tree.
func (s *slice) add(sums *[64]float64, m *masks) {
	splits, values := s.splits, s.values
	var reach [maxPartLeaves]uint64
	for _, t := range s.trees {
		reach[0] = ^uint64(0)
		for k, split := range splits[:t.splits] {
			from := &reach[uint8(split>>16)]
			yes := *from & m[uint16(split)]
			*from ^= yes
			reach[uint8(k+1)] = yes
		}
		splits = splits[t.splits:]
		clear(reach[t.splits+1 : 1<<t.planes])

		// The number of a row's leaf, from the highest bit down: the rows of the
		// upper half of the leaves have it; then the halves are laid together.
		var leaf [8]uint64 // of eight rows each, a byte a row
		for plane := t.planes - 1; plane >= 0; plane-- {
			half := 1 << plane
			low, high := reach[:half], reach[half:2*half]
			set := uint64(0)
			for k, r := range high {
				set |= r
				low[k] |= r
			}
			for g := range leaf {
				leaf[g] |= s.spread[uint8(set>>(8*g))] << plane
			}
		}
		value := (*[maxPartLeaves]float64)(values)
		for g, l := range leaf {
			sum := (*[8]float64)(sums[8*g:])
			sum[0] += value[uint8(l)]
			sum[1] += value[uint8(l>>8)]
			sum[2] += value[uint8(l>>16)]
			sum[3] += value[uint8(l>>24)]
			sum[4] += value[uint8(l>>32)]
			sum[5] += value[uint8(l>>40)]
			sum[6] += value[uint8(l>>48)]
			sum[7] += value[uint8(l>>56)]
		}
		values = values[t.splits+1:]
	}
}
