package twin

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/expr"
	"propensity/features/facts"
	"propensity/features/spec"
)

const dayMicros = 86_400_000_000

func windowOf(text string) spec.Window {
	w, err := spec.ParseWindow(text)
	if err != nil {
		panic(err)
	}
	return w
}

func oneOf[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// Project draws a project of twelve features over events, clicks, snapshots, intervals and
// attributes with and without a date.
func Project(rng *rand.Rand) *spec.Project {
	numbers, texts, truths, times := datasets.Number, datasets.Category, datasets.Boolean, datasets.Time
	p := &spec.Project{
		Account:  "account",
		Timezone: oneOf(rng, "UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "America/Sao_Paulo"),
		Sources: []spec.Source{
			{Name: "accounts", Kind: spec.Attributes, Time: "at", Columns: []spec.Column{{Name: "size", Kind: numbers}, {Name: "plan", Kind: texts}}},
			{Name: "form", Kind: spec.Attributes, Columns: []spec.Column{{Name: "answer", Kind: texts}}},
			{Name: "events", Kind: spec.Events, Time: "at", Arrived: "seen", ID: "id", Columns: []spec.Column{
				{Name: "event", Kind: texts}, {Name: "n", Kind: numbers}, {Name: "m", Kind: numbers}, {Name: "ok", Kind: truths}, {Name: "due", Kind: times}}},
			{Name: "clicks", Kind: spec.Events, Time: "at", Columns: []spec.Column{{Name: "page", Kind: texts}, {Name: "x", Kind: numbers}}},
			{Name: "usage", Kind: spec.Snapshots, Time: "at", ID: "id", Columns: []spec.Column{{Name: "seats", Kind: numbers}, {Name: "tier", Kind: texts}}},
			{Name: "subscriptions", Kind: spec.Intervals, Start: "from", End: "to", ID: "id", Columns: []spec.Column{
				{Name: "plan", Kind: texts}, {Name: "mrr", Kind: numbers}, {Name: "renewal", Kind: times}, {Name: "reason", Kind: texts}, {Name: "refund", Kind: numbers}},
				Renews: "renewal", AtEnd: []string{"reason", "refund"}},
			{Name: "merges", Kind: spec.Merges, Time: "at", FromAccount: "from", Into: "into"},
		},
	}
	if rng.IntN(2) == 0 {
		p.Sources[5].Lag = windowOf(oneOf(rng, "1d", "6h"))
	}
	if rng.IntN(2) == 0 {
		p.Sources[5].Bridge = windowOf(oneOf(rng, "1d", "3d", "12h"))
	}
	wheres := map[string][]string{
		"accounts": {`size > 2.0`}, "form": {`answer == "a"`},
		"events":        {`event == "a"`, `n > 1.0`, `ok`, `event in ["a", "b"] && !(n < 2.0)`, `due < timestamp("2025-03-20T00:00:00Z")`, `present(m)`},
		"clicks":        {`page != "b"`, `x >= 2.0`},
		"usage":         {`seats > 1.0`, `tier == "a"`},
		"subscriptions": {`plan == "a"`, `reason == "b"`, `!present(reason)`, `refund > 1.0 || mrr > 2.0`},
	}
	counted := []spec.Agg{spec.Count, spec.Sum, spec.Mean, spec.Min, spec.Max, spec.Distinct, spec.ActiveDays, spec.Share, spec.Ratio}
	other := []spec.Agg{spec.First, spec.Last, spec.DaysSince, spec.DaysSinceFirst, spec.Streak, spec.LongestStreak, spec.Slope, spec.TimeToFirst}
	for i := range 12 {
		s := &p.Sources[rng.IntN(6)] // not of merges
		f := spec.Feature{Name: fmt.Sprintf("f%d", i), Line: i + 1, From: s.Name, Agg: oneOf(rng, append(counted, other...)...)}
		if s.Kind == spec.Intervals {
			if rng.IntN(3) == 0 {
				f.From += ".end"
			} else if rng.IntN(2) == 0 {
				f.Agg = oneOf(rng, spec.Active, spec.ActiveAmount)
			}
		}
		var amounts, categories []string
		for _, c := range s.Columns {
			if c.Kind == numbers || c.Kind == truths {
				amounts = append(amounts, c.Name)
			}
			if c.Kind == texts {
				categories = append(categories, c.Name)
			}
		}
		switch f.Agg {
		case spec.Sum, spec.Mean, spec.Min, spec.Max, spec.Ratio, spec.ActiveAmount:
			if amounts == nil {
				f.Agg = spec.Count
				break
			}
			f.Value = oneOf(rng, amounts...)
			if f.Agg == spec.Ratio {
				f.Over = oneOf(rng, amounts...)
			}
		case spec.First, spec.Last, spec.Distinct:
			f.Value = oneOf(rng, s.Columns...).Name
		case spec.Share, spec.Slope:
			if amounts != nil && rng.IntN(2) == 0 {
				f.Value = oneOf(rng, amounts...)
			}
		default:
			if rng.IntN(3) == 0 {
				f.Value = oneOf(rng, s.Columns...).Name
			}
		}
		if f.Agg == spec.Share || rng.IntN(2) == 0 {
			f.Where = condition(s, oneOf(rng, wheres[s.Name]...))
		}
		if rng.IntN(4) == 0 && f.Agg != spec.TimeToFirst && categories != nil {
			f.By, f.Values = oneOf(rng, categories...), []string{"b", "a", "none of them"}
		}
		whole := f.Agg == spec.TimeToFirst || f.Agg == spec.Active || f.Agg == spec.ActiveAmount
		switch {
		case f.Agg == spec.Slope && rng.IntN(3) == 0:
			f.Every, f.Windows = windowOf("1mo"), []spec.Window{windowOf("3mo"), windowOf("2mo")}
		case f.Agg == spec.Slope:
			f.Every, f.Windows = windowOf("3d"), []spec.Window{windowOf("10d"), windowOf("30d")}
		case !whole:
			for _, w := range []string{"7d", "36h", "1mo", "28d", "2mo"} {
				if rng.IntN(4) == 0 {
					f.Windows = append(f.Windows, windowOf(w))
				}
			}
		}
		for _, a := range counted {
			if a == f.Agg && rng.IntN(2) == 0 {
				f.Trend = f.Windows
			}
		}
		f.Calendar = (f.Agg == spec.DaysSince || f.Agg == spec.DaysSinceFirst) && rng.IntN(2) == 0
		p.Features = append(p.Features, f)
	}
	for i := range 4 {
		p.Models = append(p.Models, model(rng, p, i))
	}
	return p
}

func condition(s *spec.Source, text string) *expr.Expr {
	var vars []expr.Var
	for _, c := range s.Columns {
		vars = append(vars, expr.Var{Name: c.Name, Type: expr.TypeOf(c.Kind)})
	}
	e, err := expr.CompileCondition(text, vars)
	if err != nil {
		panic(err)
	}
	return e
}

// model draws moments and a label, of every kind.
func model(rng *rand.Rand, p *spec.Project, i int) spec.Model {
	m := spec.Model{Name: fmt.Sprintf("m%d", i), Line: i + 1}
	x := &m.Moments
	switch rng.IntN(4) {
	case 0:
		x.Every = windowOf(oneOf(rng, "1d", "7d", "5d", "1mo", "2mo"))
	case 1:
		x.After = []spec.Window{windowOf("3d"), windowOf(oneOf(rng, "10d", "1mo", "36h"))}
	case 2:
		x.Before, x.Of = []spec.Window{windowOf("7d"), windowOf(oneOf(rng, "1d", "1mo"))}, "subscriptions"
	default:
		if x.On = oneOf(rng, "events", "events", "usage", "subscriptions", "subscriptions.end"); x.On == "events" && rng.IntN(2) == 0 {
			x.OnWhere = condition(p.Source("events"), `event == "a" || ok`)
		}
	}
	if rng.IntN(2) == 0 {
		x.While = "subscriptions"
	}
	if rng.IntN(4) == 0 {
		x.Since, x.Until = instant(rng), instant(rng)
	}
	if rng.IntN(3) == 0 {
		m.Gap = windowOf(oneOf(rng, "1d", "6h", "1mo"))
	}
	l := &m.Label
	l.Horizon = windowOf(oneOf(rng, "7d", "1mo", "36h", "2d"))
	switch rng.IntN(3) {
	case 0:
		l.Kind, l.From = spec.LabelEvent, oneOf(rng, "events", "subscriptions.start", "subscriptions.end", "subscriptions.lapse", "subscriptions.lapse", "subscriptions.lapse")
		switch {
		case rng.IntN(2) == 0:
		case l.From == "events":
			l.Where = condition(p.Source("events"), `event == "a"`)
		default:
			l.Where = condition(p.Source("subscriptions"), `plan == "a" || reason == "b"`)
		}
	case 1:
		l.Kind, l.From, l.Is = spec.LabelState, "subscriptions", rng.IntN(2) == 0
	default:
		l.Kind, l.From, l.Value, l.By = spec.LabelChange, "subscriptions", "mrr", oneOf(rng, 0.1, -0.1, 1, -1, 0.5)
	}
	return m
}

// begin is 20 February 2025, before a change of the clocks in New York and in Berlin;
// microseconds since 1970 UTC.
const begin int64 = 20139 * dayMicros

// instant is one of few, so that many coincide.
func instant(rng *rand.Rand) int64 {
	t := begin + int64(rng.IntN(50))*dayMicros + int64(rng.IntN(4))*dayMicros/4
	switch rng.IntN(8) {
	case 0:
		t--
	case 1:
		t++
	case 2:
		t += int64(rng.IntN(int(dayMicros / 4)))
	}
	return t
}

// Fact draws a fact of one of so many accounts: instants often coincide, some fall on
// days on which clocks change, values are missing, there are corrections, late arrivals
// and merges.
func Fact(rng *rand.Rand, p *spec.Project, accounts int) facts.Fact {
	s := &p.Sources[rng.IntN(6)]
	switch {
	case accounts > 1 && rng.IntN(60) == 0:
		into := rng.IntN(accounts)
		from := datasets.Value{Kind: datasets.Text, Text: accountName((into + 1 + rng.IntN(accounts-1)) % accounts)}
		at := instant(rng)
		return facts.Fact{Source: "merges", Account: accountName(into), Occurred: at, Arrived: at + int64(rng.IntN(2))*dayMicros, End: datasets.MissingTime,
			Values: map[string]datasets.Value{"from": from}}
	case rng.IntN(2) == 0:
		s = p.Source("events")
	}
	f := facts.Fact{Source: s.Name, Account: accountName(rng.IntN(accounts)), Occurred: instant(rng), End: datasets.MissingTime, Values: map[string]datasets.Value{}}
	if s.ID != "" && rng.IntN(3) > 0 {
		f.ID = fmt.Sprint(rng.IntN(12))
	}
	f.Arrived = f.Occurred + s.Lag.Micros
	if s.Time == "" && s.Start == "" {
		f.Occurred, f.Arrived = datasets.MissingTime, datasets.MissingTime
	}
	if s.Arrived != "" || f.ID != "" {
		f.Arrived += int64(rng.IntN(3)) * int64(rng.IntN(10)) * dayMicros / 4
		if rng.IntN(20) == 0 {
			f.Arrived -= dayMicros // its clock was wrong
		}
	}
	if s.Kind == spec.Intervals && rng.IntN(4) > 0 {
		f.End = f.Occurred + int64(rng.IntN(60))*dayMicros/4
	}
	for _, c := range s.Columns {
		v := datasets.Value{Kind: c.Kind}
		switch c.Kind {
		case datasets.Number:
			v.Number = oneOf(rng, 0, 1, 2, 3, 0.1, -0.7, 1e15, rng.NormFloat64())
		case datasets.Boolean:
			v.Number = float64(rng.IntN(2))
		case datasets.Time:
			v.Time = instant(rng)
		default:
			v.Text = oneOf(rng, "a", "b", "c", "d", "")
		}
		if rng.IntN(5) > 0 {
			f.Values[c.Name] = v
		}
	}
	return f
}

func accountName(i int) string { return fmt.Sprintf("A%d", i) }

// Moments draws moments of all accounts of the part, sorted, at most n each; many are
// instants of facts.
func Moments(rng *rand.Rand, part *facts.Part, n int) []build.Moment {
	var out []build.Moment
	for account := range part.Accounts {
		at := make([]int64, n)
		for i := range at {
			at[i] = instant(rng)
		}
		slices.Sort(at)
		for _, t := range slices.Compact(at) {
			out = append(out, build.Moment{Account: account, At: t})
		}
	}
	return out
}
