package gbdt

import (
	"encoding/binary"
	"slices"
)

// A word holds the gradient and the hessian of one row, rounded to whole numbers,
// and a one that counts it, side by side, so that one addition adds all three
// (the packed histograms of Shi et al. 2022, Quantized Training of Gradient
// Boosting Decision Trees, with more bits). Sums of whole numbers are exact: they
// do not depend on their order, a histogram less that of one child is that of the
// other to the last bit, and the model is the same at any number of threads.
//
//	bits 39 to 63   the gradient, signed, at most 1023 either way
//	bits 15 to 38   the hessian, at most 1023
//	bits  0 to 14   1
//
// The fields have room for the sums of segment rows, and no more.
//
// Rows of weights have wide words: 16 bits instead of ten for the numbers, as a
// light row has but few units of the heaviest one's, and so room for the sums of
// 1,024 rows. See weigh.
//
//	bits 37 to 63   the gradient, signed, at most 64 x 1023 either way
//	bits 11 to 36   the hessian, at most 64 x 1023
//	bits  0 to 10   1
const (
	gradientUnits = 1023     // in a gradient of 1, the most
	hessianUnits  = 4 * 1023 // in a hessian of 1; the most is 1/4
	segment       = 1 << 14  // rows

	hessianBit  = 15
	gradientBit = 39

	wider           = 64 // times as many units in a wide word
	wideSegment     = 1 << 10
	wideHessianBit  = 11
	wideGradientBit = 37
)

// word packs a row's rounded gradient and hessian.
func word(g, h int64) uint64 {
	return uint64(g)<<gradientBit | uint64(h)<<hessianBit | 1
}

// wideWord packs those of a row that has a weight.
func wideWord(g, h int64) uint64 {
	return uint64(g)<<wideGradientBit | uint64(h)<<wideHessianBit | 1
}

// sums add up the gradients and hessians of n rows, in units.
type sums struct{ g, h, n int64 }

// The conversions keep a multiplication and an addition apart: machines that
// would fuse them must not find other splits.
func (s sums) gradient() float64 { return float64(float64(s.g) * (1. / gradientUnits)) }
func (s sums) hessian() float64  { return float64(float64(s.h) * (1. / hessianUnits)) }

// gain is what a leaf of these rows takes off the loss, twice, at its best value.
func (s sums) gain(l2 float64) float64 {
	g, h := s.gradient(), s.hessian()+l2
	if h <= 0 {
		return 0
	}
	return float64(g*g) / h
}

// value is the Newton step of a leaf of these rows.
func (s sums) value(l2 float64) float64 {
	g, h := s.gradient(), s.hessian()+l2
	if h <= 0 {
		return 0
	}
	return -g / h
}

func (s sums) plus(t sums) sums  { return sums{s.g + t.g, s.h + t.h, s.n + t.n} }
func (s sums) minus(t sums) sums { return sums{s.g - t.g, s.h - t.h, s.n - t.n} }

// add adds a sum of words.
func (s *sums) add(w uint64) {
	s.g += int64(w) >> gradientBit
	s.h += int64(w >> hessianBit & (1<<(gradientBit-hessianBit) - 1))
	s.n += int64(w & (1<<hessianBit - 1))
}

// addWide adds a sum of wide words.
func (s *sums) addWide(w uint64) {
	s.g += int64(w) >> wideGradientBit
	s.h += int64(w >> wideHessianBit & (1<<(wideGradientBit-wideHessianBit) - 1))
	s.n += int64(w & (1<<wideHessianBit - 1))
}

// lanes is how many fields a kernel adds at a time: their histograms fit the
// nearest cache, and enough additions are under way to hide that one often waits
// for the one before, where both fall into the same bin.
const lanes = 8

// cells are the sums of words of some fields, by the value of the field. The
// length is that of a byte's range, so that indexing needs no bounds check.
type cells [lanes][maxBins]uint64

// add adds the words of rows to the cells of the lanes bytes from first on.
func (a *cells) add(near []uint8, width, first int, rows []int32, words []uint64) {
	words = words[:len(rows)]
	for k, r := range rows {
		row := (*[lanes]uint8)(near[int(r)*width+first:])
		w := words[k]
		a[0][row[0]] += w
		a[1][row[1]] += w
		a[2][row[2]] += w
		a[3][row[3]] += w
		a[4][row[4]] += w
		a[5][row[5]] += w
		a[6][row[6]] += w
		a[7][row[7]] += w
	}
}

// batch is some fields of a tree that one goroutine counts together.
type batch struct {
	fields  []int // ascending; lanes at most
	columns []int // of these fields, those that the tree uses
	lanes   []int // per column
}

// batchesOf parts the fields of the used columns evenly into as few batches as hold them.
func (t *table) batchesOf(used []int) []batch {
	wanted := make([]bool, len(t.fields))
	for _, c := range used {
		wanted[t.columns[c].field] = true
	}
	var fields []int
	for k, w := range wanted {
		if w {
			fields = append(fields, k)
		}
	}
	out := make([]batch, (len(fields)+lanes-1)/lanes)
	for i := range out {
		b := &out[i]
		b.fields = fields[i*len(fields)/len(out) : (i+1)*len(fields)/len(out)]
		for _, c := range used {
			if lane := slices.Index(b.fields, t.columns[c].field); lane >= 0 {
				b.columns, b.lanes = append(b.columns, c), append(b.lanes, lane)
			}
		}
	}
	return out
}

// nearby are the rows that a tree is grown on, as the bytes of the fields that it
// uses, lanes of them a batch: of a few rows of a leaf, each is a line of cache at
// most, and of many, several share one.
type nearby struct {
	batches []batch
	words   []uint64 // per row
	wide    bool     // words are
	cells   []uint8  // rows x width
	width   int      // bytes a row
}

// gather fetches the given rows of the batches.
func (n *nearby) gather(crew *crew, t *table, rows []int32) {
	n.width = lanes * len(n.batches)
	n.cells = slices.Grow(n.cells[:0], len(rows)*n.width)[:len(rows)*n.width]
	chunks(crew, len(rows), func(_, from, to int) {
		for i := range n.batches {
			var fields [lanes][]uint8
			for k := range fields {
				// What no field is wanted for, the same fields fill: a constant would keep
				// adding to one cell, and wait for itself.
				fields[k] = t.fields[n.batches[i].fields[k%len(n.batches[i].fields)]].rows
			}
			gather(n.cells[from*n.width+lanes*i:], n.width, &fields, rows[from:to])
		}
	})
}

// gather writes the bytes of the fields of the given rows, width apart.
func gather(cells []uint8, width int, fields *[lanes][]uint8, rows []int32) {
	f0 := fields[0]
	n := len(f0)
	f1, f2, f3, f4, f5, f6, f7 := fields[1][:n], fields[2][:n], fields[3][:n], fields[4][:n], fields[5][:n], fields[6][:n], fields[7][:n]
	for k, r := range rows {
		binary.LittleEndian.PutUint64(cells[k*width:], uint64(f0[r])|uint64(f1[r])<<8|uint64(f2[r])<<16|uint64(f3[r])<<24|
			uint64(f4[r])<<32|uint64(f5[r])<<40|uint64(f6[r])<<48|uint64(f7[r])<<56)
	}
}

// counter is the working memory of one goroutine.
type counter struct {
	cells   []cells // per batch
	words   [block]uint64
	own     []sums // a histogram to be added to another
	fetched uint8
}

// block is how many rows are taken through all fields at a time: they stay in
// the nearest caches meanwhile.
const block = 1024

// build fills the histograms of the columns of the batches from first to before
// last from the rows of a leaf.
func (c *counter) build(t *table, n *nearby, first, last int, dst []sums, rows []int32) {
	batches := n.batches[first:last]
	for i := range batches {
		for _, k := range batches[i].columns {
			col := &t.columns[k]
			clear(dst[col.start : col.start+col.size])
		}
	}
	if len(c.cells) < len(batches) {
		c.cells = make([]cells, len(batches))
	}
	room := segment
	if n.wide {
		room = wideSegment
	}
	for from := 0; from < len(rows); from += room {
		part := rows[from:min(from+room, len(rows))]
		for at := 0; at < len(part); at += block {
			some := part[at:min(at+block, len(part))]
			of := c.words[:len(some)]
			fetched := uint8(0)
			for k, r := range some {
				of[k] = n.words[r]
				fetched |= n.cells[int(r)*n.width] // the lines of many rows are on their way at once
			}
			c.fetched = fetched
			for i := range batches {
				c.cells[i].add(n.cells, n.width, lanes*(first+i), some, of)
			}
		}
		for i := range batches {
			c.cells[i].flush(t, &batches[i], n.wide, dst)
		}
	}
}

// flush adds the cells to the histograms of the columns and empties them.
func (a *cells) flush(t *table, b *batch, wide bool, dst []sums) {
	for i, k := range b.columns {
		col := &t.columns[k]
		cell := &a[b.lanes[i]]
		h := dst[col.start : col.start+col.size]
		if wide {
			col.flushWide(h, cell)
			continue
		}
		if col.bins == nil {
			for i := range h {
				if w := cell[i]; w != 0 {
					h[i].add(w)
				}
			}
			continue
		}
		for v, bin := range col.bins {
			if w := cell[v]; w != 0 {
				h[bin].add(w)
			}
		}
	}
	clear(a[:])
}

func (c *column) flushWide(h []sums, cell *[maxBins]uint64) {
	for v, w := range cell {
		switch {
		case w == 0:
		case c.bins == nil:
			h[v].addWide(w)
		default:
			h[c.bins[v]].addWide(w)
		}
	}
}

// add adds a histogram to another.
func add(to, other []sums) {
	other = other[:len(to)]
	for i := range to {
		to[i].g += other[i].g
		to[i].h += other[i].h
		to[i].n += other[i].n
	}
}

// subtract turns the histogram of a leaf into that of one child by taking off
// the other's.
func subtract(leaf, child []sums) {
	child = child[:len(leaf)]
	for i := range leaf {
		leaf[i].g -= child[i].g
		leaf[i].h -= child[i].h
		leaf[i].n -= child[i].n
	}
}
