package online

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

const (
	hour = int64(3600e6)
	day  = 24 * hour
)

// bounded has windows everywhere, the other project looks at all time too.
const bounded = `
version: 1
account: account
timezone: America/New_York
sources:
  events: {path: e.csv, time: at, arrived: seen, id: id, account: account, user: user, where: 'event != "test"', types: {event: category, seconds: number, ok: boolean}}
  usage: {path: u.csv, kind: snapshots, time: at, id: id, types: {seats: number, tier: category}}
  subscriptions: {path: s.csv, start: started, end: ended, id: id, amount: mrr, types: {mrr: number, plan: category, reason: category}, at_end: [reason], bridge: 2d}
  users: {path: users.csv, user: user}
  merges: {path: m.csv, kind: merges, time: at, id: id, from_account: from, into: account}
features:
  - {name: events, from: events, agg: count, windows: [7d, 36h, 1mo], trend: true}
  - {name: seconds, from: events, agg: sum, value: seconds, windows: [7d], trend: true}
  - {name: mean, from: events, agg: mean, value: seconds, where: 'ok', windows: [1mo]}
  - {name: kinds, from: events, agg: count, by: event, values: [login, export], windows: [3d]}
  - {name: share, from: events, agg: share, where: 'event == "login"', windows: [7d]}
  - {name: newest, from: events, agg: last, value: event, windows: [7d]}
  - {name: streak, from: events, agg: streak, windows: [10d]}
  - {name: slope, from: events, agg: slope, every: 2d, windows: [8d]}
  - {name: days, from: events, agg: days_since, calendar: true, windows: [10d]}
  - {name: seats, from: usage, agg: max, value: seats, windows: [7d], trend: true}
  - {name: tier, from: usage, agg: last, value: tier, windows: [1mo]}
  - {name: paying, from: subscriptions, agg: active}
  - {name: mrr, from: subscriptions, agg: active_sum, value: mrr}
  - {name: ends, from: subscriptions.end, agg: count, windows: [7d]}
  - {name: reasons, from: subscriptions.end, agg: last, value: reason, windows: [1mo]}
derived:
  - {name: busy, expr: 'seconds_7d / mrr + 1.0'}
models:
  churn: {moments: {every: 1d}, label: {event: subscriptions.end, within: 7d}}
`

const unbounded = bounded + `
  upsell: {moments: {every: 1d}, label: {event: subscriptions.end, within: 7d}}
`

func planOf(t testing.TB, text string) *build.Plan {
	t.Helper()
	p, err := spec.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := build.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// companyOf makes facts of a few accounts over two months, with corrections, late
// arrivals, ends and instants that coincide. Who is of which account is said first.
func companyOf(rng *rand.Rand, start int64) (first, list []facts.Fact) {
	accounts := []string{"A", "B", "C", "D"}
	number := func(x float64) datasets.Value { return datasets.Value{Kind: datasets.Number, Number: x} }
	text := func(s string) datasets.Value { return datasets.Value{Kind: datasets.Category, Text: s} }
	at := func() int64 { return start + rng.Int64N(60*4)*6*hour + rng.Int64N(3) - 1 }
	for u := range 6 {
		first = append(first, facts.Fact{Source: "users", Account: accounts[rng.IntN(4)], ID: fmt.Sprint("u", u), Occurred: start - day, Arrived: start - day, End: datasets.MissingTime,
			Values: map[string]datasets.Value{"user": {Kind: datasets.Text, Text: fmt.Sprint("u", u)}}})
	}
	for range 60 {
		f := facts.Fact{Account: accounts[rng.IntN(4)], ID: fmt.Sprint(rng.IntN(40)), Occurred: at(), End: datasets.MissingTime}
		f.Arrived = f.Occurred + []int64{0, 0, 1, hour, 3 * day}[rng.IntN(5)]
		switch k := rng.IntN(20); {
		case k < 12:
			f.Source = "events"
			f.Values = map[string]datasets.Value{"event": text([]string{"login", "export", "test"}[rng.IntN(3)]), "seconds": number(rng.NormFloat64() * 1e3)}
			if rng.IntN(2) == 0 {
				f.Values["ok"] = datasets.Value{Kind: datasets.Boolean, Number: float64(rng.IntN(2))}
			}
			if rng.IntN(3) == 0 {
				f.Account, f.Values["user"] = "", datasets.Value{Kind: datasets.Text, Text: fmt.Sprint("u", rng.IntN(7))}
			}
		case k < 15:
			f.Source, f.Values = "usage", map[string]datasets.Value{"seats": number(float64(rng.IntN(9)))}
			if rng.IntN(2) == 0 {
				f.Values["tier"] = text([]string{"free", "pro"}[rng.IntN(2)])
			}
		case k < 19:
			f.Source, f.Values = "subscriptions", map[string]datasets.Value{"mrr": number(float64(rng.IntN(900)) / 7), "plan": text("pro")}
			f.ID = fmt.Sprint("s", rng.IntN(6))
			if rng.IntN(2) == 0 {
				f.End, f.Values["reason"] = f.Occurred+rng.Int64N(20)*day, text([]string{"price", "gone"}[rng.IntN(2)])
			}
		default:
			f.Source = "merges"
			f.Values = map[string]datasets.Value{"from": {Kind: datasets.Text, Text: accounts[(slices.Index(accounts, f.Account)+1+rng.IntN(3))%4]}}
		}
		list = append(list, f)
	}
	return first, list
}

// sameRow says where two rows of one moment differ, bit for bit.
func sameRow(got, want []datasets.Column) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d columns, want %d", len(got), len(want))
	}
	for j := range got {
		g, w := got[j].At(0), want[j].At(0)
		if got[j].Name != want[j].Name || g.Kind != w.Kind || g.Text != w.Text || g.Time != w.Time || math.Float64bits(g.Number) != math.Float64bits(w.Number) {
			return fmt.Errorf("%s is %v %v, want %s %v %v", got[j].Name, g, g.Number, want[j].Name, w, w.Number)
		}
	}
	return nil
}

// Facts are added as they arrive, but within what arrived between two moments in any
// order, in calls of any size and some of them twice, and some ahead of time; at each
// moment the row is that of the table made of all facts at the end.
func TestRowsReplayedAreThoseOfTheTable(t *testing.T) {
	all := unbounded
	for _, feature := range []string{
		"\n  - {name: plan, from: subscriptions, agg: last, value: plan}", "\n  - {name: first, from: events, agg: first, value: event}",
	} {
		all = insertAfter(all, "features:", feature)
	}
	plans := []*build.Plan{planOf(t, bounded), planOf(t, all)}
	eachStore(t, func(t *testing.T, open func(t testing.TB) Store) {
		servers := []*Accounts{NewAccounts(open(t), DefaultCache), NewAccounts(open(t), 1<<16)}
		if kindOf(t) == "memory" {
			servers[1] = NewAccounts(servers[0].store, 0)
		}
		rows, unknown, merged := 0, 0, 0
		for cases := range map[string]int{"memory": 40, "sqlite": 15, "postgres": 8, "redis": 15}[kindOf(t)] {
			rng := rand.New(rand.NewPCG(uint64(cases), 1))
			// Each case has accounts of its own.
			name := func(list []facts.Fact) []facts.Fact {
				for i := range list {
					f := &list[i]
					if f.Account != "" {
						f.Account = fmt.Sprint(cases, f.Account)
					}
					for _, link := range []string{"user", "from"} {
						if v, ok := f.Values[link]; ok {
							v.Text = fmt.Sprint(cases, v.Text)
							f.Values[link] = v
						}
					}
				}
				return list
			}
			start := int64(1741e12) // 3 March 2025: clocks change within
			first, list := companyOf(rng, start)
			first, list = name(first), name(list)
			everything := slices.Concat(first, list)
			slices.SortStableFunc(list, func(a, b facts.Fact) int { return cmp.Compare(a.Arrived, b.Arrived) })
			replay(t, servers, plans, rng, first)
			added := 0
			for moment := start; moment < start+70*day; moment += rng.Int64N(20)*day/4 + rng.Int64N(2) {
				to := added
				for to < len(list) && list[to].Arrived < moment {
					to++
				}
				ahead := min(len(list), to+rng.IntN(4)) // not yet known
				replay(t, servers, plans, rng, list[added:ahead])
				added = to
				for _, account := range []string{"A", "B", "C", "D"} {
					account = fmt.Sprint(cases, account)
					server, plan := servers[rng.IntN(2)], plans[rng.IntN(2)]
					got, err := server.Row(context.Background(), plan, account, moment)
					part, errPart := facts.Assemble(plan.Project(), []string{account}, everything)
					if errPart != nil {
						t.Fatal(errPart)
					}
					switch gone := part.Merged != nil && part.Merged[0] < moment; {
					case gone != errors.Is(err, ErrMerged):
						t.Fatalf("merged %v, error %v", gone, err)
					case gone:
						merged++
						continue
					case known(part, 0, moment) == errors.Is(err, ErrUnknown):
						t.Fatalf("known %v, error %v", known(part, 0, moment), err)
					case errors.Is(err, ErrUnknown):
						unknown++
						continue
					case err != nil:
						t.Fatal(err)
					}
					want, err := plan.Rows(part, []build.Moment{{At: moment}})
					if err != nil {
						t.Fatal(err)
					}
					if err := sameRow(got, want); err != nil {
						t.Fatalf("account %s at %s: %v", account, datasets.FormatTime(moment), err)
					}
					rows++
				}
			}
		}
		if rows < 100 || unknown == 0 || merged == 0 {
			t.Errorf("%d rows were compared; %d times an account was not known, %d times merged", rows, unknown, merged)
		}
	})
}

// insertAfter puts text behind the first line that is so.
func insertAfter(text, line, more string) string {
	for i := range text {
		if i+len(line) < len(text) && text[i:i+len(line)] == line {
			return text[:i+len(line)] + more + text[i+len(line):]
		}
	}
	return text
}

// replay adds facts in any order, in a few calls, some of them twice.
func replay(t testing.TB, servers []*Accounts, plans []*build.Plan, rng *rand.Rand, list []facts.Fact) {
	list = slices.Clone(list)
	for _, f := range list {
		if rng.IntN(4) == 0 {
			list = append(list, f)
		}
	}
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	projects := []*spec.Project{plans[0].Project(), plans[1].Project()}
	for len(list) > 0 {
		n := 1 + rng.IntN(len(list))
		if err := servers[rng.IntN(2)].Append(context.Background(), projects, list[:n]); err != nil {
			t.Fatal(err)
		}
		list = list[n:]
	}
}
