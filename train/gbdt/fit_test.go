package gbdt

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"propensity/features"
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

// The scores kept while training are those of the finished model, bit for bit:
// every row falls into the same leaves by bins and by values.
func TestScoresInTrainingAreTheModels(t *testing.T) {
	train, valid := mixedMatrix(3000, 1), mixedMatrix(1000, 2)
	o := Defaults()
	o.Trees, o.Leaves = 60, 12
	b, err := newBooster(context.Background(), train, valid, o)
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
		train.Row(row, i)
		if got := model.Raw(row); got != want {
			t.Fatalf("training row %d: %v, the model says %v", i, want, got)
		}
	}
	for i, want := range b.validRaw {
		valid.Row(row, i)
		if got := model.Raw(row); got != want {
			t.Fatalf("validation row %d: %v, the model says %v", i, want, got)
		}
	}
}
