package learnt

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"propensity/features"
	"propensity/models"
)

// company is a table whose truth is known: 55 industries of which five matter.
type company struct {
	rows, perAccount int
	baseRate         float64 // log-odds
	confounded       bool    // industry goes with size, which acts by a curve
	own              float64 // standard deviation of an account's own log-odds
	none             bool    // no industry matters
}

var industryEffects = map[int]float64{3: 0.9, 11: -0.7, 23: 0.6, 37: -0.5, 48: 0.5}

func (c company) draw(seed uint64) features.Matrix {
	r := rand.New(rand.NewPCG(seed, 99))
	var m features.Matrix
	for _, f := range []features.Feature{{Name: "industry", Levels: 55}, {Name: "size"}, {Name: "country", Levels: 20},
		{Name: "logins"}, {Name: "plan", Levels: 3}, {Name: "flag", Levels: 2}, {Name: "noise"}} {
		m.Features = append(m.Features, f)
		m.Columns = append(m.Columns, make([]float64, c.rows))
	}
	m.Label, m.Group = make([]float64, c.rows), make([]int, c.rows)
	var x [7]float64
	own := 0.0
	for i := range c.rows {
		if i%c.perAccount == 0 {
			x[0], x[1] = float64(r.IntN(55)), r.NormFloat64()
			if c.confounded {
				x[1] += 1.5 * (x[0] - 27) / 27
			}
			x[2], x[4], x[5] = float64(r.IntN(20)), float64(r.IntN(3)), float64(r.IntN(2))
			own = c.own * r.NormFloat64()
		}
		x[3], x[6] = r.ExpFloat64(), r.NormFloat64()
		raw := c.baseRate + own + 0.5*x[1] + 0.6*x[3] - 0.4*x[5]
		if c.confounded {
			raw += 0.8*math.Abs(x[1]) - 0.8*x[1]
		}
		if !c.none {
			raw += industryEffects[int(x[0])]
		}
		for j := range x {
			m.Columns[j][i] = x[j]
		}
		if r.Float64() < logistic(raw) {
			m.Label[i] = 1
		}
		m.Group[i] = i / c.perAccount
	}
	return m
}

// blank is a model that says nothing.
func blank(m features.Matrix) models.Model {
	l := &models.Linear{}
	for _, f := range m.Features {
		l.Terms = append(l.Terms, models.Term{Scale: 1, Levels: make([]float64, f.Levels)})
	}
	return l
}

func effectsOf(t *testing.T, m features.Matrix) *models.Learnt {
	t.Helper()
	out, err := Examine(context.Background(), Input{Model: blank(m), Training: m})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// judgeNames counts the industries rightly named and the levels wrongly named.
func (c company) judgeNames(t *testing.T, effects []models.LevelEffect) (right, wrong int) {
	t.Helper()
	for _, e := range effects {
		k, err := strconv.Atoi(e.Level)
		if err != nil {
			t.Fatal(err)
		}
		if want := industryEffects[k]; !c.none && e.Feature == "industry" && want*e.LogOdds.Value > 0 {
			right++
		} else {
			wrong++
		}
	}
	return right, wrong
}

func TestLevelsThatMatterAreNamedAndNoOthers(t *testing.T) {
	for _, c := range []company{
		{rows: 60_000, perAccount: 1, baseRate: -2},
		{rows: 60_000, perAccount: 1, baseRate: -2, confounded: true},
	} {
		for seed := range uint64(2) {
			if right, wrong := c.judgeNames(t, effectsOf(t, c.draw(seed)).Effects); right != 5 || wrong != 0 {
				t.Errorf("%+v, seed %d: %d of 5 named, and %d others", c, seed, right, wrong)
			}
		}
	}
}

func TestNoiseLevelsAreNotNamed(t *testing.T) {
	for _, c := range []company{
		{rows: 6_000, perAccount: 1, baseRate: -3, none: true},
		{rows: 6_000, perAccount: 1, baseRate: -2, none: true, confounded: true},
		{rows: 8_000, perAccount: 8, baseRate: -2, none: true, own: 2},
	} {
		wrong := 0
		for seed := range uint64(10) {
			out := effectsOf(t, c.draw(seed))
			if out.Tested < 3 || out.Alpha != 0.01 {
				t.Fatalf("%+v: %d levels tested at %v", c, out.Tested, out.Alpha)
			}
			_, n := c.judgeNames(t, out.Effects)
			wrong += min(n, 1)
		}
		if wrong > 1 { // by chance in 4 of 1000 runs at the stated level
			t.Errorf("%+v: noise named in %d of 10 seeds", c, wrong)
		}
	}
}
