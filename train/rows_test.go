package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/features"
)

// apart gives copies of a table's columns, and can fail after some.
type apart struct {
	table *datasets.Table
	left  atomic.Int64 // columns until it fails
}

func newApart(t *datasets.Table) *apart {
	a := &apart{table: t}
	a.left.Store(math.MaxInt64)
	return a
}

var errGone = errors.New("the disk is gone")

func (a *apart) Names() []string              { return a.table.Names() }
func (a *apart) Rows() int                    { return a.table.Rows() }
func (a *apart) Fingerprint() (string, error) { return a.table.Fingerprint(), nil }

func (a *apart) Column(name string) (datasets.Column, error) {
	if a.left.Add(-1) < 0 {
		return datasets.Column{}, errGone
	}
	c := *a.table.Column(name)
	c.Numbers, c.Times, c.Codes = slices.Clone(c.Numbers), slices.Clone(c.Times), slices.Clone(c.Codes)
	return c, nil
}

// Whether a table is in memory or read by columns, the artifact is the same to
// the bit: with times, categories, a value, unlabelled rows, a champion, and a refit.
func TestRunColumnsTwin(t *testing.T) {
	company := sample.Simulate(sample.Options{Accounts: 250, Seed: 3})
	table := company.Churn
	gaps := &datasets.Table{Columns: slices.Clone(table.Columns)}
	for i := range gaps.Columns {
		if c := &gaps.Columns[i]; c.Name == "churned" {
			c.Numbers = slices.Clone(c.Numbers)
			for k := 0; k < len(c.Numbers); k += 7 {
				c.Numbers[k] = math.NaN()
			}
		}
	}
	base := Spec{Name: "m", ID: "account_id", Time: "moment", Label: "churned", Horizon: 90, Value: "mrr", Learners: []string{boosting}, Seed: 1,
		Boosting: BoostingSettings{Trees: 10}}
	for name, c := range map[string]struct {
		table  *datasets.Table
		change func(s *Spec)
	}{
		"by time":          {table, func(*Spec) {}},
		"with gaps, refit": {gaps, func(s *Spec) { s.Refit = true }},
		"by account":       {gaps, func(s *Spec) { s.Split = SplitGroup }},
		"without an id":    {table, func(s *Spec) { s.ID, s.Time, s.Horizon, s.Drop = "", "", 0, []string{"account_id"} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := base
			c.change(&s)
			one, err := Run(context.Background(), c.table, s, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			two, err := RunColumns(context.Background(), newApart(c.table), s, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if one.Artifact.Hash() != two.Artifact.Hash() {
				t.Error("the artifacts differ")
			}
			s.Quick = true // the gate asks for no more
			champion := championOf(t, c.table, s)
			held, err := Run(context.Background(), c.table, s, champion, nil)
			if err != nil {
				t.Fatal(err)
			}
			read, err := RunColumns(context.Background(), newApart(c.table), s, champion, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(held.Gate, read.Gate); d != "" || len(held.Gate.Checks) < 3 {
				t.Error(d)
			}
		})
	}
}

// Wherever the source fails, the run ends with that error.
func TestRunColumnsFails(t *testing.T) {
	source := newApart(known(300, 1))
	s := Spec{Name: "m", ID: "who", Label: "y", Learners: []string{boosting}, Boosting: BoostingSettings{Trees: 3}, Seed: 1}
	reads := int64(0)
	for done := false; !done; reads++ {
		source.left.Store(reads)
		_, err := RunColumns(context.Background(), source, s, nil, nil)
		if done = err == nil; !done && !errors.Is(err, errGone) {
			t.Fatalf("after %d columns: %v", reads, err)
		}
	}
	if reads < 10 {
		t.Errorf("%d columns were read in all", reads)
	}
}

// Cells gathered and encoded are what the encoder says of each cell by itself.
func TestViewTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 30).Draw(t, "rows")
		x, flag, text, when, y := make([]float64, n), make([]float64, n), make([]string, n), make([]int64, n), make([]float64, n)
		for i := range n {
			x[i] = rapid.SampledFrom([]float64{-1, 0, 2.5, 1e300, math.NaN(), math.Copysign(0, -1)}).Draw(t, "x")
			flag[i] = rapid.SampledFrom([]float64{0, 1, math.NaN()}).Draw(t, "flag")
			text[i] = rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "text")
			when[i] = rapid.SampledFrom([]int64{1, 2, 9e12, datasets.MissingTime}).Draw(t, "when")
			y[i] = rapid.SampledFrom([]float64{0, 1, 1, 0, math.NaN()}).Draw(t, "y")
		}
		y[0], y[1] = 0, 1
		moment := datasets.Column{Name: "moment", Kind: datasets.Time}
		for i := range n {
			moment.Times = append(moment.Times, int64(i)*1e12)
		}
		table := tableOf(numbers("x", x...), booleans("flag", flag...), categories("text", text...),
			datasets.Column{Name: "when", Kind: datasets.Time, Times: when}, moment, numbers("y", y...))
		p, err := prepare(inMemory{table}, Spec{Label: "y", Time: "moment", Split: SplitGroup})
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := features.FitEncoder(&datasets.Table{Columns: table.Columns[:4]}, moment.Times)
		if err != nil {
			t.Fatal(err)
		}
		rows := rapid.SliceOfN(rapid.IntRange(0, len(p.label)-1), 1, 20).Draw(t, "picked")
		for _, source := range []Columns{p.source, newApart(table)} {
			p.source = source
			m := p.encodeRows(e, rows)
			for j := range e.Columns {
				got, err := m.Column(nil, j)
				if err != nil {
					t.Fatal(err)
				}
				for k, i := range rows {
					want, _, err := e.Columns[j].Encode(table.Column(e.Columns[j].Name).At(p.place(i)), moment.Times[p.place(i)])
					if err != nil || math.Float64bits(got[k]) != math.Float64bits(want) {
						t.Fatalf("%s of row %d: %v, not %v; %v", e.Columns[j].Name, p.place(i), got[k], want, err)
					}
				}
			}
		}
	})
}
