package logistic

import (
	"context"
	"math"
	"slices"

	"propensity/features"

	"gonum.org/v1/gonum/floats"
)

// block is the number of rows taken at once: their numbers fit the nearest caches.
const block = 128

// work is what one goroutine makes of a block of rows.
type work struct {
	lists [][]float64 // of each number, the values of the rows; the 1s first
	made  []float64   // where lists that are not the columns themselves lie
	holes [][]int32   // rows where a number is missing
	cells []float64   // for columns that have to be made

	raw, slope, scaled []float64
	rows               []float64 // numbers times curvature, row after row
	on                 []int32   // indicators of a row, row after row, in rising order
	count              []int     // how many
}

func (d *design) newWork() *work {
	w := &work{
		lists: make([][]float64, d.numbers), made: make([]float64, d.numbers*block), holes: make([][]int32, d.holes),
		cells: make([]float64, block), raw: make([]float64, block), slope: make([]float64, block), scaled: make([]float64, block),
	}
	for r := range block {
		w.made[r] = 1
	}
	return w
}

// fill takes n rows from row first on. Numbers are as they are in their column where
// that is plain, a missing one at its fill; otherwise they are standardised.
func (d *design) fill(w *work, first, n int) error {
	w.lists[0] = w.made[:n]
	for j := range d.columns {
		c := &d.columns[j]
		if c.levels != nil || (c.number == 0 && c.hole < 0) {
			continue
		}
		holes := c.holes[c.before[first/block]:c.before[(first+n+block-1)/block]]
		if c.hole >= 0 {
			w.holes[c.hole] = holes
		}
		if c.number == 0 {
			continue
		}
		to := w.made[c.number*block:][:n]
		xs, err := d.rows.Block(w.cells, j, first, first+n)
		switch {
		case err != nil:
			return err
		case c.plain && len(holes) == 0 && d.rows.Columns != nil:
			w.lists[c.number] = xs
			continue
		case c.plain:
			copy(to, xs)
			for _, r := range holes {
				to[int(r)-first] = c.fill
			}
		case c.inverse > 0:
			for r, x := range xs {
				to[r] = (x - c.center) * c.inverse
			}
		default:
			for r, x := range xs {
				to[r] = (x - c.center) / c.scale
			}
		}
		if !c.plain {
			for _, r := range holes {
				to[int(r)-first] = (c.fill - c.center) / c.scale
			}
		}
		w.lists[c.number] = to
	}
	return nil
}

// holeAt is the indicator of each list of holes.
func (d *design) holeAt() []int {
	at := make([]int, d.holes)
	for j := range d.columns {
		if c := &d.columns[j]; c.hole >= 0 {
			at[c.hole] = int(c.missing)
		}
	}
	return at
}

// parts is into how many parts the rows are cut for a pass that adds up so many
// cells: by the data alone, so that the bits do not depend on GOMAXPROCS.
func (d *design) parts(cells int) int {
	const leastRows, mostParts, mostCells = 4096, 64, 1 << 21 // 16 MB of partial sums
	return max(1, min(d.rows.Rows()/leastRows, mostParts, mostCells/cells))
}

// blocks calls do with each block of each part, blocks of a part in their order. Of
// the blocks it takes the first of every so many.
func (d *design) blocks(ctx context.Context, parts int, every int, do func(w *work, part, first, n int)) error {
	rows := d.rows.Rows()
	all := (rows + block - 1) / block
	return features.Parallel(parts, func(k int) error {
		w, _ := d.idle.Get().(*work)
		if w == nil {
			w = d.newWork()
		}
		defer d.idle.Put(w)
		for first, end := all*k/parts*block, min(rows, all*(k+1)/parts*block); first < end; first += every * block {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(block, end-first)
			if err := d.fill(w, first, n); err != nil {
				return err
			}
			do(w, k, first, n)
		}
		return ctx.Err()
	})
}

// spread lays weights out as a pass takes them: numbers in the units of its lists,
// then a table of each category by code, then those of missing numbers.
func (d *design) spread(v []float64) []float64 {
	out := make([]float64, d.numbers+d.tables+d.holes)
	copy(out, v[:d.numbers])
	for j := range d.columns {
		c := &d.columns[j]
		if c.number > 0 && c.plain {
			out[c.number] *= c.inverse
			out[0] -= out[c.number] * c.center
		}
		if c.slot >= 0 {
			for code, at := range c.places {
				if at >= 0 {
					out[d.numbers+c.slot+code] = v[d.numbers+int(at)]
				}
			}
		}
		if c.hole >= 0 {
			out[d.numbers+d.tables+c.hole] = v[d.numbers+int(c.missing)]
		}
	}
	return out
}

// gather is what spread is not: sums as a pass makes them, by the places of weights.
func (d *design) gather(sums []float64) []float64 {
	out := make([]float64, d.width())
	copy(out, sums[:d.numbers])
	for j := range d.columns {
		c := &d.columns[j]
		if c.number > 0 && c.plain {
			out[c.number] = (out[c.number] - c.center*sums[0]) * c.inverse
		}
		if c.slot >= 0 {
			for code, at := range c.places {
				if at >= 0 {
					out[d.numbers+int(at)] = sums[d.numbers+c.slot+code]
				}
			}
		}
		if c.hole >= 0 {
			out[d.numbers+int(c.missing)] = sums[d.numbers+d.tables+c.hole]
		}
	}
	return out
}

// pass goes once over the rows. For each block of rows from row first on, at gets
// their products with v, sets slope and returns the loss; pass adds up the loss and
// the gradient, which is slope times row.
func (d *design) pass(ctx context.Context, v []float64, at func(first int, raw, slope []float64) float64) (loss float64, gradient []float64, err error) {
	weights := d.spread(v)
	size, coded := len(weights), d.coded()
	parts := d.parts(size)
	losses, gradients := make([]float64, parts), make([]float64, parts*size)
	err = d.blocks(ctx, parts, 1, func(w *work, part, first, n int) {
		raw, slope, to := w.raw[:n], w.slope[:n], gradients[part*size:][:size]
		for r := range raw {
			raw[r] = weights[0]
		}
		for k := 1; k < d.numbers; k++ {
			if weights[k] != 0 {
				floats.AddScaled(raw, weights[k], w.lists[k])
			}
		}
		for _, c := range coded {
			table := weights[d.numbers+c.slot:][:len(c.places)]
			for r, code := range c.codes[first:][:n] {
				raw[r] += table[code]
			}
		}
		for s, rows := range w.holes {
			x := weights[d.numbers+d.tables+s]
			for _, r := range rows {
				raw[int(r)-first] += x
			}
		}
		losses[part] += at(first, raw, slope)
		to[0] += floats.Sum(slope)
		for k := 1; k < d.numbers; k++ {
			to[k] += floats.Dot(slope, w.lists[k])
		}
		d.addIndicators(w, to, coded, slope, first)
	})
	if err != nil {
		return 0, nil, err
	}
	for k := range parts {
		loss += losses[k]
		if k > 0 {
			floats.Add(gradients[:size], gradients[k*size:][:size])
		}
	}
	return loss, d.gather(gradients[:size]), nil
}

// coded are the columns with codes.
func (d *design) coded() (out []*designColumn) {
	for j := range d.columns {
		if c := &d.columns[j]; c.slot >= 0 {
			out = append(out, c)
		}
	}
	return out
}

// addIndicators adds xs, one a row of a block, to the sums of the indicators.
func (d *design) addIndicators(w *work, to []float64, coded []*designColumn, xs []float64, first int) {
	for _, c := range coded {
		table := to[d.numbers+c.slot:][:len(c.places)]
		for r, code := range c.codes[first:][:len(xs)] {
			table[code] += xs[r]
		}
	}
	for s, rows := range w.holes {
		sum := 0.0
		for _, r := range rows {
			sum += xs[int(r)-first]
		}
		to[d.numbers+d.tables+s] += sum
	}
}

// diagonal adds up curvature times row squared.
func (d *design) diagonal(ctx context.Context, curvature []float64) ([]float64, error) {
	q, size, coded := d.numbers, d.numbers+d.tables+d.holes, d.coded()
	parts := d.parts(size + q)
	sums := make([]float64, parts*(size+q)) // of curvature times row; of numbers squared
	err := d.blocks(ctx, parts, 1, func(w *work, part, first, n int) {
		c, to := curvature[first:first+n], sums[part*(size+q):][:size+q]
		for k, z := range w.lists {
			floats.MulTo(w.scaled[:n], c, z)
			to[k] += floats.Sum(w.scaled[:n])
			to[size+k] += floats.Dot(w.scaled[:n], z)
		}
		d.addIndicators(w, to, coded, c, first)
	})
	if err != nil {
		return nil, err
	}
	for k := 1; k < parts; k++ {
		floats.Add(sums[:size+q], sums[k*(size+q):][:size+q])
	}
	out, squares := d.gather(sums[:size]), sums[size:]
	copy(out, squares[:q])
	for j := range d.columns {
		if c := &d.columns[j]; c.number > 0 && c.plain {
			k := c.number
			out[k] = (squares[k] - 2*c.center*sums[k] + c.center*c.center*sums[0]) * c.inverse * c.inverse
		}
	}
	return out, nil
}

// hessian adds up curvature times row times its transpose, by rows; only the
// upper triangle is set. One-hot rows are never multiplied out: two indicators meet in
// a table of counts weighted by curvature, an indicator and the numbers in a sum of rows. With every
// above 1 it takes so small a part of the rows.
func (d *design) hessian(ctx context.Context, curvature []float64, every int) ([]float64, error) {
	q, p, width := d.numbers, d.indicators, d.width()
	parts, holeAt, coded := d.parts(width*width), d.holeAt(), d.coded()
	wide := len(coded) + d.holes
	sums := make([]float64, parts*(q*q+p*q+p*p))
	err := d.blocks(ctx, parts, every, func(w *work, part, first, n int) {
		c := curvature[first : first+n]
		numbers := sums[part*(q*q+p*q+p*p):][:q*q+p*q+p*p]
		mixed, pairs := numbers[q*q:], numbers[q*q+p*q:]
		if w.rows == nil {
			w.rows, w.on, w.count = make([]float64, q*block), make([]int32, wide*block), make([]int, block)
		}
		scaled := w.scaled[:n]
		for i := range q {
			floats.MulTo(scaled, w.lists[i], c)
			to := numbers[i*q:][:q]
			for j := i; j < q; j++ {
				to[j] += floats.Dot(scaled, w.lists[j])
			}
			if p > 0 {
				for r, x := range scaled {
					w.rows[r*q+i] = x
				}
			}
		}
		if p == 0 {
			return
		}
		d.list(w, first, n, wide, holeAt)
		for r := range n {
			on := w.on[r*wide:][:w.count[r]]
			row := w.rows[r*q:][:q]
			for a, k := range on {
				floats.Add(mixed[int(k)*q:][:q], row)
				// Indicators rise along on: this is the upper triangle.
				table := pairs[int(k)*p:][:p]
				for _, l := range on[a:] {
					table[l] += row[0]
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for k := 1; k < parts; k++ {
		floats.Add(sums[:q*q+p*q+p*p], sums[k*(q*q+p*q+p*p):][:q*q+p*q+p*p])
	}
	h := make([]float64, width*width)
	for i := range q {
		copy(h[i*width+i:i*width+q], sums[i*q+i:(i+1)*q])
		for k := range p {
			h[i*width+q+k] = sums[q*q+k*q+i]
		}
	}
	for k := range p {
		copy(h[(q+k)*width+q+k:(q+k+1)*width], sums[q*q+p*q+k*p+k:][:p-k])
	}
	d.standardise(h)
	return h, nil
}

// standardise makes sums of products of columns as they are, by rows, those of
// the standardised columns.
func (d *design) standardise(h []float64) {
	n := d.width()
	center, inverse := make([]float64, n), make([]float64, n)
	for k := range inverse {
		inverse[k] = 1
	}
	for j := range d.columns {
		if c := &d.columns[j]; c.number > 0 && c.plain {
			center[c.number], inverse[c.number] = c.center, c.inverse
		}
	}
	first := slices.Clone(h[:n])
	for i := range n {
		for j := i; j < n; j++ {
			h[i*n+j] = (h[i*n+j] - center[i]*first[j] - center[j]*first[i] + center[i]*center[j]*first[0]) * inverse[i] * inverse[j]
		}
	}
}

// list makes the indicators of each row of the block. Their places rise with the
// columns, whose codes and holes are taken in turn.
func (d *design) list(w *work, first, n, wide int, holeAt []int) {
	clear(w.count[:n])
	for j := range d.columns {
		switch c := &d.columns[j]; {
		case c.slot >= 0:
			for r, code := range c.codes[first:][:n] {
				if at := c.places[code]; at >= 0 {
					w.on[r*wide+w.count[r]] = at
					w.count[r]++
				}
			}
		case c.hole >= 0:
			for _, r := range w.holes[c.hole] {
				r := int(r) - first
				w.on[r*wide+w.count[r]] = int32(holeAt[c.hole])
				w.count[r]++
			}
		}
	}
}

// logLoss is the loss of a row and its slope and curvature by the log-odds raw. The
// loss is -log(part) + rest: the parts of several rows may be multiplied, as each is
// between a half and 1.
func logLoss(label, raw float64) (part, rest, slope, curvature float64) {
	sign := 2*label - 1
	margin := sign * raw
	e := math.Exp(-math.Abs(margin)) // in (0, 1]: nothing overflows or cancels
	u := 1 / (1 + e)
	slope = e * u
	if margin < 0 {
		rest, slope = -margin, u
	}
	return u, rest, -sign * slope, e * u * u
}
