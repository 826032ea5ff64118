package online

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"propensity/features/facts"
	"propensity/features/spec"
)

// What is taken out is no part of a row of the present or later, a good deal is, and
// what was looked at before is looked at anew.
func TestTrimTakesNothingThatShows(t *testing.T) {
	ctx := context.Background()
	plan := planOf(t, bounded)
	p := plan.Project()
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		s := open(t)
		a := NewAccounts(s, DefaultCache)
		start := int64(1741e12)
		first, list := companyOf(rand.New(rand.NewPCG(3, 3)), start)
		list = slices.DeleteFunc(list, func(f facts.Fact) bool { return f.Source == "merges" && f.Account == "A" })
		moment := start + 100*day
		if err := a.Append(ctx, []*spec.Project{p}, slices.Concat(first, list)); err != nil {
			t.Fatal(err)
		}
		rows := func(at int64) string {
			var out strings.Builder
			for _, account := range []string{"A", "B", "C", "D"} {
				row, err := a.Row(ctx, plan, account, at)
				out.WriteString(account)
				if err != nil {
					out.WriteString(err.Error())
				}
				for i := range row {
					out.WriteString(" " + row[i].Name + "=" + row[i].At(0).String())
				}
			}
			return out.String()
		}
		now, later, before := rows(moment), rows(moment+9*day), rows(start+20*day)
		removed, err := Trim(ctx, s, SinceOf(p, moment))
		if err != nil || removed < 10 {
			t.Fatalf("%d versions were taken out, %v", removed, err)
		}
		if got := rows(moment); got != now {
			t.Errorf("the rows are\n%s, they were\n%s", got, now)
		}
		if got := rows(moment + 9*day); got != later {
			t.Errorf("the rows of later are\n%s, they were\n%s", got, later)
		}
		if rows(start+20*day) == before {
			t.Error("of what was taken out rows of the past lack nothing")
		}
		if again, err := Trim(ctx, s, SinceOf(p, moment)); err != nil || again != 0 {
			t.Errorf("the second time %d are taken out, %v", again, err)
		}
		all := planOf(t, insertAfter(bounded, "features:", "\n  - {name: ever, from: events, agg: count}")).Project()
		if more, err := Trim(ctx, open(t), SinceOf(all, moment+1000*day)); err != nil || kindOf(t) != "memory" && more == 0 {
			t.Errorf("usage and ends are not taken out: %d, %v", more, err)
		}
		left := 0
		for _, f := range factsIn(t, s, "A") {
			if f.Source == "events" {
				left++
			}
		}
		if left == 0 {
			t.Error("events that a feature of all time looks at were taken out")
		}
	})
}
