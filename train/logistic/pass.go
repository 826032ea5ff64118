package logistic

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

// block is the number of rows made at once: their numbers fit the second cache.
const block = 256

// work is what one goroutine makes of a block of rows. Each list holds the
// block's rows one after the other.
type work struct {
	numbers []float64 // list after list, the 1s first
	codes   []int32   // list after list: the place of the indicator, the first after them for none
	holes   [][]int32 // rows of the block where a number is missing
	cells   []float64 // for columns that have to be made

	raw, slope, scaled []float64
	rows               []float64 // numbers times curvature, row after row
	on                 []int32   // indicators of a row, row after row, in rising order
	count              []int     // how many
}

func (d *design) newWork() *work {
	w := &work{
		numbers: make([]float64, d.numbers*block), codes: make([]int32, d.slots*block), holes: make([][]int32, d.holes),
		cells: make([]float64, block), raw: make([]float64, block), slope: make([]float64, block), scaled: make([]float64, block),
	}
	for r := range block {
		w.numbers[r] = 1
	}
	return w
}

// fill makes n rows from row first on.
func (d *design) fill(w *work, first, n int) error {
	for j := range d.columns {
		c := &d.columns[j]
		if c.number == 0 && c.slot < 0 && c.hole < 0 {
			continue
		}
		xs, err := d.rows.Block(w.cells, j, first, first+n)
		if err != nil {
			return err
		}
		if c.slot >= 0 {
			to := w.codes[c.slot*block:][:len(xs)]
			none := int32(d.indicators)
			missing := none
			if c.missing >= 0 {
				missing = c.missing
			}
			for r, x := range xs {
				at := none
				if x >= 0 {
					if at = c.levels[int(x)]; at < 0 {
						at = none
					}
				} else if x != x {
					at = missing
				}
				to[r] = at
			}
			continue
		}
		if c.hole >= 0 {
			w.holes[c.hole] = w.holes[c.hole][:0]
		}
		var to []float64
		if c.number > 0 {
			to = w.numbers[c.number*block:][:len(xs)]
			for r, x := range xs {
				to[r] = (x - c.center) * c.inverse
			}
			if c.inverse == 0 {
				for r, x := range xs {
					to[r] = (x - c.center) / c.scale
				}
			}
		}
		if c.mass == 0 {
			continue
		}
		fill := (c.fill - c.center) / c.scale
		for r, x := range xs {
			if x != x {
				if to != nil {
					to[r] = fill
				}
				if c.hole >= 0 {
					w.holes[c.hole] = append(w.holes[c.hole], int32(r))
				}
			}
		}
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

// blocks calls do with each block of each part, blocks of a part in their order.
func (d *design) blocks(ctx context.Context, parts int, do func(w *work, part, first, n int)) error {
	rows := d.rows.Rows()
	return parallel(parts, func(k int) error {
		w, _ := d.idle.Get().(*work)
		if w == nil {
			w = d.newWork()
		}
		defer d.idle.Put(w)
		for first, end := rows*k/parts, rows*(k+1)/parts; first < end; first += block {
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

// multiply sets w.raw to the product of the block's rows and v, of which the part
// of the indicators ends with a 0.
func (d *design) multiply(w *work, n int, v []float64, holeAt []int) {
	raw := w.raw[:n]
	for r := range raw {
		raw[r] = v[0]
	}
	for k := 1; k < d.numbers; k++ {
		if v[k] != 0 {
			floats.AddScaled(raw, v[k], w.numbers[k*block:][:n])
		}
	}
	indicators := v[d.numbers:]
	for s := range d.slots {
		for r, at := range w.codes[s*block:][:n] {
			raw[r] += indicators[at]
		}
	}
	for s, rows := range w.holes {
		x := indicators[holeAt[s]]
		for _, r := range rows {
			raw[r] += x
		}
	}
}

// pass goes once over the rows. For each block of rows from row first on, at gets
// their products with v, sets slope and returns the loss; pass adds up the loss and
// the gradient, which is slope times row.
func (d *design) pass(ctx context.Context, v []float64, at func(first int, raw, slope []float64) float64) (loss float64, gradient []float64, err error) {
	width := d.width()
	padded := append(append(make([]float64, 0, width+1), v...), 0)
	parts, holeAt := d.parts(width+1), d.holeAt()
	losses, gradients := make([]float64, parts), make([]float64, parts*(width+1))
	err = d.blocks(ctx, parts, func(w *work, part, first, n int) {
		d.multiply(w, n, padded, holeAt)
		slope := w.slope[:n]
		losses[part] += at(first, w.raw[:n], slope)
		to := gradients[part*(width+1):][:width+1]
		for k := range d.numbers {
			to[k] += floats.Dot(slope, w.numbers[k*block:][:n])
		}
		indicators := to[d.numbers:]
		for s := range d.slots {
			for r, at := range w.codes[s*block:][:n] {
				indicators[at] += slope[r]
			}
		}
		for s, rows := range w.holes {
			for _, r := range rows {
				indicators[holeAt[s]] += slope[r]
			}
		}
	})
	if err != nil {
		return 0, nil, err
	}
	gradient = make([]float64, width)
	for k := range parts {
		loss += losses[k]
		floats.Add(gradient, gradients[k*(width+1):][:width])
	}
	return loss, gradient, nil
}

// diagonal adds up curvature times row squared.
func (d *design) diagonal(ctx context.Context, curvature []float64) ([]float64, error) {
	width := d.width()
	parts, holeAt := d.parts(width+1), d.holeAt()
	sums := make([]float64, parts*(width+1))
	err := d.blocks(ctx, parts, func(w *work, part, first, n int) {
		c, to := curvature[first:first+n], sums[part*(width+1):][:width+1]
		for k := range d.numbers {
			z := w.numbers[k*block:][:n]
			floats.MulTo(w.scaled[:n], c, z)
			to[k] += floats.Dot(w.scaled[:n], z)
		}
		indicators := to[d.numbers:]
		for s := range d.slots {
			for r, at := range w.codes[s*block:][:n] {
				indicators[at] += c[r]
			}
		}
		for s, rows := range w.holes {
			for _, r := range rows {
				indicators[holeAt[s]] += c[r]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := make([]float64, width)
	for k := range parts {
		floats.Add(out, sums[k*(width+1):][:width])
	}
	return out, nil
}

// hessian adds up curvature times row times its transpose, by rows; only the
// upper triangle is set. One-hot rows are never multiplied out: two indicators meet in
// a table of counts weighted by curvature, an indicator and the numbers in a sum of rows.
func (d *design) hessian(ctx context.Context, curvature []float64) ([]float64, error) {
	q, p, width := d.numbers, d.indicators, d.width()
	parts, holeAt := d.parts(width*width), d.holeAt()
	sums := make([]float64, parts*(q*q+p*q+p*p))
	err := d.blocks(ctx, parts, func(w *work, part, first, n int) {
		c := curvature[first : first+n]
		numbers := sums[part*(q*q+p*q+p*p):][:q*q+p*q+p*p]
		mixed, pairs := numbers[q*q:], numbers[q*q+p*q:]
		if w.rows == nil {
			w.rows, w.on, w.count = make([]float64, q*block), make([]int32, (d.slots+d.holes)*block), make([]int, block)
		}
		scaled := w.scaled[:n]
		for i := range q {
			floats.MulTo(scaled, c, w.numbers[i*block:][:n])
			to := numbers[i*q:][:q]
			for j := i; j < q; j++ {
				to[j] += floats.Dot(scaled, w.numbers[j*block:][:n])
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
		d.list(w, n, holeAt)
		for r := range n {
			on := w.on[r*(d.slots+d.holes):][:w.count[r]]
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
	return h, nil
}

// list makes the indicators of each row of the block. Their places rise with the
// columns, whose codes and holes are taken in turn.
func (d *design) list(w *work, n int, holeAt []int) {
	wide := d.slots + d.holes
	clear(w.count[:n])
	for j := range d.columns {
		switch c := &d.columns[j]; {
		case c.slot >= 0:
			for r, at := range w.codes[c.slot*block:][:n] {
				if int(at) < d.indicators {
					w.on[r*wide+w.count[r]] = at
					w.count[r]++
				}
			}
		case c.hole >= 0:
			for _, r := range w.holes[c.hole] {
				w.on[int(r)*wide+w.count[r]] = int32(holeAt[c.hole])
				w.count[r]++
			}
		}
	}
}

// logLoss is the loss of a row and its slope and curvature by the log-odds raw.
func logLoss(label, raw float64) (loss, slope, curvature float64) {
	sign := 2*label - 1
	margin := sign * raw
	e := math.Exp(-math.Abs(margin)) // in (0, 1]: nothing overflows or cancels
	u := 1 / (1 + e)
	loss, slope = math.Log1p(e), e*u
	if margin < 0 {
		loss, slope = loss-margin, u
	}
	return loss, -sign * slope, e * u * u
}
