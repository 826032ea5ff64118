package sql

import (
	"fmt"
	"strconv"
	"strings"

	"propensity/features/spec"
)

// shift is a column moved by a length of time, as a new column.
type shift struct {
	of     string
	window spec.Window
	back   bool
	as     string
}

// shifted is a step with more columns, to stand after FROM. Months are moved on the
// clock on the wall. What a clock reads is turned into an instant as Go's time.Date
// does: the reading less the offset at (the reading less the offset at the reading).
// With wall(x) = x + offset(x), that is a + b - wall(b), where a is the reading and b = 2
// a - wall(a).
func (e *emitter) shifted(from string, list []shift) string {
	var first, second, third []string
	for i, s := range list {
		n, micros, sign := s.window.Months, s.window.Micros, "+"
		if s.back {
			n, sign = -n, "-"
		}
		switch {
		case n == 0 && micros == 0:
			third = append(third, s.of+" AS "+s.as)
		case n == 0:
			third = append(third, fmt.Sprintf("%s %s %d AS %s", s.of, sign, micros, s.as))
		case e.zone == "UTC":
			third = append(third, e.d.months(s.of, n)+" AS "+s.as)
		default:
			a, b := fmt.Sprintf("a%d", i+1), fmt.Sprintf("b%d", i+1)
			first = append(first, e.d.months(e.d.wall(s.of, e.zone), n)+" AS "+a)
			second = append(second, "2 * "+a+" - "+e.d.wall(a, e.zone)+" AS "+b)
			third = append(third, a+" + "+b+" - "+e.d.wall(b, e.zone)+" AS "+s.as)
		}
	}
	for i, columns := range [][]string{first, second, third} {
		if len(columns) > 0 {
			from = fmt.Sprintf("(\n  SELECT *, %s\n  FROM %s\n) AS z%d", strings.Join(columns, ", "), strings.ReplaceAll(from, "\n", "\n  "), i+1)
		}
	}
	return from
}

// end writes the end of history, and gives it as a subquery.
func (e *emitter) end() (string, error) {
	if e.options.AsOf != 0 {
		return strconv.FormatInt(e.options.AsOf, 10), nil
	}
	if e.asOf != "" {
		return e.asOf, nil
	}
	var unions []string
	for i := range e.project.Sources {
		s := &e.project.Sources[i]
		if s.Time+s.Start+s.Arrived == "" {
			continue
		}
		name, err := e.records(i)
		if err != nil {
			return "", err
		}
		unions = append(unions, "SELECT max(arrived) AS instant FROM "+name)
		if s.Kind == spec.Intervals {
			unions = append(unions, "SELECT max(ended) AS instant FROM "+name+" WHERE ended <= "+e.limit())
		}
	}
	if unions == nil {
		return "", fmt.Errorf("%w: no source has a time", ErrUnavailable)
	}
	name, err := e.step("history", "When history ends: the newest arrival.", "SELECT max(instant) AS ends\nFROM (\n  "+strings.Join(unions, "\n  UNION ALL ")+"\n) AS x")
	e.asOf = "(SELECT ends FROM " + name + ")"
	return e.asOf, err
}

// bounds are the conditions on an instant of being a moment.
func (e *emitter) bounds(at string) (string, error) {
	end, err := e.end()
	if err != nil {
		return "", err
	}
	m := &e.model.Moments
	out := at + " <= " + end
	if m.Since != 0 {
		out += fmt.Sprintf(" AND %s >= %d", at, m.Since)
	}
	if m.Until != 0 {
		out += fmt.Sprintf(" AND %s < %d", at, m.Until)
	}
	return out, nil
}

// moments writes the moments of the model: account and moment.
func (e *emitter) moments() (string, error) {
	name, err := e.candidates()
	if err != nil {
		return "", fmt.Errorf("model %s: moments: %w", e.model.Name, err)
	}
	return name, nil
}

func (e *emitter) candidates() (string, error) {
	m := &e.model.Moments
	switch {
	case !m.Every.IsZero():
		return e.every()
	case len(m.After) > 0:
		return e.after()
	case len(m.Before) > 0:
		return e.before()
	case m.On != "":
		return e.on()
	}
	return "", fmt.Errorf("%w: none of every, after, before and on", ErrUnavailable)
}

// known is the condition that a version had occurred and arrived by an instant, and
// stood then.
func known(fact, at string) string {
	return strings.NewReplacer("F", fact, "@", at).Replace("F.occurred <= @ AND F.arrived <= @ AND F.until > @")
}

// intervals finds a source of intervals by its name.
func (e *emitter) intervals(name string) (int, error) {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".active"), ".start")
	i := e.project.SourceIndex(name)
	if i < 0 || e.project.Sources[i].Kind != spec.Intervals {
		return 0, fmt.Errorf("%s are no intervals", name)
	}
	return i, nil
}

// while keeps the moments at which an interval is true; without a condition, it is the
// step itself, without moments that are there twice.
func (e *emitter) while(candidates string) (string, error) {
	body := "SELECT DISTINCT c.account, c.moment\nFROM " + candidates + " AS c"
	comment := "The moments."
	if e.model.Moments.While != "" {
		i, err := e.intervals(e.model.Moments.While)
		if err != nil {
			return "", fmt.Errorf("while: %w", err)
		}
		name, err := e.factsOf(i)
		if err != nil {
			return "", err
		}
		comment = "The moments: while an interval of " + e.project.Sources[i].Name + " is true, as known at the moment."
		body += "\nJOIN " + name + " AS w\n  ON w.account = c.account AND " + known("w", "c.moment") + " AND (w.ended IS NULL OR w.ended > c.moment)"
	}
	bounds, err := e.bounds("c.moment")
	if err != nil {
		return "", err
	}
	return e.step("moments", comment, body+"\nWHERE "+bounds)
}

// after writes the moments so long after the sign-up, as it was known by then.
func (e *emitter) after() (string, error) {
	var unions []string
	for i := range e.project.Sources {
		if s := &e.project.Sources[i]; s.Kind == spec.Attributes && s.Time != "" {
			name, err := e.factsOf(i)
			if err != nil {
				return "", err
			}
			unions = append(unions, "SELECT account, occurred, arrived, until FROM "+name)
		}
	}
	if unions == nil {
		return "", fmt.Errorf("%w: after: no source of attributes has a time", ErrUnavailable)
	}
	attributes, err := e.step("attributes", "What dates the sign-up.", strings.Join(unions, "\nUNION ALL "))
	if err != nil {
		return "", err
	}
	var list []shift
	var each []string
	for i, w := range e.model.Moments.After {
		as := fmt.Sprintf("after_%d", i+1)
		list = append(list, shift{of: "occurred", window: w, as: as})
		each = append(each, "SELECT account, occurred, "+as+" AS moment FROM x")
	}
	from := e.shifted("(SELECT DISTINCT account, occurred FROM "+attributes+") AS y", list)
	body := "WITH x AS (SELECT * FROM " + from + ")\n" + strings.Join(each, "\nUNION ALL ")
	later, err := e.step("after_sign_up", "So long after each date that may be the sign-up.", body)
	if err != nil {
		return "", err
	}
	body = "SELECT a.account, a.moment\nFROM " + later + " AS a\nJOIN " + attributes + " AS k\n  ON k.account = a.account AND " + known("k", "a.moment") +
		"\nGROUP BY a.account, a.moment, a.occurred\nHAVING min(k.occurred) = a.occurred"
	if later, err = e.step("candidates", "So long after the sign-up, as it was known by then.", body); err != nil {
		return "", err
	}
	return e.while(later)
}

// before writes the moments so long before each renewal, while it was known and the
// interval was true.
func (e *emitter) before() (string, error) {
	m := &e.model.Moments
	i, err := e.intervals(m.Of)
	if err != nil {
		return "", fmt.Errorf("of: %w", err)
	}
	s := &e.project.Sources[i]
	renews, err := e.columns(s)(s.Renews)
	if err != nil {
		return "", fmt.Errorf("of: %w", err)
	}
	facts, err := e.factsOf(i)
	if err != nil {
		return "", err
	}
	var list []shift
	var each []string
	for k, w := range m.Before {
		as := fmt.Sprintf("before_%d", k+1)
		list = append(list, shift{of: renews, window: w, back: true, as: as})
		each = append(each, "SELECT x.account, x."+as+" AS moment FROM x WHERE "+known("x", "x."+as)+" AND (x.ended IS NULL OR x.ended > x."+as+")")
	}
	from := e.shifted("(SELECT account, occurred, arrived, until, ended, "+renews+" FROM "+facts+" WHERE "+renews+" IS NOT NULL) AS y", list)
	body := "WITH x AS (SELECT * FROM " + from + ")\n" + strings.Join(each, "\nUNION ALL ")
	name, err := e.step("candidates", "So long before each renewal, where it was known by then.", body)
	if err != nil {
		return "", err
	}
	return e.while(name)
}

// on writes the moments of events, each in the version of the end of history.
func (e *emitter) on() (string, error) {
	m := &e.model.Moments
	i, ends, err := e.project.Stream(m.On)
	if err != nil {
		return "", fmt.Errorf("on: %w", err)
	}
	facts, err := e.factsOf(i)
	if err != nil {
		return "", err
	}
	end, err := e.end()
	if err != nil {
		return "", err
	}
	at := "f.occurred"
	if ends {
		at = "f.ended"
	}
	body := "SELECT f.account, " + at + " AS moment\nFROM " + facts + " AS f\nWHERE " + known("f", end) + fmt.Sprintf(" AND %s > %d", at, int64(always))
	if m.OnWhere != nil {
		x, err := e.d.expression(m.OnWhere.Root, e.columns(&e.project.Sources[i]))
		if err != nil {
			return "", fmt.Errorf("where: %w", err)
		}
		body += " AND " + x
	}
	name, err := e.step("candidates", "The instants of "+m.On+".", body)
	if err != nil {
		return "", err
	}
	return e.while(name)
}

// every writes the moments at midnights so far apart, of each account from its first
// fact on.
func (e *emitter) every() (string, error) {
	every := e.model.Moments.Every
	if every.Micros%microsDay != 0 || every.Months != 0 && every.Micros != 0 {
		return "", fmt.Errorf("%w: every %s: moments are at midnight, so far apart as whole days or months", ErrUnavailable, every)
	}
	if err := checkMidnights(e.zone); err != nil {
		return "", err
	}
	since, err := e.since()
	if err != nil {
		return "", err
	}
	grid, err := e.grid(since)
	if err != nil {
		return "", err
	}
	body := "SELECT f.account, g.moment\nFROM " + grid + " AS g\nJOIN " + since + " AS f ON f.since < g.moment AND f.until >= g.moment"
	if e.model.Moments.While != "" {
		body = "SELECT f.account, g.moment\nFROM " + grid + " AS g\nJOIN " + since + " AS f ON f.first <= g.moment"
	}
	name, err := e.step("candidates", "Each account at each midnight.", body)
	if err != nil {
		return "", err
	}
	return e.while(name)
}

// since writes from when on, and until when, something dated is known of each account:
// of all sources, or of the intervals that moments need.
func (e *emitter) since() (string, error) {
	var unions []string
	for i := range e.project.Sources {
		s := &e.project.Sources[i]
		if s.Time+s.Start == "" {
			continue
		}
		if e.model.Moments.While != "" {
			if w, err := e.intervals(e.model.Moments.While); err != nil || w != i {
				continue
			}
		}
		name, err := e.factsOf(i)
		if err != nil {
			return "", err
		}
		unions = append(unions, "SELECT account, occurred, arrived, until FROM "+name)
	}
	if unions == nil {
		return "", fmt.Errorf("%w: every: no source has a time", ErrUnavailable)
	}
	body := "SELECT account, until, min(greatest(occurred, arrived)) AS since, min(occurred) AS first\nFROM (\n  " + strings.Join(unions, "\n  UNION ALL ") + "\n) AS x\nGROUP BY account, until"
	if e.model.Moments.While != "" {
		body = "SELECT account, min(occurred) AS first\nFROM (\n  " + strings.Join(unions, "\n  UNION ALL ") + "\n) AS x\nGROUP BY account"
	}
	return e.step("since", "From when on something is known of an account.", body)
}

// grid writes the midnights from the first fact to the end of history.
func (e *emitter) grid(since string) (string, error) {
	end, err := e.end()
	if err != nil {
		return "", err
	}
	m := &e.model.Moments
	low, high := "min(first)", end
	if m.Since != 0 {
		low = fmt.Sprintf("greatest(min(first), %d)", m.Since)
	}
	if m.Until != 0 {
		high = fmt.Sprintf("least(%s, %d)", end, m.Until)
	}
	start, step := int64(0), int64(0)
	var wall string
	if n := m.Every.Months; n > 0 {
		step = int64(n)
		wall = e.d.monthStart("n")
	} else {
		step = m.Every.Micros / microsDay
		if step%7 == 0 {
			start = 4 // a Monday
		}
		wall = fmt.Sprintf("n * %d", microsDay)
	}
	place := e.d.day
	if m.Every.Months > 0 {
		place = e.d.monthOf
	}
	// From the one before the first fact: numbers are above the start, as facts are of
	// 1990 or later.
	first := fmt.Sprintf("%d + (%s) * %d", start, e.d.div(fmt.Sprintf("lo - %d", start), strconv.FormatInt(step, 10)), step)
	body := "SELECT " + e.d.series("lo", "greatest(lo, hi)", step) + "\nFROM (\n  SELECT " + first + " AS lo, hi FROM (\n    SELECT " + place("low") + " AS lo, " + place("high") + " AS hi FROM (\n      SELECT " +
		e.d.wall("low", e.zone) + " AS low, " + e.d.wall("high", e.zone) + " AS high FROM (SELECT " + low + " AS low, " + high + " AS high FROM " + since + ") AS a\n    ) AS b\n  ) AS c\n) AS d" + e.d.seriesFrom("lo", "greatest(lo, hi)", step)
	numbers, err := e.step("numbers", "The numbers of the days or months of moments.", body)
	if err != nil {
		return "", err
	}
	if e.zone == "UTC" {
		return e.step("grid", "Midnights.", "SELECT "+wall+" AS moment\nFROM "+numbers)
	}
	// The offset is that of the day before, or that of the day after where the clock says
	// so: the first of two midnights, or the end of a gap.
	day := strconv.Itoa(microsDay)
	body = "SELECT CASE WHEN " + e.d.wall("a", e.zone) + " <> w AND " + e.d.wall("b", e.zone) + " = w THEN b ELSE a END AS moment\nFROM (\n  SELECT w, 2 * w - " + day + " - " + e.d.wall("w - "+day, e.zone) +
		" AS a, 2 * w + " + day + " - " + e.d.wall("w + "+day, e.zone) + " AS b\n  FROM (SELECT " + wall + " AS w FROM " + numbers + ") AS x\n) AS y"
	return e.step("grid", "The first instants of days of "+e.zone+".", body)
}
