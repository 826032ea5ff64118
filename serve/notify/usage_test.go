package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"propensity/serve/database"
)

func TestParseFall(t *testing.T) {
	for text, want := range map[string]Fall{
		"*_trend<-0.5":      {"*_trend", -0.5},
		" logins_28d < 10 ": {"logins_28d", 10},
		"a*b*<1e3":          {"a*b*", 1000},
	} {
		if got, err := ParseFall(text); err != nil || got != want {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "<1", "logins", "logins<", "logins<x", "logins<NaN", "logins<Inf", "logins>1"} {
		if _, err := ParseFall(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, c := range []struct {
		pattern, column string
		want            bool
	}{
		{"*_trend", "logins_28d_trend", true}, {"*_trend", "_trend", true}, {"*_trend", "trend", false}, {"*_trend", "a_trend_b", false},
		{"logins", "logins", true}, {"logins", "logins_28d", false}, {"*", "", true}, {"**", "x", true},
		{"a*b*c", "abc", true}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c", false}, {"a*a", "a", false}, {"*aa*a", "aaa", true}, {"*aa*a", "aa", false},
		{"[ab]", "a", false}, {"a/*", "a/b", true},
	} {
		if got := (Fall{Pattern: c.pattern}).Of(c.column); got != c.want {
			t.Errorf("%q of %q: %v", c.pattern, c.column, got)
		}
	}
}

func FuzzParseFall(f *testing.F) {
	f.Add("*_trend<-0.5", "logins_trend")
	f.Add("a*b*c<1", "abc")
	f.Fuzz(func(t *testing.T, text, column string) {
		r, err := ParseFall(text)
		if err != nil {
			return
		}
		if math.IsNaN(r.Threshold) || math.IsInf(r.Threshold, 0) {
			t.Errorf("%q: %v", text, r.Threshold)
		}
		if !strings.Contains(r.Pattern, "*") && r.Of(column) != (r.Pattern == column) {
			t.Errorf("%q of %q", r.Pattern, column)
		}
	})
}

// fallen are the accounts and moments of the events that wait for an endpoint.
func fallen(t interface {
	Helper()
	Fatal(...any)
}, n *Notifier, endpoint string) (out []string) {
	t.Helper()
	list, err := n.Deliveries(context.Background(), endpoint, "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		d, err := n.Delivery(context.Background(), endpoint, d.Event)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Data UsageFell }
		if err := json.Unmarshal([]byte(d.Body), &body); err != nil {
			t.Fatal(err)
		}
		u := body.Data
		out = append(out, fmt.Sprint(u.Account, u.Model, u.Column, u.Was, ">", u.Is, "<", u.Threshold, u.AsOf))
	}
	slices.Sort(out)
	return out
}

func TestUsageFellIsToldOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		e := r.add(t, n, Endpoint{})
		at := func(asOf int64, value float64) Usage {
			return Usage{Account: "A", Model: "churn", Version: 7, Column: "logins_trend", Threshold: -0.5, Value: value, AsOf: asOf * 1e6}
		}
		for k, batch := range [][]Usage{
			{at(1, -0.9)},             // the first: nothing is known of before
			{at(2, -0.5)},             // not below
			{at(3, -0.6)},             // fell
			{at(4, -0.7), at(5, 0.1)}, // fell further; rose
			{at(4, -0.9)},             // of an earlier moment
			{at(6, 0.1), at(7, -0.6), at(8, 0.1)},
			{at(9, 0.1)},
		} {
			if err := n.Used(ctx, batch); err != nil {
				t.Fatalf("%d: %v", k, err)
			}
		}
		want := []string{
			"Achurnlogins_trend-0.5>-0.6<-0.51970-01-01T00:00:03Z",
			"Achurnlogins_trend0.1>-0.6<-0.51970-01-01T00:00:07Z",
		}
		if got := fallen(t, n, e.ID); !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	})
}

// The same as a twin that keeps all in a map, however what is seen is cut into batches.
func TestUsageTwin(t *testing.T) {
	db := sqlite(t)
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		ctx, c := context.Background(), newClock()
		n := newNotifier(db, c)
		round++
		model := fmt.Sprint("m", round)
		e, _, err := n.Add(ctx, Endpoint{URL: "https://hooks.example.com", Models: []string{model}})
		if err != nil {
			t.Fatal(err)
		}
		type last struct {
			value float64
			asOf  int64
		}
		twin := map[string]last{}
		var want []string
		var batch []Usage
		for range rapid.IntRange(1, 30).Draw(t, "seen") {
			u := Usage{
				Account: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "account"), Model: model, Column: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "column"),
				Threshold: 1, Value: float64(rapid.IntRange(0, 2).Draw(t, "value")), AsOf: rapid.Int64Range(0, 20).Draw(t, "as of") * 1e6,
			}
			batch = append(batch, u)
			key := u.Account + u.Column
			was, known := twin[key]
			if !known || u.AsOf >= was.asOf && u.Value != was.value {
				if known && was.value >= 1 && u.Value < 1 {
					want = append(want, fmt.Sprint(u.Account, u.Model, u.Column, was.value, ">", u.Value, "<", 1.0, fmt.Sprintf("1970-01-01T00:00:%02dZ", u.AsOf/1e6)))
				}
				twin[key] = last{u.Value, u.AsOf}
			}
			if rapid.Bool().Draw(t, "cut") {
				if err := n.Used(ctx, batch); err != nil {
					t.Fatal(err)
				}
				batch = nil
			}
		}
		if err := n.Used(ctx, batch); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if got := fallen(t, n, e.ID); !slices.Equal(got, want) {
			t.Fatalf("%q\nwant %q", got, want)
		}
		if err := n.Remove(ctx, e.ID); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDriftIsToldOnceUntilItIsOver(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		c := newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		e := r.add(t, n, Endpoint{})
		one := Finding{Model: "churn", Version: 7, Column: "seats", Found: true, Verdict: "fix the pipe", Detail: "seats is missing in 40 % of rows"}
		over := one
		over.Found = false
		scores := Finding{Model: "churn", Version: 7, Found: true, Verdict: "retrain", Detail: "scores rise"}
		for k, step := range []struct {
			findings []Finding
			events   int
		}{
			{[]Finding{over}, 0}, {[]Finding{one}, 1}, {[]Finding{one, scores}, 2}, {nil, 2}, {[]Finding{one, scores}, 2}, {[]Finding{over, scores}, 2}, {[]Finding{one}, 3},
		} {
			if err := n.Drifted(context.Background(), step.findings); err != nil {
				t.Fatal(err)
			}
			if got := len(deliveriesOf(t, n, e.ID, "")); got != step.events {
				t.Errorf("step %d: %d events, want %d", k, got, step.events)
			}
		}
	})
}

// Servers that read one source tell each part of it once.
func TestAdvanceOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx, c := context.Background(), newClock()
		n, r := newNotifier(db, c), newReceiver(t, c)
		e := r.add(t, n, Endpoint{})
		const steps = 10
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					at, err := n.Cursor(ctx, "source")
					if err != nil {
						t.Error(err)
						return
					}
					if at == steps {
						return
					}
					if err := n.Advance(ctx, "source", at, at+1, []Event{bandChanged(fmt.Sprint(at), "churn")}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if got := len(deliveriesOf(t, n, e.ID, "")); got != steps {
			t.Errorf("%d events, want %d", got, steps)
		}
	})
}
