package monitor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// world draws rows of a simulated company. A change is what went wrong with it.
type world struct {
	numbers int // columns beside the named ones
	noBins  bool
	change  func(row map[string]datasets.Value, rng *rand.Rand)
}

func num(x float64) datasets.Value { return datasets.Value{Kind: datasets.Number, Number: x} }

func text(s string) datasets.Value { return datasets.Value{Kind: datasets.Category, Text: s} }

func truth(b bool) datasets.Value {
	v := datasets.Value{Kind: datasets.Boolean}
	if b {
		v.Number = 1
	}
	return v
}

// names are those of the columns, in their order.
func (w *world) names() []string {
	out := []string{"logins", "seats", "mrr", "plan", "sso", "source"}
	for k := range w.numbers {
		out = append(out, fmt.Sprintf("x%d", k))
	}
	return out
}

func (w *world) row(rng *rand.Rand) map[string]datasets.Value {
	plans := []string{"free", "free", "free", "pro", "pro", "team"}
	row := map[string]datasets.Value{
		"logins": num(math.Floor(rng.ExpFloat64() * 12)), // some are 0
		"seats":  num(1 + math.Floor(math.Exp(1.2*rng.NormFloat64()+1.5))),
		"mrr":    num(math.Round(math.Exp(0.8*rng.NormFloat64() + 4))),
		"plan":   text(plans[rng.IntN(len(plans))]),
		"sso":    truth(rng.IntN(25) == 0),
		"source": text(fmt.Sprintf("s%d", rng.IntN(1+rng.IntN(40)))),
	}
	if rng.IntN(50) == 0 {
		row["seats"] = datasets.Value{}
	}
	if rng.IntN(100) == 0 {
		row["source"] = text("")
	}
	for k := range w.numbers {
		x := rng.NormFloat64()
		switch k % 3 {
		case 1: // mostly 0
			x = math.Floor(max(0, x-0.5) * 10)
		case 2: // rarely known
			if rng.IntN(10) < 7 {
				x = math.NaN()
			}
		}
		row[fmt.Sprintf("x%d", k)] = num(x)
	}
	if w.change != nil {
		w.change(row, rng)
	}
	return row
}

func (w *world) table(rows int, rng *rand.Rand) *datasets.Table {
	t := &datasets.Table{}
	names := w.names()
	for _, name := range names {
		c := datasets.Column{Name: name, Kind: w.kind(name)}
		t.Columns = append(t.Columns, c)
	}
	codes := make([]map[string]int32, len(names))
	for range rows {
		row := w.row(rng)
		for j, name := range names {
			c, v := &t.Columns[j], row[name]
			switch {
			case c.Kind == datasets.Category:
				if codes[j] == nil {
					codes[j] = map[string]int32{}
				}
				k, ok := codes[j][v.Text]
				if !ok {
					k = int32(len(c.Values))
					codes[j][v.Text] = k
					c.Values = append(c.Values, v.Text)
				}
				c.Codes = append(c.Codes, k)
			case v.Missing():
				c.Numbers = append(c.Numbers, math.NaN())
			default:
				c.Numbers = append(c.Numbers, v.Number)
			}
		}
	}
	return t
}

func (w *world) kind(name string) datasets.Kind {
	switch name {
	case "plan", "source":
		return datasets.Category
	case "sso":
		return datasets.Boolean
	}
	return datasets.Number
}

// scorer is a linear model learnt from nothing: its weights are given.
func (w *world) scorer(t testing.TB, rows int, seed uint64) *models.Scorer {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	encoder, left, err := features.FitEncoder(w.table(rows, rng), nil)
	if err != nil || len(left) > 0 {
		t.Fatalf("%v, left out %v", err, left)
	}
	for j := range encoder.Columns {
		if c := &encoder.Columns[j]; w.noBins && c.Kind != datasets.Category {
			c.Cuts, c.Counts = nil, nil
		}
	}
	m := &models.Linear{Intercept: -1.4}
	for j := range encoder.Columns {
		c := &encoder.Columns[j]
		term := models.Term{Scale: 1, Missing: 0.1, Spread: 0.02}
		switch c.Name {
		case "logins":
			term.Center, term.Scale, term.Weight, term.Spread = c.Median, 10, -0.8, 0.6
		case "seats":
			term.Center, term.Scale, term.Weight, term.Spread = c.Median, 20, 0.5, 0.4
		case "mrr":
			term.Center, term.Scale, term.Weight, term.Spread = c.Median, 100, 0.4, 0.3
		default:
			if c.Kind == datasets.Category {
				term.Spread = 0.3
				for k := range c.Levels {
					term.Levels = append(term.Levels, 0.5*float64(k%3)-0.3)
				}
			} else {
				term.Weight = 0.01
			}
		}
		m.Terms = append(m.Terms, term)
	}
	columns, err := encoder.EncodeTable(w.table(max(500, rows/4), rng), nil)
	if err != nil {
		t.Fatal(err)
	}
	ranking, err := evaluate.NewRanking(models.RawAll(m, columns, max(500, rows/4)))
	if err != nil {
		t.Fatal(err)
	}
	var bands []models.Band
	for i, from := range []float64{0.45, 0.3, 0.2, 0.1, 0} {
		bands = append(bands, models.Band{Name: string(rune('A' + i)), From: from})
	}
	a := &models.Artifact{
		Manifest: models.Manifest{Name: "churn", Learner: "logistic", Label: models.Label{Column: "churned", Positive: "yes"}, BaseRate: 0.2, Bands: bands},
		Encoder:  encoder, Model: m, Calibration: models.Calibration{Kind: models.CalibrationNone},
		Ranking: ranking, Spec: []byte("version: 1\n"), Card: []byte("#\n"), Report: []byte("<!DOCTYPE html>\n"),
	}
	f, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	s, err := models.NewScorer(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// count scores rows of accounts that are all different.
func (w *world) count(t testing.TB, scorer *models.Scorer, s *Shape, rows int, rng *rand.Rand) *Counts {
	t.Helper()
	l := NewLive(s)
	var a models.Answer
	for range rows {
		if err := scorer.Score(&a, w.cells(scorer, rng), 0, 0); err != nil {
			t.Fatal(err)
		}
		l.Count(&a, "")
	}
	return l.Take()
}

func (w *world) cells(scorer *models.Scorer, rng *rand.Rand) []datasets.Value {
	row := w.row(rng)
	var out []datasets.Value
	for _, c := range scorer.Encoder().Columns {
		out = append(out, row[c.Name])
	}
	return out
}

func tinyShape(t testing.TB) *Shape {
	t.Helper()
	return NewShape("churn", 1, (&world{}).scorer(t, 2000, 1))
}

func answerOf(t testing.TB, s *Shape, rng *rand.Rand) *models.Answer {
	t.Helper()
	w := &world{}
	scorer := w.scorer(t, 2000, 1)
	var a models.Answer
	if err := scorer.Score(&a, w.cells(scorer, rng), 0, 0); err != nil {
		t.Fatal(err)
	}
	_ = s
	return &a
}

func findings(r *Report) string {
	out := r.Verdict + ": " + r.Detail
	for _, f := range r.Findings {
		out += "\n  " + f.Verdict + " " + f.Column + " " + f.Cause + ": " + f.Detail
	}
	for _, m := range r.Remarks {
		out += "\n  remark: " + m
	}
	return out
}

func answerAt(t testing.TB, w *world, scorer *models.Scorer, rng *rand.Rand) *models.Answer {
	t.Helper()
	a := new(models.Answer)
	if err := scorer.Score(a, w.cells(scorer, rng), 0, 0); err != nil {
		t.Fatal(err)
	}
	return a
}
