package twin

import (
	"math"
	"slices"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

// version is one of a source, as it is known at an instant.
type version struct {
	start, end int64 // end: facts.Never where there is none
	values     map[string]datasets.Value
}

// known are the versions that had occurred and arrived by an instant, with it, and stood
// then.
func known(p *spec.Project, part *facts.Part, source, account int, at int64) []version {
	var out []version
	f := &part.Sources[source]
	for i := f.First[account]; i < f.First[account+1]; i++ {
		arrived := f.Occurred[i]
		if f.Arrived != nil {
			arrived = f.Arrived[i]
		}
		if f.Occurred[i] > at || arrived > at || f.Until != nil && f.Until[i] <= at {
			continue
		}
		v := version{f.Occurred[i], facts.Never, map[string]datasets.Value{}}
		if f.End != nil && f.End[i] != datasets.MissingTime {
			v.end = f.End[i]
		}
		for _, c := range f.Columns {
			v.values[c.Name] = c.At(i)
		}
		out = append(out, v)
	}
	return out
}

// Label is what Plan.Labels answers, from its definition: an interval is joined to the one
// that starts next, if that is within the bridge.
func Label(p *spec.Project, m *spec.Model, part *facts.Part, at build.Moment, asOf int64) (label float64, open bool) {
	zone := p.Location()
	from := m.Gap.After(at.At, zone)
	to := m.Label.Horizon.After(from, zone)
	name, kind, _ := strings.Cut(m.Label.From, ".")
	source := p.SourceIndex(name)
	s := &p.Sources[source]
	bridge := s.Bridge
	if m.Label.Kind == spec.LabelEvent && kind != "lapse" {
		bridge = spec.Window{}
	}
	if bridge.After(to, zone) > asOf {
		return math.NaN(), true
	}
	all := known(p, part, source, at.Account, asOf)
	next := func(i int) int64 { // when the next one starts that is joined to i; its end if none is
		first := facts.Never
		for j, v := range all {
			if j != i && v.start >= all[i].end {
				first = min(first, v.start)
			}
		}
		if all[i].end == facts.Never || first > bridge.After(all[i].end, zone) {
			return all[i].end
		}
		return first
	}
	lapses := func(i int) bool {
		for j, v := range all {
			if j != i && v.start <= bridge.After(all[i].end, zone) && v.end > all[i].end {
				return false
			}
		}
		return true
	}
	state := func(at int64) (n int, sum float64) {
		for i, v := range all {
			if v.start <= at && at < max(v.end, next(i)) {
				n++
				sum += v.values[m.Label.Value].Number
			}
		}
		return n, sum
	}
	yes := false
	switch m.Label.Kind {
	case spec.LabelEvent:
		for i, v := range all {
			instant := v.start
			if kind == "end" || kind == "lapse" {
				if instant = v.end; instant == facts.Never {
					continue
				}
			}
			if (row{project: p}).holds(m.Label.Where, source, seenFact{values: v.values}) && from <= instant && instant < to && (kind != "lapse" || lapses(i)) {
				yes = true
			}
		}
	case spec.LabelState:
		n, _ := state(to)
		yes = (n > 0) == m.Label.Is
	case spec.LabelChange:
		_, before := state(at.At)
		_, after := state(to)
		if before == 0 {
			return math.NaN(), false
		}
		share := (after - before) / math.Abs(before)
		if yes = share >= m.Label.By-1e-9; m.Label.By < 0 {
			yes = share <= m.Label.By+1e-9
		}
	}
	if yes {
		return 1, false
	}
	return 0, false
}

// At are the moments that Plan.Moments gives for an account, from their definition.
func At(p *spec.Project, m *spec.Model, part *facts.Part, account int, asOf int64) []int64 {
	zone := p.Location()
	var out []int64
	x := &m.Moments
	switch {
	case !x.Every.IsZero():
		first, last := time.UnixMicro(begin).AddDate(0, -2, 0), time.UnixMicro(asOf).AddDate(0, 0, 2)
		for d := first; d.Before(last); d = d.AddDate(0, 0, 1) {
			year, month, day := d.Date()
			number := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400
			weekday := (int(d.Weekday()) + 6) % 7 // of Monday 0
			n := x.Every.Micros / dayMicros
			switch {
			case x.Every.Months > 0 && (day != 1 || (year*12+int(month)-1)%x.Every.Months != 0):
			case n == 7 && weekday != 0, n > 0 && n != 7 && number%n != 0:
			default:
				t := time.Date(year, month, day, 0, 0, 0, 0, zone)
				for t.Day() != day { // the clocks skip midnight
					t = t.Add(time.Minute)
				}
				out = append(out, t.UnixMicro())
			}
		}
	case x.After != nil:
		for _, w := range x.After {
			for t := range instants(p, part, account) {
				if at := w.After(t, zone); signUp(p, part, account, at) == t {
					out = append(out, at)
				}
			}
		}
	case x.Before != nil:
		i := p.SourceIndex(x.Of)
		f := &part.Sources[i]
		for k := f.First[account]; k < f.First[account+1]; k++ {
			for _, c := range f.Columns {
				if c.Name != p.Sources[i].Renews || c.Times[k] == datasets.MissingTime {
					continue
				}
				for _, w := range x.Before {
					at := w.Start(c.Times[k], zone)
					for _, v := range known(p, part, i, account, at) {
						if v.values[c.Name].Time == c.Times[k] && at < v.end {
							out = append(out, at)
						}
					}
				}
			}
		}
	default:
		name, end, _ := strings.Cut(x.On, ".")
		i := p.SourceIndex(name)
		for _, v := range known(p, part, i, account, asOf) {
			if !(row{project: p}).holds(x.OnWhere, i, seenFact{values: v.values}) {
				continue
			}
			if at := v.start; end == "" {
				out = append(out, at)
			} else if v.end != facts.Never {
				out = append(out, v.end)
			}
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(at int64) bool {
		switch {
		case at > asOf, part.Merged != nil && at > part.Merged[account], x.Since != 0 && at < x.Since, x.Until != 0 && at >= x.Until:
			return true
		case x.While != "":
			return !slices.ContainsFunc(known(p, part, p.SourceIndex(x.While), account, at), func(v version) bool { return at < v.end })
		case x.Every.IsZero():
			return false
		}
		for i := range p.Sources { // a dated fact that counts
			if slices.ContainsFunc((row{p, part, account, at}).seen(i, false), func(x seenFact) bool { return x.at > facts.Always }) {
				return false
			}
		}
		return true
	})
}

// instants are those of the account's attributes, whenever they are known.
func instants(p *spec.Project, part *facts.Part, account int) map[int64]bool {
	out := map[int64]bool{}
	for i, s := range p.Sources {
		f := &part.Sources[i]
		for k := f.First[account]; s.Kind == spec.Attributes && k < f.First[account+1]; k++ {
			out[f.Occurred[k]] = f.Occurred[k] > facts.Always
		}
	}
	delete(out, facts.Always)
	return out
}

// signUp is the first date of the account's attributes, as it was known at an instant.
func signUp(p *spec.Project, part *facts.Part, account int, at int64) int64 {
	first := facts.Never
	for i, s := range p.Sources {
		for _, v := range known(p, part, i, account, at) {
			if s.Kind == spec.Attributes && v.start > facts.Always {
				first = min(first, v.start)
			}
		}
	}
	return first
}
