package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features"
)

// encodedTable encodes a table as a run does.
func encodedTable(t require, table *datasets.Table, label []float64) (*features.Encoder, *features.Matrix) {
	e, _, err := features.FitEncoder(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := e.EncodeTable(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e, &features.Matrix{Features: e.Features(), Columns: columns, Label: label}
}

type require interface{ Fatal(args ...any) }

func ruleOf(t interface{ Fatal(...any) }, e *features.Encoder, m *features.Matrix) *rule {
	r, err := bestRule(e, m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func scoresOf(t interface{ Fatal(...any) }, r *rule, m *features.Matrix) []float64 {
	p, err := r.score(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBestRuleByHand(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name            string
		column          datasets.Column
		label           []float64
		text            string
		matched, others float64
	}{
		{"category", categories("plan", "pro", "free", "pro", "free", "", "pro"), []float64{1, 0, 1, 0, 0, 1}, `plan is "pro"`, 3.5 / 4, 0.5 / 4},
		{"number", numbers("logins", 1, 2, 3, 40, 50, nan), []float64{1, 1, 1, 0, 0, 0}, "logins is at most 3", 3.5 / 4, 0.5 / 4},
		{"boolean", booleans("annual", 0, 0, 1, 1, 1, 0), []float64{1, 1, 0, 0, 0, 1}, "annual is false", 3.5 / 4, 0.5 / 4},
		{"boolean that is missing", booleans("answered", 0, 1, nan, nan, nan, 1), []float64{0, 0, 1, 1, 1, 0}, "answered is known", 0.5 / 4, 3.5 / 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, m := encodedTable(t, tableOf(c.column), c.label)
			r := ruleOf(t, e, m)
			if r.Text != c.text || !near(r.Matched, c.matched, 1e-12) || !near(r.Others, c.others, 1e-12) {
				t.Errorf("%q: %v, others %v", r.Text, r.Matched, r.Others)
			}
			for i, p := range scoresOf(t, r, m) {
				if (p > 0.5) != (c.label[i] == 1) {
					t.Errorf("row %d: %v", i, p)
				}
			}
		})
	}
	t.Run("time", func(t *testing.T) {
		table := tableOf(times("login", 90, 95, 10, 20))
		at := int64(100 * 24 * 60 * 60 * 1e6)
		moments := []int64{at, at, at, at}
		e, _, err := features.FitEncoder(table, moments)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := e.EncodeTable(table, moments)
		if err != nil {
			t.Fatal(err)
		}
		r := ruleOf(t, e, &features.Matrix{Columns: columns, Label: []float64{0, 0, 1, 1}})
		if r.Text != "login was at most 10 days before" {
			t.Error(r.Text)
		}
	})
}

// Brute force: every subset "x is c", "x is at most v" for every value seen at a
// decile, its rates counted and its log loss summed row by row.
func TestBestRuleTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "rows")
		x, c, label := make([]float64, n), make([]string, n), make([]float64, n)
		for i := range n {
			x[i] = rapid.SampledFrom([]float64{1, 2, 3, 4.5, math.NaN()}).Draw(t, "x")
			c[i] = rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "c")
			label[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
		}
		e, m := encodedTable(t, tableOf(numbers("x", x...), categories("c", c...)), label)
		lowest := math.Inf(1)
		try := func(match func(i int) bool) {
			var rows, positives [2]float64
			side := make([]int, n)
			for i := range n {
				if match(i) {
					side[i] = 1
				}
				rows[side[i]]++
				positives[side[i]] += label[i]
			}
			if rows[0] == 0 || rows[1] == 0 {
				return
			}
			sum := 0.0
			for i, k := range side {
				p := (positives[k] + 0.5) / (rows[k] + 1)
				sum -= label[i]*math.Log(p) + (1-label[i])*math.Log(1-p)
			}
			lowest = min(lowest, sum)
		}
		for _, col := range e.Columns {
			if col.Kind == datasets.Category {
				for _, level := range col.Levels {
					try(func(i int) bool { return c[i] == level })
				}
				continue
			}
			known := slices.DeleteFunc(slices.Clone(x), math.IsNaN)
			slices.Sort(known)
			for k := 1; k <= 9; k++ {
				v := known[int(math.Floor(float64(len(known)-1)*float64(k)/10))]
				try(func(i int) bool { return x[i] <= v })
			}
		}
		r := ruleOf(t, e, m)
		if math.IsInf(lowest, 1) {
			if r != nil {
				t.Fatalf("a rule %q where none cuts", r.Text)
			}
			return
		}
		sum := 0.0
		for i, p := range scoresOf(t, r, m) {
			sum -= label[i]*math.Log(p) + (1-label[i])*math.Log(1-p)
		}
		if !near(sum, lowest, 1e-9) {
			t.Fatalf("%q has %v, the best %v", r.Text, sum, lowest)
		}
	})
}

func TestRuleOfNothing(t *testing.T) {
	e, m := encodedTable(t, tableOf(numbers("x", 1, 2)), []float64{0, 1})
	m.Columns[0] = []float64{math.NaN(), math.NaN()}
	if r := ruleOf(t, e, m); r != nil {
		t.Errorf("%q", r.Text)
	}
	if r := (&rule{most: 3}); r.matches(math.NaN()) || !r.matches(3) || r.matches(3.5) {
		t.Error("a missing number matches, or the bound does not")
	}
	if r := (&rule{code: 0, isCode: true}); r.matches(-1) || r.matches(math.NaN()) || !r.matches(0) {
		t.Error("an unseen category matches")
	}
	if !strings.Contains((&rule{most: 1e-7}).words(&features.Column{Name: "x", Kind: datasets.Number}), "1e-07") {
		t.Error("a number is spelled otherwise than everywhere")
	}
}
