package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"propensity/datasets"
)

var (
	featureKeys = [...]string{
		"name", "from", "where", "agg", "value", "over", "by", "values", "windows", "trend", "every", "calendar", "label",
		"columns", "preset",
	}
	derivedKeys = [...]string{"name", "expr", "label"}
)

// mostOutputs is how many columns a row may have.
const mostOutputs = 10_000

// traits of an aggregate: what it takes and what it gives.
type traits struct {
	agg    Agg
	value  takes
	number bool // the value has to be a number
	dates  bool // looks at when facts occurred: the source needs dates
	whole  bool // of all time, or of the moment: takes no windows
	trends bool // may be divided by that of the window before
}

// takes says whether an aggregate takes a value.
type takes uint8

const (
	takesNone takes = iota
	takesMay
	takesMust
)

var aggregates = [...]traits{
	{agg: Count, value: takesMay, trends: true},
	{agg: Sum, value: takesMust, number: true, trends: true},
	{agg: Mean, value: takesMust, number: true, trends: true},
	{agg: Min, value: takesMust, number: true, trends: true},
	{agg: Max, value: takesMust, number: true, trends: true},
	{agg: First, value: takesMust},
	{agg: Last, value: takesMust},
	{agg: DaysSince, value: takesMay, dates: true},
	{agg: DaysSinceFirst, value: takesMay, dates: true},
	{agg: TimeToFirst, value: takesMay, dates: true, whole: true},
	{agg: Distinct, value: takesMust, trends: true},
	{agg: ActiveDays, value: takesMay, dates: true, trends: true},
	{agg: Streak, value: takesMay, dates: true},
	{agg: LongestStreak, value: takesMay, dates: true},
	{agg: Share, value: takesMay, number: true, trends: true},
	{agg: Ratio, value: takesMust, number: true, trends: true},
	{agg: Slope, value: takesMay, number: true, dates: true},
	{agg: Active, value: takesMay, whole: true},
	{agg: ActiveAmount, value: takesMust, number: true, whole: true},
}

func (a Agg) traits() (traits, bool) {
	for _, t := range aggregates {
		if t.agg == a {
			return t, true
		}
	}
	return traits{}, false
}

func aggNames() []string {
	var out []string
	for _, t := range aggregates {
		out = append(out, string(t.agg))
	}
	return out
}

// feature reads one entry of features.
func (w *writer) feature(it item, i int) {
	what := fmt.Sprintf("feature %d", i+1)
	f := w.fields(it.node, it.at, what, featureKeys[:])
	if f.none {
		return
	}
	if name := f.text("name"); name != "" {
		f.what = "feature " + name
	}
	switch {
	case f.has("preset"):
		w.preset(f)
	case f.has("columns"):
		w.lasts(f)
	default:
		w.oneFeature(f)
	}
}

// lasts are the newest values of columns: {from: accounts, columns: [a, b]}.
func (w *writer) lasts(f fields) {
	for _, e := range f.list {
		if !slices.Contains([]string{"from", "columns"}, e.key) {
			w.fault(e.at, "%s: columns stands for one feature a column, its newest value: %s does not go with it", f.what, e.key)
		}
	}
	from := w.stream(f)
	for _, c := range f.items("columns") {
		name, ok := w.scalar(c.node, c.at, f.what+": an entry of columns")
		if !ok {
			continue
		}
		feature := Feature{Name: name, Line: c.at.line, From: from, Agg: Last, Value: name}
		w.addFeature(feature, func(string) place { return c.at })
	}
}

// oneFeature reads an entry that is written out.
func (w *writer) oneFeature(f fields) {
	path := fmt.Sprintf("features/%d/", len(w.p.Features))
	x := Feature{
		Name: f.text("name"), Line: f.at.line, From: w.stream(f),
		Where: w.expression(f, "where", path+"where"),
		Agg:   Agg(f.text("agg")), Value: f.text("value"), Over: f.text("over"),
		By: f.text("by"), Values: f.texts("values"),
		Windows: f.windows("windows"), Every: f.window("every"),
		Calendar: f.boolean("calendar", false), Label: f.text("label"),
	}
	x.Trend = w.trend(f, x.Windows)
	if x.Agg == "" {
		x.Agg = Count
		if x.Value != "" {
			f.fault("value", "say what becomes of the value: agg: %s", oneOf(aggNames()))
		}
	}
	w.addFeature(x, f.placeOf)
}

// trend reads true, false or a list of windows.
func (w *writer) trend(f fields, windows []Window) []Window {
	e, ok := f.find("trend")
	if !ok {
		return nil
	}
	if b, ok := w.bare(e.value).(*ast.BoolNode); ok {
		if !b.Value {
			return nil
		}
		if len(windows) == 0 {
			f.fault("trend", "a trend needs windows, such as windows: [28d]")
		}
		return slices.Clone(windows)
	}
	trend := f.windows("trend")
	for _, t := range trend {
		if !slices.Contains(windows, t) {
			f.fault("trend", "trend %s is not among the windows: add it there", t)
		}
	}
	return trend
}

// stream reads from: a source, or the ends of intervals.
func (w *writer) stream(f fields) string {
	from := f.text("from")
	if from == "" {
		if !f.has("from") {
			w.fault(f.at, "%s: say where its facts are from: %s", f.what, oneOf(w.p.sourceNames()))
		}
		return ""
	}
	s, end, err := w.p.Stream(from)
	if err != nil {
		f.fault("from", "%v", err)
		return ""
	}
	if w.p.Sources[s].Kind == Merges {
		f.fault("from", "%s joins accounts: features are of other sources", from)
		return ""
	}
	if end {
		return w.p.Sources[s].Name + ".end"
	}
	return w.p.Sources[s].Name
}

// Stream finds what from names: the index of a source, and whether it is the ends
// of its intervals (subscriptions.end) rather than the facts themselves
// (subscriptions, or subscriptions.start).
func (p *Project) Stream(from string) (source int, end bool, err error) {
	name, part, _ := strings.Cut(from, ".")
	i := p.SourceIndex(name)
	if i < 0 {
		return -1, false, fmt.Errorf("there is no source %q: %s", name, nearest(name, p.sourceNames()))
	}
	switch {
	case part == "" && !strings.Contains(from, "."):
		return i, false, nil
	case part != "start" && part != "end":
		return -1, false, fmt.Errorf("%q is no stream of facts: use %s, or of intervals %s.start or %s.end", from, name, name, name)
	case p.Sources[i].Kind != Intervals:
		return -1, false, fmt.Errorf("%s has no %s: it is a source of %s, not of intervals", name, part, p.Sources[i].Kind)
	}
	return i, part == "end", nil
}

// addFeature checks a feature and adds it.
func (w *writer) addFeature(x Feature, at func(key string) place) {
	path := fmt.Sprintf("features/%d", len(w.p.Features))
	w.places[path] = at("name")
	w.places[path+"/value"], w.places[path+"/over"], w.places[path+"/by"] = at("value"), at("over"), at("by")
	what := "feature " + x.Name
	if x.Name == "" {
		what = fmt.Sprintf("feature %d", len(w.p.Features)+1)
	}
	fault := func(key, format string, args ...any) {
		w.fault(at(key), "%s: %s", what, fmt.Sprintf(format, args...))
	}
	w.columns += max(1, len(x.Values)) * (max(1, len(x.Windows)) + len(x.Trend))
	if w.columns > mostOutputs {
		fault("name", "with it the row has %d columns, of at most %d", w.columns, mostOutputs)
		w.columns -= max(1, len(x.Values)) * (max(1, len(x.Windows)) + len(x.Trend))
		return
	}
	w.p.Features = append(w.p.Features, x)
	if !identifier.MatchString(x.Name) {
		fault("name", "name it (name: logins): letters, digits and _, not beginning with a digit")
	}
	t, ok := x.Agg.traits()
	if !ok {
		fault("agg", "unknown agg %q: %s", x.Agg, nearest(string(x.Agg), aggNames()))
		return
	}
	w.featureTakes(&x, t, fault)
	if i, end, err := w.p.Stream(x.From); err == nil {
		w.featureSource(&x, t, &w.p.Sources[i], end, fault)
	}
}

// featureTakes says what keys an aggregate lacks or has no use for.
func (w *writer) featureTakes(x *Feature, t traits, fault func(key, format string, args ...any)) {
	switch {
	case x.Value == "" && t.value == takesMust:
		fault("agg", "%s needs a value: the column that it is of (value: seconds)", x.Agg)
	case x.Value != "" && t.value == takesNone:
		fault("value", "%s takes no value", x.Agg)
	}
	if x.Agg == Ratio && x.Over == "" {
		fault("agg", "ratio needs over: the column of the divisor")
	}
	if x.Agg != Ratio && x.Over != "" {
		fault("over", "over is for ratio, not for %s", x.Agg)
	}
	if x.Agg == Share && x.Where == nil {
		fault("agg", "share needs where: the facts whose share it is")
	}
	if (x.By == "") != (len(x.Values) == 0) {
		fault("by", "by and values go together: the column, and those of its values that get a column each (by: event, values: [login, invite])")
	}
	if x.Calendar && x.Agg != DaysSince && x.Agg != DaysSinceFirst {
		fault("calendar", "calendar is for days_since and days_since_first, not for %s", x.Agg)
	}
	if t.whole && len(x.Windows) > 0 {
		fault("windows", "%s takes no windows", x.Agg)
	}
	if len(x.Trend) > 0 && !t.trends {
		fault("trend", "%s has no trend", x.Agg)
	}
	switch {
	case x.Agg != Slope && !x.Every.IsZero():
		fault("every", "every is for slope, not for %s", x.Agg)
	case x.Agg == Slope && x.Every.IsZero():
		fault("agg", "slope needs every: the length of a bucket (every: 7d)")
	case x.Agg == Slope && len(x.Windows) == 0:
		fault("agg", "slope needs windows that hold buckets of %s (windows: [28d])", x.Every)
	case x.Agg == Slope:
		for _, win := range x.Windows {
			if win.Months < 2*x.Every.Months || win.Micros < 2*x.Every.Micros {
				fault("windows", "window %s does not hold two buckets of %s (both in months, or neither)", win, x.Every)
			}
		}
	}
}

// featureSource says what the source of a feature cannot give.
func (w *writer) featureSource(x *Feature, t traits, s *Source, end bool, fault func(key, format string, args ...any)) {
	if (x.Agg == Active || x.Agg == ActiveAmount) && (s.Kind != Intervals || end) {
		fault("agg", "%s is of intervals, and %s is not: it is a source of %s", x.Agg, x.From, s.Kind)
	}
	if !s.dated() {
		switch {
		case len(x.Windows) > 0:
			fault("windows", "source %s has no time, so that there are no windows of it: name its time, or leave windows out", s.Name)
		case t.dates:
			fault("agg", "source %s has no time, which %s needs: name it", s.Name, x.Agg)
		}
	}
	if x.Agg == TimeToFirst && s.dated() && !slices.ContainsFunc(w.p.Sources, func(s Source) bool { return s.Kind == Attributes && s.dated() }) {
		fault("agg", "time_to_first counts from the sign-up: there is no source of attributes with a time (accounts: {path: accounts.csv, time: created_at})")
	}
	for _, c := range [...]struct{ key, column string }{{"value", x.Value}, {"over", x.Over}, {"by", x.By}} {
		if r := s.role(c.column); c.column != "" && r.apart {
			fault(c.key, "column %q is the %s of source %s and no value", c.column, r.key, s.Name)
		}
	}
}

// dated says whether the source's facts have instants.
func (s *Source) dated() bool { return s.Time != "" || s.Start != "" }

// derived reads one entry of derived.
func (w *writer) derived(it item) {
	i := len(w.p.Derived)
	f := w.fields(it.node, it.at, fmt.Sprintf("derived %d", i+1), derivedKeys[:])
	if f.none {
		return
	}
	d := Derived{Name: f.text("name"), Line: it.at.line, Label: f.text("label")}
	if d.Name != "" {
		f.what = "derived " + d.Name
	}
	if !identifier.MatchString(d.Name) {
		f.fault("name", "name it (name: logins_per_seat): letters, digits and _, not beginning with a digit")
	}
	if !f.has("expr") {
		w.fault(f.at, "%s: it needs expr: an expression over the columns before it (expr: 'logins_28d / seats')", f.what)
	}
	path := fmt.Sprintf("derived/%d", i)
	w.places[path] = f.placeOf("name")
	d.Expr = w.expression(f, "expr", path+"/expr")
	w.p.Derived = append(w.p.Derived, d)
}

// population reads one entry of populations.
func (w *writer) population(e entry) {
	i := len(w.p.Populations)
	p := Population{Name: e.key, Line: e.at.line}
	if !identifier.MatchString(e.key) {
		w.fault(e.at, "population %q: a name has letters, digits and _, and does not begin with a digit", e.key)
	}
	if text, ok := w.scalar(e.value, e.at, "population "+e.key); ok {
		p.Expr = w.compileLater(text, placeOf(e.value), "population "+e.key, fmt.Sprintf("populations/%d", i))
	}
	w.p.Populations = append(w.p.Populations, p)
}

// typeKind is the kind of a column that an aggregate makes of a column of kind k.
func (f *Feature) kind(k datasets.Kind) datasets.Kind {
	if f.Agg == First || f.Agg == Last {
		return k
	}
	return datasets.Number
}
