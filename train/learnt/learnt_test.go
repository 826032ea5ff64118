package learnt

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"propensity/features"
	"propensity/models"
	"propensity/train/gbdt"
)

// fitted is a boosted model of a company with a refit.
func fitted(t *testing.T) Input {
	t.Helper()
	m := company{rows: 6000, perAccount: 3, baseRate: -2, own: 0.5}.draw(4)
	refit := func(ctx context.Context, m features.Matrix) (models.Model, error) {
		o := gbdt.Defaults()
		o.Trees = 20
		r, err := gbdt.Fit(ctx, &m, nil, o, nil)
		if err != nil {
			return nil, err
		}
		return r.Model, nil
	}
	model, err := refit(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	return Input{Model: model, Rows: company{rows: 1500, perAccount: 3, baseRate: -2}.draw(5), Training: m, Refit: refit, Seed: 3}
}

func TestSameBitsOnAnyNumberOfProcessors(t *testing.T) {
	in := fitted(t)
	var said [][]byte
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, n := range []int{1, 2, 3} {
		runtime.GOMAXPROCS(n)
		text, err := json.Marshal(examine(t, in))
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, text)
	}
	for _, text := range said[1:] {
		if string(text) != string(said[0]) {
			t.Errorf("%s\nbut %s", said[0], text)
		}
	}
}

// A matrix that makes its columns when asked says what one that holds them does,
// and nothing that came in is changed.
func TestColumnsMadeWhenAsked(t *testing.T) {
	in := fitted(t)
	held := examine(t, in)
	lazy := func(m features.Matrix) features.Matrix {
		columns := m.Columns
		m.Columns, m.Apart = nil, true
		for i := range m.Label {
			m.Index = append(m.Index, i)
		}
		m.Load = func(dst []float64, j int, rows []int) error {
			for k, i := range rows {
				dst[k] = columns[j][i]
			}
			return nil
		}
		return m
	}
	made := in
	made.Rows, made.Training = lazy(in.Rows), lazy(in.Training)
	if out := examine(t, made); !reflect.DeepEqual(out, held) {
		t.Errorf("%+v\nbut %+v", out, held)
	}
	if again := examine(t, in); !reflect.DeepEqual(again, held) {
		t.Error("a second look says something else")
	}
	broken := errors.New("gone")
	made.Rows.Load = func([]float64, int, []int) error { return broken }
	if _, err := Examine(context.Background(), made); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestCancelledAtAnyStep(t *testing.T) {
	in := fitted(t)
	var steps int
	in.Progress = func(done, total int) {
		if steps++; done != steps || total != units {
			t.Fatalf("%d of %d at call %d", done, total, steps)
		}
	}
	examine(t, in)
	if steps != units {
		t.Errorf("%d of %d steps", steps, units)
	}
	for at := 0; at < units; at += 3 {
		ctx, cancel := context.WithCancel(context.Background())
		if at == 0 {
			cancel()
		}
		in.Progress = func(done, _ int) {
			if done == at {
				cancel()
			}
		}
		if out, err := Examine(ctx, in); !errors.Is(err, context.Canceled) || out != nil {
			t.Errorf("cancelled at step %d: an answer %v, error %v", at, out != nil, err)
		}
		cancel()
	}
}

func TestRefitThatFails(t *testing.T) {
	in := fitted(t)
	broken := errors.New("broken")
	in.Refit = func(context.Context, features.Matrix) (models.Model, error) { return nil, broken }
	if _, err := Examine(context.Background(), in); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestLittleToLookAt(t *testing.T) {
	whole := numbers(300, 2, 1, func(x []float64) float64 { return x[0] })
	one := whole
	one.Group = make([]int, 300)
	missing := numbers(300, 2, 1, func(x []float64) float64 { return x[0] })
	for i := range 300 {
		missing.Columns[1][i] = math.NaN()
	}
	narrow := whole.Select([]int{0})
	positive := whole
	positive.Label = make([]float64, 300)
	single := whole.Take([]int{7})
	for _, c := range []struct {
		name  string
		in    Input
		check func(*models.Learnt) bool
	}{
		{"no categories", Input{Model: weights(1, 0.5), Rows: whole, Training: whole}, func(l *models.Learnt) bool {
			return len(l.Drivers) == 2 && l.Alpha == 0 && l.Tested == 0 && len(l.Shapes) == 2
		}},
		{"one account", Input{Model: weights(1, 0.5), Rows: one, Training: one}, func(l *models.Learnt) bool {
			d := l.Drivers[0]
			return !d.Worth && d.Permutation.Low < 0 && d.Permutation.Low < d.Permutation.Value && d.Permutation.Value > 0.1 && d.SHAP.Low >= 0
		}},
		{"one feature", Input{Model: weights(1), Rows: narrow, Training: narrow}, func(l *models.Learnt) bool {
			return len(l.Drivers) == 1 && l.Drivers[0].Share == 1 && len(l.Pairs) == 0
		}},
		{"one row", Input{Model: weights(1, 1), Rows: single}, func(l *models.Learnt) bool {
			return l.Rows == 1 && len(l.Drivers) == 2 && len(l.Shapes[0].Points) == 1
		}},
		{"a feature without values", Input{Model: weights(1, 0.5), Rows: missing, Training: missing}, func(l *models.Learnt) bool {
			return len(l.Drivers) == 2 && l.Drivers[1].SHAP.Value == 0
		}},
		{"no rows to look at", Input{Model: weights(1, 0.5), Training: whole}, func(l *models.Learnt) bool {
			return l.Rows == 0 && l.Drivers == nil && l.Shapes == nil
		}},
		{"no rows at all", Input{Model: weights(1, 0.5)}, func(l *models.Learnt) bool { return reflect.DeepEqual(*l, models.Learnt{}) }},
		{"no features", Input{Model: weights(), Rows: whole.Select(nil)}, func(l *models.Learnt) bool { return l.Rows == 300 && l.Drivers == nil }},
		{"one class to look at", Input{Model: weights(1, 0.5), Rows: positive}, func(l *models.Learnt) bool { return len(l.Drivers) == 2 }},
	} {
		out := examine(t, c.in)
		if !c.check(out) {
			t.Errorf("%s: %+v", c.name, out)
		}
		if _, err := json.Marshal(out); err != nil { // no NaN, no infinity
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestInputThatDoesNotFit(t *testing.T) {
	good := numbers(20, 2, 1, func(x []float64) float64 { return x[0] })
	bad := func(change func(m *features.Matrix)) features.Matrix {
		m := good
		change(&m)
		return m
	}
	for name, in := range map[string]Input{
		"no model":            {Rows: good},
		"too few terms":       {Model: weights(1), Rows: good},
		"training of another": {Model: weights(1, 1), Rows: good, Training: good.Select([]int{0})},
		"calibration":         {Model: weights(1, 1), Rows: good, Calibration: models.Calibration{Kind: "platt"}},
		"questions":           {Model: weights(1, 1), Rows: good, Questions: []string{"a"}},
		"levels":              {Model: weights(1, 1), Rows: good, Levels: [][]string{nil}},
		"a label of 2": {Model: weights(1, 1), Rows: bad(func(m *features.Matrix) {
			m.Label = append([]float64{2}, m.Label[1:]...)
		})},
		"too few accounts":  {Model: weights(1, 1), Rows: bad(func(m *features.Matrix) { m.Group = m.Group[1:] })},
		"a column too few":  {Model: weights(1, 1), Rows: bad(func(m *features.Matrix) { m.Columns = m.Columns[1:] })},
		"a short column":    {Model: weights(1, 1), Rows: bad(func(m *features.Matrix) { m.Columns = [][]float64{{1}, {2}} })},
		"no columns":        {Model: weights(1, 1), Rows: bad(func(m *features.Matrix) { m.Columns = nil })},
		"too few weights":   {Model: weights(1, 1), Training: bad(func(m *features.Matrix) { m.Weight = []float64{1} })},
		"a negative weight": {Model: weights(1, 1), Training: bad(func(m *features.Matrix) { m.Weight = append(make([]float64, 19), -1) })},
	} {
		if _, err := Examine(context.Background(), in); !errors.Is(err, ErrInput) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
