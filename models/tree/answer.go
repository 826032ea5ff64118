package tree

import "encoding/binary"

// answers are what a row answers, 1 for yes, by condition. Like that of other
// arrays here, the fixed size spares a look-up by 16 bits its bounds check.
type answers [1 << 16]uint8

// masks are what 64 rows answer, a bit each, by condition.
type masks [1 << 16]uint64

// below is the number of thresholds below v, none for NaN. The steps of the
// binary search do not branch on their outcome.
func (n *number) below(v float64) int {
	if n.aligned != nil {
		at := uint8(0)
		for s := n.top; s >= 0; s-- {
			half := uint8(1) << (s & 7)
			at |= uint8(bit(n.aligned[at|half] < v)) << (s & 7)
		}
		return int(at)
	}
	at, rest := 0, len(n.threshold)
	for rest > 1 {
		half := rest >> 1
		at += half & -bit(n.threshold[at+half-1] < v)
		rest -= half
	}
	return at + bit(n.threshold[at] < v)
}

// below64 is below of up to 64 values, one step of all after the other; for NaN it
// is one more than there are thresholds.
func (n *number) below64(at *[64]uint16, values []float64) {
	if n.buckets != nil {
		n.buckets.below64(at, values[:min(len(values), 64)])
		return
	}
	t := n.aligned
	values = values[:min(len(values), 64)]
	missing := uint16(len(n.threshold) + 1)
	if t == nil {
		for k, v := range values {
			at[k] = uint16(n.below(v)) | missing&uint16(-bit(v != v))
		}
		return
	}
	first, shift := t[1<<(n.top&7)], n.top&7
	for k, v := range values {
		at[k] = uint16(bit(first < v) << shift)
	}
	for s := n.top - 1; s >= 0; s-- {
		half, shift := uint8(1)<<(s&7), s&7
		for k, v := range values {
			a := at[k]
			at[k] = a | uint16(bit(t[uint8(a)|half] < v)<<shift)
		}
	}
	for k, v := range values {
		at[k] |= missing & uint16(-bit(v != v)) // no threshold is below NaN
	}
}

// answer fills in the answers of a row. Categories write words of eight: what
// one writes beyond its conditions those behind it overwrite.
func (p *part) answer(a *answers, x []float64) {
	a[0] = 0
	for i := range p.categories {
		c := &p.categories[i]
		at := place(x[c.feature], c.levels) * c.words
		to := a[c.from:]
		for _, word := range c.answers[at : at+c.words] {
			for k := range 8 {
				binary.LittleEndian.PutUint64(to[8*k:], spread(uint8(word>>(8*k))))
			}
			to = to[64:]
		}
	}
	for i := range p.numbers {
		n := &p.numbers[i]
		to := a[n.from : n.from+len(n.threshold)]
		v := x[n.feature]
		if v != v {
			copy(to, n.missing)
			continue
		}
		copy(to, p.ramp[len(p.ramp)/2-n.below(v):])
	}
}

// answer64 fills in the answers of up to 64 rows, the rows of columns from start on.
func (p *part) answer64(m *masks, columns [][]float64, start, rows int) {
	m[0] = 0
	for i := range p.categories {
		c := &p.categories[i]
		var at [64]int
		for k, v := range columns[c.feature][start : start+rows] {
			at[k] = place(v, c.levels) * c.words
		}
		for w := range c.words {
			block := (*[64]uint64)(m[c.from+64*w:])
			for k, at := range at {
				block[k] = c.answers[at+w]
			}
			transpose(block)
		}
	}
	for i := range p.numbers {
		n := &p.numbers[i]
		n.answer64(m, columns[n.feature][start:start+rows])
	}
}

// answer64 fills in the answers of a feature's conditions and two words more.
func (n *number) answer64(m *masks, values []float64) {
	var at [64]uint16
	n.below64(&at, values)
	count := len(n.threshold)
	clear(m[n.from : n.from+count+2])
	from := uint16(n.from)
	for k := range values[:min(len(values), 64)] {
		m[from+at[k]] |= 1 << (k & 63)
	}
	missing := m[n.from+count+1]
	yes := uint64(0)
	for k, side := range n.missing {
		word := &m[from+uint16(k)]
		yes |= *word
		*word = yes | missing&-uint64(side)
	}
}

// spread gives bit k of b as byte k, 0 or 1.
func spread(b uint8) uint64 {
	const ones = 0x0101010101010101
	return (uint64(b)*ones&0x8040201008040201 + 0x7f*ones) >> 7 & ones
}

// transpose makes bit j of word i bit i of word j, by swapping ever smaller
// squares (Warren 2012, Hacker's Delight, section 7-3).
func transpose(w *[64]uint64) {
	mask := uint64(1<<32 - 1)
	for half := 32; half > 0; half >>= 1 {
		for i := 0; i < 64; i = (i + half + 1) &^ half {
			swap(&w[i&63], &w[(i+half)&63], half, mask)
		}
		mask ^= mask << (half >> 1)
	}
}
