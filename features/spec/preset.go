package spec

import (
	"fmt"
	"slices"
)

// Presets are features that are asked for again and again, over the source that has
// the role.
const (
	SignupForm   = "signup_form"  // the answers of the form, as first given, and the age of the account
	TrialUsage   = "trial_usage"  // events: how many, on how many days, by whom, how lately, which kinds
	Subscription = "subscription" // intervals: how many, how much money, how old, what changed
	Tickets      = "tickets"      // support tickets: how many, open ones, how lately, of what kind
	NPS          = "nps"          // answers to "would you recommend us": the last, the worst, the mean
)

// preset is what a preset may be given, and where its facts are by default.
type preset struct {
	name  string
	keys  []string // besides preset, from and name
	kinds []Kind
	from  []string // the names of sources that have the role
	only  bool     // the only source of the first kind has it too
}

var presets = [...]preset{
	{SignupForm, []string{"columns"}, []Kind{Attributes}, []string{"accounts", "signups", "signup_form"}, true},
	{TrialUsage, []string{"by", "values", "windows"}, []Kind{Events}, []string{"events", "usage"}, true},
	{Subscription, []string{"columns", "windows"}, []Kind{Intervals}, []string{"subscriptions", "contracts"}, true},
	{Tickets, []string{"by", "values", "value", "windows"}, []Kind{Events, Intervals}, []string{"tickets", "support_tickets"}, false},
	{NPS, []string{"value"}, []Kind{Events, Snapshots}, []string{"nps", "surveys"}, false},
}

func presetNames() []string {
	var out []string
	for _, p := range presets {
		out = append(out, p.name)
	}
	return out
}

// preset writes out the features that an entry of features stands for.
func (w *writer) preset(f fields) {
	name := f.text("preset")
	i := slices.Index(presetNames(), name)
	if i < 0 {
		if name != "" {
			f.fault("preset", "unknown preset %q: %s", name, nearest(name, presetNames()))
		}
		return
	}
	set := presets[i]
	f.what = "preset " + name
	for _, e := range f.list {
		if keys := append([]string{"preset", "from", "name"}, set.keys...); !slices.Contains(keys, e.key) {
			w.fault(e.at, "%s: it takes %s, not %s", f.what, oneOf(keys[1:]), e.key)
		}
	}
	s := w.presetSource(f, &set)
	if s == nil {
		return
	}
	x := expansion{
		writer: w, f: f, s: s, prefix: f.text("name"),
		by: f.text("by"), values: f.texts("values"), value: f.text("value"), columns: f.names("columns"), windows: f.windows("windows"),
	}
	if x.prefix == "" {
		x.prefix = s.Name
	}
	switch name {
	case SignupForm:
		x.signupForm()
	case TrialUsage:
		x.trialUsage()
	case Subscription:
		x.subscription()
	case Tickets:
		x.tickets()
	case NPS:
		x.nps()
	}
}

// presetSource is the source named, or else the one that has the role: by its name,
// or as the only one of its kind.
func (w *writer) presetSource(f fields, set *preset) *Source {
	if f.has("from") {
		from := f.text("from")
		s := w.p.Source(from)
		switch {
		case from == "":
		case s == nil:
			f.fault("from", "there is no source %q: %s", from, nearest(from, w.p.sourceNames()))
		case !slices.Contains(set.kinds, s.Kind):
			f.fault("from", "%s is a source of %s, and this is of %s", from, s.Kind, set.kinds[0])
		default:
			return s
		}
		return nil
	}
	for _, name := range set.from {
		if s := w.p.Source(name); s != nil && slices.Contains(set.kinds, s.Kind) {
			return s
		}
	}
	var only *Source
	for i := range w.p.Sources {
		if s := &w.p.Sources[i]; s.Kind == set.kinds[0] && set.only && !otherRole(s.Name) {
			if only != nil {
				w.fault(f.at, "%s: say from which source: %s and %s could be meant", f.what, only.Name, s.Name)
				return nil
			}
			only = s
		}
	}
	if only == nil {
		w.fault(f.at, "%s: there is no source of %s for it: say from which", f.what, set.kinds[0])
	}
	return only
}

// otherRole says that a source is called as what only goes by its name.
func otherRole(name string) bool {
	return slices.ContainsFunc(presets[:], func(p preset) bool { return !p.only && slices.Contains(p.from, name) })
}

// expansion is a preset over a source.
type expansion struct {
	*writer
	f       fields
	s       *Source
	prefix  string
	by      string
	values  []string
	value   string
	columns []string
	windows []Window
}

func days(n ...int64) []Window {
	out := make([]Window, len(n))
	for i, d := range n {
		out[i] = Window{Micros: d * microsDay}
	}
	return out
}

func (x *expansion) over(standard ...int64) []Window {
	if len(x.windows) > 0 {
		return x.windows
	}
	return days(standard...)
}

func (x *expansion) add(suffix string, f Feature) {
	f.Name = x.prefix + suffix
	x.named(f)
}

func (x *expansion) named(f Feature) {
	f.Line = x.f.at.line
	if f.From == "" {
		f.From = x.s.Name
	}
	x.addFeature(f, x.f.placeOf)
}

// kinds counts facts by the values of a column.
func (x *expansion) kinds(windows []Window) {
	if x.by != "" || len(x.values) > 0 {
		x.add("", Feature{Agg: Count, By: x.by, Values: x.values, Windows: windows})
	}
}

func (x *expansion) signupForm() {
	for _, c := range x.columns {
		x.named(Feature{Name: c, Agg: First, Value: c})
	}
	if x.s.dated() {
		x.named(Feature{Name: "days_since_signup", Agg: DaysSinceFirst})
	} else if len(x.columns) == 0 {
		x.f.fault("preset", "name the columns of the form (columns: [industry, team_size])")
	}
}

func (x *expansion) trialUsage() {
	windows := x.over(3, 7, 14)
	x.add("", Feature{Agg: Count, Windows: windows, Trend: windows})
	x.kinds(windows)
	x.add("_days", Feature{Agg: ActiveDays, Windows: windows})
	if x.s.User != "" {
		x.add("_users", Feature{Agg: Distinct, Value: x.s.User, Windows: windows})
	}
	x.add("_since_last", Feature{Agg: DaysSince})
	x.add("_streak", Feature{Agg: Streak})
	if slices.ContainsFunc(x.p.Sources, func(s Source) bool { return s.Kind == Attributes && s.dated() }) {
		x.add("_to_first", Feature{Agg: TimeToFirst})
	}
}

func (x *expansion) subscription() {
	windows := x.over(90, 365)
	x.add("_active", Feature{Agg: Active})
	if x.s.Amount != "" {
		x.add("_amount", Feature{Agg: ActiveAmount, Value: x.s.Amount})
	}
	x.add("_started", Feature{Agg: Count, Windows: windows})
	x.add("_ended", Feature{Agg: Count, From: x.s.Name + ".end", Windows: windows})
	x.add("_tenure", Feature{Agg: DaysSinceFirst})
	x.add("_since_last", Feature{Agg: DaysSince})
	for _, c := range x.columns {
		x.named(Feature{Name: c, Agg: Last, Value: c})
	}
}

func (x *expansion) tickets() {
	windows := x.over(28, 90)
	x.add("", Feature{Agg: Count, Windows: windows, Trend: windows})
	x.kinds(windows)
	x.add("_since_last", Feature{Agg: DaysSince})
	if x.s.Kind == Intervals {
		x.add("_open", Feature{Agg: Active})
	}
	if x.value != "" {
		x.add(fmt.Sprintf("_%s", x.value), Feature{Agg: Mean, Value: x.value, Windows: windows})
	}
}

func (x *expansion) nps() {
	if x.value == "" {
		x.value = "score"
	}
	x.add("_last", Feature{Agg: Last, Value: x.value})
	x.add("_mean", Feature{Agg: Mean, Value: x.value})
	x.add("_min", Feature{Agg: Min, Value: x.value})
	x.add("_answers", Feature{Agg: Count, Value: x.value})
	x.add("_since_last", Feature{Agg: DaysSince})
}
