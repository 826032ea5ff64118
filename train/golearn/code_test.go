package golearn

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"propensity/features"
)

func TestSample(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		label := rapid.SliceOfN(rapid.SampledFrom([]float64{0, 1}), 1, 200).Draw(rt, "label")
		limit := rapid.IntRange(1, 220).Draw(rt, "limit")
		rows := sample(label, limit, rapid.Uint64().Draw(rt, "seed"))
		if len(rows) != min(limit, len(label)) {
			rt.Fatalf("%d rows of %d, limit %d", len(rows), len(label), limit)
		}
		for k, i := range rows {
			if i < 0 || i >= len(label) || k > 0 && i <= rows[k-1] {
				rt.Fatalf("rows %v", rows)
			}
		}
		drawn, all := sum(label, rows), sum(label, count(len(label)))
		share := all / float64(len(label))
		if limit > 1 && (all > 0 != (drawn > 0) || all < float64(len(label)) != (drawn < float64(len(rows)))) {
			rt.Fatalf("%v positives of %v in %d rows of %d: a label is lost", drawn, all, len(rows), len(label))
		}
		// To the nearest row; one more or less where a label would be lost.
		if math.Abs(drawn-share*float64(len(rows))) > 1 {
			rt.Fatalf("%v positives in %d rows, share %v", drawn, len(rows), share)
		}
	})
}

// Every row is as likely to be drawn as another of its label, and the seed alone
// decides.
func TestSampleIsUniform(t *testing.T) {
	label := make([]float64, 40)
	for i := range 10 {
		label[4*i] = 1
	}
	const runs = 4000
	times := make([]float64, len(label))
	for seed := range uint64(runs) {
		rows := sample(label, 20, seed)
		if !slices.Equal(rows, sample(label, 20, seed)) {
			t.Fatal("not the same again")
		}
		for _, i := range rows {
			times[i]++
		}
	}
	// Half of 4,000 draws, with a standard deviation of 32: 5 of them.
	for i, n := range times {
		if math.Abs(n-runs/2) > 160 {
			t.Errorf("row %d drawn %v times, want about %d", i, n, runs/2)
		}
	}
}

func TestCutByHand(t *testing.T) {
	for name, c := range map[string]struct{ places, want []float64 }{
		"nothing":     {nil, nil},
		"constant":    {[]float64{2, 2, 2}, nil},
		"two":         {[]float64{1, 1, 2}, []float64{1.5}},
		"negative":    {[]float64{-3, -1, 0, 0, 4}, []float64{-2, -0.5, 2}},
		"huge":        {[]float64{-math.MaxFloat64, math.MaxFloat64}, []float64{0}},
		"both huge":   {[]float64{1e308, 1.5e308}, []float64{1.25e308}},
		"neighbours":  {[]float64{1, math.Nextafter(1, 2)}, []float64{1}},
		"subnormal":   {[]float64{0, 5e-324}, []float64{0}},
		"-subnormal":  {[]float64{-5e-324, 0}, []float64{-5e-324}},
		"signed zero": {[]float64{math.Copysign(0, -1), 0, 1}, []float64{0.5}},
	} {
		if got := cut(c.places); !slices.Equal(got, c.want) {
			t.Errorf("%s: cuts %v, want %v", name, got, c.want)
		}
	}
	// 100,000 distinct places make 64 parts of one size, to a row.
	cuts := cut(func() (p []float64) {
		for i := range 100_000 {
			p = append(p, float64(i))
		}
		return p
	}())
	if len(cuts) != maxCodes-1 || cuts[0] != 1562.5 || cuts[1] != 3125.5 {
		t.Errorf("%d cuts, from %v", len(cuts), cuts[:2])
	}
}

// Codes keep the order of places and are told apart by the cuts as the tree
// tells values apart by its thresholds.
func TestCodes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		levels := rapid.SampledFrom([]int{0, 1, 5, 100}).Draw(rt, "levels")
		value := rapid.OneOf(rapid.Float64Range(-1e6, 1e6), rapid.Just(math.NaN()), rapid.Map(rapid.IntRange(-1, 6), func(k int) float64 { return float64(k) }))
		column := rapid.SliceOfN(value, 1, 150).Draw(rt, "column")
		y := rapid.SliceOfN(rapid.Float64Range(-5, 5), len(column), len(column)).Draw(rt, "y")
		c := newCoder(levels, column, y, count(len(column)))
		if len(c.cuts) >= maxCodes || !slices.IsSorted(c.cuts) {
			rt.Fatalf("cuts %v", c.cuts)
		}
		for _, a := range column {
			place, code := c.place(a), c.code(a)
			for k, threshold := range c.cuts {
				if (place <= threshold) != (code <= k) {
					rt.Fatalf("%v stands at %v, code %d, cut %d is %v", a, place, code, k, threshold)
				}
			}
		}
	})
}

func TestMeansByHand(t *testing.T) {
	nan := math.NaN()
	// Sample of 10: mean 0.5. Level 0: 1 of 4, level 1: 3 of 3, missing: 0 of 2,
	// no code: 1 of 1. Level 2 is outside the sample.
	column := []float64{0, 0, 0, 0, 1, 1, 1, nan, nan, 7, 2, 2}
	y := []float64{1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1}
	c := newCoder(3, column, y, count(10))
	for x, want := range map[float64]float64{0: 0.5 - 1.0/14, 1: 0.5 + 1.5/13, 2: 0.5, -1: 0.5, 7: 0.5, 1.5: 0.5} {
		if got := c.place(x); math.Abs(got-want) > 1e-15 {
			t.Errorf("%v stands at %v, want %v", x, got, want)
		}
	}
	if got, want := c.place(nan), 0.5-1.0/12; math.Abs(got-want) > 1e-15 {
		t.Errorf("missing stands at %v, want %v", got, want)
	}
	number := newCoder(0, []float64{nan, 5, 1, 3, nan, 100}, y, count(6))
	if got := number.place(nan); got != 3 {
		t.Errorf("missing stands at %v, want the median 3", got)
	}
}

// One question about one feature has the least squared error of all: every
// threshold, every part of the categories (each with as many rows as another, so
// that drawing in the means keeps their order).
func TestFirstQuestionIsTheBest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		levels := rapid.SampledFrom([]int{0, 3, 5}).Draw(rt, "levels")
		values := max(levels, 3) // distinct values, of 8 rows each
		m := &features.Matrix{Features: []features.Feature{{Name: "x", Levels: levels}}, Columns: [][]float64{nil}}
		for i := range 8 * values {
			m.Columns[0] = append(m.Columns[0], float64(i%values))
			m.Label = append(m.Label, rapid.SampledFrom([]float64{0, 1}).Draw(rt, "y"))
		}
		all := count(m.Rows())
		best := math.Inf(-1)
		for part := 1; part < 1<<values-1; part++ {
			if levels == 0 && part&(part+1) != 0 { // a threshold takes the lowest values alone
				continue
			}
			var in, out tally
			for _, i := range all {
				if part>>int(m.Columns[0][i])&1 == 1 {
					in = in.join(tally{1, m.Label[i]})
				} else {
					out = out.join(tally{1, m.Label[i]})
				}
			}
			best = max(best, in.gain()+out.gain())
		}
		positive := sum(m.Label, all)
		if positive == 0 || positive == float64(len(all)) {
			return
		}
		e := fitted(rt, m, Options{Depth: 1, Rows: 2000, LeafRows: 1})
		sides := map[float64]tally{}
		for _, i := range all {
			raw := e.Raw([]float64{m.Columns[0][i]})
			sides[raw] = sides[raw].join(tally{1, m.Label[i]})
		}
		got := 0.0
		for _, side := range sides {
			got += side.gain()
		}
		if math.Abs(got-best) > 1e-9 {
			rt.Fatalf("gain %v, best %v", got, best)
		}
	})
}
