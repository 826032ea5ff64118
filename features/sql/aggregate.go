package sql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"propensity/features/spec"
)

// both joins conditions by AND.
func both(conditions ...string) string {
	conditions = slices.DeleteFunc(conditions, func(s string) bool { return s == "" })
	return strings.Join(conditions, " AND ")
}

// window writes the condition of a window, or of the one of equal length before it.
func (r *rowWriter) window(l *lane, w spec.Window, earlier bool) (string, error) {
	if w.IsZero() {
		l.whole = true
		return "", nil
	}
	if w.Months != 0 && w.Micros != 0 {
		return "", fmt.Errorf("%w: window %s is of months and days", ErrUnavailable, w)
	}
	from := r.begin(w, 1)
	condition := "instant >= " + from
	if earlier {
		condition = "instant >= " + r.begin(w, 2) + " AND instant < " + from
		from = r.begin(w, 2)
	}
	if !slices.Contains(l.bounds, from) {
		l.bounds = append(l.bounds, from)
	}
	return condition, nil
}

// begin is where a window begins that is n times as long as w.
func (r *rowWriter) begin(w spec.Window, n int) string {
	if w.Months == 0 {
		return fmt.Sprintf("moment - %d", int64(n)*w.Micros)
	}
	s := start{months: n * w.Months}
	s.name = fmt.Sprintf("start_%dmo", s.months)
	if !slices.Contains(r.starts, s) {
		r.starts = append(r.starts, s)
	}
	return s.name
}

// pick is which facts an aggregate looks at: conditions, "" is none, and columns.
type pick struct{ window, where, by, dated, value, over string }

// facts is the condition of all of it, and that there is a value.
func (p *pick) facts() string { return both(p.window, p.where, p.by, present(p.value)) }

func present(column string) string {
	if column == "" {
		return ""
	}
	return column + " IS NOT NULL"
}

// pick finds the facts of a feature in a window, or in the one before it.
func (r *rowWriter) pick(l *lane, f *spec.Feature, o spec.Output, earlier bool) (p pick, err error) {
	if p.window, err = r.window(l, o.Window, earlier); err != nil {
		return p, err
	}
	if f.Where != nil {
		if p.where, err = r.d.expression(f.Where.Root, func(name string) (string, error) { return r.column(l, name) }); err != nil {
			return p, err
		}
	}
	if f.By != "" {
		column, err := r.column(l, f.By)
		if err != nil {
			return p, err
		}
		category, err := r.d.text(o.Category)
		if err != nil {
			return p, err
		}
		p.by = column + " = " + category
	}
	if f.Value != "" {
		if p.value, err = r.column(l, f.Value); err != nil {
			return p, err
		}
	}
	if f.Over != "" {
		if p.over, err = r.column(l, f.Over); err != nil {
			return p, err
		}
	}
	if r.project.Sources[l.source].Kind == spec.Attributes { // what has no date is of no day
		p.dated = fmt.Sprintf("instant > %d", int64(always))
	}
	return p, nil
}

// aggregate writes the aggregate of a feature in a window, or in the one before it,
// over the facts that count at a moment.
func (r *rowWriter) aggregate(l *lane, f *spec.Feature, o spec.Output, earlier bool) (string, error) {
	d, s := r.d, &r.project.Sources[l.source]
	p, err := r.pick(l, f, o, earlier)
	if err != nil {
		return "", err
	}
	order := "seq"
	if l.ends {
		order = "end_seq"
	}
	count := func(conditions ...string) string { return d.double("count(*)" + filter(both(conditions...))) }
	sum := func(column string, conditions ...string) string {
		return "coalesce(sum(" + column + ")" + filter(both(append(conditions, present(column))...)) + ", " + d.number(0) + ")"
	}
	picked, value := p.facts(), p.value
	switch f.Agg {
	case spec.Count:
		return count(picked), nil
	case spec.Sum:
		return sum(value, p.window, p.where, p.by), nil
	case spec.Mean:
		return r.quotient(sum(value, p.window, p.where, p.by), count(picked)), nil
	case spec.Min, spec.Max:
		return string(f.Agg) + "(" + value + ")" + filter(picked), nil
	case spec.First:
		return d.earliest(value, order, picked), nil
	case spec.Last:
		if s.Kind == spec.Snapshots { // what the newest one lacks is missing
			return d.latest(value, order, both(p.window, p.where, p.by)), nil
		}
		return d.latest(value, order, picked), nil
	case spec.DaysSince, spec.DaysSinceFirst:
		newest := "max"
		if f.Agg == spec.DaysSinceFirst {
			newest = "min"
		}
		if f.Calendar {
			if err := r.needDays(l); err != nil {
				return "", err
			}
			return d.double("max(day) - " + newest + "(fact_day)" + filter(both(picked, p.dated))), nil
		}
		return r.days("moment - " + newest + "(instant)" + filter(both(picked, p.dated))), nil
	case spec.TimeToFirst:
		return "min(instant)" + filter(both(picked, p.dated)), nil
	case spec.Distinct:
		return d.double("count(DISTINCT " + when(picked, value) + ")"), nil
	case spec.ActiveDays:
		if err := r.needDays(l); err != nil {
			return "", err
		}
		return d.double("count(DISTINCT " + when(both(picked, p.dated), "fact_day") + ")"), nil
	case spec.Share:
		if value == "" {
			return r.quotient(count(p.window, p.where, p.by), count(p.window)), nil
		}
		return r.quotient(sum(value, p.window, p.where, p.by), sum(value, p.window)), nil
	case spec.Ratio:
		return r.quotient(sum(value, p.window, p.where, p.by), sum(p.over, p.window, p.where, p.by)), nil
	case spec.Slope:
		return r.slope(f, o, value, picked)
	case spec.Active:
		l.open = true
		return count(picked, "still"), nil
	case spec.ActiveAmount:
		l.open = true
		return "sum(" + value + ")" + filter(both(picked, "still")), nil
	}
	return "", fmt.Errorf("%w: aggregate %s", ErrUnavailable, f.Agg)
}

func when(condition, value string) string {
	if condition == "" {
		return value
	}
	return "CASE WHEN " + condition + " THEN " + value + " END"
}

// needDays asks for the calendar days of the facts and of the moment.
func (r *rowWriter) needDays(l *lane) error {
	l.days, r.day = true, true
	return checkDays(r.zone)
}

// slope is that of least squares through the sums of the whole buckets of a window, x
// = 0, 1, 2 ... from the oldest: as the x are known, it is a sum over the facts.
func (r *rowWriter) slope(f *spec.Feature, o spec.Output, value, picked string) (string, error) {
	every, n := f.Every, 0
	switch {
	case every.Months == 0 && o.Window.Months == 0 && every.Micros > 0:
		n = int(o.Window.Micros / every.Micros)
	case every.Micros == 0 && o.Window.Micros == 0 && every.Months > 0:
		n = o.Window.Months / every.Months
	}
	if n < 2 || n > 1000 {
		return "", fmt.Errorf("%w: a slope over %s in buckets of %s", ErrUnavailable, o.Window, every)
	}
	if value == "" {
		value = r.d.number(1)
	}
	middle, squares := float64(n-1)/2, 0.0
	for i := range n {
		squares += (float64(i) - middle) * (float64(i) - middle)
	}
	bucket := fmt.Sprintf("(%d - (%s))", n-1, r.d.div("moment - 1 - instant", strconv.FormatInt(every.Micros, 10)))
	if every.Months > 0 {
		bucket = "CASE"
		for k := 1; k <= n; k++ {
			bucket += fmt.Sprintf(" WHEN instant >= %s THEN %d", r.begin(every, k), n-k)
		}
		bucket += " END"
	}
	oldest := "instant >= " + r.begin(every, n)
	sum := "coalesce(sum((" + r.d.double(bucket) + " - " + r.d.number(middle) + ") * " + value + ")" + filter(both(picked, oldest)) + ", " + r.d.number(0) + ") / " + r.d.number(squares)
	return "CASE WHEN count(*)" + filter(picked) + " > 0 THEN " + sum + " END", nil
}

// streak writes the step of days in a row: what is left of a day's number without its
// place among the days is the same for days in a row.
func (r *rowWriter) streak(l *lane, f *spec.Feature, o spec.Output, name string) (extra, error) {
	if err := r.needDays(l); err != nil {
		return extra{}, err
	}
	p, err := r.pick(l, f, o, false)
	if err != nil {
		return extra{}, err
	}
	condition := both(p.facts(), p.dated)
	if condition != "" {
		condition = " WHERE " + condition
	}
	length := "max(days)"
	if f.Agg == spec.Streak {
		length = "max(days)" + filter("newest >= day - 1")
	}
	return extra{o.Name + ": days in a row.", func(known string) string {
		return "SELECT account, moment, " + length + " AS " + name + "\nFROM (\n  SELECT account, moment, day, max(fact_day) AS newest, count(*) AS days\n  FROM (\n" +
			"    SELECT account, moment, day, fact_day, fact_day - row_number() OVER (PARTITION BY account, moment ORDER BY fact_day) AS run\n" +
			"    FROM (SELECT DISTINCT account, moment, day, fact_day FROM " + known + condition + ") AS d\n  ) AS x\n  GROUP BY account, moment, day, run\n) AS y\nGROUP BY account, moment"
	}}, nil
}
