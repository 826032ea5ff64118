package scorecard

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
)

// Every line of the priors can be read: its kind, its expression, numbers that rise,
// steps of a quarter that do not all say the same, a star at the end.
func TestPriorsAreSound(t *testing.T) {
	seen := 0
	for _, kind := range Kinds() {
		all, err := questions(kind)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(all)
		for _, q := range all {
			for k, s := range q.steps {
				if (s.upto == "*") != (k == len(q.steps)-1) || s.value*4 != math.Round(s.value*4) || math.Abs(s.value) > 1.25 {
					t.Errorf("%s, %s: %q adds %v", kind, q.name, s.upto, s.value)
				}
			}
			if q.reads == "yes" || q.reads == "levels" {
				continue
			}
			c := features.Column{Name: "x", Kind: datasets.Number, Min: -1, Median: 2, Max: 3}
			bins, ok := q.ranges(&c, "days")
			if !ok {
				t.Errorf("%s, %s cannot be read as %s", kind, q.name, q.reads)
				continue
			}
			for k := range bins {
				if bins[k].From >= bins[k].To {
					t.Errorf("%s, %s: %v to %v", kind, q.name, bins[k].From, bins[k].To)
				}
			}
		}
	}
	if lines := strings.Count(strings.TrimSpace(priors), "\n"); seen != lines {
		t.Errorf("%d questions of known kinds in %d lines", seen, lines)
	}
}

func TestPriorByHand(t *testing.T) {
	e := features.NewEncoder([]features.Column{
		{Name: "daysSinceLogin", Kind: datasets.Number, Min: 0, Median: 5, Max: 90},
		{Name: "logins_28d", Kind: datasets.Number, Min: 0, Median: 40, Max: 300},
		{Name: "logins_90d", Kind: datasets.Number, Min: 0, Median: 0, Max: 300}, // nothing typical to compare with
		{Name: "logins_28d_trend", Kind: datasets.Number, Min: -2, Median: 0, Max: 2},
		{Name: "reports_28d_trend", Kind: datasets.Number, Min: 0, Median: 1, Max: 2},
		{Name: "Seat utilisation", Kind: datasets.Number, Min: 0, Median: 70, Max: 130},
		{Name: "plan", Kind: datasets.Category, Levels: []string{"Enterprise", "Free", "Pro"}, Counts: []int{1, 2, 9}},
		{Name: "Contract", Kind: datasets.Category, Levels: []string{"12 months", "Month-to-month", "One year", "quarterly"}, Counts: []int{1, 9, 1, 1}},
		{Name: "auto_renew", Kind: datasets.Boolean, Median: 1, Max: 1},
		{Name: "tenure", Kind: datasets.Number, Median: 10, Max: 72}, // of what, nobody knows
		{Name: "tenure_months", Kind: datasets.Number, Median: 10, Max: 72},
		{Name: "company_size", Kind: datasets.Category, Levels: []string{"1-10", "11-50", "1,001+"}, Counts: []int{1, 9, 1}},
		{Name: "favourite_colour", Kind: datasets.Category, Levels: []string{"blue", "red"}, Counts: []int{1, 1}},
		{Name: "created_at", Kind: datasets.Time, Median: 400, Max: 2000},
	})
	r, err := Prior("churn", e, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	base, overlap := math.Log(0.05/0.95), 1+0.1*8 // of nine questions
	nan := math.NaN()
	typical := []float64{5, 40, 0, 0, 1, 70, 2, 1, 1, 10, 10, 1, 0, 400}
	for _, c := range []struct {
		name string
		at   int
		x    float64
		want float64 // added to the log-odds
	}{
		{"all typical", 0, 5, 0},
		{"ten days without a login", 0, 10, 0.25 + 0.25}, {"a long time", 0, 80, 1.25 + 0.25}, {"today", 0, 0, -0.25},
		{"unknown", 0, nan, 0},
		{"a tenth of the usual logins", 1, 4, 0.75}, {"twice the usual", 1, 80, -0.25},
		{"logins of ninety days are not read", 2, 9, 0},
		{"use halved, by the change", 3, -0.5, 0.75 / 2}, {"use halved, by the ratio", 4, 0.5, 0.75 / 2}, // the two share a question
		{"use grown", 4, 1.5, -0.25 / 2},
		{"few seats in use, in per cent", 5, 20, 0.75 + 0.25}, {"more users than seats", 5, 120, -0.5 + 0.25},
		{"enterprise", 6, 0, -0.25}, {"free", 6, 1, 0.25}, {"unseen", 6, -1, 0},
		{"twelve months", 7, 0, -1}, {"one year", 7, 2, -1}, {"quarterly", 7, 3, -0.25},
		{"not renewed by itself", 8, 0, 0.75},
		{"tenure without a unit", 9, 70, 0}, {"six years", 10, 70, (-0.5 - 0.25) / 2}, {"two months", 10, 2, (0.5 - 0.25) / 2},
		{"a small company", 11, 0, 0.25}, {"a large one", 11, 2, -0.25},
		{"colours say nothing", 12, 1, 0},
		{"created last month", 13, 30, (0.5 + 0.25) / 2},
	} {
		x := slices.Clone(typical)
		x[c.at] = c.x
		if got := (r.Model.Raw(x) - base) * overlap; math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: adds %v, want %v", c.name, got, c.want)
		}
	}
	if !strings.Contains(r.Notes[0], "a prior and not learnt") || !slices.Contains(r.Notes, "change of use: told by logins_28d_trend, reports_28d_trend.") {
		t.Errorf("notes %q", r.Notes)
	}
	if m := r.Model.Importance(); m[0] <= m[3] || m[2] != 0 {
		t.Errorf("importance %v", m)
	}
	// It can be edited like any other card.
	again, err := FromTable(r.Table(e), e)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.Model, again.Model); d != "" {
		t.Errorf("(-prior +table):\n%s", d)
	}
}

func TestPriorErrors(t *testing.T) {
	e := features.NewEncoder([]features.Column{{Name: "favourite_number", Kind: datasets.Number, Max: 1}})
	some := features.NewEncoder([]features.Column{{Name: "days_since_login", Kind: datasets.Number, Max: 1}})
	for name, f := range map[string]func() (*Result, error){
		"no column":         func() (*Result, error) { return Prior("churn", e, 0.1) },
		"no kind":           func() (*Result, error) { return Prior("renewal", some, 0.1) },
		"base rate 0":       func() (*Result, error) { return Prior("churn", some, 0) },
		"base rate 1":       func() (*Result, error) { return Prior("churn", some, 1) },
		"base rate missing": func() (*Result, error) { return Prior("churn", some, math.NaN()) },
	} {
		if r, err := f(); !errors.Is(err, ErrPrior) {
			t.Errorf("%s: error %v, got %+v", name, err, r)
		}
	}
}

// On a simulated company the priors know something and not everything, and the mean
// probability is the base rate; a learnt card does better.
func TestPriorOfACompany(t *testing.T) {
	company := sample.Simulate(sample.Options{Accounts: 1200, Seed: 3})
	for kind, c := range map[string]struct {
		table *datasets.Table
		label string
	}{
		"conversion": {company.Conversion, "converted"}, "churn": {company.Churn, "churned"}, "upsell": {company.Upsell, "upsold"},
	} {
		label, moments := c.table.Column(c.label).Numbers, c.table.Column("moment").Times
		table := &datasets.Table{}
		for _, col := range c.table.Columns {
			if col.Name != c.label && col.Name != "moment" && col.Name != "account_id" {
				table.Columns = append(table.Columns, col)
			}
		}
		e, _, err := features.FitEncoder(table, moments)
		if err != nil {
			t.Fatal(err)
		}
		m := encoded(t, e, table, moments, label)
		r := mustFit(t, m, Options{Kind: kind, Encoder: e})
		learnt := mustFit(t, m, Options{})
		raw, best := models.RawAll(r.Model, m.Columns, m.Rows()), models.RawAll(learnt.Model, m.Columns, m.Rows())
		p, mean, rate := make([]float64, len(raw)), 0.0, 0.0
		for i := range raw {
			p[i] = 1 / (1 + math.Exp(-raw[i]))
			mean, rate = mean+p[i]/float64(len(raw)), rate+label[i]/float64(len(raw))
		}
		if math.Abs(mean-rate) > 1e-9 {
			t.Errorf("%s: a mean probability of %v, a base rate of %v", kind, mean, rate)
		}
		loss, constant := evaluate.LogLoss(label, p), -rate*math.Log(rate)-(1-rate)*math.Log(1-rate)
		if loss >= constant {
			t.Errorf("%s: log loss %v, the base rate has %v", kind, loss, constant)
		}
		prior, fitted := evaluate.ROCAUC(label, raw), evaluate.ROCAUC(label, best)
		t.Logf("%s: %d rows, ROC AUC %.3f, log loss %.4f (base rate %.4f) of the prior by %d features; %.3f of a learnt card by %d",
			kind, m.Rows(), prior, loss, constant, len(r.Variables), fitted, len(learnt.Variables))
		if prior < 0.6 || prior >= fitted {
			t.Errorf("%s: ROC AUC %v of the prior, %v of a learnt card", kind, prior, fitted)
		}
	}
}
