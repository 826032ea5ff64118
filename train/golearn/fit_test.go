package golearn

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"propensity/features"
	"propensity/models/tree"
)

// planted is rows whose rate of label 1 is
//
//	0.9 where x0 <= 3, else 0.7 where the category c is b or d, else 0.1
//
// beside a feature of noise; x0 is a whole number from 0 to 9.
func planted(rows int, seed uint64) *features.Matrix {
	random := rand.New(rand.NewPCG(seed, 7))
	m := &features.Matrix{
		Features: []features.Feature{{Name: "x0"}, {Name: "c", Levels: 4}, {Name: "noise"}},
		Columns:  make([][]float64, 3),
	}
	for i := range rows {
		x0, c := float64(random.IntN(10)), float64(random.IntN(4))
		y := 0.0
		if random.Float64() < plantedRate(x0, c) {
			y = 1
		}
		m.Columns[0] = append(m.Columns[0], x0)
		m.Columns[1] = append(m.Columns[1], c)
		m.Columns[2] = append(m.Columns[2], random.NormFloat64())
		m.Label, m.Group = append(m.Label, y), append(m.Group, i)
	}
	return m
}

func plantedRate(x0, c float64) float64 {
	switch {
	case x0 <= 3:
		return 0.9
	case c == 1 || c == 3:
		return 0.7
	}
	return 0.1
}

func fitted(t interface{ Fatal(...any) }, m *features.Matrix, o Options) *tree.Ensemble {

	e, err := FitCART(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPlantedTreeIsLearntBack(t *testing.T) {
	m := planted(20_000, 1)
	e := fitted(t, m, Options{Depth: 2, Rows: 2000, LeafRows: 20, Seed: 3})
	nodes := e.Tree(0)
	// x0 is 3 in the sample and 4: the cut is halfway. One of the two questions
	// comes first; the other is asked where it still matters.
	byFeature := map[int]tree.Node{}
	for _, n := range nodes {
		byFeature[n.Feature] = n
	}
	if n := byFeature[0]; n.Threshold != 3.5 {
		t.Errorf("threshold of x0 is %v, want 3.5: %+v", n.Threshold, nodes)
	}
	if n := byFeature[1]; !slices.Equal(n.Set, []int32{0, 2}) {
		t.Errorf("set of c is %v, want 0 and 2: %+v", n.Set, nodes)
	}
	for x0 := range 10 {
		for c := range 4 {
			x := []float64{float64(x0), float64(c), 0}
			if p, want := 1/(1+math.Exp(-e.Raw(x))), plantedRate(x[0], x[1]); math.Abs(p-want) > 0.02 {
				t.Errorf("rate at %v is %v, want %v", x, p, want)
			}
		}
	}
}

// The covers and values are counted from all rows, with the rows walked by the
// tree as served.
func TestCoversAndValues(t *testing.T) {
	m := planted(5000, 2)
	for i := range m.Rows() { // every ninth value is missing, c is unseen now and then
		if i%9 == 0 {
			m.Columns[i%2][i] = math.NaN()
		}
		if i%100 == 1 {
			m.Columns[1][i] = -1
		}
	}
	o := Defaults(5)
	o.Rows = 1000
	e := fitted(t, m, o)
	rows, positive := map[float64]float64{}, map[float64]float64{}
	x := make([]float64, 3)
	total := 0.0
	for i, y := range m.Label {
		m.Row(x, i)
		rows[e.Raw(x)]++
		positive[e.Raw(x)] += y
		total += y
	}
	rate := total / float64(m.Rows())
	if want := math.Log(rate / (1 - rate)); math.Abs(e.Base()-want) > 1e-12 {
		t.Errorf("base %v, want %v", e.Base(), want)
	}
	leaves := 0
	for _, n := range e.Tree(0) {
		if n.Feature >= 0 {
			continue
		}
		leaves++
		raw := e.Base() + n.Value
		if rows[raw] != n.Cover || n.Cover < float64(o.LeafRows) {
			t.Errorf("leaf %+v: %v rows reach it", n, rows[raw])
		}
		p := (positive[raw] + 10*rate) / (rows[raw] + 10)
		if want := math.Log(p / (1 - p)); math.Abs(raw-want) > 1e-9 {
			t.Errorf("leaf %+v: log-odds %v, want %v", n, raw, want)
		}
	}
	if leaves < 4 {
		t.Errorf("%d leaves", leaves)
	}
}

func TestFitCARTRefuses(t *testing.T) {
	good := Defaults(1)
	for name, c := range map[string]struct {
		damage func(*features.Matrix, *Options)
		want   error
	}{
		"no rows":        {func(m *features.Matrix, _ *Options) { *m = m.Take([]int{}) }, ErrMatrix},
		"no columns":     {func(m *features.Matrix, _ *Options) { *m = m.Select(nil) }, ErrMatrix},
		"a column short": {func(m *features.Matrix, _ *Options) { m.Columns[1] = m.Columns[1][1:] }, ErrMatrix},
		"features short": {func(m *features.Matrix, _ *Options) { m.Features = m.Features[1:] }, ErrMatrix},
		"infinite":       {func(m *features.Matrix, _ *Options) { m.Columns[2][4] = math.Inf(-1) }, ErrMatrix},
		"label half":     {func(m *features.Matrix, _ *Options) { m.Label[3] = 0.5 }, ErrMatrix},
		"label NaN":      {func(m *features.Matrix, _ *Options) { m.Label[3] = math.NaN() }, ErrMatrix},
		"one label":      {func(m *features.Matrix, _ *Options) { m.Label = make([]float64, m.Rows()) }, ErrOneClass},
		"depth 0":        {func(_ *features.Matrix, o *Options) { o.Depth = 0 }, ErrOptions},
		"depth 9":        {func(_ *features.Matrix, o *Options) { o.Depth = 9 }, ErrOptions},
		"sample of 9":    {func(_ *features.Matrix, o *Options) { o.Rows = 9 }, ErrOptions},
		"sample of 2001": {func(_ *features.Matrix, o *Options) { o.Rows = 2001 }, ErrOptions},
		"leaf of none":   {func(_ *features.Matrix, o *Options) { o.LeafRows = 0 }, ErrOptions},
	} {
		m, o := planted(100, 1), good
		c.damage(m, &o)
		if e, err := FitCART(context.Background(), m, o); !errors.Is(err, c.want) || e != nil {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FitCART(ctx, planted(100, 1), good); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
