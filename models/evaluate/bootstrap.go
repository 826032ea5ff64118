package evaluate

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/stat/distuv"
)

// resampler draws accounts with replacement and judges the rows of the drawn
// ones (the cluster bootstrap: Davison and Hinkley 1997, section 3.8). Rows are
// sorted once; a replicate is a weight for each account.
type resampler struct {
	ranked   []rankedRow
	sorted   []residualRow // by ascending probability
	gaps     []float64     // a bin of sorted rows each: sum of y - p over all rows
	accounts int
	size     []int // rows of an account
	seed     uint64
}

// residualRow is a row in the order of probabilities.
type residualRow struct {
	account  int32
	residual float64 // y - p
}

// replicate is what one resample says.
type replicate struct {
	ranking
	// shift is the sum over bins of how far their gap moved: by the triangle
	// inequality the calibration error moved no further.
	shift float64
}

func newResampler(y, raw, p []float64, c clusters, bins int, seed uint64) *resampler {
	r := &resampler{ranked: rankRows(y, raw, c.of), gaps: make([]float64, bins), accounts: c.count, size: make([]int, c.count), seed: seed}
	for _, g := range c.of {
		r.size[g]++
	}
	r.sorted = make([]residualRow, len(y))
	for k, i := range ascending(p) {
		r.sorted[k] = residualRow{c.of[i], y[i] - p[i]}
	}
	once := make([]int32, c.count)
	for g := range once {
		once[g] = 1
	}
	for b := range r.gaps {
		r.gaps[b] = r.gap(b, once, len(y))
	}
	return r
}

// run judges n resamples. Each has its own key, so that the result is the same
// on any number of processors.
func (r *resampler) run(n int) []replicate {
	out := make([]replicate, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			weight := make([]int32, r.accounts)
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				out[k] = r.judge(weight, r.draw(weight, uint64(k)))
			}
		})
	}
	workers.Wait()
	return out
}

// draw sets how often each account is in replicate k and returns how many rows
// that makes.
func (r *resampler) draw(weight []int32, k uint64) (rows int) {
	clear(weight)
	random := rand.New(rand.NewPCG(r.seed, k))
	for range weight {
		g := random.IntN(len(weight))
		weight[g]++
		rows += r.size[g]
	}
	return rows
}

func (r *resampler) judge(weight []int32, rows int) replicate {
	shift := 0.0
	for b, gap := range r.gaps {
		shift += math.Abs(r.gap(b, weight, rows) - gap)
	}
	return replicate{rank(r.ranked, weight, topTenth(rows)), shift}
}

func topTenth(rows int) int { return (rows + 9) / 10 }

// gap is the sum of y - p in bin b over the number of all rows, each row repeated
// by its weight. A bin keeps its rows in all resamples.
func (r *resampler) gap(b int, weight []int32, rows int) float64 {
	lo, hi := binBounds(len(r.sorted), len(r.gaps), b)
	sum := 0.0
	for _, row := range r.sorted[lo:hi] {
		sum += float64(weight[row.account]) * row.residual
	}
	return sum / float64(rows)
}

// percentiles are the ends of the expanded percentile interval (Hesterberg
// 2015) for n accounts, 2 or more. NaN replicates are left out.
func (q confidence) percentiles(replicates []float64, n int) (low, high float64) {
	defined := slices.DeleteFunc(slices.Clone(replicates), math.IsNaN)
	slices.Sort(defined)
	alpha := distuv.UnitNormal.CDF(-q.normal * q.expansion(n))
	return quantile(defined, alpha), quantile(defined, 1-alpha)
}

// expansion is by how much a plain percentile interval is too narrow for n
// accounts: their resamples spread less than they do by sqrt((n-1)/n), and it
// stands on the normal quantile instead of Student's.
func (q confidence) expansion(n int) float64 {
	return math.Sqrt(float64(n)/float64(n-1)) * q.student(n-1) / q.normal
}

// quantile interpolates between the order statistics at (m+1) q.
func quantile(sorted []float64, q float64) float64 {
	m := len(sorted)
	at := q*float64(m+1) - 1
	if at <= 0 {
		return sorted[0]
	}
	if at >= float64(m-1) {
		return sorted[m-1]
	}
	k := int(at)
	return sorted[k] + (at-float64(k))*(sorted[k+1]-sorted[k])
}
