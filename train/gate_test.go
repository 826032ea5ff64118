package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/evaluate"
)

// known is a table of accounts whose chance of y is a logistic function of x and
// plan; noise tells nothing.
func known(accounts int, seed uint64) *datasets.Table {
	rng := rand.New(rand.NewPCG(seed, 11))
	id := datasets.Column{Name: "who", Kind: datasets.Text}
	x, noise, y := make([]float64, accounts), make([]float64, accounts), make([]float64, accounts)
	plan := make([]string, accounts)
	for i := range accounts {
		id.Values, id.Codes = append(id.Values, fmt.Sprintf("a%05d", i)), append(id.Codes, int32(i))
		x[i], noise[i] = rng.NormFloat64(), rng.NormFloat64()
		plan[i] = []string{"free", "pro", "team"}[rng.IntN(3)]
		z := 1.6*x[i] - 1
		if plan[i] == "pro" {
			z++
		}
		if rng.Float64() < 1/(1+math.Exp(-z)) {
			y[i] = 1
		}
	}
	return tableOf(id, numbers("x", x...), numbers("noise", noise...), categories("plan", plan...), numbers("y", y...))
}

func championOf(t *testing.T, table *datasets.Table, s Spec) *Champion {
	t.Helper()
	r, err := Run(context.Background(), table, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := models.NewScorer(r.Files)
	if err != nil {
		t.Fatal(err)
	}
	return &Champion{Version: 3, Scorer: scorer}
}

// meeting is a champion and a winner made by hand, on rows that judge.
type meeting struct {
	champion *Champion
	p        *prepared
	spec     Spec
	rows     []int // that judge
	unseen   []int // of them, by the champion
	theirs   []float64
	gate     *gate
}

func meet(t *testing.T, s Spec) *meeting {
	t.Helper()
	table := known(1500, 5)
	m := &meeting{champion: championOf(t, table, s)}
	m.p, m.spec = prepared1(t, table, s)
	cut, _, err := m.p.parts(m.spec)
	if err != nil {
		t.Fatal(err)
	}
	m.rows = cut.Test
	if m.unseen, err = m.p.unseenBy(m.champion.Scorer.Artifact().Manifest.Split, m.spec, m.rows); err != nil {
		t.Fatal(err)
	}
	if m.theirs, err = m.p.scoreBy(m.champion.Scorer, m.rows); err != nil {
		t.Fatal(err)
	}
	matrix := oneEach(datasets.Take(m.p.label, m.rows))
	m.gate = &gate{m: matrix, baseRate: 0.4, winner: &judged{fitted: &fitted{name: "logistic"}, probability: m.theirs}}
	return m
}

// worseBy gives probabilities, drawn towards a half, whose log loss on the rows
// that the champion has not seen is that share above the champion's.
func (m *meeting) worseBy(share float64) []float64 {
	places := placesOf(m.rows, m.unseen)
	label := datasets.Take(m.gate.m.Label, places)
	target := evaluate.LogLoss(label, datasets.Take(m.theirs, places)) * (1 + share)
	drawn := func(e float64) []float64 {
		out := make([]float64, len(m.theirs))
		for i, p := range m.theirs {
			out[i] = (1-e)*p + e/2
		}
		return out
	}
	low, high := 0.1, 1.0 // a little shrinking may help
	for range 60 {
		if e := (low + high) / 2; evaluate.LogLoss(label, datasets.Take(drawn(e), places)) < target {
			low = e
		} else {
			high = e
		}
	}
	return drawn(high)
}

// betterBy pulls probabilities towards the outcome.
func (m *meeting) betterBy(e float64) []float64 {
	out := make([]float64, len(m.theirs))
	for i, p := range m.theirs {
		out[i] = (1-e)*p + e*m.gate.m.Label[i]
	}
	return out
}

func (m *meeting) decide(t *testing.T, name string, probability []float64) models.Check {
	t.Helper()
	g := *m.gate
	g.winner = &judged{fitted: &fitted{name: name}, probability: probability}
	if err := g.standsAgainst(m.champion, m.p, m.spec, m.rows); err != nil {
		t.Fatal(err)
	}
	if len(g.Checks) != 1 || g.Checks[0].Name != "champion" || g.Passed != g.Checks[0].Passed {
		t.Fatalf("%+v", g.Gate)
	}
	return g.Checks[0]
}

var logisticOnly = []string{"logistic"}

func TestStandsAgainst(t *testing.T) {
	m := meet(t, Spec{Name: "m", ID: "who", Label: "y", Learners: logisticOnly, Seed: 1})
	for _, c := range []struct {
		name, learner, champion string
		probability             []float64
		passed                  bool
		words                   []string
	}{
		{"a retrain, the same", "logistic", "logistic", m.theirs, true, []string{"retrain of version 3", "1 % worse"}},
		{"a retrain, half a per cent worse", "logistic", "logistic", m.worseBy(0.005), true, nil},
		{"a retrain, just within", "logistic", "logistic", m.worseBy(0.0099), true, nil},
		{"a retrain, just beyond", "logistic", "logistic", m.worseBy(0.0101), false, nil},
		{"more complex and the same", "boosting", "logistic", m.theirs, false, []string{"more complex", "must beat"}},
		{"more complex and better", "boosting", "logistic", m.betterBy(0.1), true, nil},
		{"more complex and worse", "boosting", "logistic", m.worseBy(0.05), false, nil},
		{"simpler and the same", "logistic", "boosting", m.theirs, true, []string{"simpler", "must not lose"}},
		{"simpler and clearly worse", "logistic", "boosting", m.worseBy(0.2), false, nil},
		{"cart stands between the two", "cart", "boosting", m.theirs, true, []string{"simpler"}},
		{"cart stands between the two", "cart", "logistic", m.theirs, false, []string{"more complex"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.champion.Scorer.Artifact().Manifest.Learner = c.champion
			check := m.decide(t, c.learner, c.probability)
			if check.Passed != c.passed || check.Gain == nil || check.Gain.Rows != len(m.unseen) {
				t.Errorf("%+v", check)
			}
			for _, w := range append(c.words, fmt.Sprintf("on %d rows that neither learnt from", len(m.unseen))) {
				if !strings.Contains(check.Detail, w) {
					t.Errorf("%q does not say %q", check.Detail, w)
				}
			}
		})
	}
}

// Where nothing can be told the champion stays, and the reason is given.
func TestCannotCompare(t *testing.T) {
	s := Spec{Name: "m", ID: "who", Label: "y", Learners: logisticOnly, Seed: 1}
	m := meet(t, s)
	manifest := &m.champion.Scorer.Artifact().Manifest
	was, encoder := *manifest, m.champion.Scorer.Encoder().Columns[0].Name
	better := m.betterBy(0.2)
	for _, c := range []struct {
		name   string
		change func()
		word   string
	}{
		{"another label", func() { manifest.Label.Column = "z" }, "it predicts z=1"},
		{"another positive value", func() { manifest.Label.Positive = "0" }, "it predicts y=0"},
		{"another split", func() { manifest.Split.Kind = SplitOrder }, "it was split by order, this one by group"},
		{"another id", func() { manifest.Split.Keys = "id other seed 1" }, "another id"},
		{"fitted again on all", func() { manifest.Split.Refit = true }, "all rows"},
		{"no row that it never saw", func() { manifest.Split.KeyBound = "1" }, "only 0 (0 positive); 50 with 5"},
		{"a column is gone", func() { m.p.source = inMemory{tableOf(m.p.source.(inMemory).Columns[4])} }, encoder},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := m.p.source
			c.change()
			check := m.decide(t, "logistic", better)
			*manifest, m.p.source = was, all
			if check.Passed || check.Gain != nil || !strings.Contains(check.Detail, c.word) || !strings.Contains(check.Detail, "promote by hand") {
				t.Errorf("%+v", check)
			}
		})
	}
	if check := m.decide(t, "logistic", better); !check.Passed {
		t.Errorf("put back: %+v", check)
	}
}

func TestMomentsOfAnotherColumn(t *testing.T) {
	p, s := prepared1(t, history(35, 31), Spec{ID: "who", Time: "when"})
	m := meet(t, Spec{Name: "m", ID: "who", Label: "y", Learners: logisticOnly, Seed: 1})
	manifest := &m.champion.Scorer.Artifact().Manifest
	manifest.Moment, manifest.Split = "signed_up", models.Split{Kind: SplitTime, TrainedUntil: "1970-01-02T00:00:00Z"}
	m.p, m.spec, m.rows = p, s, []int{0, 1}
	if check := m.decide(t, "logistic", []float64{0.5, 0.5}); check.Passed || !strings.Contains(check.Detail, `"signed_up", not "when"`) {
		t.Errorf("%+v", check)
	}
}

func TestBeats(t *testing.T) {
	label := make([]float64, 200)
	for i := range label {
		label[i] = float64(i % 4 / 3)
	}
	good, useless := said(label, 0.6, 0.15), slices.Repeat([]float64{0.25}, len(label))
	for _, c := range []struct {
		name        string
		probability []float64
		base, rule  bool
	}{
		{"better than both", said(label, 0.9, 0.05), true, true},
		{"as good as the rule", good, true, false},
		{"the base rate itself", useless, false, false},
	} {
		g := &gate{m: oneEach(label), baseRate: 0.25, winner: &judged{fitted: &fitted{name: "logistic"}, probability: c.probability}}
		if err := g.beatsBaseRate(); err != nil {
			t.Fatal(err)
		}
		r := &rule{Rule: models.Rule{Text: "x is at most 0", Matched: 0.15, Others: 0.6}}
		g.m.Columns = [][]float64{label}
		if err := g.beatsRule(r); err != nil {
			t.Fatal(err)
		}
		if g.Checks[0].Passed != c.base || g.Checks[1].Passed != c.rule || g.Passed != (c.base && c.rule) {
			t.Errorf("%s: %+v", c.name, g.Gate)
		}
		if !near(r.LogLoss, evaluate.LogLoss(label, good), 1e-12) {
			t.Errorf("the rule's log loss is %v", r.LogLoss)
		}
		if verb := map[bool]string{true: "logistic beats", false: "logistic does not beat"}[c.base]; !strings.Contains(g.Checks[0].Detail, verb) {
			t.Errorf("%q", g.Checks[0].Detail)
		}
	}
}

func TestTrust(t *testing.T) {
	r := &evaluate.Report{ROCAUC: evaluate.Interval{Value: 0.8, Low: 0.55, High: 0.93}}
	if s := trust(r, 49); !strings.Contains(s, "only 49 positives") || !strings.Contains(s, "0.55 to 0.93") {
		t.Error(s)
	}
	if s := trust(r, 50); s != "" {
		t.Error(s)
	}
}

func TestPlacesOf(t *testing.T) {
	if got := placesOf([]int{2, 5, 7, 9}, []int{5, 9}); !slices.Equal(got, []int{1, 3}) {
		t.Error(got)
	}
	if got := placesOf([]int{2}, nil); len(got) != 0 {
		t.Error(got)
	}
}
