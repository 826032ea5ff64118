package build

import (
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Shown is the row of an account at a moment, with the facts behind each value.
type Shown struct {
	Account string        `json:"account"`
	Moment  string        `json:"moment"` // RFC 3339
	Columns []ShownColumn `json:"columns"`
}

// ShownColumn is a value and where it comes from.
type ShownColumn struct {
	Name  string         `json:"name"`
	Value datasets.Value `json:"value"`
	// Meaning is what the project says the value is, in its own words.
	Meaning string `json:"meaning"`
	// From and To are the window, From <= fact < To, RFC 3339; "" is no bound.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Facts are how many are aggregated, First and Last some of them, in their total
	// order: all of them are in First if there are few.
	Facts int         `json:"facts"`
	First []ShownFact `json:"first,omitempty"`
	Last  []ShownFact `json:"last,omitempty"`
	// Among is how many facts the window has that where does not ask about: of shares.
	Among int `json:"among,omitempty"`
	// Earlier is how many facts a trend compares with, those of the window before.
	Earlier int `json:"earlier,omitempty"`
	// Excluded are versions of facts of the source that are not aggregated, by reason.
	Excluded []ShownExclusion `json:"excluded,omitempty"`
	// Inputs are the columns that a derived one is made of.
	Inputs []ShownInput `json:"inputs,omitempty"`
}

// ShownFact is a version of a fact.
type ShownFact struct {
	Occurred string                    `json:"occurred"` // RFC 3339, or "always"
	Arrived  string                    `json:"arrived,omitempty"`
	Ended    string                    `json:"ended,omitempty"`
	Until    string                    `json:"corrected,omitempty"` // when its correction arrived
	Values   map[string]datasets.Value `json:"values,omitempty"`
}

// ShownExclusion is why facts are not aggregated, and the newest of them.
type ShownExclusion struct {
	Reason string    `json:"reason"`
	Facts  int       `json:"facts"`
	Newest ShownFact `json:"newest"`
}

// ShownInput is a column that a derived one is made of.
type ShownInput struct {
	Name  string         `json:"name"`
	Value datasets.Value `json:"value"`
}

// The reasons for which a version of a fact does not count, in the order in which they
// are asked.
const (
	afterMoment  = "at or after the moment"
	arrivedLate  = "had not arrived"
	corrected    = "corrected before the moment"
	notOver      = "had not ended"
	overAlready  = "had ended"
	beforeWindow = "before the window"
	notAsked     = "not what where or by asks for"
	withoutValue = "has no value"
)

// Show explains the row of an account at a moment. Of the facts behind a value it gives
// the first and last few each.
func (p *Plan) Show(part *facts.Part, at Moment, few int) (*Shown, error) {
	row, err := p.Rows(part, []Moment{at})
	if err != nil {
		return nil, err
	}
	out := &Shown{Account: part.Accounts[at.Account], Moment: datasets.FormatTime(at.At)}
	for i, o := range p.outputs {
		x := ShownColumn{Name: o.Name, Value: row[i].At(0), Meaning: meaning(p.project, o)}
		if o.Feature < 0 {
			d := &p.project.Derived[o.Derived]
			for _, name := range d.Expr.Vars {
				if k := slices.IndexFunc(row, func(c datasets.Column) bool { return c.Name == name }); k >= 0 {
					x.Inputs = append(x.Inputs, ShownInput{name, row[k].At(0)})
				}
			}
		} else if err := p.showFacts(&x, part, at, o, few); err != nil {
			return nil, err
		}
		out.Columns = append(out.Columns, x)
	}
	return out, nil
}

// shower tells what becomes of each fact for one output.
type shower struct {
	plan    *Plan
	feature *spec.Feature
	source  *spec.Source
	stream  stream
	facts   *facts.Facts
	moment  int64
	mask    [2][]bool
	edges   [2]edge // the window, and the one before it
}

func (p *Plan) showFacts(x *ShownColumn, part *facts.Part, at Moment, o spec.Output, few int) error {
	f := &p.project.Features[o.Feature]
	stream, err := findStream(p.project, f.From)
	if err != nil {
		return err
	}
	s := &shower{plan: p, feature: f, source: &p.project.Sources[stream.source], stream: stream, facts: &part.Sources[stream.source], moment: at.At}
	if f.Where != nil {
		if s.mask, err = p.mask(&filter{stream.source, f.Where}, s.facts); err != nil {
			return err
		}
	}
	scratch := newScratch(p)
	s.edges[0] = scratch.edge(&span{window: o.Window}, at.At)
	s.edges[1] = edge{s.edges[0].from, s.edges[0].from}
	if o.Trend {
		s.edges[1] = scratch.edge(&span{window: o.Window, earlier: true}, at.At)
	}
	if x.To = datasets.FormatTime(at.At); !o.Window.IsZero() {
		x.From = datasets.FormatTime(s.edges[1].from)
	}
	var counted []int
	reasons := map[string][]int{}
	for i := s.facts.First[at.Account]; i < s.facts.First[at.Account+1]; i++ {
		reason, earlier := s.reason(i, o.Category)
		switch {
		case reason == "" && earlier:
			x.Earlier++
		case reason == "":
			counted = append(counted, i)
		default:
			reasons[reason] = append(reasons[reason], i)
		}
		if f.Agg == spec.Share && !earlier && (reason == "" || reason == notAsked) {
			x.Among++
		}
	}
	order := func(i, j int) int { return compareInstants(s.when(i), s.when(j)) }
	slices.SortStableFunc(counted, order)
	x.Facts = len(counted)
	for k, i := range counted {
		switch {
		case len(counted) <= 2*few || k < few:
			x.First = append(x.First, s.fact(i))
		case k >= len(counted)-few:
			x.Last = append(x.Last, s.fact(i))
		}
	}
	for _, reason := range [...]string{afterMoment, arrivedLate, corrected, notOver, overAlready, beforeWindow, notAsked, withoutValue} {
		if list := reasons[reason]; len(list) > 0 {
			x.Excluded = append(x.Excluded, ShownExclusion{reason, len(list), s.fact(slices.MaxFunc(list, order))})
		}
	}
	return nil
}

func compareInstants(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// when is the instant of a fact in its stream.
func (s *shower) when(i int) int64 {
	if s.stream.ends {
		return s.facts.End[i]
	}
	return s.facts.Occurred[i]
}

// reason is why a version is not aggregated, "" if it is; earlier, that it is of the
// window before.
func (s *shower) reason(i int, category string) (reason string, earlier bool) {
	f := s.facts
	ended := f.End != nil && f.End[i] != datasets.MissingTime && f.End[i]+endLag(s.source) < s.moment
	switch {
	case f.Occurred[i] >= s.moment:
		return afterMoment, false
	case f.Arrived != nil && f.Arrived[i] >= s.moment:
		return arrivedLate, false
	case f.Until != nil && f.Until[i] < s.moment:
		return corrected, false
	case s.stream.ends && !ended:
		return notOver, false
	case (s.feature.Agg == spec.Active || s.feature.Agg == spec.ActiveAmount) && ended:
		return overAlready, false
	}
	at := s.when(i)
	if at < s.edges[0].from {
		if earlier = at >= s.edges[1].from; !earlier {
			return beforeWindow, false
		}
	}
	state := 0
	if ended || f.End == nil || s.stream.ends {
		state = 1
	}
	value := func(name string) datasets.Value {
		k := columnOf(s.source, name)
		if state == 0 && atEnd(s.source, k) {
			return datasets.Value{}
		}
		return f.Columns[k].At(i)
	}
	switch {
	case s.mask[state] != nil && !s.mask[state][i]:
		return notAsked, earlier
	case s.feature.By != "" && (value(s.feature.By).Missing() || value(s.feature.By).Text != category):
		return notAsked, earlier
	case s.feature.Value == "" || !value(s.feature.Value).Missing():
		return "", earlier
	case s.feature.Agg == spec.Last && s.source.Kind == spec.Snapshots:
		return "", earlier
	case s.feature.Agg == spec.Ratio && !value(s.feature.Over).Missing():
		return "", earlier
	}
	return withoutValue, earlier
}

// fact spells a version: what of it was not known at the moment is not shown.
func (s *shower) fact(i int) ShownFact {
	f := s.facts
	x := ShownFact{Occurred: spellInstant(f.Occurred[i]), Values: map[string]datasets.Value{}}
	if f.Arrived != nil && f.Arrived[i] != f.Occurred[i] {
		x.Arrived = spellInstant(f.Arrived[i])
	}
	if f.Until != nil && f.Until[i] != facts.Never {
		x.Until = spellInstant(f.Until[i])
	}
	ended := false
	if f.End != nil && f.End[i] != datasets.MissingTime {
		if ended = f.End[i]+endLag(s.source) < s.moment; ended {
			x.Ended = spellInstant(f.End[i])
		}
	}
	for k := range f.Columns {
		if v := f.Columns[k].At(i); !v.Missing() && (ended || !atEnd(s.source, k)) {
			x.Values[f.Columns[k].Name] = v
		}
	}
	return x
}

func spellInstant(us int64) string {
	switch {
	case us <= facts.Always:
		return "always"
	case us == math.MaxInt64:
		return "never"
	}
	return datasets.FormatTime(us)
}
