package facts_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

func project() *spec.Project {
	return &spec.Project{Sources: []spec.Source{
		{Name: "events", Kind: spec.Events, User: "user", Columns: []spec.Column{{Name: "event", Kind: datasets.Category}, {Name: "n", Kind: datasets.Number}}},
		{Name: "subscriptions", Kind: spec.Intervals, Columns: []spec.Column{{Name: "plan", Kind: datasets.Category}}},
		{Name: "users", Kind: spec.Users, User: "user"},
		{Name: "merges", Kind: spec.Merges, FromAccount: "from"},
	}}
}

func number(x float64) datasets.Value { return datasets.Value{Kind: datasets.Number, Number: x} }
func text(s string) datasets.Value    { return datasets.Value{Kind: datasets.Text, Text: s} }

type values = map[string]datasets.Value

// spelled writes a part down, a line a version.
func spelled(p *facts.Part) string {
	var b strings.Builder
	for s := range p.Sources {
		f := &p.Sources[s]
		for a, account := range p.Accounts {
			for i := f.First[a]; i < f.First[a+1]; i++ {
				arrived, until := f.Occurred[i], facts.Never
				if f.Arrived != nil {
					arrived = f.Arrived[i]
				}
				if f.Until != nil {
					until = f.Until[i]
				}
				fmt.Fprintf(&b, "%d %s %d %d", s, account, f.Occurred[i], arrived)
				if until != facts.Never {
					fmt.Fprintf(&b, " until %d", until)
				}
				if f.End != nil {
					if end := f.End[i]; end != datasets.MissingTime {
						fmt.Fprintf(&b, " end %d", end)
					}
				}
				for k := range f.Columns {
					fmt.Fprintf(&b, " %s", cmp.Or(f.Columns[k].At(i).String(), "-"))
				}
				b.WriteString("\n")
			}
		}
	}
	return b.String()
}

func assembled(t *testing.T, list []facts.Fact) string {
	t.Helper()
	p, err := facts.Assemble(project(), nil, list)
	if err != nil {
		t.Fatal(err)
	}
	return spelled(p)
}

func TestAssemble(t *testing.T) {
	for name, c := range map[string]struct {
		list []facts.Fact
		want string
	}{
		"a correction ends the version before it, a repetition is dropped": {
			[]facts.Fact{
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 30, Values: values{"n": number(2)}},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 20, Values: values{"n": number(1)}},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 25, Values: values{"n": number(1)}},
				{Source: "events", Account: "A", ID: "2", Occurred: 10, Arrived: 25, Values: values{"n": number(1)}},
			},
			"0 A 10 20 until 30 - 1\n0 A 10 25 - 1\n0 A 10 30 - 2\n",
		},
		"a correction taken back counts again": {
			[]facts.Fact{
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 10, Values: values{"n": number(1)}},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 20, Values: values{"n": number(2)}},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 30, Values: values{"n": number(1)}},
			},
			"0 A 10 10 until 20 - 1\n0 A 10 30 - 1\n0 A 10 20 until 30 - 2\n",
		},
		"a correction that is dated in the future corrects nothing before its date": {
			[]facts.Fact{
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 10},
				{Source: "events", Account: "A", ID: "1", Occurred: 90, Arrived: 20},
				{Source: "events", Account: "A", ID: "1", Occurred: 11, Arrived: 30},
				{Source: "events", Account: "A", ID: "2", Occurred: 10, Arrived: 10},
				{Source: "events", Account: "A", ID: "2", Occurred: 90, Arrived: 20},
			},
			"0 A 10 10 until 30 - -\n0 A 10 10 until 90 - -\n0 A 11 30 - -\n0 A 90 20 until 30 - -\n0 A 90 20 - -\n",
		},
		"facts without an id are all different": {
			[]facts.Fact{
				{Source: "events", Account: "A", Occurred: 10, Arrived: 10, Values: values{"event": text("x")}},
				{Source: "events", Account: "A", Occurred: 10, Arrived: 10, Values: values{"event": text("x")}},
			},
			"0 A 10 10 x -\n0 A 10 10 x -\n",
		},
		"an id is of one source and account": {
			[]facts.Fact{
				{Source: "events", Account: "B", ID: "1", Occurred: 5, Arrived: 5},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 10},
				{Source: "subscriptions", Account: "A", ID: "1", Occurred: 7, Arrived: 7, End: 9},
			},
			"0 A 10 10 - -\n0 B 5 5 - -\n1 A 7 7 end 9 -\n",
		},
		"facts of users are their account's": {
			[]facts.Fact{
				{Source: "events", Occurred: 10, Arrived: 10, Values: values{"user": text("u1")}},
				{Source: "events", Occurred: 11, Arrived: 11, Values: values{"user": text("nobody")}},
				{Source: "users", Account: "B", Occurred: 1, Arrived: 1, Values: values{"user": text("u1")}},
				{Source: "users", Account: "A", Occurred: 2, Arrived: 2, Values: values{"user": text("u1")}},
			},
			"0 A 10 10 - -\n2 A 2 2\n2 B 1 1\n",
		},
		"whose a user is may be known without a date": {
			[]facts.Fact{
				{Source: "events", Occurred: 10, Arrived: 10, Values: values{"user": text("u1")}},
				{Source: "users", Account: "B", Occurred: datasets.MissingTime, Arrived: datasets.MissingTime, Values: values{"user": text("u1")}},
			},
			fmt.Sprintf("0 B 10 10 - -\n2 B %d %d\n", facts.Always, facts.Always),
		},
		"a merged account's facts are the other's from then on, with the version of then": {
			[]facts.Fact{
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 10, Values: values{"n": number(9)}},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 20, Values: values{"n": number(2)}},
				{Source: "events", Account: "A", ID: "1", Occurred: 10, Arrived: 90, Values: values{"n": number(3)}},
				{Source: "events", Account: "B", ID: "1", Occurred: 40, Arrived: 40, Values: values{"n": number(4)}},
				{Source: "merges", Account: "B", Occurred: 50, Arrived: 60, Values: values{"from": text("A")}},
			},
			"0 A 10 10 until 20 - 9\n0 A 10 20 until 90 - 2\n0 A 10 90 - 3\n" +
				"0 B 10 60 until 90 - 2\n0 B 10 90 - 3\n0 B 40 40 - 4\n3 B 50 60\n",
		},
		"a chain of merges is known when its last link is": {
			[]facts.Fact{
				{Source: "events", Account: "A", Occurred: 10, Arrived: 10},
				{Source: "merges", Account: "B", Occurred: 60, Arrived: 60, Values: values{"from": text("A")}},
				{Source: "merges", Account: "C", Occurred: 50, Arrived: 50, Values: values{"from": text("B")}},
				{Source: "merges", Account: "A", Occurred: 70, Arrived: 70, Values: values{"from": text("C")}},
			},
			"0 A 10 10 - -\n0 B 10 60 - -\n0 C 10 60 - -\n3 A 70 70\n3 B 60 60\n3 C 50 50\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := assembled(t, c.list); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestAssembleRefuses(t *testing.T) {
	for want, f := range map[string]facts.Fact{
		"n is category \"x\", not a number": {Source: "events", Account: "A", Values: values{"n": {Kind: datasets.Category, Text: "x"}}},
		"is not dated":                      {Source: "events", Account: "A", Occurred: datasets.MissingTime},
		"merged into itself":                {Source: "merges", Account: "A", Values: values{"from": text("A")}},
		"names no account":                  {Source: "merges", Account: "A"},
	} {
		_, err := facts.Assemble(project(), nil, []facts.Fact{f})
		if !errors.Is(err, facts.ErrFact) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The order in which facts come changes nothing, and what counts at a moment is, of
// each id, the version that arrived last before it.
func TestAssembleOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) facts.Fact {
			f := facts.Fact{
				Source: "events", Account: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "account"),
				ID:       rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(t, "id"),
				Occurred: rapid.Int64Range(0, 5).Draw(t, "occurred"), Arrived: rapid.Int64Range(0, 9).Draw(t, "arrived"),
				Values: values{},
			}
			if x := rapid.IntRange(-1, 2).Draw(t, "n"); x >= 0 {
				f.Values["n"] = number(float64(x))
			}
			return f
		}), 0, 12).Draw(t, "facts")
		first, err := facts.Assemble(project(), nil, list)
		if err != nil {
			t.Fatal(err)
		}
		second, err := facts.Assemble(project(), nil, rapid.Permutation(list).Draw(t, "order"))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := spelled(first), spelled(second); a != b {
			t.Fatalf("in one order\n%s\nin another\n%s", a, b)
		}
		moment := rapid.Int64Range(0, 10).Draw(t, "moment")
		if got, want := seen(first, moment), seenPlainly(list, moment); !slices.Equal(got, want) {
			t.Fatalf("at %d: %v, want %v", moment, got, want)
		}
	})
}

// seen are the values of n that count at a moment.
func seen(p *facts.Part, moment int64) (out []float64) {
	f := &p.Sources[0]
	for i := range f.Rows() {
		if f.Occurred[i] < moment && (f.Arrived == nil || f.Arrived[i] < moment) && (f.Until == nil || f.Until[i] >= moment) {
			out = append(out, value(f.Columns[1].At(i)))
		}
	}
	slices.Sort(out)
	return out
}

func seenPlainly(list []facts.Fact, moment int64) (out []float64) {
	newest := map[[2]string]facts.Fact{}
	for _, f := range list {
		if f.Arrived >= moment || f.Occurred >= moment {
			continue
		}
		if f.ID == "" {
			out = append(out, value(f.Values["n"]))
			continue
		}
		key := [2]string{f.Account, f.ID}
		old, ok := newest[key]
		if !ok || cmp.Or(cmp.Compare(old.Arrived, f.Arrived), cmp.Compare(old.Occurred, f.Occurred), cmp.Compare(value(old.Values["n"]), value(f.Values["n"]))) < 0 {
			newest[key] = f
		}
	}
	for _, f := range newest {
		out = append(out, value(f.Values["n"]))
	}
	slices.Sort(out)
	return out
}

func value(v datasets.Value) float64 {
	if v.Missing() {
		return math.Inf(-1)
	}
	return v.Number
}
