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
	if n.half > 0 {
		at := uint8(0)
		for half := n.half; half > 0; half >>= 1 {
			at += half & -uint8(bit(n.aligned[at+half-1] < v))
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

// below64 is below of up to 64 values, four at a time.
func (n *number) below64(at *[64]uint16, values []float64) {
	k := 0
	if n.half > 0 {
		t := n.aligned
		for ; k+4 <= len(values); k += 4 {
			v := (*[4]float64)(values[k:])
			v0, v1, v2, v3 := v[0], v[1], v[2], v[3]
			a, b, c, d := uint8(0), uint8(0), uint8(0), uint8(0)
			for half := n.half; half > 0; half >>= 1 {
				a += half & -uint8(bit(t[a+half-1] < v0))
				b += half & -uint8(bit(t[b+half-1] < v1))
				c += half & -uint8(bit(t[c+half-1] < v2))
				d += half & -uint8(bit(t[d+half-1] < v3))
			}
			to := (*[4]uint16)(at[k:])
			to[0], to[1], to[2], to[3] = uint16(a), uint16(b), uint16(c), uint16(d)
		}
	}
	for ; k < len(values); k++ {
		at[k] = uint16(n.below(values[k]))
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
	var at [64]uint16
	for i := range p.numbers {
		n := &p.numbers[i]
		column := columns[n.feature][start : start+rows]
		n.below64(&at, column)
		piece := m[n.from : n.from+len(n.threshold)+1] // the last: above all thresholds
		clear(piece)
		missing := uint64(0)
		for k, v := range column {
			piece[at[k&63]] |= 1 << (k & 63)
			missing |= uint64(bit(v != v)) << (k & 63)
		}
		piece[0] &^= missing
		yes := uint64(0)
		for k, side := range n.missing {
			yes |= piece[k]
			piece[k] = yes | missing&-uint64(side)
		}
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
			low, high := &w[i&63], &w[(i+half)&63]
			swap := (*low>>half ^ *high) & mask
			*low ^= swap << half
			*high ^= swap
		}
		mask ^= mask << (half >> 1)
	}
}
