// Package twin makes rows a second time, from the definition of each aggregate and
// with no thought of speed, of projects and facts that are drawn at random: what tests
// and proofs hold the engine of package build against. No program needs it.
package twin

import (
	"cmp"
	"math"
	"slices"
	"time"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/expr"
	"propensity/features/facts"
	"propensity/features/spec"
)

// row is one row in the making: it lists the facts that count at the moment, then
// aggregates those of the window.
type row struct {
	project *spec.Project
	part    *facts.Part
	account int
	moment  int64
}

// Value is the value of an output that is not derived, at a moment of an account of
// the part.
func Value(p *spec.Project, part *facts.Part, at build.Moment, o spec.Output) datasets.Value {
	return row{p, part, at.Account, at.At}.value(o)
}

// seenFact is a fact as it is seen at a moment.
type seenFact struct {
	at     int64 // when it occurred, or of an end, ended
	ended  bool
	values map[string]datasets.Value
}

const day = float64(24 * time.Hour / time.Microsecond)

// seen are the facts of a stream that count, in their total order.
func (w row) seen(source int, ends bool) []seenFact {
	var out []seenFact
	s, f := &w.project.Sources[source], &w.part.Sources[source]
	for i := f.First[w.account]; i < f.First[w.account+1]; i++ {
		arrived := f.Occurred[i]
		if f.Arrived != nil {
			arrived = f.Arrived[i]
		}
		if f.Occurred[i] >= w.moment || arrived >= w.moment || f.Until != nil && f.Until[i] < w.moment {
			continue
		}
		x := seenFact{at: f.Occurred[i], ended: true, values: map[string]datasets.Value{}}
		if f.End != nil {
			known := f.End[i]
			if s.Arrived == "" {
				known += s.Lag.Micros
			}
			x.ended = f.End[i] != datasets.MissingTime && known < w.moment
		}
		if ends {
			if !x.ended {
				continue
			}
			x.at = f.End[i]
		}
		for _, c := range f.Columns {
			if x.ended || !slices.Contains(s.AtEnd, c.Name) {
				x.values[c.Name] = c.At(i)
			}
		}
		out = append(out, x)
	}
	if ends {
		slices.SortStableFunc(out, func(a, b seenFact) int { return cmp.Compare(a.at, b.at) })
	}
	return out
}

// holds evaluates a condition on one fact.
func (w row) holds(where *expr.Expr, source int, x seenFact) bool {
	if where == nil {
		return true
	}
	var columns []datasets.Column
	for _, c := range w.project.Sources[source].Columns {
		columns = append(columns, oneCell(c, x.values[c.Name]))
	}
	bound, err := where.Bind(columns)
	if err != nil {
		panic(err)
	}
	mask := []bool{false}
	bound.Mask(mask, 0)
	return mask[0]
}

func oneCell(c spec.Column, v datasets.Value) datasets.Column {
	out := datasets.Column{Name: c.Name, Kind: c.Kind}
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		if out.Numbers = []float64{v.Number}; v.Missing() {
			out.Numbers[0] = math.NaN()
		}
	case datasets.Time:
		if out.Times = []int64{v.Time}; v.Missing() {
			out.Times[0] = datasets.MissingTime
		}
	default:
		if out.Codes = []int32{-1}; !v.Missing() {
			out.Codes[0], out.Values = 0, []string{v.Text}
		}
	}
	return out
}

func num(x float64) datasets.Value {
	if math.IsNaN(x) {
		return datasets.Value{}
	}
	return datasets.Value{Kind: datasets.Number, Number: x}
}

func quotient(a, b datasets.Value) datasets.Value {
	if a.Missing() || b.Missing() || b.Number == 0 {
		return datasets.Value{}
	}
	return num(a.Number / b.Number)
}

func (w row) value(o spec.Output) datasets.Value {
	f := &w.project.Features[o.Feature]
	zone := w.project.Location()
	from, to := int64(math.MinInt64), w.moment
	if !o.Window.IsZero() {
		from = o.Window.Start(w.moment, zone)
	}
	now := w.aggregate(f, o.Category, from, to)
	if !o.Trend {
		return now
	}
	twice := spec.Window{Months: 2 * o.Window.Months, Micros: 2 * o.Window.Micros}
	return quotient(now, w.aggregate(f, o.Category, twice.Start(w.moment, zone), from))
}

// aggregate is that of the facts with from <= instant < to.
func (w row) aggregate(f *spec.Feature, category string, from, to int64) datasets.Value {
	source, ends, err := w.project.Stream(f.From)
	if err != nil {
		panic(err)
	}
	var all, kept, valued []seenFact // of the window; those that where and by keep; those with a value
	for _, x := range w.seen(source, ends) {
		if x.at < from || x.at >= to {
			continue
		}
		all = append(all, x)
		if !w.holds(f.Where, source, x) || f.By != "" && (x.values[f.By].Missing() || x.values[f.By].Text != category) {
			continue
		}
		kept = append(kept, x)
		if f.Value == "" || !x.values[f.Value].Missing() {
			valued = append(valued, x)
		}
	}
	dated := slices.DeleteFunc(slices.Clone(valued), func(x seenFact) bool { return x.at <= facts.Always })
	sum := func(list []seenFact, column string) datasets.Value {
		total := 0.0
		for _, x := range list {
			if v := x.values[column]; !v.Missing() {
				total += v.Number
			}
		}
		return num(total)
	}
	count := func(n int) datasets.Value { return num(float64(n)) }
	switch f.Agg {
	case spec.Count:
		return count(len(valued))
	case spec.Sum:
		return sum(valued, f.Value)
	case spec.Mean:
		return quotient(sum(valued, f.Value), count(len(valued)))
	case spec.Min, spec.Max:
		best := math.NaN()
		for _, x := range valued {
			v := x.values[f.Value].Number
			if math.IsNaN(best) || f.Agg == spec.Min && v < best || f.Agg == spec.Max && v > best {
				best = v
			}
		}
		return num(best)
	case spec.First:
		if len(valued) > 0 {
			return valued[0].values[f.Value]
		}
	case spec.Last:
		if w.project.Sources[source].Kind == spec.Snapshots {
			valued = kept
		}
		if len(valued) > 0 {
			return valued[len(valued)-1].values[f.Value]
		}
	case spec.DaysSince, spec.DaysSinceFirst:
		if len(dated) == 0 {
			break
		}
		at := dated[0].at
		if f.Agg == spec.DaysSince {
			at = dated[len(dated)-1].at
		}
		if f.Calendar {
			return num(float64(w.day(to) - w.day(at)))
		}
		return num(float64(to-at) / day)
	case spec.TimeToFirst:
		signUp := int64(math.MaxInt64)
		for k, s := range w.project.Sources {
			if s.Kind != spec.Attributes {
				continue
			}
			for _, x := range w.seen(k, false) {
				if x.at > facts.Always {
					signUp = min(signUp, x.at)
				}
			}
		}
		if len(dated) > 0 && signUp != math.MaxInt64 {
			return num(float64(dated[0].at-signUp) / day)
		}
	case spec.Distinct:
		known := map[datasets.Value]bool{}
		for _, x := range valued {
			known[x.values[f.Value]] = true
		}
		return count(len(known))
	case spec.ActiveDays, spec.Streak, spec.LongestStreak:
		days := map[int]bool{}
		for _, x := range dated {
			days[w.day(x.at)] = true
		}
		return count(w.streak(f.Agg, days, to))
	case spec.Share:
		if f.Value != "" {
			return quotient(sum(kept, f.Value), sum(all, f.Value))
		}
		return quotient(count(len(kept)), count(len(all)))
	case spec.Ratio:
		return quotient(sum(kept, f.Value), sum(kept, f.Over))
	case spec.Slope:
		if len(valued) > 0 {
			return num(w.slope(f, valued, from, to))
		}
	case spec.Active, spec.ActiveAmount:
		open := slices.DeleteFunc(slices.Clone(valued), func(x seenFact) bool { return x.ended })
		if f.Agg == spec.ActiveAmount {
			return sum(open, f.Value)
		}
		return count(len(open))
	default:
		panic(f.Agg)
	}
	return datasets.Value{}
}

// day is the number of a calendar day, by package time.
func (w row) day(us int64) int {
	year, month, day := time.UnixMicro(us).In(w.project.Location()).Date()
	return int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (w row) streak(agg spec.Agg, days map[int]bool, to int64) int {
	if agg == spec.ActiveDays {
		return len(days)
	}
	length := func(last int) int { // of the run of days that ends so
		n := 0
		for days[last-n] {
			n++
		}
		return n
	}
	if agg == spec.Streak {
		today := w.day(to)
		if days[today] {
			return length(today)
		}
		return length(today - 1)
	}
	most := 0
	for d := range days {
		most = max(most, length(d))
	}
	return most
}

func (w row) slope(f *spec.Feature, list []seenFact, from, to int64) float64 {
	var y []float64 // newest bucket first
	for k := 0; ; k++ {
		edge := func(k int) int64 {
			return spec.Window{Months: k * f.Every.Months, Micros: int64(k) * f.Every.Micros}.Start(to, w.project.Location())
		}
		low, high := edge(k+1), to
		if k > 0 {
			high = edge(k)
		}
		if low < from {
			break
		}
		total := 0.0
		for _, x := range list {
			switch {
			case x.at < low || x.at >= high:
			case f.Value == "":
				total++
			default:
				total += x.values[f.Value].Number
			}
		}
		y = append(y, total)
	}
	if len(y) < 2 {
		return math.NaN()
	}
	slices.Reverse(y)
	middle, top, low := float64(len(y)-1)/2, 0.0, 0.0
	for i, v := range y {
		d := float64(i) - middle
		top += float64(d * v)
		low += float64(d * d)
	}
	return top / low
}
