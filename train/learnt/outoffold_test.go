package learnt

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"propensity/features"
	"propensity/models"
)

// Industry goes with the sign of a product that drives the outcome: no sum over
// columns knows that, a model of trees does.
func TestWhatOtherColumnsDoTogetherIsNotTheLevels(t *testing.T) {
	m := numbers(12_000, 2, 6, func(x []float64) float64 { return 1.5 * sign(x[0]*x[1]) })
	r := rand.New(rand.NewPCG(6, 6))
	m.Features = append(m.Features, features.Feature{Name: "industry", Levels: 20})
	m.Columns = append(m.Columns, make([]float64, m.Rows()))
	for i := range m.Rows() {
		k := r.IntN(20)
		if k >= 15 && m.Columns[0][i]*m.Columns[1][i] < 0 {
			k = r.IntN(15)
		}
		m.Columns[2][i] = float64(k)
	}
	in := Input{Model: boosted(t, m, 8), Training: m}
	alone := examine(t, in)
	in.Refit = func(_ context.Context, m features.Matrix) (models.Model, error) { return boosted(t, m, 8), nil }
	together := examine(t, in)
	if len(alone.Effects) < 5 || len(together.Effects) != 0 || together.Tested != 20 {
		t.Errorf("named %+v, and with what the others do together %+v", alone.Effects, together.Effects)
	}
}

func sign(x float64) float64 { return math.Copysign(1, x) }
