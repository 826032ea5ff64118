package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var (
	// modelKeys are of models made from facts, trainKeys those that training knows
	// besides; value is of both.
	modelKeys = [...]string{"moments", "since", "until", "population", "label", "gap", "features", "value"}
	trainKeys = [...]string{
		"data", "id", "time", "weight", "leaks", "drop", "types", "missing", "split", "holdout", "learners", "penalty", "boosting",
		"monotone", "together", "scorecard", "tune", "backtest", "quick", "prior", "capacity", "segments", "questions", "refit",
		"bands", "rebands", "surrogate",
	}
	momentKeys     = [...]string{"every", "after", "before", "of", "on", "where", "while"}
	labelKeys      = [...]string{"event", "state", "change", "where", "within", "is", "after", "by"}
	trainLabelKeys = [...]string{"column", "positive", "within_days"}
)

// model reads one entry of models: one of a finished table is left to training.
func (w *writer) model(e entry) {
	what := "model " + e.key
	f := w.fields(e.value, e.at, what, slices.Concat(modelKeys[:], trainKeys[:]))
	m := Model{Name: e.key, Line: e.at.line}
	moments, ok := f.find("moments")
	if !ok {
		for _, key := range [...]string{"since", "until", "population", "gap", "features"} {
			if f.has(key) {
				f.fault(key, "%s is of models made from facts: say at which moments (moments: {every: 1mo})", key)
			}
		}
		if l, ok := f.find("label"); ok {
			if g := w.fields(l.value, l.at, what+": label", slices.Concat(trainLabelKeys[:], labelKeys[:])); !f.has("data") {
				for _, key := range labelKeys {
					if g.has(key) {
						g.fault(key, "a label of facts needs moments (moments: {every: 1mo})")
						break
					}
				}
			}
		}
		return
	}
	if f.has("data") {
		f.fault("data", "it has moments, so that its table is made from facts: leave data out, or the moments")
	}
	i := len(w.p.Models)
	path := fmt.Sprintf("models/%d/", i)
	m.Moments = w.moments(moments, what, path)
	m.Moments.Since, m.Moments.Until = w.date(f, "since"), w.date(f, "until")
	if m.Moments.Since != 0 && m.Moments.Until != 0 && m.Moments.Since >= m.Moments.Until {
		f.fault("until", "until is not after since")
	}
	if l, ok := f.find("label"); ok {
		m.Label = w.label(l, what, path)
	} else {
		w.fault(e.at, "%s: it needs a label (label: {event: subscriptions.end, within: 90d})", what)
	}
	m.Gap = f.window("gap")
	if m.Population = f.text("population"); m.Population != "" {
		var known []string
		for _, p := range w.p.Populations {
			known = append(known, p.Name)
		}
		if !slices.Contains(known, m.Population) {
			f.fault("population", "there is no population %q: %s", m.Population, nearest(m.Population, known))
		}
	}
	m.Value = f.text("value")
	w.value(&m, f)
	m.Features = w.modelColumns(f)
	w.p.Models = append(w.p.Models, m)
}

// value finds the column of the money: one of the row, or else the amount of
// intervals, of which the row then shows the sum just before the moment.
func (w *writer) value(m *Model, f fields) {
	if m.Value == "" {
		return
	}
	var names []string
	for _, o := range w.p.Outputs() {
		if names = append(names, o.Name); o.Name == m.Value {
			return
		}
	}
	for _, s := range w.p.Sources {
		if s.Kind == Intervals && s.Amount == m.Value && identifier.MatchString(m.Value) {
			w.addFeature(Feature{Name: m.Value, Line: f.placeOf("value").line, From: s.Name, Agg: ActiveAmount, Value: s.Amount},
				func(string) place { return f.placeOf("value") })
			return
		}
	}
	f.fault("value", "there is no column %q in the row, nor an amount of intervals: %s", m.Value, nearest(m.Value, names))
}

// modelColumns reads the features that a model takes: columns of the row, or features,
// each of which stands for all its columns.
func (w *writer) modelColumns(f fields) []string {
	var out []string
	outputs := w.p.Outputs()
	var known []string
	for _, o := range outputs {
		known = append(known, o.Name)
	}
	for _, it := range f.items("features") {
		name, ok := w.scalar(it.node, it.at, f.what+": an entry of features")
		if !ok {
			continue
		}
		var of []string
		if slices.Contains(known, name) {
			of = []string{name}
		} else {
			for _, o := range outputs {
				if o.Feature >= 0 && w.p.Features[o.Feature].Name == name {
					of = append(of, o.Name)
				}
			}
		}
		if len(of) == 0 {
			w.fault(it.at, "%s: features: the row has no column %q: %s", f.what, name, nearest(name, known))
		}
		for _, c := range of {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// moments reads when accounts are looked at.
func (w *writer) moments(e entry, what, path string) Moments {
	f := w.fields(e.value, e.at, what+": moments", momentKeys[:])
	m := Moments{
		Every: f.window("every"), After: f.windows("after"), Before: f.windows("before"),
		OnWhere: w.expression(f, "where", path+"moments/where"),
	}
	var kinds []string
	for _, key := range [...]string{"every", "after", "before", "on"} {
		if f.has(key) {
			kinds = append(kinds, key)
		}
	}
	if len(kinds) != 1 {
		had := "none"
		if len(kinds) > 0 {
			had = strings.Join(kinds, " and ")
		}
		w.fault(f.at, "%s: one of every, after, before and on says when; there is %s", f.what, had)
	}
	if m.Every.Micros%microsDay != 0 {
		f.fault("every", "every %s: use whole days, weeks or months, which begin at midnight", m.Every)
	}
	if f.has("after") && !slices.ContainsFunc(w.p.Sources, func(s Source) bool { return s.Kind == Attributes && s.dated() }) {
		f.fault("after", "after counts from the sign-up: there is no source of attributes with a time (accounts: {path: accounts.csv, time: created_at})")
	}
	if m.Of = f.text("of"); m.Of == "" && f.has("before") {
		f.fault("before", "before needs of: the intervals whose renewals it counts back from")
	} else if m.Of != "" {
		s := w.p.Source(m.Of)
		switch {
		case !f.has("before"):
			f.fault("of", "of goes with before (before: [90d, 30d], of: %s)", m.Of)
		case s == nil:
			f.fault("of", "there is no source %q: %s", m.Of, nearest(m.Of, w.p.sourceNames()))
		case s.Kind != Intervals:
			f.fault("of", "%s is a source of %s, not of intervals", m.Of, s.Kind)
		case s.Renews == "":
			f.fault("of", "source %s does not say when it renews: name the column there (renews: renews_at)", m.Of)
		}
	}
	if on := f.text("on"); on != "" {
		m.On = w.datedStream(f, "on", on)
	}
	if m.OnWhere != nil && !f.has("on") {
		f.fault("where", "where goes with on: it keeps events of a source")
	}
	if while := f.text("while"); while != "" {
		m.While = w.active(f, "while", while)
	}
	return m
}

// datedStream reads a stream whose facts have instants.
func (w *writer) datedStream(f fields, key, from string) string {
	i, end, err := w.p.Stream(from)
	if err != nil {
		f.fault(key, "%v", err)
		return ""
	}
	s := &w.p.Sources[i]
	if !s.dated() || s.Kind == Merges {
		f.fault(key, "source %s has no events with a time", s.Name)
		return ""
	}
	if end {
		return s.Name + ".end"
	}
	return s.Name
}

// active reads source.active, and gives the source.
func (w *writer) active(f fields, key, text string) string {
	name, ok := strings.CutSuffix(text, ".active")
	s := w.p.Source(name)
	switch {
	case !ok:
		f.fault(key, "%s %q: write the name of intervals and .active, such as subscriptions.active", key, text)
	case s == nil:
		f.fault(key, "there is no source %q: %s", name, nearest(name, w.p.sourceNames()))
	case s.Kind != Intervals:
		f.fault(key, "%s is a source of %s, not of intervals, and so is never active", name, s.Kind)
	default:
		return name
	}
	return ""
}

// date reads a day, at midnight of the timezone, or an instant; 0 without.
func (w *writer) date(f fields, key string) int64 {
	s := f.text(key)
	if s == "" {
		return 0
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, w.p.Location()); err == nil {
		return w.sound(f, key, t)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		f.fault(key, "%s %q is no date: write 2025-01-31, or an instant such as 2025-01-31T09:00:00Z", key, s)
		return 0
	}
	return w.sound(f, key, t)
}

// sound refuses years that nobody means.
func (w *writer) sound(f fields, key string, t time.Time) int64 {
	if t.Year() < 1900 || t.Year() >= 2200 {
		f.fault(key, "%s is in the year %d", key, t.Year())
	}
	return t.UnixMicro()
}

// label reads what is to be foretold.
func (w *writer) label(e entry, what, path string) Label {
	f := w.fields(e.value, e.at, what+": label", slices.Concat(labelKeys[:], trainLabelKeys[:]))
	l := Label{Line: e.at.line, Where: w.expression(f, "where", path+"label/where")}
	for _, key := range trainLabelKeys {
		if f.has(key) {
			f.fault(key, "%s is of a finished table (data); a label of facts is event, state or change", key)
		}
	}
	var kinds []string
	for _, key := range [...]string{"event", "state", "change"} {
		if f.has(key) {
			kinds = append(kinds, key)
			l.Kind = LabelKind(key)
		}
	}
	if len(kinds) != 1 {
		w.fault(f.at, "%s: one of event, state and change says what is foretold; there are %d", f.what, len(kinds))
		return l
	}
	horizon, other := "after", "within"
	if l.Kind == LabelEvent {
		horizon, other = other, horizon
	}
	if !f.has(horizon) {
		w.fault(f.at, "%s: %s needs %s: how long after the moment it looks (%s: 90d)", f.what, l.Kind, horizon, horizon)
	}
	l.Horizon = f.window(horizon)
	refuse := func(keys ...string) {
		for _, key := range keys {
			if f.has(key) {
				f.fault(key, "%s does not go with %s", key, l.Kind)
			}
		}
	}
	refuse(other)
	switch l.Kind {
	case LabelEvent:
		refuse("is", "by")
		w.labelEvent(&l, f)
	case LabelState:
		refuse("where", "by")
		l.Is = f.boolean("is", true)
		l.From = w.active(f, "state", f.text("state"))
	case LabelChange:
		refuse("where", "is")
		w.labelChange(&l, f)
	}
	return l
}

func (w *writer) labelEvent(l *Label, f fields) {
	text := f.text("event")
	if text == "" {
		return
	}
	if name, ok := strings.CutSuffix(text, ".lapse"); ok {
		switch s := w.p.Source(name); {
		case s == nil:
			f.fault("event", "there is no source %q: %s", name, nearest(name, w.p.sourceNames()))
		case s.Kind != Intervals:
			f.fault("event", "%s is a source of %s, not of intervals, and so never lapses", name, s.Kind)
		default:
			l.From = text
		}
		return
	}
	l.From = w.datedStream(f, "event", text)
	if s := w.p.Source(l.From); s != nil && s.Kind == Intervals {
		l.From += ".start"
	}
}

func (w *writer) labelChange(l *Label, f fields) {
	text := f.text("change")
	name, column, _ := strings.Cut(text, ".")
	s := w.p.Source(name)
	switch {
	case text == "":
	case column == "":
		f.fault("change", "change %q: write the intervals and their amount, such as subscriptions.mrr", text)
	case s == nil:
		f.fault("change", "there is no source %q: %s", name, nearest(name, w.p.sourceNames()))
	case s.Kind != Intervals:
		f.fault("change", "%s is a source of %s, not of intervals", name, s.Kind)
	case s.role(column).apart:
		f.fault("change", "column %q is the %s of source %s and no amount", column, s.role(column).key, name)
	}
	l.From, l.Value = name, column
	switch l.By = f.number("by"); {
	case !f.has("by"):
		f.fault("change", "change needs by: the share by which it rises (by: 10%%) or falls (by: -10%%)")
	case l.By < -1:
		f.fault("by", "nothing falls by more than 100 %%")
	}
}
