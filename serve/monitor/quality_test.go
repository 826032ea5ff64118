package monitor

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"propensity/models/evaluate"
)

// outcomes are drawn from the probabilities that rate makes of those that are promised.
func outcomes(s *Shape, n int, rng *rand.Rand, rate func(raw float64) float64) []Outcome {
	var out []Outcome
	for i := range n {
		raw := rng.NormFloat64() - 1
		p := 1 / (1 + math.Exp(-raw))
		o := Outcome{Account: "A-" + number(float64(i)), Raw: raw, Probability: p, Positive: rng.Float64() < rate(raw)}
		if k := s.bandOf(p); k >= 0 {
			o.Band = s.bands[k].Name
		}
		out = append(out, o)
	}
	return out
}

func logistic(raw float64) float64 { return 1 / (1 + math.Exp(-raw)) }

// Promises that are kept are seldom said to be broken, and those that are not are.
func TestSettledQuality(t *testing.T) {
	s := tinyShape(t)
	s.promised.Report = evaluate.Report{Rows: 1000, ROCAUC: evaluate.Interval{Value: 0.75, Low: 0.72, High: 0.78}}
	broken := 0
	for seed := range uint64(60) {
		q, err := s.Settle(outcomes(s, 300, rand.New(rand.NewPCG(seed, 1)), logistic), 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(q.Broken) > 0 {
			broken++
			t.Logf("%v", q.Broken)
		}
	}
	if broken > 1 {
		t.Errorf("%d of 60 promises that were kept are said to be broken", broken)
	}
	for _, c := range []struct {
		name, says string
		rate       func(raw float64) float64
	}{
		{"twice as many", "were positive", func(raw float64) float64 { return min(1, 2*logistic(raw)) }},
		{"half as many", "were positive", func(raw float64) float64 { return logistic(raw) / 2 }},
		{"no rank", "ROC AUC", func(float64) float64 { return 0.3 }},
	} {
		q, err := s.Settle(outcomes(s, 1500, rand.New(rand.NewPCG(1, 1)), c.rate), 7)
		if err != nil {
			t.Fatal(err)
		}
		if q.Open != 7 || !strings.Contains(strings.Join(q.Broken, "; "), c.says) {
			t.Errorf("%s: %v", c.name, q.Broken)
		}
		r := s.Judge(s.NewCounts(), Span{}, q)
		if r.Verdict != Retrain || r.Findings[0].Cause != CauseQuality {
			t.Errorf("%s: %s", c.name, findings(r))
		}
	}
}

// What is expected of scores is the mean over outcomes drawn from their probabilities.
func TestExpectedQualityIsTheMeanOfOutcomes(t *testing.T) {
	w := &world{}
	scorer := w.scorer(t, 2000, 1)
	s := NewShape("churn", 1, scorer)
	rng := rand.New(rand.NewPCG(4, 4))
	l := NewLive(s)
	var y, p []float64
	for range 1000 {
		a := answerAt(t, w, scorer, rng)
		l.Count(a, "")
		for range 40 {
			label := 0.0
			if rng.Float64() < a.Probability {
				label = 1
			}
			y, p = append(y, label), append(p, a.Probability)
		}
	}
	counts := l.Take()
	e := s.expect(counts, counts.Effective())
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"Brier", e.Brier, evaluate.Brier(y, p)}, {"log loss", e.LogLoss, evaluate.LogLoss(y, p)}, {"ROC AUC", *e.ROCAUC, evaluate.ROCAUC(y, p)},
	} {
		if math.Abs(c.got-c.want) > 0.006 {
			t.Errorf("%s %v, of outcomes %v", c.what, c.got, c.want)
		}
	}
	sum, squares := 0.0, 0.0
	for i := 0; i < len(p); i += 40 {
		sum += p[i]
		squares += p[i] * p[i]
	}
	mean := sum / 1000
	half := 1.959964 * math.Sqrt((squares/1000-mean*mean)/1000)
	if m := e.MeanProbability; math.Abs(m.Value-mean) > 1e-8 || math.Abs(m.High-mean-half) > 1e-5 {
		t.Errorf("mean %+v, want %v and %v to either side", m, mean, half)
	}
}

// By hand: probabilities of 0.2 and 0.8 that are as many are in order with a chance of
// (0.5 * 0.8 * 0.8 + the ties 0.5 * (0.8*0.2 + 0.2*0.8) / 2) / (0.5 * 0.5) of all pairs.
func TestExpectedAUCByHand(t *testing.T) {
	s := tinyShape(t)
	c := s.NewCounts()
	c.Rows = 200
	low, high := oddsBin(0.2), oddsBin(0.8)
	c.cells[s.first+low], c.cells[s.first+high] = 100, 100
	a, b := oddsValue(low), oddsValue(high)
	want := ((1-a)*b + (a*(1-a)+b*(1-b))/2) / ((a + b) * (2 - a - b))
	got, ok := s.expectAUC(c)
	if !ok || math.Abs(got-want) > 1e-12 {
		t.Errorf("%v, want %v", got, want)
	}
	if math.Abs(a-0.2) > 0.011 || math.Abs(b-0.8) > 0.011 {
		t.Errorf("bins of %v and %v", a, b)
	}
}

// Without outcomes, or with few, nothing is said of quality.
func TestFewOutcomes(t *testing.T) {
	w := &world{}
	scorer := w.scorer(t, 2000, 1)
	s := NewShape("churn", 1, scorer)
	counts := w.count(t, scorer, s, 400, rand.New(rand.NewPCG(2, 1)))
	none, err := s.Settle(nil, 40)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Judge(counts, Span{}, none); r.Verdict != Fine || len(r.Remarks) == 0 {
		t.Errorf("%s", findings(r))
	}
	few, err := s.Settle(outcomes(s, 15, rand.New(rand.NewPCG(1, 1)), logistic), 40)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Judge(counts, Span{}, few); r.Verdict != Wait || !strings.Contains(r.Detail, "too few") {
		t.Errorf("%s", findings(r))
	}
}
