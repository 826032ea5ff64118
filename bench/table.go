package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"propensity/datasets"
)

// The table of the benchmark: what a company that sells software by subscription
// might know of its accounts. Rows are independent of each other; the columns are
//
//	n00 to n09  counts, many of them zero, two of three following a hidden trait
//	n10 to n19  amounts with a heavy tail
//	n20 to n27  rates (to n23) and days since something (0 to 365)
//	c0 to c7    categories of 3 to 200 levels, frequent ones first (Zipf, exponent 0.7)
//	b0 to b3    booleans
//	y           the label, about 10 % positive, with interactions and two hidden traits
//
// Every third number column lacks 10 % of its values.
const (
	tableSeed  = 36      // its effects of the categories leave about 10 % positive
	tableChunk = 125_000 // rows drawn from one generator, and written at a time
	numbers    = 28
	booleans   = 4
)

func cardinalities() []int { return []int{3, 5, 8, 12, 25, 50, 100, 200} }

// level is the spelling of code k of categorical column j.
func level(j, k int) string { return fmt.Sprintf("c%d_v%03d", j, k) }

// maker draws rows.
type maker struct {
	seed    uint64
	shares  [][]float64 // cumulated, of each level of each categorical column
	effects [][]float64 // on the label
}

func newMaker(seed uint64) *maker {
	m := &maker{seed: seed}
	rng := rand.New(rand.NewPCG(seed, math.MaxUint64))
	for _, levels := range cardinalities() {
		effects, shares := make([]float64, levels), make([]float64, levels)
		var sum float64
		for k := range levels {
			effects[k] = 0.5 * rng.NormFloat64()
			sum += math.Pow(float64(k+1), -0.7)
			shares[k] = sum
		}
		for k := range shares {
			shares[k] /= sum
		}
		m.effects, m.shares = append(m.effects, effects), append(m.shares, shares)
	}
	return m
}

// account is one row.
type account struct {
	n [numbers]float64
	c [8]int
	b [booleans]bool
	y bool
}

// chunk draws rows from the generator with the number k. Fewer rows are the
// first of more.
func (m *maker) chunk(k uint64, rows int) *datasets.Table {
	t := emptyTable(rows)
	rng := rand.New(rand.NewPCG(m.seed, k))
	var r account
	for range rows {
		m.draw(&r, rng)
		for i, x := range r.n {
			t.Columns[i].Numbers = append(t.Columns[i].Numbers, x)
		}
		for j, code := range r.c {
			t.Columns[numbers+j].Codes = append(t.Columns[numbers+j].Codes, int32(code))
		}
		for i, b := range r.b {
			c := &t.Columns[numbers+len(r.c)+i]
			c.Numbers = append(c.Numbers, when(b))
		}
		y := &t.Columns[len(t.Columns)-1]
		y.Numbers = append(y.Numbers, when(r.y))
	}
	for j := range cardinalities() {
		spell(&t.Columns[numbers+j], j)
	}
	return t
}

func emptyTable(rows int) *datasets.Table {
	t := &datasets.Table{}
	add := func(name string, kind datasets.Kind) {
		c := datasets.Column{Name: name, Kind: kind}
		if kind == datasets.Category {
			c.Codes = make([]int32, 0, rows)
		} else {
			c.Numbers = make([]float64, 0, rows)
		}
		t.Columns = append(t.Columns, c)
	}
	for i := range numbers {
		add(fmt.Sprintf("n%02d", i), datasets.Number)
	}
	for j := range cardinalities() {
		add(fmt.Sprintf("c%d", j), datasets.Category)
	}
	for i := range booleans {
		add(fmt.Sprintf("b%d", i), datasets.Boolean)
	}
	add("y", datasets.Number)
	return t
}

// spell gives the codes of categorical column j their levels, in the order of
// their first rows.
func spell(c *datasets.Column, j int) {
	place := make([]int32, cardinalities()[j])
	for i, code := range c.Codes {
		if place[code] == 0 {
			c.Values = append(c.Values, level(j, int(code)))
			place[code] = int32(len(c.Values))
		}
		c.Codes[i] = place[code] - 1
	}
}

func (m *maker) draw(r *account, rng *rand.Rand) {
	active, size := rng.NormFloat64(), rng.NormFloat64() // hidden
	x := &r.n
	for i := range 10 {
		rate := math.Exp(0.15*float64(i) + 0.6*active*when(i%3 == 0) + 0.5*size*when(i%3 == 1))
		x[i] = poisson(rng, rate) * when(rng.Float64() > 0.25+0.05*float64(i))
	}
	for i := 10; i < 20; i++ {
		k := float64(i - 10)
		mean := 0.5*k + 0.5*size*when(i%2 == 0) + 0.4*active*when(i%2 == 1)
		x[i] = rounded(math.Exp(mean+rng.NormFloat64()*(0.8+0.05*k)), 100)
	}
	for i := 20; i < numbers; i++ {
		u := rng.Float64()
		if i == 20 {
			u = sigmoid(0.9*active + rng.NormFloat64())
		}
		if i < 24 {
			x[i] = rounded(u, 1e4)
		} else {
			x[i] = rounded(365*u, 10)
		}
	}
	for j, shares := range m.shares {
		r.c[j] = min(sort.SearchFloat64s(shares, rng.Float64()), len(shares)-1)
	}
	for i, share := range [booleans]float64{0.5, 0.2, 0.1, 0.7} {
		r.b[i] = rng.Float64() < share
	}
	r.y = rng.Float64() < sigmoid(m.logOdds(r, active))
	for i := 0; i < numbers; i += 3 {
		if rng.Float64() < 0.1 {
			x[i] = math.NaN()
		}
	}
}

// logOdds is the truth that the models look for.
func (m *maker) logOdds(r *account, active float64) float64 {
	x, b := &r.n, &r.b
	z := -3.55 - 0.9*math.Log1p(x[0])*when(x[24] < 180) + 0.35*math.Log1p(x[12]) - 1.2*x[20]
	z += 1.6*when(x[25] > 250 && x[3] < 2) - 0.8*math.Tanh(x[7]/4)*when(b[0])
	z += 0.9*when(b[1] && x[21] > 0.6) + 0.6*math.Sin(6*x[22]) + 0.5*when(b[2])
	z -= 0.4 * math.Log1p(x[15]) * when(x[26] < 120) / 3
	for _, j := range [...]int{0, 2, 6, 7} {
		z += m.effects[j][r.c[j]]
	}
	z += m.effects[4][r.c[4]] * (1 + when(b[3]))
	return z + 0.7*when(r.c[1] == 1 && x[13] > math.Exp(1.5)) + 0.4*active*when(r.c[3]%3 == 0)
}

// poisson draws a count by multiplying uniform numbers (Knuth, The Art of
// Computer Programming, volume 2, section 3.4.1).
func poisson(rng *rand.Rand, rate float64) float64 {
	end, k := math.Exp(-rate), 0.0
	for p := rng.Float64(); p > end; p *= rng.Float64() {
		k++
	}
	return k
}

func when(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func rounded(x, places float64) float64 { return math.Round(x*places) / places }

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// makeTable writes the first rows of the table to each of the files.
func makeTable(ctx context.Context, rows int, paths ...string) error {
	m := newMaker(tableSeed)
	var files []*datasets.Writer
	for _, path := range paths {
		w, err := datasets.Create(path, datasets.WriteOptions{})
		if err != nil {
			return err
		}
		defer w.Abort()
		files = append(files, w)
	}
	for k, done := uint64(0), 0; done < rows; k++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t := m.chunk(k, min(tableChunk, rows-done))
		for _, w := range files {
			if err := w.Write(t); err != nil {
				return err
			}
		}
		done += t.Rows()
	}
	var faults []error
	for _, w := range files {
		faults = append(faults, w.Commit())
	}
	return errors.Join(faults...)
}
