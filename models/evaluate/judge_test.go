package evaluate

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

func isInputError(err error) bool {
	var input *InputError
	return errors.As(err, &input)
}

func TestInterval(t *testing.T) {
	// Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		w := Wilson(c.k, c.n)
		if w.Value != float64(c.k)/float64(c.n) || math.Abs(w.Low-c.low) > 5e-5 || math.Abs(w.High-c.high) > 5e-5 {
			t.Errorf("Wilson(%d, %d) is %v, want %v to %v", c.k, c.n, w, c.low, c.high)
		}
	}
	if w := Wilson(0, 0); w != (Interval{0, 0, 1}) {
		t.Errorf("of no rows: %v", w)
	}
	if w := Wilson(9, 4); w.Value != 1 || w.High != 1 {
		t.Errorf("9 of 4: %v", w)
	}
}

func TestPairedByHand(t *testing.T) {
	// Differences 0, 1, 0, 1 with mean 1/2; their residuals sum to -1/2, 0 and 1/2
	// over the three accounts: variance 3/2 x 1/2 / 16.
	d, err := PairedBrier([]float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}, []float64{0, 1, 0, 1}, []int{5, 9, 9, 2})
	if err != nil {
		t.Fatal(err)
	}
	half := 4.302652729911275 * math.Sqrt(3.0/64)
	near(t, "mean", d.Mean, 0.5)
	if math.Abs(d.Low-(0.5-half)) > 1e-9 || math.Abs(d.High-(0.5+half)) > 1e-9 || d.Rows != 4 || d.Accounts != 3 {
		t.Errorf("%+v, want 0.5 and %v either way", d, half)
	}
	l, err := PairedLogLoss([]float64{1, 0}, []float64{0.8, 0.2}, []float64{0.5, 0.5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "log loss saved", l.Mean, math.Log(0.8/0.5))
}

func TestRate(t *testing.T) {
	y := []float64{1, 0, 0, 1, 0, 0, 0, 0, 1, 0}
	alone, err := Rate(y, nil)
	if err != nil || alone != Wilson(3, 10) {
		t.Errorf("%v, %v; Wilson says %v", alone, err, Wilson(3, 10))
	}
	// Each row of ten written four times is worth little more than ten rows: less,
	// as Student's t is that of ten accounts.
	var many []float64
	var group []int
	for i, v := range y {
		for range 4 {
			many, group = append(many, v), append(group, i)
		}
	}
	copied, err := Rate(many, group)
	if err != nil || copied.Low > alone.Low || copied.High < alone.High || copied.High-copied.Low > 1.15*(alone.High-alone.Low) {
		t.Errorf("copied rows %v, %v; alone %v", copied, err, alone)
	}
	if one, err := Rate(y, make([]int, len(y))); err != nil || one != (Interval{0.3, 0, 1}) {
		t.Errorf("one account: %v, %v", one, err)
	}
	if none, err := Rate(make([]float64, 4), []int{1, 1, 2, 2}); err != nil || none != Wilson(0, 2) {
		t.Errorf("no positives in two accounts: %v, %v", none, err)
	}
}

func TestJudgeByHand(t *testing.T) {
	n := 20
	y, raw, p, value := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range y {
		raw[i] = -float64(i)
		p[i] = 0.5 - float64(i)/100
		value[i] = 10
	}
	y[0], y[3], y[4], y[19] = 1, 1, 1, 1
	value[0], value[3], value[4], value[5] = 70, math.NaN(), -5, math.NaN()
	r, err := Judge(y, raw, p, value, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows != 20 || r.Positives != 4 || r.Accounts != 20 || r.BaseRate != Wilson(4, 20) || len(r.Deciles) != 10 || len(r.Calibration) != 10 {
		t.Errorf("%+v", r)
	}
	if r.MissingValues != 2 || r.NegativeValues != 1 || *r.Value != 80 || r.Replicates != 500 {
		t.Errorf("missing %d, negative %d, value %v, replicates %d", r.MissingValues, r.NegativeValues, *r.Value, r.Replicates)
	}
	near(t, "base log loss", r.BaseLogLoss, LogLoss(y, []float64{.2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2, .2}))
	near(t, "base Brier", r.BaseBrier, 0.16)
	d := r.Deciles[1] // four rows, two positives
	if d.Depth != 0.2 || d.Rows != 4 || d.Positives != 2 || d.Precision != 0.5 || d.CapturedPositives != 0.5 || *d.CapturedValue != 70.0/80 {
		t.Errorf("second decile: %+v, value %v", d, *d.CapturedValue)
	}
	near(t, "lift", d.Lift, 2.5)
	near(t, "mean probability of the decile", d.MeanProbability, 0.485)
	last := r.Deciles[9]
	if last.Rows != 20 || last.CapturedPositives != 1 || *last.CapturedValue != 1 || last.Lift != 1 {
		t.Errorf("last decile: %+v", last)
	}
	if b := r.Calibration[9]; b.Rows != 2 || b.Observed != Wilson(1, 2) || math.Abs(b.Probability-0.495) > 1e-12 {
		t.Errorf("last bin: %+v", b)
	}
}

func TestJudgePerfect(t *testing.T) {
	y, raw := make([]float64, 40), make([]float64, 40)
	p := make([]float64, 40)
	for i := range y {
		raw[i], p[i] = float64(i)-35, float64(i)/40
		if i >= 35 {
			y[i] = 1
		}
	}
	r, err := Judge(y, raw, p, nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.ROCAUC != Wilson(5, 5) || r.PRAUC != Wilson(5, 5) {
		t.Errorf("five positives cannot prove perfection: %v, %v", r.ROCAUC, r.PRAUC)
	}
	if r.PrecisionTop10.Value != 1 || r.PrecisionTop10.Low > Wilson(4, 4).Low {
		t.Errorf("top tenth: %v", r.PrecisionTop10)
	}
	y[20], y[36] = 1, 0
	for i := range y[21:] {
		y[21+i] = 0
	}
	if r, err = Judge(y, raw, p, nil, nil, Options{}); err != nil || r.ROCAUC.Low != 0 || r.ROCAUC.High != 1 {
		t.Errorf("one positive says nothing: %v, %v", r, err)
	}
}

func TestJudgeErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	y, raw, p := []float64{0, 1, 0}, []float64{-1, 1, 0}, []float64{0.2, 0.7, 0.5}
	judge := func(y, raw, p, value []float64, group []int) error {
		r, err := Judge(y, raw, p, value, group, Options{})
		if (err == nil) != (r != nil) {
			t.Errorf("report %v with error %v", r, err)
		}
		return err
	}
	if err := judge(y, raw, p, []float64{1, nan, 3}, []int{7, 7, -3}); err != nil {
		t.Errorf("sound input: %v", err)
	}
	for name, err := range map[string]error{
		"no rows":      judge(nil, nil, nil, nil, nil),
		"label 2":      judge([]float64{0, 1, 2}, raw, p, nil, nil),
		"label NaN":    judge([]float64{0, 1, nan}, raw, p, nil, nil),
		"short raw":    judge(y, raw[:2], p, nil, nil),
		"raw NaN":      judge(y, []float64{nan, 1, 0}, p, nil, nil),
		"raw infinite": judge(y, []float64{inf, 1, 0}, p, nil, nil),
		"short p":      judge(y, raw, p[:2], nil, nil),
		"p NaN":        judge(y, raw, []float64{nan, 1, 0}, nil, nil),
		"p above 1":    judge(y, raw, []float64{1.01, 1, 0}, nil, nil),
		"short value":  judge(y, raw, p, []float64{1}, nil),
		"value Inf":    judge(y, raw, p, []float64{1, inf, 1}, nil),
		"short group":  judge(y, raw, p, nil, []int{1}),
	} {
		if !isInputError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := judge([]float64{1, 1, 1}, raw, p, nil, nil); !errors.Is(err, ErrOneClass) {
		t.Errorf("one class: %v", err)
	}
	if err := judge(y, raw, p, nil, []int{4, 4, 4}); !errors.Is(err, ErrFewAccounts) {
		t.Errorf("one account: %v", err)
	}
	if _, err := PairedLogLoss(y, p, p, []int{4, 4, 4}); !errors.Is(err, ErrFewAccounts) {
		t.Errorf("one account, paired: %v", err)
	}
	for _, bad := range [][]float64{{nan, 0, 0}, {2, 0, 0}, {0}} {
		if _, err := PairedLogLoss(y, bad, p, nil); !isInputError(err) {
			t.Errorf("pA %v: %v", bad, err)
		}
		if _, err := PairedLogLoss(y, p, bad, nil); !isInputError(err) {
			t.Errorf("pB %v: %v", bad, err)
		}
	}
	err := judge(y, []float64{-1, 1, inf}, p, nil, nil)
	if want := "raw: row 2: value +Inf: a finite number is expected"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Any sound input gives a report of finite numbers in order.
func TestJudgeIsFinite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(t, "n")
		y, raw, p, value := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		group := make([]int, n)
		for i := range y {
			y[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
			raw[i] = rapid.Float64Range(-1e308, 1e308).Draw(t, "raw")
			p[i] = rapid.Float64Range(0, 1).Draw(t, "p")
			value[i] = rapid.Float64Range(-1e99, 1e99).Draw(t, "value")
			group[i] = rapid.IntRange(0, 5).Draw(t, "account")
		}
		y[0], y[1], group[0], group[1] = 0, 1, 0, 1
		r, err := Judge(y, raw, p, value, group, Options{Replicates: 100})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r) // refuses NaN and infinities
		if err != nil {
			t.Fatal(err)
		}
		var back Report
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, r) {
			t.Fatalf("read back as %+v, %v", back, err)
		}
		for _, v := range []Interval{r.BaseRate, r.ROCAUC, r.PRAUC, r.LogLoss, r.Brier, r.CalibrationError, r.PrecisionTop10} {
			if !(v.Low >= 0 && v.Low <= v.Value && v.Value <= v.High) {
				t.Fatalf("%+v in %s", v, text)
			}
		}
	})
}

// simulated is accounts of 1 to 5 rows that share a label and part of their
// score, with the true log-odds of a row as raw. Positives have the normal
// score mean d, negatives 0, both with variance 2: the area is
// Phi(d/2), the log-odds logit(rate) + d s/2 - d^2/4.
func simulated(accounts int, rate, d float64, seed uint64) (y, raw, p []float64, group []int) {
	random := rand.New(rand.NewPCG(seed, 17))
	for g := range accounts {
		label := 0.0
		if random.Float64() < rate {
			label = 1
		}
		shared := random.NormFloat64()
		for range 1 + random.IntN(5) {
			s := d*label + shared + random.NormFloat64()
			z := math.Log(rate/(1-rate)) + d*s/2 - d*d/4
			y, raw, p, group = append(y, label), append(raw, z), append(p, 1/(1+math.Exp(-z))), append(group, g)
		}
	}
	return y, raw, p, group
}

// expected is the mean of f(label, p) over the rows of simulated, by Simpson's rule.
func expected(rate, d float64, f func(y, p float64) float64) float64 {
	const steps, reach = 4000, 16.0
	sum := 0.0
	for i := range steps + 1 {
		s := -reach + 2*reach*float64(i)/steps
		w := 2.0 + 2*float64(i%2)
		if i == 0 || i == steps {
			w = 1
		}
		p := 1 / (1 + math.Exp(-(math.Log(rate/(1-rate)) + d*s/2 - d*d/4)))
		sum += w * (rate*f(1, p)*math.Exp(-(s-d)*(s-d)/4) + (1-rate)*f(0, p)*math.Exp(-s*s/4))
	}
	return sum * (2 * reach / steps) / 3 / math.Sqrt(4*math.Pi)
}

func TestCoverage(t *testing.T) {
	const (
		runs = 300
		rate = 0.2
		d    = 1.5
	)
	truth := map[string]float64{
		"ROC AUC":   distuv.UnitNormal.CDF(d / 2),
		"log loss":  expected(rate, d, logLoss),
		"Brier":     expected(rate, d, squaredError),
		"base rate": rate,
		// The probabilities are true ones.
		"calibration error": 0,
		"log loss saved":    expected(rate, d, func(y, p float64) float64 { return logLoss(y, rate) - logLoss(y, p) }),
	}
	covered := map[string]int{}
	count := func(name string, low, high float64) {
		if low <= truth[name] && truth[name] <= high {
			covered[name]++
		}
	}
	for run := range runs {
		y, raw, p, group := simulated(150, rate, d, uint64(run))
		r, err := Judge(y, raw, p, nil, group, Options{Replicates: 200, Seed: uint64(run)})
		if err != nil {
			t.Fatal(err)
		}
		constant := make([]float64, len(y))
		for i := range constant {
			constant[i] = rate
		}
		saved, err := PairedLogLoss(y, p, constant, group)
		if err != nil {
			t.Fatal(err)
		}
		count("ROC AUC", r.ROCAUC.Low, r.ROCAUC.High)
		count("log loss", r.LogLoss.Low, r.LogLoss.High)
		count("Brier", r.Brier.Low, r.Brier.High)
		count("base rate", r.BaseRate.Low, r.BaseRate.High)
		count("calibration error", r.CalibrationError.Low, r.CalibrationError.High)
		count("log loss saved", saved.Low, saved.High)
	}
	for name := range truth {
		share := float64(covered[name]) / runs
		t.Logf("%s: covered in %.1f %% of %d runs", name, 100*share, runs)
		if share < 0.9 {
			t.Errorf("%s: a 95 %% interval covers the truth in %.1f %% of the runs only", name, 100*share)
		}
	}
}

// Rows that ignore their accounts look far more certain than they are.
func TestClustersMatter(t *testing.T) {
	y, raw, p, group := simulated(200, 0.3, 1.5, 1)
	by, err := Judge(y, raw, p, nil, group, Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := Judge(y, raw, p, nil, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	width := func(i Interval) float64 { return i.High - i.Low }
	for name, pair := range map[string][2]Interval{
		"ROC AUC": {by.ROCAUC, rows.ROCAUC}, "log loss": {by.LogLoss, rows.LogLoss}, "base rate": {by.BaseRate, rows.BaseRate},
	} {
		if width(pair[0]) < 1.2*width(pair[1]) {
			t.Errorf("%s: %v by account, %v by row", name, pair[0], pair[1])
		}
	}
}

func TestDeterministic(t *testing.T) {
	y, raw, p, group := simulated(300, 0.3, 1, 2)
	judge := func(seed uint64) string {
		r, err := Judge(y, raw, p, nil, group, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := judge(5)
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	for _, procs := range []int{1, 3, 8} {
		runtime.GOMAXPROCS(procs)
		if got := judge(5); got != want {
			t.Errorf("at %d processors %s, before %s", procs, got, want)
		}
	}
	if judge(6) == want {
		t.Error("the seed changes nothing")
	}
}

func BenchmarkJudge50k(b *testing.B) {
	y, raw, p, group := simulated(16_700, 0.2, 1.5, 3)
	b.Logf("%d rows", len(y))
	for b.Loop() {
		if _, err := Judge(y, raw, p, nil, group, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLevel asks for other levels: the narrower the lower, the usual one by default,
// and 90 % means the quantiles of 90 %.
func TestLevel(t *testing.T) {
	y, raw, p, group := simulated(150, 0.2, 1.5, 1)
	judge := func(level float64) *Report {
		r, err := Judge(y, raw, p, nil, group, Options{Replicates: 200, Seed: 1, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if !reflect.DeepEqual(judge(0), judge(0.95)) {
		t.Error("the default is not 95 %")
	}
	intervals := func(r *Report) map[string]Interval {
		return map[string]Interval{
			"base rate": r.BaseRate, "log loss": r.LogLoss, "Brier": r.Brier, "ROC AUC": r.ROCAUC, "PR AUC": r.PRAUC,
			"calibration error": r.CalibrationError, "precision": r.PrecisionTop10, "bin": r.Calibration[5].Observed,
		}
	}
	wide, narrow := intervals(judge(0.95)), intervals(judge(0.9))
	for name, w := range wide {
		n := narrow[name]
		if n.Value != w.Value || n.Low < w.Low || n.High > w.High || n.High-n.Low >= w.High-w.Low {
			t.Errorf("%s: %v at 90 %%, %v at 95 %%", name, n, w)
		}
	}
	// A t interval is as wide as its quantile: 149 degrees of freedom.
	ratio := (narrow["log loss"].High - narrow["log loss"].Low) / (wide["log loss"].High - wide["log loss"].Low)
	if want := 1.6551445 / 1.9760131; math.Abs(ratio-want) > 1e-6 {
		t.Errorf("log loss: 90 %% is %v as wide as 95 %%, want %v", ratio, want)
	}
	for _, level := range []float64{-0.1, 1, 1.5, math.NaN()} {
		if _, err := Judge(y, raw, p, nil, group, Options{Level: level}); !isInputError(err) {
			t.Errorf("level %v: %v", level, err)
		}
	}
}
