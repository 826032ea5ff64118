package learnt

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"

	"propensity/features"
	"propensity/train/gbdt"
)

// BenchmarkExamine looks at 500 trees of 40 columns by 50,000 rows, refits apart.
func BenchmarkExamine(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	m := company{rows: 50_000, perAccount: 2, baseRate: -2}.draw(1)
	for len(m.Columns) < 40 {
		col := make([]float64, m.Rows())
		for i := range col {
			col[i] = r.NormFloat64()
		}
		m.Features = append(m.Features, features.Feature{Name: strconv.Itoa(len(m.Columns))})
		m.Columns = append(m.Columns, col)
	}
	o := gbdt.Defaults()
	o.Trees = 500
	fit, err := gbdt.Fit(context.Background(), &m, nil, o, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Examine(context.Background(), Input{Model: fit.Model, Rows: m, Training: m}); err != nil {
			b.Fatal(err)
		}
	}
}
