package online

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

// An account is one that a model is about if all that was ever known of it says so, even
// what is too long ago for the row, and its row is that of Row.
func TestPresentIsWhatAllFactsSay(t *testing.T) {
	ctx := context.Background()
	text := strings.Replace(bounded, "end: ended, id: id,", "end: ended, renews: renews, id: id,", 1)
	text = strings.Replace(text, "models:", `populations: {busy: 'events_7d > 0.0'}
models:
  active: {moments: {every: 1d, while: subscriptions.active}, label: {event: subscriptions.end, within: 7d}}
  paying: {moments: {every: 1d, while: subscriptions.active}, population: busy, label: {event: subscriptions.end, within: 7d}}
  renewal: {moments: {before: [1d], of: subscriptions}, label: {event: subscriptions.end, within: 150d}}
  login: {moments: {on: events, where: 'event == "login"'}, label: {event: subscriptions.end, within: 150d}}`, 1)
	p, err := spec.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"churn", "active", "paying", "renewal", "login"}
	about, outside, unknown, merged := map[string]int{}, map[string]int{}, 0, 0
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 11))
		start := int64(1741e12)
		first, list := companyOf(rng, start)
		for i := range list {
			if f := &list[i]; f.Source == "subscriptions" {
				f.Values["renews"] = datasets.Value{Kind: datasets.Time, Time: f.Occurred + 5*day}
			}
		}
		list = slices.Concat(first, list)
		a := NewAccounts(NewMemory(), 0)
		for _, model := range names {
			plan, err := build.Compile(p.Of(model))
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Append(ctx, []*spec.Project{plan.Project()}, list); err != nil {
				t.Fatal(err)
			}
			for range 25 {
				moment := start + rng.Int64N(220*24)*hour
				account := []string{"A", "B", "C", "D", "E"}[rng.IntN(5)]
				part, err := facts.Assemble(plan.Project(), []string{account}, slices.Clone(list))
				if err != nil {
					t.Fatal(err)
				}
				got, err := a.Present(ctx, plan, model, account, moment)
				row, fault := a.Row(ctx, plan, account, moment)
				at, wrong := plan.Present(model, part, moment)
				if wrong != nil {
					t.Fatal(wrong)
				}
				inside := len(at) > 0
				if inside {
					columns, err := plan.Rows(part, at)
					if err != nil {
						t.Fatal(err)
					}
					keep, err := plan.Keep(model, columns)
					if err != nil {
						t.Fatal(err)
					}
					inside = keep[0]
				}
				what := fmt.Sprintf("%s %s at %s", model, account, datasets.FormatTime(moment))
				switch {
				case errors.Is(fault, ErrUnknown) || errors.Is(fault, ErrMerged):
					if err == nil || err.Error() != fault.Error() || inside {
						t.Errorf("%s: %v, the row says %v; about it: %v", what, err, fault, inside)
					}
					if errors.Is(fault, ErrMerged) {
						merged++
					} else {
						unknown++
					}
				case inside:
					if fault = errors.Join(fault, err); fault == nil {
						fault = sameRow(got, row)
					}
					if fault != nil {
						t.Errorf("%s: %v", what, fault)
					}
					about[model]++
				default:
					if !errors.Is(err, ErrOutside) {
						t.Errorf("%s: %v, want %v", what, err, ErrOutside)
					}
					outside[model]++
				}
			}
		}
	}
	for _, model := range names {
		if about[model] < 10 || outside[model] < 10 && model != "churn" {
			t.Errorf("%s is about %d, not about %d", model, about[model], outside[model])
		}
	}
	if unknown < 10 || merged < 10 {
		t.Errorf("%d unknown, %d merged", unknown, merged)
	}
}
