package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"propensity/datasets"
)

// What a draft makes of a file at most: more is for people to ask for.
const (
	mostValues  = 8  // of a category column that get a column each
	mostSums    = 3  // number columns of events
	mostColumns = 15 // attributes
)

// features writes the features that each kind of source allows.
func (d *drafting) features() {
	if !slices.ContainsFunc(d.files, func(l *looked) bool { return l.unused == "" && l.source.Kind != Merges }) {
		return
	}
	d.line("features:")
	for _, l := range d.files {
		if l.unused != "" {
			continue
		}
		switch l.source.Kind {
		case Attributes:
			d.attributes(l)
		case Events:
			d.events(l)
		case Intervals:
			d.intervals(l)
		case Snapshots:
			d.snapshots(l)
		case Users:
			d.users(l)
		}
	}
	if len(d.project.Features) == 0 {
		d.line("  []")
	}
}

// add writes a feature under a name whose columns no other has, and gives the name.
func (d *drafting) add(f Feature) string {
	f.Name = ident(f.Name)
	if source, _, _ := strings.Cut(f.From, "."); d.taken(f) && !strings.HasPrefix(f.Name, source+"_") {
		f.Name = source + "_" + f.Name
	}
	base := f.Name
	for i := 2; d.taken(f); i++ {
		f.Name = fmt.Sprintf("%s_%d", base, i)
	}
	d.project.Features = append(d.project.Features, f)
	if f.Agg == Count && f.Value == "" {
		f.Agg = "" // the default
	}
	d.line("  - %s", f.yaml())
	return f.Name
}

func (d *drafting) taken(f Feature) bool {
	one := Project{Sources: d.project.Sources, Features: []Feature{f}}
	have := map[string]bool{}
	for _, o := range d.project.Outputs() {
		have[o.Name] = true
	}
	for _, o := range one.Outputs() {
		if have[o.Name] {
			return true
		}
		have[o.Name] = true
	}
	return false
}

// score is the column of an answer.
func (l *looked) score() *column {
	return l.find([]string{"score", "npsscore", "nps", "rating", "answer", "value"}, func(c *column) bool { return c.Kind == datasets.Number })
}

// features of a column: not an id, not what has a role, of few values if it is a
// category.
func (l *looked) usable(c *column) bool {
	if c.present == 0 || c.distinct < 2 || l.source.role(c.Name).key != "" || slices.Contains(l.source.AtEnd, c.Name) || isID(c.Name) {
		return false
	}
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		return true
	case datasets.Category:
		return c.distinct <= 50 && (c.present < 20 || 2*c.distinct <= c.present)
	}
	return false
}

// attributes takes the columns that can be learnt from, but for those that may know
// what came of an account.
func (d *drafting) attributes(l *looked) {
	s := &l.source
	var plain, more, doubtful, rest []string
	for i := range l.columns {
		c := &l.columns[i]
		switch {
		case !l.usable(c):
		case contains(c.Name, hindsight[:]...):
			doubtful = append(doubtful, c.Name)
		case len(plain)+len(more) == mostColumns:
			rest = append(rest, c.Name)
		case identifier.MatchString(c.Name) && !d.taken(Feature{Name: c.Name, From: s.Name, Agg: Last, Value: c.Name}):
			plain = append(plain, c.Name)
			d.project.Features = append(d.project.Features, Feature{Name: c.Name, From: s.Name, Agg: Last, Value: c.Name})
		default:
			more = append(more, c.Name)
		}
	}
	if len(doubtful) > 0 {
		d.line("  # Left out of %s, since they may be as of the export and know what came of an account: %s.", remark(s.Name), remark(strings.Join(doubtful, ", ")))
	}
	if len(rest) > 0 {
		d.line("  # %s has more columns: %s.", remark(s.Name), remark(strings.Join(rest, ", ")))
	}
	if len(plain) > 0 {
		d.line("  - {from: %s, columns: %s}", quote(s.Name), list(plain))
	}
	for _, name := range more {
		d.add(Feature{Name: name, From: s.Name, Agg: Last, Value: name})
	}
	if s.dated() {
		d.add(Feature{Name: s.Name + "_age", From: s.Name, Agg: DaysSinceFirst})
	}
}

// events counts them, by kind, on how many days, by how many users, how lately.
func (d *drafting) events(l *looked) {
	s := &l.source
	if c := l.score(); c != nil && contains(l.name, "nps", "survey", "csat") {
		d.add(Feature{Name: s.Name + "_last", From: s.Name, Agg: Last, Value: c.Name})
		d.add(Feature{Name: s.Name + "_mean", From: s.Name, Agg: Mean, Value: c.Name})
		d.add(Feature{Name: s.Name + "_answers", From: s.Name, Agg: Count, Windows: days(365)})
		return
	}
	d.add(Feature{Name: s.Name, From: s.Name, Agg: Count, Windows: days(7, 28, 90), Trend: days(28)})
	if l.event != nil {
		if values := frequent(l.event); len(values) > 0 {
			if l.event.distinct > len(values) {
				d.line("  # The %d most frequent of %d values of %s.", len(values), l.event.distinct, remark(l.event.Name))
			}
			d.add(Feature{Name: s.Name, From: s.Name, Agg: Count, By: l.event.Name, Values: values, Windows: days(28)})
		}
	}
	d.add(Feature{Name: s.Name + "_days", From: s.Name, Agg: ActiveDays, Windows: days(28)})
	if s.User != "" {
		d.add(Feature{Name: s.Name + "_users", From: s.Name, Agg: Distinct, Value: s.User, Windows: days(28)})
	}
	d.add(Feature{Name: s.Name + "_since_last", From: s.Name, Agg: DaysSince})
	sums := 0
	for i := range l.columns {
		if c := &l.columns[i]; c.Kind == datasets.Number && l.usable(c) && sums < mostSums {
			sums++
			d.add(Feature{Name: s.Name + "_" + c.Name, From: s.Name, Agg: Sum, Value: c.Name, Windows: days(28), Trend: days(28)})
		}
	}
}

// frequent are the most frequent values of a category, by their number, then as text.
func frequent(c *column) []string {
	count := map[string]int{}
	for i := range c.Len() {
		if v := c.At(i); !v.Missing() && v.Text != "" {
			count[v.Text]++
		}
	}
	values := make([]string, 0, len(count))
	for v := range count {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b)) })
	var out []string
	parts := map[string]bool{}
	for _, v := range values {
		if p := part(v); len(out) < mostValues && !parts[p] { // each needs a name of its own
			parts[p] = true
			out = append(out, v)
		}
	}
	return out
}

// intervals are contracts or, without money, tickets and the like.
func (d *drafting) intervals(l *looked) {
	s := &l.source
	if c := l.score(); c != nil && contains(l.name, "nps", "survey", "csat") {
		d.add(Feature{Name: s.Name + "_last", From: s.Name + ".end", Agg: Last, Value: c.Name})
		d.add(Feature{Name: s.Name + "_mean", From: s.Name + ".end", Agg: Mean, Value: c.Name})
		d.add(Feature{Name: s.Name + "_answers", From: s.Name + ".end", Agg: Count, Windows: days(365)})
		return
	}
	d.add(Feature{Name: s.Name + "_active", From: s.Name, Agg: Active})
	d.add(Feature{Name: s.Name + "_started", From: s.Name, Agg: Count, Windows: days(28, 90)})
	if !l.contract() {
		if l.event != nil && !slices.Contains(s.AtEnd, l.event.Name) {
			if values := frequent(l.event); len(values) > 0 {
				d.add(Feature{Name: s.Name, From: s.Name, Agg: Count, By: l.event.Name, Values: values, Windows: days(90)})
			}
		}
		d.add(Feature{Name: s.Name + "_since_last", From: s.Name, Agg: DaysSince})
		for _, name := range s.AtEnd {
			if c := l.named(name); c.Kind == datasets.Number && c.distinct > 1 {
				d.add(Feature{Name: s.Name + "_" + name, From: s.Name + ".end", Agg: Mean, Value: name, Windows: days(90)})
			}
		}
		return
	}
	d.add(Feature{Name: s.Name + "_ended", From: s.Name + ".end", Agg: Count, Windows: days(90)})
	d.add(Feature{Name: s.Name + "_tenure", From: s.Name, Agg: DaysSinceFirst})
	d.add(Feature{Name: s.Name + "_since_last", From: s.Name, Agg: DaysSince})
	d.line("  # Check that what follows is as of the start of each of %s, not as of the export.", remark(s.Name))
	for i := range l.columns {
		if c := &l.columns[i]; l.usable(c) && !contains(c.Name, hindsight[:]...) {
			d.add(Feature{Name: c.Name, From: s.Name, Agg: Last, Value: c.Name})
		}
	}
}

// contract says that intervals are what accounts pay for.
func (l *looked) contract() bool {
	return l.source.Amount != "" || l.source.Export != "" || contains(l.name, "subscription", "contract", "plan", "licen", "order")
}

func (d *drafting) snapshots(l *looked) {
	s := &l.source
	for i := range l.columns {
		if c := &l.columns[i]; c.Kind == datasets.Number && l.usable(c) {
			d.add(Feature{Name: s.Name + "_" + c.Name, From: s.Name, Agg: Last, Value: c.Name})
			d.add(Feature{Name: s.Name + "_mean_" + c.Name, From: s.Name, Agg: Mean, Value: c.Name, Windows: days(28), Trend: days(28)})
		}
	}
}

func (d *drafting) users(l *looked) {
	s := &l.source
	if s.dated() {
		d.add(Feature{Name: s.Name, From: s.Name, Agg: Count, Windows: days(7, 28)})
		return
	}
	d.line("  # %s has no column of dates, so that users count from ever on: better name its time.", remark(s.Name))
}

// models writes the models that the sources allow.
func (d *drafting) models() {
	var paid *looked
	signedUp := false
	left := "" // a record of those who left
	for _, l := range d.files {
		if l.unused != "" {
			continue
		}
		if l.source.Kind == Intervals && l.contract() && (paid == nil || paid.source.Amount == "" && l.source.Amount != "") {
			paid = l
		}
		if l.source.Kind == Events && contains(l.name, "churn", "cancel") {
			left = l.source.Name
		}
		signedUp = signedUp || l.source.Kind == Attributes && l.source.dated()
	}
	if paid == nil {
		d.line("# No model: there is no file of subscriptions (a start and an end), from which churn and")
		d.line("# conversion follow. Another event can be foretold too, such as the next order:")
		d.line("#   models: {order: {moments: {every: 1mo}, label: {event: orders, within: 90d}}}")
		return
	}
	s := paid.source.Name
	money := ""
	if paid.source.Amount != "" {
		money = d.add(Feature{Name: paid.source.Amount, From: s, Agg: ActiveAmount, Value: paid.source.Amount})
	}
	d.line("models:")
	d.line("  # Does a paying account leave within 90 days? .lapse is an end after which nothing goes on;")
	d.line("  # if contracts follow one another with gaps, set bridge: 7d in %s.", remark(s))
	if left != "" {
		d.line("  # There is a record of it in %s too: {event: %s, within: 90d}. Ask for the one you trust.", left, left)
	}
	d.model("churn", "{every: 1mo, while: "+s+".active}", "{event: "+s+".lapse, within: 90d}", money)
	if signedUp {
		where := ""
		if c := paid.find([]string{"istrial", "trial"}, func(c *column) bool { return c.Kind == datasets.Boolean && identifier.MatchString(c.Name) }); c != nil {
			where = ", where: " + quote("!"+c.Name)
		}
		d.line("  # Does an account subscribe within 30 days, as seen 7 days after its sign-up?")
		if where == "" {
			d.line("  # Check that a trial is no record of %s: else say what a paid one is (where: 'plan != \"trial\"').", remark(s))
		}
		d.model("conversion", "{after: [7d]}", "{event: "+s+".start"+where+", within: 30d}", "")
	}
	if money != "" {
		d.line("  # Does it pay 10 %% more in 90 days?")
		d.model("upsell", "{every: 1mo, while: "+s+".active}", "{change: "+quote(s+"."+paid.source.Amount)+", by: 10%, after: 90d}", money)
	}
}

func (d *drafting) model(name, moments, label, value string) {
	d.line("  %s:", name)
	d.line("    moments: %s", moments)
	d.line("    label: %s", label)
	if value != "" {
		d.line("    value: %s", quote(value))
	}
}
