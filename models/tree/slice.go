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
}

type slicedTree struct {
	splits  int
	octaves int // the bits that number its leaves, but for the lowest three
}

func newSlice(e *Ensemble, p *part) *slice {
	s := &slice{}
	offset, _ := e.span(p.first)
	for i := p.first; i < p.end; i++ {
		first, end := e.span(i)
		splits := (end - first) / 2
		s.trees = append(s.trees, slicedTree{splits: splits, octaves: bits.Len(uint(splits) >> 3)})
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

// add adds the leaves that 64 rows reach to their sums, tree by tree. Two trees are
// split side by side: a split often waits for the one before.
func (s *slice) add(sums *[64]float64, m *masks) {
	splits, values := s.splits, s.values
	var one, two reach
	for trees := s.trees; len(trees) > 0; {
		t := &trees[0]
		one[0], two[0] = ^uint64(0), ^uint64(0)
		if len(trees) == 1 {
			one.split(0, splits, m)
			one.add(sums, t, values)
			return
		}
		u := &trees[1]
		first, second := splits[:t.splits], splits[t.splits:][:u.splits]
		both := min(len(first), len(second))
		one.splitBoth(&two, first[:both], second[:both], m)
		one.split(both, first, m)
		two.split(both, second, m)
		one.add(sums, t, values)
		two.add(sums, u, values[t.splits+1:])
		trees, splits, values = trees[2:], splits[t.splits+u.splits:], values[t.splits+u.splits+2:]
	}
}

// add clears what the tree has no leaf for, then adds the values.
func (r *reach) add(sums *[64]float64, t *slicedTree, values []float64) {
	clear(r[t.splits+1 : 8<<t.octaves])
	r.addValues(sums, t.octaves, (*[maxPartLeaves]float64)(values))
}

// reach is which of 64 rows reach each leaf of a tree. Its methods are not inlined:
// together their variables are more than there are registers.
type reach [maxPartLeaves]uint64

// splitBoth does splits of r's tree and as many of o's.
//
//go:noinline
func (r *reach) splitBoth(o *reach, first, second []uint32, m *masks) {
	second = second[:len(first)]
	for k, split := range first {
		from := &r[uint8(split>>16)]
		yes := *from & m[uint16(split)]
		split = second[k]
		from2 := &o[uint8(split>>16)]
		yes2 := *from2 & m[uint16(split)]
		*from ^= yes
		r[uint8(k+1)] = yes
		*from2 ^= yes2
		o[uint8(k+1)] = yes2
	}
}

// split does the splits from one on.
//
//go:noinline
func (r *reach) split(done int, splits []uint32, m *masks) {
	for k := done; k < len(splits); k++ {
		split := splits[k]
		from := &r[uint8(split>>16)]
		yes := *from & m[uint16(split)]
		*from ^= yes
		r[uint8(k+1)] = yes
	}
}

// addValues adds the value of the leaf that each row reaches to its sum.
//
//go:noinline
func (r *reach) addValues(sums *[64]float64, octaves int, value *[maxPartLeaves]float64) {
	// The bits of the numbers of the rows' leaves, from the highest down: the
	// rows of the upper half of the leaves have it; then the halves are laid
	// together, and the last eight at once.
	var plane [8]uint64
	for k := octaves; k > 0; k-- {
		set := uint64(0)
		for low, high := 0, 4<<k; low < 4<<k; low, high = low+8, high+8 {
			set |= fold((*[8]uint64)(r[low:]), (*[8]uint64)(r[high:]))
		}
		plane[(k+2)&7] = set
	}
	b, c, d := r[1]|r[5], r[2]|r[6], r[3]|r[7]
	plane[2] = r[4] | r[5] | r[6] | r[7]
	plane[1] = c | d
	plane[0] = b | d
	transpose8(&plane)
	for k, l := range &plane { // byte g is the leaf of row 8g + k
		sum := (*[57]float64)(sums[k:])
		sum[0] += value[uint8(l)]
		sum[8] += value[uint8(l>>8)]
		sum[16] += value[uint8(l>>16)]
		sum[24] += value[uint8(l>>24)]
		sum[32] += value[uint8(l>>32)]
		sum[40] += value[uint8(l>>40)]
		sum[48] += value[uint8(l>>48)]
		sum[56] += value[uint8(l>>56)]
	}
}

// fold lays eight words over eight others and gives all that is in them.
func fold(low, high *[8]uint64) uint64 {
	low[0] |= high[0]
	low[1] |= high[1]
	low[2] |= high[2]
	low[3] |= high[3]
	low[4] |= high[4]
	low[5] |= high[5]
	low[6] |= high[6]
	low[7] |= high[7]
	return high[0] | high[1] | high[2] | high[3] | high[4] | high[5] | high[6] | high[7]
}

// transpose8 makes bit k of byte g of word i bit i of byte g of word k.
func transpose8(w *[8]uint64) {
	swap(&w[0], &w[4], 4, 0x0f0f0f0f0f0f0f0f)
	swap(&w[1], &w[5], 4, 0x0f0f0f0f0f0f0f0f)
	swap(&w[2], &w[6], 4, 0x0f0f0f0f0f0f0f0f)
	swap(&w[3], &w[7], 4, 0x0f0f0f0f0f0f0f0f)
	for i := 0; i < 8; i += 4 {
		swap(&w[i], &w[i+2], 2, 0x3333333333333333)
		swap(&w[i+1], &w[i+3], 2, 0x3333333333333333)
		swap(&w[i], &w[i+1], 1, 0x5555555555555555)
		swap(&w[i+2], &w[i+3], 1, 0x5555555555555555)
	}
}

// swap changes the bits of low under the mask, shifted, for those of high under it.
func swap(low, high *uint64, shift int, mask uint64) {
	x := (*low>>shift ^ *high) & mask
	*low ^= x << shift
	*high ^= x
}
