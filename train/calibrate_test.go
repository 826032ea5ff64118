package train

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"propensity/models"
	"propensity/models/evaluate"
)

// calibrationRows draws rows, two an account, whose true log-odds is truth(raw).
func calibrationRows(n int, seed uint64, truth func(raw float64) float64) (raw, y []float64, group []int) {
	random := rand.New(rand.NewPCG(seed, 5))
	for i := range n {
		x := 1.5*random.NormFloat64() - 0.5
		label := 0.0
		if random.Float64() < 1/(1+math.Exp(-truth(x))) {
			label = 1
		}
		raw, y, group = append(raw, x), append(y, label), append(group, i/2)
	}
	return raw, y, group
}

func TestCalibrationChoice(t *testing.T) {
	stretched := func(x float64) float64 { return 2*x + 1 }
	skewed := func(x float64) float64 {
		return logOdds((&models.Calibration{Kind: models.CalibrationBeta, Below: 0.25, Above: 2.5}).Probability(x))
	}
	bent := func(x float64) float64 { return 6*math.Tanh(3*(x+0.5)) - 3 }
	for _, c := range []struct {
		name  string
		rows  int
		truth func(float64) float64
		kind  string
		tried int
	}{
		{"raw is right", 4000, func(x float64) float64 { return x }, models.CalibrationNone, 4},
		{"stretched and moved", 4000, stretched, models.CalibrationPlatt, 4},
		{"few rows", 300, stretched, models.CalibrationPlatt, 3},
		{"skewed", 4000, skewed, models.CalibrationBeta, 4},
		{"bent", 4000, bent, models.CalibrationIsotonic, 3},
		{"raw is reversed", 4000, func(x float64) float64 { return -x }, models.CalibrationIsotonic, 2},
	} {
		raw, y, group := calibrationRows(c.rows, 11, c.truth)
		got, choice, err := fitCalibration(raw, y, group, 1)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got.Kind != c.kind || choice.Kind != c.kind || len(choice.Brier) != c.tried {
			t.Errorf("%s: kept %s, want %s of %d: %v", c.name, got.Kind, c.kind, c.tried, choice.Brier)
		}
		if err := got.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if none := evaluate.Brier(y, probabilities(&models.Calibration{Kind: "none"}, raw)); choice.Brier["none"] != none {
			t.Errorf("%s: Brier of none is %v, want %v", c.name, choice.Brier["none"], none)
		}
		if choice.Brier[c.kind] > choice.Brier["none"] {
			t.Errorf("%s: kept in spite of %v", c.name, choice.Brier)
		}
		// The fit comes near the truth on rows of its own.
		fresh, labels, _ := calibrationRows(20_000, 99, c.truth)
		ideal := make([]float64, len(fresh))
		for i, x := range fresh {
			ideal[i] = 1 / (1 + math.Exp(-c.truth(x)))
		}
		if c.name != "raw is reversed" {
			if excess := evaluate.Brier(labels, probabilities(&got, fresh)) - evaluate.Brier(labels, ideal); excess > 0.003 {
				t.Errorf("%s: Brier on fresh rows is %v above that of the truth", c.name, excess)
			}
		}
		again, choiceAgain, err := fitCalibration(raw, y, group, 1)
		if err != nil || !reflect.DeepEqual(again, got) || !reflect.DeepEqual(choiceAgain, choice) {
			t.Errorf("%s: not the same again: %+v, %v", c.name, choiceAgain, err)
		}
	}
}

// A calibrator that the data do not call for is kept seldom: at most one time in
// twenty, though either loss may speak for it.
func TestCalibrationNotForNoise(t *testing.T) {
	kept := 0
	const runs = 200
	for seed := range uint64(runs) {
		raw, y, group := calibrationRows(400, seed, func(x float64) float64 { return x })
		c, _, err := fitCalibration(raw, y, group, seed)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind != models.CalibrationNone {
			kept++
		}
	}
	t.Logf("kept in %d of %d runs", kept, runs)
	if kept > runs/20 {
		t.Errorf("kept in %d of %d runs without need", kept, runs)
	}
}

// Fifteen of 1,500 rows are positive, where b says one in a thousand and a one in a
// hundred: more than chance by log loss, not by Brier.
func TestCertainly(t *testing.T) {
	const rows = 1500
	y, a, b, mid := make([]float64, rows), make([]float64, rows), make([]float64, rows), make([]float64, rows)
	group := make([]int, rows)
	for i := range y {
		a[i], b[i], mid[i], group[i] = 0.01, 0.001, 0.01, i
		if i < 15 {
			y[i] = 1
		}
		if i >= 1000 {
			mid[i] = 0.04 // costs Brier more than what is won, log loss less
		}
	}
	brier, err := evaluate.PairedBrier(y, a, b, group)
	if err != nil || !(brier.Mean > 0 && brier.Low < 0) {
		t.Fatalf("Brier: %+v, %v", brier, err)
	}
	brier, _ = evaluate.PairedBrier(y, mid, b, group)
	loss, err := evaluate.PairedLogLoss(y, mid, b, group)
	if err != nil || brier.Mean >= 0 || loss.Mean <= 0 {
		t.Fatalf("Brier %+v, log loss %+v, %v", brier, loss, err)
	}
	for _, c := range []struct {
		name string
		a, b []float64
		want bool
	}{{"by log loss", a, b, true}, {"the other way", b, a, false}, {"the same", a, a, false}, {"Brier is higher", mid, b, false}} {
		if got, err := certainly(y, c.a, c.b, group); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func TestCalibrationInput(t *testing.T) {
	for name, c := range map[string]struct {
		raw, y []float64
		group  []int
	}{
		"no rows":     {nil, nil, nil},
		"short raw":   {[]float64{1}, []float64{0, 1}, []int{0, 1}},
		"short group": {[]float64{1, 2}, []float64{0, 1}, []int{0}},
		"label":       {[]float64{1, 2}, []float64{0, 3}, []int{0, 1}},
		"NaN":         {[]float64{1, math.NaN()}, []float64{0, 1}, []int{0, 1}},
		"infinite":    {[]float64{1, math.Inf(1)}, []float64{0, 1}, []int{0, 1}},
	} {
		_, _, err := fitCalibration(c.raw, c.y, c.group, 1)
		var input *evaluate.InputError
		if !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Too little to choose by, or nothing to fit, leaves the raw log-odds.
	varied, labels := []float64{-2, -1, 0, 1, 2, 3, 4, 5}, []float64{0, 1, 0, 0, 1, 1, 0, 1}
	for name, c := range map[string]struct {
		raw, y []float64
		group  []int
	}{
		"three accounts": {varied, labels, []int{0, 0, 0, 1, 1, 1, 2, 2}},
		"one positive":   {varied, []float64{0, 0, 0, 0, 0, 0, 0, 1}, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		"one label":      {varied, make([]float64, 8), []int{0, 1, 2, 3, 4, 5, 6, 7}},
		"constant raw":   {make([]float64, 8), labels, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		"huge raw":       {[]float64{-1e308, 1e308, 0, 0, 1, 1, 1e308, 2}, labels, []int{0, 1, 2, 3, 4, 5, 6, 7}},
	} {
		got, choice, err := fitCalibration(c.raw, c.y, c.group, 1)
		if err != nil || got.Kind != models.CalibrationNone || len(choice.Brier) != 1 {
			t.Errorf("%s: %+v, %+v, %v", name, got, choice, err)
		}
	}
}

func TestFitCalibrationScikitLearn(t *testing.T) {
	text, err := os.ReadFile("../models/evaluate/testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Cases []struct {
			Y     []float64 `json:"y"`
			Raw   []float64 `json:"raw"`
			Platt *struct {
				Slope     float64 `json:"slope"`
				Intercept float64 `json:"intercept"`
			} `json:"platt"`
			Isotonic struct {
				Raw  []float64 `json:"raw"`
				Rate []float64 `json:"rate"`
			} `json:"isotonic"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i, c := range r.Cases {
		if c.Platt == nil {
			continue
		}
		compared++
		// scikit-learn stops where the gradient is below 1e-6.
		got, ok := fitPlatt(c.Raw, c.Y)
		if !ok || math.Abs(got.Slope-c.Platt.Slope) > 2e-5 || math.Abs(got.Intercept-c.Platt.Intercept) > 2e-5 {
			t.Errorf("case %d: Platt %+v, want %+v", i, got, *c.Platt)
		}
		blocks := poolViolators(c.Raw, c.Y)
		b := 0
		for k, x := range c.Isotonic.Raw {
			for blocks[b].high < x {
				b++
			}
			rate := float64(blocks[b].positives) / float64(blocks[b].rows)
			if math.Abs(rate-c.Isotonic.Rate[k]) > 1e-12 {
				t.Errorf("case %d: isotonic rate at %v is %v, want %v", i, x, rate, c.Isotonic.Rate[k])
			}
		}
	}
	if compared < 4 {
		t.Errorf("%d cases compared", compared)
	}
}

func TestIsotonicByHand(t *testing.T) {
	// Rates by raw: 1: 0/1, 2: 1/2 (tied), 3: 0/1, 4: 1/1, 5: 1/1. Pooled: 1 | 2, 3
	// | 4, 5 with 0/1, 1/3, 2/2.
	raw, y := []float64{3, 2, 1, 2, 5, 4}, []float64{0, 1, 0, 0, 1, 1}
	c, ok := fitIsotonic(raw, y)
	want := models.Calibration{
		Kind:    models.CalibrationIsotonic,
		Raw:     []float64{1, 7.0 / 3, 4.5},
		LogOdds: []float64{math.Log(0.5 / 1.5), math.Log(1.5 / 2.5), math.Log(2.5 / 0.5)},
	}
	if !ok || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, want %+v", c, want)
	}
	// 0/1 with half a row of either label is 1/4, above the 1.5/11 of 1/10: pooled to 1/11.
	raw, y = []float64{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, make([]float64, 11)
	y[4] = 1
	if c, ok = fitIsotonic(raw, y); !ok || len(c.Raw) != 1 || c.LogOdds[0] != math.Log(1.5/10.5) || c.Raw[0] != 10.0/11 {
		t.Errorf("%+v", c)
	}
}

// The optimum of a convex loss is where the gradient vanishes; the fit is the
// same calibration however raw is scaled and moved.
func TestPlattOptimum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(4, 40).Draw(t, "n")
		raw, y := make([]float64, n), make([]float64, n)
		positives := 0.0
		for i := range raw {
			raw[i] = float64(rapid.IntRange(-50, 50).Draw(t, "raw")) / 10
			y[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
			positives += y[i]
		}
		c, ok := fitPlatt(raw, y)
		if !ok {
			return
		}
		gs, gi := 0.0, 0.0
		for i, x := range raw {
			target := 1 / (float64(n) - positives + 2)
			if y[i] == 1 {
				target = (positives + 1) / (positives + 2)
			}
			d := c.Probability(x) - target
			gs, gi = gs+d*x, gi+d
		}
		if math.Abs(gs) > 1e-6*float64(n) || math.Abs(gi) > 1e-6*float64(n) {
			t.Fatalf("gradient %v, %v at %+v", gs, gi, c)
		}
		moved := make([]float64, n)
		for i, x := range raw {
			moved[i] = 100*x - 7
		}
		other, ok := fitPlatt(moved, y)
		if !ok {
			t.Fatal("not fitted when moved")
		}
		for i := range raw {
			if a, b := c.Probability(raw[i]), other.Probability(moved[i]); math.Abs(a-b) > 1e-6 {
				t.Fatalf("%v and moved %v", a, b)
			}
		}
	})
}

// Likewise for beta: the residuals are at right angles to its two columns and add
// up to nothing.
func TestBetaOptimum(t *testing.T) {
	raw, y, _ := calibrationRows(3000, 5, func(x float64) float64 { return max(0.4*x, 2*x) })
	c, ok := fitBeta(raw, y)
	if !ok {
		t.Fatal("not fitted")
	}
	positives := 0.0
	for _, v := range y {
		positives += v
	}
	var sum, below, above float64
	for i, x := range raw {
		target := 1 / (float64(len(y)) - positives + 2)
		if y[i] == 1 {
			target = (positives + 1) / (positives + 2)
		}
		d := c.Probability(x) - target
		s := 1 / (1 + math.Exp(-x))
		sum, below, above = sum+d, below+d*math.Log(s), above+d*math.Log(1-s)
	}
	if worst := max(math.Abs(sum), math.Abs(below), math.Abs(above)); worst > 1e-7*float64(len(y)) {
		t.Errorf("gradient %v, %v, %v at %+v", sum, below, above, c)
	}
}

func TestIsotonicIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(-1e99, 1e99), rapid.Float64Range(-2, 2), rapid.SampledFrom([]float64{0, 1, math.Nextafter(1, 2)})), 1, 50).Draw(t, "raw")
		y := make([]float64, len(raw))
		for i := range y {
			y[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
		}
		c, ok := fitIsotonic(raw, y)
		if !ok {
			t.Fatalf("%v: %+v", c.Check(), c)
		}
		if top := c.LogOdds[len(c.LogOdds)-1]; top > math.Log(float64(2*len(raw)+1)) {
			t.Fatalf("log-odds %v of %d rows", top, len(raw))
		}
	})
}
