package gbdt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"propensity/features"
	"propensity/models/tree"
)

// mixedMatrix has numbers with few and many values, categories common and rare,
// missing and unseen values, and a label that depends on most of them.
func mixedMatrix(rows int, seed uint64) *features.Matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &features.Matrix{
		Features: []features.Feature{{Name: "wide"}, {Name: "narrow"}, {Name: "plan", Levels: 3}, {Name: "city", Levels: 400}, {Name: "constant"}, {Name: "void"}},
		Columns:  make([][]float64, 6),
	}
	for range rows {
		wide, narrow := r.NormFloat64()*100, float64(r.IntN(6))
		plan, city := float64(r.IntN(3)), math.Floor(400*r.Float64()*r.Float64())
		z := wide/100 + 0.3*narrow - 1 + 0.5*math.Sin(city)
		if plan == 1 {
			z = -z
		}
		if r.IntN(7) == 0 {
			wide = math.NaN()
		}
		if r.IntN(9) == 0 {
			plan = math.NaN()
		}
		if r.IntN(11) == 0 {
			city = -1
		}
		label := 0.0
		if r.Float64() < 1/(1+math.Exp(-z)) {
			label = 1
		}
		for j, x := range []float64{wide, narrow, plan, city, 5, math.NaN()} {
			m.Columns[j] = append(m.Columns[j], x)
		}
		m.Label = append(m.Label, label)
	}
	return m
}

// boosterOf is a booster that learns from all rows.
func boosterOf(t testing.TB, m *features.Matrix, o Options) *booster {
	t.Helper()
	rows, err := newBinned(context.Background(), &o, m)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBooster(rows, numbers(0, m.Rows()), nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The scores kept while training are those of the finished model, bit for bit:
// every row falls into the same leaves by bins and by values. Of a feature that
// is split by rates that holds for rows that were not trained on: the others have
// rates without themselves.
func TestScoresInTrainingAreTheModels(t *testing.T) {
	train, valid := mixedMatrix(3000, 1), mixedMatrix(1000, 2)
	for _, rates := range []int{8, 1000} {
		o := Defaults()
		o.Trees, o.Leaves, o.CategoryRates, o.MinGain = 60, 12, rates, 0
		rows, err := newBinned(context.Background(), &o, train, valid)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBooster(rows, numbers(0, 3000), numbers(3000, 4000), o)
		if err != nil {
			t.Fatal(err)
		}
		for round := range o.Trees {
			b.step(round)
		}
		model, err := b.model(o.Trees)
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float64, len(train.Features))
		for i, want := range b.raw {
			if i >= 3000 {
				valid.Row(row, i-3000)
			} else if train.Row(row, i); rates == 8 {
				continue
			}
			if got := model.Raw(row); got != want {
				t.Fatalf("row %d: %v, the model says %v", i, want, got)
			}
		}
	}
}

func fit(t *testing.T, train, valid *features.Matrix, o Options) *Result {
	t.Helper()
	result, err := Fit(context.Background(), train, valid, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// rawAll scores every row of a matrix.
func rawAll(model *tree.Ensemble, m *features.Matrix) []float64 {
	out, row := make([]float64, m.Rows()), make([]float64, len(m.Features))
	for i := range out {
		m.Row(row, i)
		out[i] = model.Raw(row)
	}
	return out
}

func meanLoss(model *tree.Ensemble, m *features.Matrix) float64 {
	return totalLoss(nil, numbers(0, m.Rows()), rawAll(model, m), m.Label, nil) / float64(m.Rows())
}

// plain options grow exact, greedy trees: no sampling, no shrinkage.
func plain() Options {
	o := Defaults()
	o.Trees, o.Rate, o.L2, o.MinRows, o.MinGain, o.MinHessian = 1, 1, 0, 1, 0, 0
	o.CategoryRates = 1000
	o.ColumnShare, o.RowShare = 1, 1
	o.CategoryRows, o.CategorySmooth, o.CategoryL2 = 0, 0, 0
	return o
}

// The label is one of two flags but not both: no split helps alone.
func TestLearnsAnInteraction(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := &features.Matrix{Features: []features.Feature{{Name: "a"}, {Name: "b"}, {Name: "noise"}}, Columns: make([][]float64, 3)}
	for range 4000 {
		a, b := float64(r.IntN(2)), float64(r.IntN(2))
		for j, x := range []float64{a, b, r.Float64()} {
			m.Columns[j] = append(m.Columns[j], x)
		}
		m.Label = append(m.Label, math.Abs(a-b))
	}
	o := Defaults()
	o.Trees = 300
	model := fit(t, m, nil, o).Model
	for i, raw := range rawAll(model, m) {
		if (raw > 0) != (m.Label[i] == 1) {
			t.Fatalf("row %d of label %v scores %v", i, m.Label[i], raw)
		}
	}
}

// A category of many levels is learnt in one tree; one-hot flags of the same
// levels need a split for each.
func TestCategoriesBeatOneHot(t *testing.T) {
	const levels = 24
	r := rand.New(rand.NewPCG(6, 6))
	native := &features.Matrix{Features: []features.Feature{{Name: "c", Levels: levels}}, Columns: make([][]float64, 1)}
	oneHot := &features.Matrix{Columns: make([][]float64, levels)}
	for range 6000 {
		c := r.IntN(levels)
		label := 0.0
		if r.Float64() < 0.2+0.6*float64(c*7%levels%2) {
			label = 1
		}
		native.Columns[0], native.Label = append(native.Columns[0], float64(c)), append(native.Label, label)
		for k := range levels {
			flag := 0.0
			if k == c {
				flag = 1
			}
			oneHot.Columns[k] = append(oneHot.Columns[k], flag)
		}
	}
	oneHot.Label = native.Label
	for k := range levels {
		oneHot.Features = append(oneHot.Features, features.Feature{Name: fmt.Sprint("c=", k)})
	}
	o := plain()
	o.Leaves = 2
	a, b := meanLoss(fit(t, native, nil, o).Model, native), meanLoss(fit(t, oneHot, nil, o).Model, oneHot)
	if a > 0.52 || b < 0.67 {
		t.Errorf("loss after one split: %v native, %v one-hot; want near 0.50 and 0.69", a, b)
	}
	// With splits enough for all levels both reach the rates of the levels.
	o.Leaves, o.Trees, o.Rate = levels, 60, 0.5
	a, b = meanLoss(fit(t, native, nil, o).Model, native), meanLoss(fit(t, oneHot, nil, o).Model, oneHot)
	if math.Abs(a-b) > 1e-6 {
		t.Errorf("loss in the end: %v native, %v one-hot", a, b)
	}
}

// Without sampling every tree lowers the training loss.
func TestTrainingLossFalls(t *testing.T) {
	m := mixedMatrix(2000, 3)
	o := Defaults()
	o.RowShare, o.ColumnShare, o.MinGain, o.Trees = 1, 1, 0, 80
	b := boosterOf(t, m, o)
	last := totalLoss(nil, b.train, b.raw, m.Label, nil)
	for round := range o.Trees {
		b.step(round)
		loss := totalLoss(nil, b.train, b.raw, m.Label, nil)
		if loss >= last {
			t.Fatalf("round %d: %v after %v", round, loss, last)
		}
		last = loss
	}
}

// Covers count the rows that a tree was grown on.
func TestCovers(t *testing.T) {
	m := mixedMatrix(1500, 4)
	o := Defaults()
	o.Trees = 10
	b := boosterOf(t, m, o)
	for round := range o.Trees {
		b.step(round)
		nodes := b.trees[round].nodes
		if want := float64(len(b.grower.rows)); nodes[0].Cover != want || want < 1100 || want > 1300 {
			t.Errorf("round %d: the root covers %v rows of %v", round, nodes[0].Cover, want)
		}
		for i, n := range nodes {
			if n.Feature >= 0 && nodes[n.Yes].Cover+nodes[n.No].Cover != n.Cover {
				t.Errorf("round %d: node %d covers %v, its children %v and %v", round, i, n.Cover, nodes[n.Yes].Cover, nodes[n.No].Cover)
			}
		}
	}
}

// described is a model in full, to compare two to the bit.
func described(b *booster) string {
	var out strings.Builder
	fmt.Fprintln(&out, math.Float64bits(b.base))
	for _, t := range b.trees {
		for _, n := range t.nodes {
			fmt.Fprintln(&out, n, math.Float64bits(n.Threshold), math.Float64bits(n.Value))
		}
	}
	return out.String()
}

func TestTheSameAtAnyNumberOfThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	m := mixedMatrix(9000, 7)
	o := Defaults()
	o.Trees = 25
	var models, curves []string
	for _, threads := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(threads)
		b := boosterOf(t, m, o)
		for round := range o.Trees {
			b.step(round)
		}
		models = append(models, described(b))
		settled, raw, err := CrossFit(context.Background(), m, byRow(m.Rows(), 3), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		curves = append(curves, fmt.Sprint(settled, raw))
	}
	for i := 1; i < len(models); i++ {
		if models[i] != models[0] {
			t.Error("another number of threads, another model")
		}
		if curves[i] != curves[0] {
			t.Error("another number of threads, other scores out of fold")
		}
	}
	o.Seed++
	b := boosterOf(t, m, o)
	for round := range o.Trees {
		b.step(round)
	}
	if described(b) == models[0] {
		t.Error("another seed, the same model")
	}
}

func TestEarlyStopping(t *testing.T) {
	train, valid := mixedMatrix(800, 8), mixedMatrix(800, 9)
	o := Defaults()
	o.Rate, o.Patience = 0.3, 10
	result := fit(t, train, valid, o)
	best := 0
	for i, loss := range result.ValidLoss {
		if loss < result.ValidLoss[best] {
			best = i
		}
	}
	if result.Best != best+1 || len(result.ValidLoss) != result.Best+o.Patience {
		t.Errorf("kept %d rounds of %d, the lowest loss is after %d", result.Best, len(result.ValidLoss), best+1)
	}
	if got := meanLoss(result.Model, valid); math.Abs(got-result.ValidLoss[best]) > 1e-12 {
		t.Errorf("the model's validation loss is %v, the curve says %v", got, result.ValidLoss[best])
	}
	// As many rounds without validation rows are the same model.
	o.Trees = result.Best
	for i, raw := range rawAll(fit(t, train, nil, o).Model, valid) {
		row := make([]float64, len(valid.Features))
		valid.Row(row, i)
		if want := result.Model.Raw(row); raw != want {
			t.Fatalf("row %d scores %v, with early stopping %v", i, raw, want)
		}
	}
}

func TestNoValidationRunsAllRounds(t *testing.T) {
	var calls int
	o := Defaults()
	o.Trees = 7
	empty := &features.Matrix{}
	result, err := Fit(context.Background(), mixedMatrix(500, 1), empty, o, func(done, total int) {
		if calls++; done != calls || total != 7 {
			t.Errorf("progress %d of %d at call %d", done, total, calls)
		}
	})
	if err != nil || result.Best != 7 || calls != 7 || len(result.ValidLoss) != 0 {
		t.Errorf("%+v, %d calls, %v", result, calls, err)
	}
}

// Whatever the matrix, there is an error or a model that gives finite scores.
func TestPoorMatrices(t *testing.T) {
	nan := math.NaN()
	column := func(levels int, label []float64, values ...float64) *features.Matrix {
		return &features.Matrix{Features: []features.Feature{{Name: "x", Levels: levels}}, Columns: [][]float64{values}, Label: label}
	}
	two := []float64{0, 1, 1, 0}
	o := plain()
	o.Trees = 5
	for name, c := range map[string]struct {
		train, valid *features.Matrix
		want         error
	}{
		"no rows":            {column(0, nil), nil, ErrMatrix},
		"one row":            {column(0, []float64{1}, 3), nil, ErrOneClass},
		"one class":          {column(0, []float64{0, 0, 0}, 1, 2, 3), nil, ErrOneClass},
		"missing label":      {column(0, []float64{0, nan, 1}, 1, 2, 3), nil, ErrMatrix},
		"infinite":           {column(0, two, 1, math.Inf(1), 2, 3), nil, ErrMatrix},
		"infinite in valid":  {column(0, two, 1, 2, 3, 4), column(0, []float64{1}, math.Inf(1)), ErrMatrix},
		"other columns":      {column(0, two, 1, 2, 3, 4), &features.Matrix{Label: []float64{1}}, ErrMatrix},
		"other levels":       {column(0, two, 1, 2, 3, 4), column(3, []float64{1}, 1), ErrMatrix},
		"no columns":         {&features.Matrix{Label: two}, nil, nil},
		"constant":           {column(0, two, 5, 5, 5, 5), nil, nil},
		"all missing":        {column(0, two, nan, nan, nan, nan), nil, nil},
		"all unseen":         {column(2, two, -1, -1, -1, -1), nil, nil},
		"category per row":   {column(4, two, 0, 1, 2, 3), nil, nil},
		"levels without row": {column(300, two, 7, 7, 9, nan), nil, nil},
		"valid of one class": {column(0, two, 1, 2, 3, 4), column(0, []float64{1, 1}, 1, nan), nil},
		"huge":               {column(0, two, -math.MaxFloat64, math.MaxFloat64, 1e308, 0), nil, nil},
	} {
		result, err := Fit(context.Background(), c.train, c.valid, o, nil)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		for _, x := range []float64{nan, -1, 0, 1, 2, 250, -math.MaxFloat64, math.MaxFloat64, math.Inf(1)} {
			row := make([]float64, len(c.train.Features))
			for j := range row {
				row[j] = x
			}
			if raw := result.Model.Raw(row); math.IsNaN(raw) || math.IsInf(raw, 0) {
				t.Errorf("%s: %v scores %v", name, x, raw)
			}
		}
	}
}

func TestFitStopsWhenCancelled(t *testing.T) {
	m := mixedMatrix(500, 1)
	ctx, cancel := context.WithCancel(context.Background())
	rounds := 0
	_, err := Fit(ctx, m, nil, Defaults(), func(done, _ int) {
		if rounds = done; done == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || rounds != 3 {
		t.Errorf("%v after %d rounds", err, rounds)
	}
	if _, err := Fit(ctx, m, nil, Defaults(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if _, _, err := CrossFit(ctx, m, byRow(500, 2), Defaults(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cross-fitting, cancelled before: %v", err)
	}
}

func TestValidateListsEveryFault(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	bad := Options{L2: -1, MinHessian: nan, Rate: nan, Bins: 256, RowShare: 1.5, ColumnShare: nan,
		CategoryOneHot: -1, MinGain: -1, CategoryRates: -1, CategoryRows: -1, CategorySmooth: math.Inf(1), CategoryL2: -1,
		Monotone: []int8{0, 2}, Groups: [][]int{{0}, {1, -1}}, Additive: true}
	err := bad.Validate()
	if !errors.Is(err, ErrOptions) {
		t.Fatal(err)
	}
	// Every field but the seed is at fault.
	fields, err2 := json.Marshal(Defaults())
	if err2 != nil {
		t.Fatal(err2)
	}
	var names map[string]any
	if err := json.NewDecoder(bytes.NewReader(fields)).Decode(&names); err != nil {
		t.Fatal(err)
	}
	delete(names, "Seed")
	for name := range names {
		if !strings.Contains(err.Error(), ": "+name+" is ") {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
	if _, err := Fit(context.Background(), mixedMatrix(10, 1), nil, bad, nil); !errors.Is(err, ErrOptions) {
		t.Errorf("Fit: %v", err)
	}
}

func BenchmarkStep(b *testing.B) {
	m := wideMatrix()
	o := Defaults()
	o.Leaves, o.RowShare, o.ColumnShare = 8, 1, 1
	steps(b, m, o)
}

// What other ways to learn cost.
func BenchmarkStepOf(b *testing.B) {
	m := wideMatrix()
	weights := *m
	for i := range m.Label {
		weights.Weight = append(weights.Weight, float64(1+i%3))
	}
	for _, way := range []struct {
		name   string
		m      *features.Matrix
		change func(o *Options)
	}{
		{"weights", &weights, func(*Options) {}},
		{"monotone", m, func(o *Options) { o.Monotone = slices.Repeat([]int8{1, 0}, 10) }},
		{"groups", m, func(o *Options) { o.Groups = [][]int{{0, 1, 2, 3}, {3, 4, 5}} }},
		{"additive", m, func(o *Options) { o.Additive = true }},
	} {
		o := Defaults()
		o.Leaves, o.RowShare, o.ColumnShare = 8, 1, 1
		way.change(&o)
		b.Run(way.name, func(b *testing.B) { steps(b, way.m, o) })
	}
}

// wideMatrix is 50,000 rows of 20 numbers.
func wideMatrix() *features.Matrix {
	r := rand.New(rand.NewPCG(1, 1))
	m := &features.Matrix{}
	for j := range 20 {
		m.Features = append(m.Features, features.Feature{Name: fmt.Sprint(j)})
		m.Columns = append(m.Columns, make([]float64, 50000))
		for i := range m.Columns[j] {
			m.Columns[j][i] = r.NormFloat64()
		}
	}
	for i := range 50000 {
		label := 0.0
		if m.Columns[0][i]+m.Columns[1][i]*m.Columns[2][i]+r.NormFloat64() > 1 {
			label = 1
		}
		m.Label = append(m.Label, label)
	}
	return m
}

func steps(b *testing.B, m *features.Matrix, o Options) {
	booster := boosterOf(b, m, o)
	round := 0
	b.ReportAllocs()
	for b.Loop() {
		booster.step(round)
		round++
	}
}
