package sql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features/expr"
	"propensity/features/spec"
)

// rows writes the steps of the rows, and the SELECT.
func (e *emitter) rows() error {
	outputs := e.row.Outputs()
	if err := e.checkNames(outputs); err != nil {
		return err
	}
	moments, err := e.moments()
	if err != nil {
		return err
	}
	r := &rowWriter{emitter: e, outputs: outputs, moments: moments}
	for _, o := range outputs {
		if o.Feature < 0 {
			continue
		}
		f := &e.row.Features[o.Feature]
		if err := r.output(f, o); err != nil {
			return fmt.Errorf("feature %s (line %d): %w", f.Name, f.Line, err)
		}
	}
	if err := r.join(); err != nil {
		return err
	}
	return r.derive()
}

// checkNames refuses columns that a warehouse would take for one: DuckDB and Spark do
// not tell letters from capitals.
func (e *emitter) checkNames(outputs []spec.Output) error {
	seen := map[string]string{"account": "account", "moment": "moment", strings.ToLower(e.account()): e.account()}
	for _, o := range outputs {
		key := strings.ToLower(o.Name)
		if e.d == Postgres {
			key = o.Name
		}
		if other, ok := seen[key]; ok {
			return fmt.Errorf("%w: column %q beside %q, which %s takes for the same: rename one", ErrUnavailable, o.Name, other, e.d)
		}
		seen[key] = o.Name
	}
	return nil
}

// rowWriter finds what aggregates are asked of each stream of facts.
type rowWriter struct {
	*emitter
	outputs []spec.Output
	moments string  // the step of the moments
	starts  []start // of calendar windows
	lanes   []*lane
	finals  []string // the columns of the row, in their order
	day     bool     // the day of the moment is needed
	signUp  string   // the step of the sign-ups
	last    string   // the step of the row
}

// start is where a window of calendar months begins, as a column beside the moment.
type start struct {
	months int
	name   string
}

// lane is a stream of facts, and what is aggregated of it.
type lane struct {
	source     int
	ends       bool
	name       string // of the source or of its ends
	values     []string
	columns    []string // aggregates
	bounds     []string // where the windows begin that are asked for
	whole      bool     // all time is asked for
	days, open bool     // the day of a fact, whether an interval goes on
	alias      string
	extra      []extra // aggregates in steps of their own
}

// extra is an aggregate in a step of its own.
type extra struct {
	comment string
	body    func(known string) string
}

func (r *rowWriter) lane(from string) (*lane, error) {
	source, ends, err := r.project.Stream(from)
	if err != nil {
		return nil, err
	}
	for _, l := range r.lanes {
		if l.source == source && l.ends == ends {
			return l, nil
		}
	}
	l := &lane{source: source, ends: ends, name: r.project.Sources[source].Name, alias: "f" + strconv.Itoa(len(r.lanes)+1)}
	if ends {
		l.name += "_end"
	}
	r.lanes = append(r.lanes, l)
	return l, nil
}

// column is a column of the facts that count.
func (r *rowWriter) column(l *lane, name string) (string, error) {
	s := &r.project.Sources[l.source]
	quoted, err := r.columns(s)(name)
	if err == nil && !slices.Contains(l.values, name) {
		l.values = append(l.values, name)
	}
	return quoted, err
}

// output writes the aggregate of one column of the row.
func (r *rowWriter) output(f *spec.Feature, o spec.Output) error {
	l, err := r.lane(f.From)
	if err != nil {
		return err
	}
	name, err := r.d.name(o.Name)
	if err != nil {
		return err
	}
	value := l.alias + "." + name
	switch {
	case f.Agg == spec.Streak || f.Agg == spec.LongestStreak:
		x, err := r.streak(l, f, o, name)
		if err != nil {
			return err
		}
		if o.Trend {
			return fmt.Errorf("%w: a trend of %s", ErrUnavailable, f.Agg)
		}
		l.extra = append(l.extra, x)
		value = r.d.double(fmt.Sprintf("coalesce(%sx%d.%s, 0)", l.alias, len(l.extra), name))
	case o.Trend:
		top, err := r.aggregate(l, f, o, false)
		if err != nil {
			return err
		}
		low, err := r.aggregate(l, f, o, true)
		if err != nil {
			return err
		}
		l.columns = append(l.columns, r.quotient(top, low)+" AS "+name)
	default:
		x, err := r.aggregate(l, f, o, false)
		if err != nil {
			return err
		}
		l.columns = append(l.columns, x+" AS "+name)
		switch f.Agg {
		case spec.Count, spec.Sum, spec.Distinct, spec.ActiveDays, spec.Active, spec.ActiveAmount:
			value = "coalesce(" + value + ", " + r.d.number(0) + ")"
		case spec.TimeToFirst:
			if err := r.findSignUps(); err != nil {
				return err
			}
			value = r.days(value + " - s.signed_up")
		}
	}
	r.finals = append(r.finals, value+" AS "+name)
	return nil
}

func (r *rowWriter) quotient(top, low string) string {
	return "(" + top + ") / nullif(" + low + ", " + r.d.number(0) + ")"
}

// days turns microseconds into days with a fraction.
func (r *rowWriter) days(micros string) string {
	return r.d.double(micros) + " / " + r.d.number(microsDay)
}

// seen writes the facts of a lane that count at each moment, and their aggregates.
func (r *rowWriter) seen(l *lane) (string, error) {
	s := &r.project.Sources[l.source]
	name, err := r.factsOf(l.source)
	if err != nil {
		return "", err
	}
	from, at := name, "f.occurred"
	if l.ends {
		at = "f.ended"
		from = "(SELECT *, row_number() OVER (PARTITION BY account ORDER BY ended, seq) AS end_seq FROM " + name + " WHERE ended IS NOT NULL)"
	}
	told := "f.ended" // when it was known
	if s.Arrived == "" && s.Lag.Micros > 0 {
		told = fmt.Sprintf("(f.ended + %d)", s.Lag.Micros)
	}
	columns := []string{"m.*", at + " AS instant", "f.seq"}
	if l.ends {
		columns = append(columns, "f.end_seq")
	}
	if l.days {
		columns = append(columns, r.d.day(r.d.wall(at, r.zone))+" AS fact_day")
	}
	if l.open {
		columns = append(columns, "(f.ended IS NULL OR "+told+" >= m.moment) AS still")
	}
	for _, v := range l.values {
		quoted, err := r.value(v)
		if err != nil {
			return "", err
		}
		if !l.ends && slices.Contains(s.AtEnd, v) {
			columns = append(columns, "CASE WHEN "+told+" < m.moment THEN f."+quoted+" END AS "+quoted)
			continue
		}
		columns = append(columns, "f."+quoted)
	}
	on := []string{"f.account = m.account", "f.occurred < m.moment", "f.arrived < m.moment", "f.until >= m.moment"}
	if l.ends {
		on = append(on, told+" < m.moment")
	}
	if !l.whole && len(l.bounds) > 0 {
		var bounds []string
		for _, b := range l.bounds {
			bounds = append(bounds, "m."+b)
		}
		oldest := bounds[0]
		if len(bounds) > 1 {
			oldest = "least(" + strings.Join(bounds, ", ") + ")"
		}
		on = append(on, at+" >= "+oldest)
	}
	body := "SELECT " + strings.Join(columns, ", ") + "\nFROM " + r.moments + " AS m\nJOIN " + from + " AS f\n  ON " + strings.Join(on, " AND ")
	return r.step(l.name+"_known", "What had occurred and arrived strictly before each moment, in the version of then.", body)
}

// groups are the columns of a moment.
func (r *rowWriter) groups() string {
	list := []string{"account", "moment"}
	if r.day {
		list = append(list, "day")
	}
	for _, s := range r.starts {
		list = append(list, s.name)
	}
	return strings.Join(list, ", ")
}

// join writes the aggregates of each lane and puts them side by side.
func (r *rowWriter) join() error {
	if err := r.widen(); err != nil {
		return err
	}
	from := r.moments + " AS m"
	columns := []string{"m.account", "m.moment"}
	for _, l := range r.lanes {
		known, err := r.seen(l)
		if err != nil {
			return err
		}
		if len(l.columns) > 0 {
			body := "SELECT account, moment,\n  " + strings.Join(l.columns, ",\n  ") + "\nFROM " + known + "\nGROUP BY " + r.groups()
			name, err := r.step(l.name+"_row", "The features of "+l.name+".", body)
			if err != nil {
				return err
			}
			from += "\nLEFT JOIN " + name + " AS " + l.alias + " ON " + l.alias + ".account = m.account AND " + l.alias + ".moment = m.moment"
		}
		for k, x := range l.extra {
			name, err := r.step(fmt.Sprintf("%s_streak_%d", l.name, k+1), x.comment, x.body(known))
			if err != nil {
				return err
			}
			alias := fmt.Sprintf("%sx%d", l.alias, k+1)
			from += "\nLEFT JOIN " + name + " AS " + alias + " ON " + alias + ".account = m.account AND " + alias + ".moment = m.moment"
		}
	}
	if r.signUp != "" {
		from += "\nLEFT JOIN " + r.signUp + " AS s ON s.account = m.account AND s.moment = m.moment"
	}
	columns = append(columns, r.finals...)
	var err error
	r.last, err = r.step("features", "One row a moment.", "SELECT "+strings.Join(columns, ",\n  ")+"\nFROM "+from)
	return err
}

// widen adds to the moments what windows and days need.
func (r *rowWriter) widen() error {
	if !r.day && len(r.starts) == 0 {
		return nil
	}
	var list []shift
	for _, s := range r.starts {
		list = append(list, shift{of: "moment", window: spec.Window{Months: s.months}, back: true, as: s.name})
	}
	body := "SELECT account, moment"
	if r.day {
		body += ", " + r.d.day(r.d.wall("moment", r.zone)) + " AS day"
	}
	for _, s := range r.starts {
		body += ", " + s.name
	}
	body += "\nFROM " + r.shifted(r.moments, list)
	var err error
	r.moments, err = r.step("windows", "The calendar day of each moment, and where its calendar windows begin.", body)
	return err
}

// findSignUps writes the date of the first attributes of an account, as known at each
// moment.
func (r *rowWriter) findSignUps() error {
	if r.signUp != "" {
		return nil
	}
	var unions []string
	for i := range r.project.Sources {
		s := &r.project.Sources[i]
		if s.Kind != spec.Attributes || s.Time == "" {
			continue
		}
		name, err := r.factsOf(i)
		if err != nil {
			return err
		}
		unions = append(unions, "SELECT account, occurred, arrived, until FROM "+name)
	}
	if unions == nil {
		return fmt.Errorf("%w: time_to_first: no source of attributes has a time", ErrUnavailable)
	}
	body := "SELECT m.account, m.moment, min(f.occurred) AS signed_up\nFROM " + r.moments + " AS m\nJOIN (\n  " + strings.Join(unions, "\n  UNION ALL ") +
		"\n) AS f\n  ON f.account = m.account AND f.occurred < m.moment AND f.arrived < m.moment AND f.until >= m.moment\nGROUP BY m.account, m.moment"
	var err error
	r.signUp, err = r.step("sign_ups", "The date of the account's first attributes, as it was known at each moment.", body)
	return err
}

// derive writes the derived columns, one step each, and the SELECT with the rows of
// the population.
func (r *rowWriter) derive() error {
	scope := func(name string) (string, error) {
		if !slices.ContainsFunc(r.outputs, func(o spec.Output) bool { return o.Name == name }) {
			return "", fmt.Errorf("%w: the row has no column %q", ErrUnavailable, name)
		}
		return r.d.name(name)
	}
	for i := range r.row.Derived {
		x := &r.row.Derived[i]
		text, err := r.d.expression(x.Expr.Root, scope)
		if err != nil {
			return fmt.Errorf("derived %s (line %d): %w", x.Name, x.Line, err)
		}
		if x.Expr.Root.Type == expr.Number && r.d != Postgres { // which refuses what is infinite
			most := r.d.number(1.7976931348623157e308)
			text = "CASE WHEN abs(" + text + ") <= " + most + " THEN " + text + " END"
		}
		name, err := r.d.name(x.Name)
		if err != nil {
			return err
		}
		if r.last, err = r.step("with_"+x.Name, x.Expr.Source, "SELECT *, "+text+" AS "+name+"\nFROM "+r.last); err != nil {
			return err
		}
	}
	account, err := r.d.name(r.account())
	if err != nil {
		return err
	}
	columns := []string{"account AS " + account, r.d.instant("moment") + " AS moment"}
	for _, o := range r.outputs {
		if r.model.Features != nil && !slices.Contains(r.model.Features, o.Name) && o.Name != r.model.Value {
			continue
		}
		name, err := r.d.name(o.Name)
		if err != nil {
			return err
		}
		kind := o.Kind
		if kind == datasets.Time {
			name = r.d.instant(name) + " AS " + name
		}
		columns = append(columns, name)
	}
	r.emitter.last = "SELECT " + strings.Join(columns, ",\n  ") + "\nFROM " + r.last
	if r.model.Population != "" {
		i := slices.IndexFunc(r.row.Populations, func(p spec.Population) bool { return p.Name == r.model.Population })
		if i < 0 {
			return fmt.Errorf("there is no population %q", r.model.Population)
		}
		text, err := r.d.expression(r.row.Populations[i].Expr.Root, scope)
		if err != nil {
			return fmt.Errorf("population %s: %w", r.model.Population, err)
		}
		r.emitter.last += "\nWHERE " + text
	}
	r.emitter.last += "\nORDER BY account, moment"
	return nil
}
