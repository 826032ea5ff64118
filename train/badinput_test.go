package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/models"
)

// signal is a column that tells something of the label, the label itself and an id.
func signal(n int, seed uint64) (who, x, y datasets.Column) {
	table := known(n, seed)
	return *table.Column("who"), *table.Column("x"), *table.Column("y")
}

// first are the first n rows.
func first(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// sane checks that every probability of the scorer is one, for the rows of the
// table and for rows of nothing but trouble.
func sane(t *testing.T, r *Result, table *datasets.Table) {
	t.Helper()
	s, err := models.NewScorer(r.Files)
	if err != nil {
		t.Fatal(err)
	}
	width := len(s.Encoder().Columns)
	columns, err := s.Encoder().EncodeTable(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	for j := range columns {
		columns[j] = append(columns[j], math.NaN(), -1, 1e308, -1e308, 0)
	}
	raw, p := s.ScoreColumns(columns, table.Rows()+5)
	for i := range p {
		if !(p[i] >= 0 && p[i] <= 1) || math.IsNaN(raw[i]) {
			t.Fatalf("row %d of %d columns: %v, probability %v", i, width, raw[i], p[i])
		}
	}
}

// Whatever a table holds, a run ends in a model whose every score is a number, or
// in an error that says what to do.
func TestBadInput(t *testing.T) {
	const n = 400
	who, x, y := signal(n, 3)
	rng := rand.New(rand.NewPCG(1, 2))
	nan := slices.Repeat([]float64{math.NaN()}, n)
	with := func(i int, v float64) datasets.Column {
		c := numbers("z", slices.Clone(x.Numbers)...)
		c.Numbers[i] = v
		return c
	}
	per, most, wide := make([]string, n), make([]string, n), tableOf(who, x, y).Take(first(120)).Columns
	far := make([]float64, n)
	for i := range n {
		per[i], most[i] = fmt.Sprintf("only-%d", i), fmt.Sprintf("nearly-%d", min(i, n*4/5))
		far[i] = math.MaxFloat64 * (2*float64(i%2) - 1)
	}
	for j := range 4_000 {
		c := datasets.Column{Name: fmt.Sprintf("c%d", j), Kind: datasets.Number, Numbers: make([]float64, 120)}
		for i := range c.Numbers {
			c.Numbers[i] = float64(rng.IntN(20))
		}
		wide = append(wide, c)
	}
	sorted := numbers("y", slices.Clone(y.Numbers)...)
	slices.Sort(sorted.Numbers)
	early := numbers("y", make([]float64, n)...)
	for i := range 40 {
		early.Numbers[i] = 1
	}
	early.Numbers[n-1] = 1
	spec := Spec{Name: "m", ID: "who", Label: "y", Seed: 1}
	for _, c := range []struct {
		name   string
		table  *datasets.Table
		change func(s *Spec)
		words  []string // of an error; none: a sane model
	}{
		{"infinite", tableOf(who, with(7, math.Inf(1)), y), nil, []string{`column "z", row 8`, "+Inf", "not finite"}},
		{"infinite in each row, one after the other", tableOf(who, with(n-1, math.Inf(-1)), y), nil, []string{`column "z", row 400`, "-Inf"}},
		{"infinite where nothing is learnt", tableOf(who, x, with(7, math.Inf(1)), y), func(s *Spec) { s.Drop = []string{"z"} }, nil},
		{"numbers too far apart", tableOf(who, x, numbers("far", far...), y), nil, []string{`"far"`, "too far apart"}},
		{"numbers far apart, by trees", tableOf(who, x, numbers("far", far...), y), func(s *Spec) { s.Learners = []string{boosting} }, nil},
		{"all missing beside others", tableOf(who, x, numbers("none", nan...), y), nil, nil},
		{"nothing but missing", tableOf(who, numbers("none", nan...), numbers("neither", nan...), y), nil, []string{"no column is left", `"none"`, "missing in every"}},
		{"a category per row", tableOf(who, categories("per", per...), y), nil, []string{"no column is left", "looks like an id"}},
		{"a category of nearly every row", tableOf(who, x, categories("most", most...), y), nil, nil},
		{"4,000 columns", tableOf(wide...), func(s *Spec) { s.Quick, s.Learners, s.Boosting.Trees = true, []string{boosting}, 5 }, nil},
		{"2,000 columns, logistic", tableOf(wide[:2000]...), func(s *Spec) { s.Quick, s.Learners = true, []string{logistic} }, nil},
		{"one row", tableOf(who, x, y).Take([]int{0}), nil, []string{"only the value"}},
		{"two rows", tableOf(who, x, numbers("y", make([]float64, n)...)).Take([]int{0, 1}), nil, []string{"only the value"}},
		{"one row of each label", tableOf(who, x, sorted).Take([]int{0, n - 1}), nil, []string{"1 positive of 2 rows"}},
		{"labels sorted, judged by order", tableOf(who, x, sorted), func(s *Spec) { s.Split = SplitOrder }, []string{"both labels are needed"}},
		{"positives in one fold only", tableOf(who, x, early), func(s *Spec) { s.Split = SplitOrder }, nil},
		{"constant column alone", tableOf(who, numbers("flat", make([]float64, n)...), y), nil, []string{"no column is left", "in every training row"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := spec
			if c.change != nil {
				c.change(&s)
			}
			r, err := Run(context.Background(), c.table, s, nil, nil)
			if len(c.words) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				sane(t, r, c.table)
				return
			}
			if err == nil {
				t.Fatalf("no error: %+v", r.Gate)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v: lacks %q", err, w)
				}
			}
		})
	}
}

// A run that is cancelled at any moment ends soon, with that error and nothing else.
func TestCancelledAnywhere(t *testing.T) {
	table := known(300, 4)
	s := Spec{Name: "m", ID: "who", Label: "y", Seed: 1, Refit: true, Surrogate: true, Learners: LearnerNames()}
	ticks := 0
	if _, err := Run(context.Background(), table, s, nil, func(string, int, int) { ticks++ }); err != nil {
		t.Fatal(err)
	}
	for at := 1; at < ticks; at += max(1, ticks/6) {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		_, err := Run(ctx, table, s, nil, func(string, int, int) {
			if n++; n == at {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at tick %d of %d: %v", at, ticks, err)
		}
	}
}
