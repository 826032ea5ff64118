package gbdt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/features"
)

// weighted gives every row of a matrix a whole weight, 1 or 2 where the label is 0
// and 3 or 4 where it is 1; repeated is the same matrix with each row as often as it
// weighs, all of one account.
func weighted(m *features.Matrix, seed uint64) (weighted, repeated features.Matrix) {
	r := rand.New(rand.NewPCG(seed, 3))
	w := *m
	w.Weight, w.Group = make([]float64, m.Rows()), make([]int, m.Rows())
	var rows []int
	for i := range w.Weight {
		w.Weight[i], w.Group[i] = float64(1+r.IntN(2))+2*m.Label[i], i
		for range int(w.Weight[i]) {
			rows = append(rows, i)
		}
	}
	repeated = w.Take(rows)
	repeated.Weight = nil
	return w, repeated
}

// Weights of 1 are none, to the bit.
func TestWeightsOfOne(t *testing.T) {
	m, valid := mixedMatrix(1500, 1), mixedMatrix(500, 2)
	ones := *m
	ones.Weight = slices.Repeat([]float64{1}, m.Rows())
	o := Defaults()
	o.Trees = 12
	plain, same := fit(t, m, valid, o), fit(t, &ones, valid, o)
	if !slices.Equal(plain.ValidLoss, same.ValidLoss) || !slices.Equal(rawAll(plain.Model, m), rawAll(same.Model, m)) {
		t.Error("weights of 1 make another model")
	}
	// Those of rows to validate on alone leave the trees what they are.
	judges := *valid
	judges.Weight = slices.Repeat([]float64{2, 0.5}, 250)
	o.Patience = o.Trees
	plain, same = fit(t, m, valid, o), fit(t, m, &judges, o)
	plain.Best, same.Best = min(plain.Best, same.Best), min(plain.Best, same.Best)
	x, y := plain.Model.Truncate(plain.Best), same.Model.Truncate(same.Best)
	if !slices.Equal(rawAll(x, m), rawAll(y, m)) || slices.Equal(plain.ValidLoss, same.ValidLoss) {
		t.Error("weights of the validation rows change the trees, or not the loss")
	}
}

// A row of a whole weight is as many rows. One tree is grown without sampling, on
// numbers of few values and categories, where the best splits are clear: both find
// the same splits and covers, to the row. Gradients and hessians are rounded by
// chance, with a standard deviation of at most half a unit a row, so that the sums
// of two leaves of n rows differ by sqrt(n/2) units or so, and their Newton steps by
// that over 1023 and the hessian; they are held to five times as much.
func TestWeightsAreRepeatedRows(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	m := &features.Matrix{Features: []features.Feature{{Name: "x"}, {Name: "plan", Levels: 4}, {Name: "y"}}, Columns: make([][]float64, 3)}
	for range 6000 {
		x, plan, y := float64(r.IntN(4)), float64(r.IntN(4)), float64(r.IntN(3))
		if y == 2 {
			y = math.NaN()
		}
		p := 0.1 + 0.2*x
		if plan == 2 {
			p = 0.95 - 0.25*x
		}
		if y != y {
			p *= 0.5
		}
		label := 0.0
		if r.Float64() < p {
			label = 1
		}
		for j, v := range []float64{x, plan, y} {
			m.Columns[j] = append(m.Columns[j], v)
		}
		m.Label = append(m.Label, label)
	}
	w, repeated := weighted(m, 1)
	o := plain()
	o.Leaves, o.L2 = 6, 1
	a, b := fit(t, &w, nil, o).Model, fit(t, &repeated, nil, o).Model
	if math.Abs(a.Base()-b.Base()) > 1e-12 {
		t.Errorf("bases %v and %v", a.Base(), b.Base())
	}
	p := 1 / (1 + math.Exp(-a.Base()))
	x, y := a.Tree(0), b.Tree(0)
	if len(x) != len(y) || len(x) != 11 {
		t.Fatalf("%d and %d nodes", len(x), len(y))
	}
	differ := false
	for i := range x {
		far := 5 * math.Sqrt(x[i].Cover) / gradientUnits / (x[i].Cover * p * (1 - p))
		if math.Abs(x[i].Value-y[i].Value) > far {
			t.Errorf("node %d is worth %v and %v, want within %v", i, x[i].Value, y[i].Value, far)
		}
		differ = differ || x[i].Value != y[i].Value
		x[i].Value, y[i].Value = 0, 0
		if fmt.Sprint(x[i]) != fmt.Sprint(y[i]) {
			t.Errorf("node %d: %+v, of repeated rows %+v", i, x[i], y[i])
		}
	}
	if !differ {
		t.Error("the tolerance is for nothing")
	}
	// Without the weights it is another tree.
	if z := fit(t, m, nil, o).Model.Tree(0); z[0].Cover != 6000 || x[0].Cover < 12000 {
		t.Errorf("roots cover %v and %v", z[0].Cover, x[0].Cover)
	}
}

// A whole model of weighted rows scores and loses as one of repeated rows does, up
// to what another seed changes.
func TestWeightedModelsAreThoseOfRepeatedRows(t *testing.T) {
	m, other := mixedMatrix(2500, 3), mixedMatrix(2500, 4)
	w, repeated := weighted(m, 2)
	valid, validRepeated := weighted(other, 3)
	o := Defaults()
	o.RowShare, o.ColumnShare, o.Trees, o.MinRows, o.CategoryRows, o.CategoryBins = 1, 1, 60, 1, 0, 255
	o.MinHessian, o.Patience = 8, 60
	far := func(a, b []float64) float64 {
		sum := 0.0
		for i := range a {
			sum += (a[i] - b[i]) * (a[i] - b[i])
		}
		return math.Sqrt(sum / float64(len(a)))
	}
	a, b := fit(t, &w, &valid, o), fit(t, &repeated, &validRepeated, o)
	o.Seed++
	c := fit(t, &repeated, &validRepeated, o)
	scores := func(r *Result) []float64 { return rawAll(r.Model, other) }
	if d, seeds := far(scores(a), scores(b)), far(scores(c), scores(b)); d > 1.5*seeds {
		t.Errorf("scores differ by %v, those of another seed by %v", d, seeds)
	}
	if d := math.Abs(a.ValidLoss[a.Best-1] - b.ValidLoss[b.Best-1]); d > 0.002 {
		t.Errorf("losses %v and %v", a.ValidLoss[a.Best-1], b.ValidLoss[b.Best-1])
	}
	if d := far(rawAll(fit(t, m, other, o).Model, other), scores(b)); d < 1.5*far(scores(c), scores(b)) {
		t.Errorf("without weights scores differ by no more: %v", d)
	}
	// The loss is the weighted mean of the rows' own.
	total, weight := 0.0, 0.0
	for i, raw := range rawAll(a.Model, &valid) {
		total += valid.Weight[i] * lossOf(raw, valid.Label[i])
		weight += valid.Weight[i]
	}
	if got := a.ValidLoss[a.Best-1]; math.Abs(got-total/weight) > 1e-12 {
		t.Errorf("validation loss %v, want %v", got, total/weight)
	}
}

// CrossFit settles by the weighted loss, on models of weighted rows.
func TestCrossFitWithWeights(t *testing.T) {
	w, _ := weighted(mixedMatrix(900, 11), 4)
	for i := range w.Weight {
		w.Weight[i] *= 0.3
	}
	folds := byRow(w.Rows(), 3)
	o := Defaults()
	o.Trees, o.Rate, o.Patience = 40, 0.3, 40
	settled, raw, err := CrossFit(context.Background(), &w, folds, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	curve := make([]float64, o.Trees)
	for _, fold := range folds {
		rows, err := newBinned(context.Background(), &o, &w)
		if err != nil {
			t.Fatal(err)
		}
		of, err := newBooster(rows, rows32(fold.Train), rows32(fold.Test), o)
		if err != nil {
			t.Fatal(err)
		}
		for round := range curve {
			of.step(round)
			for _, r := range fold.Test {
				curve[round] += w.Weight[r] * lossOf(of.raw[r], w.Label[r])
				if round+1 == settled.Trees && of.raw[r] != raw[r] {
					t.Fatalf("row %d scores %v, want %v", r, raw[r], of.raw[r])
				}
			}
		}
	}
	if best := slices.Index(curve, slices.Min(curve)); settled.Trees != best+1 {
		t.Errorf("settled on %d rounds, the curve is lowest after %d", settled.Trees, best+1)
	}
}

// All weights eight times as large, and all that is added to them: the same model
// to the bit, of eight times the cover.
func TestScaleOfWeights(t *testing.T) {
	w, _ := weighted(mixedMatrix(1500, 5), 5)
	for i := range w.Weight {
		w.Weight[i] *= 0.37
	}
	large := w
	large.Weight = slices.Clone(w.Weight)
	for i := range large.Weight {
		large.Weight[i] *= 8
	}
	o := Defaults()
	o.Trees, o.MinGain, o.CategoryL2, o.MinHessian = 15, 0.5, 2, 3
	p := o
	for _, x := range []*float64{&p.L2, &p.MinGain, &p.MinHessian, &p.CategorySmooth, &p.CategoryL2, &p.CategoryPrior} {
		*x *= 8
	}
	a, b := fit(t, &w, nil, o).Model, fit(t, &large, nil, p).Model
	if !slices.Equal(rawAll(a, &w), rawAll(b, &w)) {
		t.Error("another model")
	}
	for i := range a.Trees() {
		if x, y := a.Tree(i)[0].Cover, b.Tree(i)[0].Cover; math.Abs(8*x-y) > 1e-9*y {
			t.Fatalf("tree %d covers %v and %v", i, x, y)
		}
	}
}

// Covers sum up the weights of the rows that a tree was grown on.
func TestCoversOfWeights(t *testing.T) {
	w, _ := weighted(mixedMatrix(1500, 4), 6)
	o := Defaults()
	b := boosterOf(t, &w, o)
	for round := range 10 {
		b.step(round)
		g, nodes := &b.grower, b.trees[round].nodes
		want := make([]float64, len(nodes))
		for _, l := range g.leaves {
			for _, k := range g.rows[l.rows.start:l.rows.end] {
				for at := l.node; at >= 0; at = g.nodes[at].parent {
					want[at] += w.Weight[g.sample[k]]
				}
			}
		}
		for i, n := range nodes {
			if n.Cover != want[i] {
				t.Errorf("round %d: node %d covers %v, want %v", round, i, n.Cover, want[i])
			}
		}
	}
}

// A wide word holds the gradient and the hessian to within a unit of the
// heaviest row; the mean of many draws is right whatever a row weighs.
func TestWideWords(t *testing.T) {
	const draws = 20000
	m := &features.Matrix{Features: []features.Feature{{Name: "x"}}, Columns: [][]float64{make([]float64, 2*draws)}}
	m.Label, m.Weight = make([]float64, 2*draws), make([]float64, 2*draws)
	for i := range m.Label {
		m.Label[i], m.Weight[i] = float64(i%2), 1000
	}
	for _, weight := range []float64{1000, 999.7, 1, 0.001} {
		for _, raw := range []float64{-30, -2, 0, 0.3, 30} {
			for i := range m.Label {
				if i > 1 {
					m.Weight[i] = weight
				}
			}
			b := boosterOf(t, m, plain())
			for i := range b.raw {
				b.raw[i] = raw
			}
			p := 1 / (1 + math.Exp(-raw))
			b.grower.sample, b.grower.words = b.train, make([]uint64, 2*draws)
			b.fillWide(17)
			var total [2]sums
			for i, word := range b.grower.words {
				if i < 2 {
					continue
				}
				var one sums
				one.addWide(word)
				if g := one.gradient()/b.unit - weight*(p-m.Label[i]); math.Abs(g) > 1.01*1000/(wider*gradientUnits)+8e-6*weight || one.n != 1 {
					t.Fatalf("raw %v, weight %v: a gradient of %v", raw, weight, one.gradient()/b.unit)
				}
				if h := one.hessian()/b.unit - weight*p*(1-p); math.Abs(h) > 1.01*1000/(wider*hessianUnits)+8e-6*weight || one.h < 0 {
					t.Fatalf("raw %v, weight %v: a hessian of %v", raw, weight, one.hessian()/b.unit)
				}
				total[i%2] = total[i%2].plus(one)
			}
			far := 5 * 0.5 * math.Sqrt(draws) * 1000 / wider
			for label, s := range total {
				n := float64(draws - 1)
				if g := s.gradient()/b.unit - n*weight*(p-float64(label)); math.Abs(g) > far/gradientUnits+8e-6*weight*n {
					t.Errorf("raw %v, weight %v: the gradients are off by %v", raw, weight, g)
				}
				if h := s.hessian()/b.unit - n*weight*p*(1-p); math.Abs(h) > far/hessianUnits+8e-6*weight*n {
					t.Errorf("raw %v, weight %v: the hessians are off by %v", raw, weight, h)
				}
			}
		}
	}
}

// The rates of weighted rows are those of repeated rows. So few rates that each
// has its own bin do not depend on how many rows there are of each.
func TestRatesOfWeights(t *testing.T) {
	const levels = 40
	w, repeated := weighted(mixedMatrix(2000, 6), 7)
	o := Defaults()
	o.CategoryBins = 255
	of := func(m *features.Matrix) rates {
		codes := make([]int32, m.Rows())
		for i, x := range m.Columns[3] {
			codes[i] = codeOf(math.Mod(x, levels), levels)
		}
		return newRates(codes, levels, m.Label, m.Weight, numbers(0, m.Rows()), foldOf(&o, m.Group), &o)
	}
	a, b := of(&w), of(&repeated)
	w.Weight = nil
	if c := of(&w); a.size < 150 || a.size != b.size || !slices.Equal(a.bin, b.bin) || slices.Equal(a.bin, c.bin) {
		t.Errorf("%d bins, of repeated rows %d, without weights %d", a.size, b.size, c.size)
	}
}

func TestBadWeights(t *testing.T) {
	for name, c := range map[string]struct {
		weight []float64
		row    int
	}{
		"zero":     {[]float64{1, 0, 1, 1}, 1},
		"negative": {[]float64{1, 1, -1, 1}, 2},
		"missing":  {[]float64{math.NaN(), 1, 1, 1}, 0},
		"infinite": {[]float64{1, 1, 1, math.Inf(1)}, 3},
		"huge":     {[]float64{1, 1, 1, 1e300}, 3},
		"tiny":     {[]float64{1, 1, 5e-324, 1}, 2},
		"short":    {[]float64{1, 1, 1}, -1},
		"empty":    {[]float64{}, -1},
		"long":     {[]float64{1, 1, 1, 1, 1}, -1},
	} {
		m := &features.Matrix{Features: []features.Feature{{Name: "x"}}, Columns: [][]float64{{1, 2, 3, 4}}, Label: []float64{0, 1, 0, 1}}
		good := *m
		m.Weight = c.weight
		_, err := Fit(context.Background(), m, nil, plain(), nil)
		_, _, err2 := CrossFit(context.Background(), m, []datasets.Fold{{Train: []int{0, 1}, Test: []int{2}}}, plain(), nil)
		_, err3 := Fit(context.Background(), &good, m, plain(), nil)
		for _, err := range []error{err, err2, err3} {
			var value *ValueError
			if !errors.Is(err, ErrMatrix) || errors.As(err, &value) != (c.row >= 0) || c.row >= 0 && (value.Row != c.row || value.Feature != "weight") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// The lightest and the heaviest that there may be, side by side.
	m := mixedMatrix(200, 1)
	m.Weight = slices.Repeat([]float64{lightest, heaviest}, 100)
	for i, raw := range rawAll(fit(t, m, m, Defaults()).Model, m) {
		if math.IsNaN(raw) || math.IsInf(raw, 0) {
			t.Fatalf("row %d scores %v", i, raw)
		}
	}
}

// Every new way to learn gives the same bits at any number of threads.
func TestOptionsAtAnyNumberOfThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	m := mixedMatrix(9000, 7)
	w, _ := weighted(m, 1)
	seen := map[string]string{}
	for name, c := range map[string]struct {
		m      *features.Matrix
		change func(o *Options)
	}{
		"as ever":  {m, func(*Options) {}},
		"weights":  {&w, func(*Options) {}},
		"monotone": {m, func(o *Options) { o.Monotone = []int8{1, -1, 0, 0, 0, 0} }},
		"groups":   {m, func(o *Options) { o.Groups = [][]int{{0, 1}, {1, 2}} }},
		"additive": {m, func(o *Options) { o.Additive = true }},
		"all":      {&w, func(o *Options) { o.Monotone, o.Additive = []int8{1, 1, 0, 0, 0, 0}, true }},
	} {
		o := Defaults()
		o.Trees = 5
		c.change(&o)
		var models []string
		for _, threads := range []int{1, 2} {
			runtime.GOMAXPROCS(threads)
			b := boosterOf(t, c.m, o)
			for round := range o.Trees {
				b.step(round)
			}
			settled, raw, err := CrossFit(context.Background(), c.m, byRow(m.Rows(), 3), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			fitted := fit(t, c.m, m, o)
			models = append(models, fmt.Sprint(described(b), settled.Trees, raw, fitted.ValidLoss, rawAll(fitted.Model, m)))
		}
		if models[0] != models[1] {
			t.Errorf("%s: another number of threads, another model", name)
		}
		if other, twice := seen[models[0]]; twice {
			t.Errorf("%s and %s are one model", name, other)
		}
		seen[models[0]] = name
	}
}
