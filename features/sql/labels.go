package sql

import (
	"fmt"
	"strings"

	"propensity/features/spec"
)

// labels writes the steps of the labels, and the SELECT of those that have an answer.
func (e *emitter) labels() error {
	if err := e.writeLabels(); err != nil {
		return fmt.Errorf("model %s: label: %w", e.model.Name, err)
	}
	return nil
}

func (e *emitter) writeLabels() error {
	moments, err := e.moments()
	if err != nil {
		return err
	}
	horizons, err := e.horizons(moments)
	if err != nil {
		return err
	}
	var answer string
	switch e.model.Label.Kind {
	case spec.LabelEvent:
		answer, err = e.events(horizons)
	case spec.LabelState:
		answer, err = e.states(horizons)
	case spec.LabelChange:
		answer, err = e.changes(horizons)
	default:
		err = fmt.Errorf("%w: kind %q", ErrUnavailable, e.model.Label.Kind)
	}
	if err != nil {
		return err
	}
	name, err := e.step("answers", "Whether it came.", answer)
	if err != nil {
		return err
	}
	account, label, err := e.labelNames()
	if err != nil {
		return err
	}
	e.last = "SELECT account AS " + account + ", " + e.d.instant("moment") + " AS moment, answer AS " + label + "\nFROM " + name + "\nWHERE answer IS NOT NULL\nORDER BY account, moment"
	return nil
}

func (e *emitter) labelNames() (account, label string, err error) {
	if account, err = e.d.name(e.account()); err != nil {
		return "", "", err
	}
	label, err = e.d.name(e.model.Name)
	if strings.EqualFold(e.model.Name, e.account()) || strings.EqualFold(e.model.Name, "moment") {
		err = fmt.Errorf("%w: the label is called %q, as another column is", ErrUnavailable, e.model.Name)
	}
	return account, label, err
}

// bridge is how long an end may turn out to be none, where that matters.
func (e *emitter) bridge() (spec.Window, error) {
	l := &e.model.Label
	name, lapse := strings.CutSuffix(l.From, ".lapse")
	if l.Kind == spec.LabelEvent && !lapse {
		return spec.Window{}, nil
	}
	i, err := e.intervals(name)
	if err != nil {
		return spec.Window{}, err
	}
	return e.project.Sources[i].Bridge, nil
}

// horizons writes, for the moments whose horizon is over, when it began and ended.
func (e *emitter) horizons(moments string) (string, error) {
	bridge, err := e.bridge()
	if err != nil {
		return "", err
	}
	end, err := e.end()
	if err != nil {
		return "", err
	}
	from := e.shifted(moments+" AS m", []shift{{of: "moment", window: e.model.Gap, as: "opens"}})
	from = e.shifted(from, []shift{{of: "opens", window: e.model.Label.Horizon, as: "closes"}})
	from = e.shifted(from, []shift{{of: "closes", window: bridge, as: "settled"}})
	return e.step("horizons", "The moments whose horizon, from opens up to closes, is over.", "SELECT account, moment, opens, closes\nFROM "+from+"\nWHERE settled <= "+end)
}

// source finds the facts that a label is of, with the condition on them.
func (e *emitter) labelled() (source int, ends, lapse bool, where string, err error) {
	l := &e.model.Label
	name, lapse := strings.CutSuffix(l.From, ".lapse")
	name = strings.TrimSuffix(name, ".active")
	if source, ends, err = e.project.Stream(name); err != nil {
		return 0, false, false, "", err
	}
	if l.Where != nil {
		where, err = e.d.expression(l.Where.Root, e.columns(&e.project.Sources[source]))
	}
	return source, ends, lapse, where, err
}

// events answers whether an event comes within the horizon.
func (e *emitter) events(horizons string) (string, error) {
	source, ends, lapse, where, err := e.labelled()
	if err != nil {
		return "", err
	}
	facts, err := e.factsOf(source)
	if err != nil {
		return "", err
	}
	end, err := e.end()
	if err != nil {
		return "", err
	}
	at := "f.occurred"
	if ends || lapse {
		at = "f.ended"
	}
	body := "SELECT f.account, " + at + " AS instant\nFROM " + facts + " AS f\nWHERE " + both(known("f", end), at+" IS NOT NULL", where)
	if lapse {
		if body, err = e.lapses(source, facts, where, end); err != nil {
			return "", err
		}
	}
	name, err := e.step("foretold", "What is to be foretold, as known at the end of history.", body)
	if err != nil {
		return "", err
	}
	return "SELECT h.account, h.moment, coalesce(max(CASE WHEN f.instant >= h.opens AND f.instant < h.closes THEN 1 ELSE 0 END), 0) = 1 AS answer\nFROM " + horizons +
		" AS h\nLEFT JOIN " + name + " AS f ON f.account = h.account\nGROUP BY h.account, h.moment", nil
}

// lapses are the ends after which, for as long as the bridge, no interval is true.
func (e *emitter) lapses(source int, facts, where, end string) (string, error) {
	kept := "TRUE"
	if where != "" {
		kept = "coalesce(" + where + ", FALSE)"
	}
	periods, err := e.step("periods", "The intervals, as known at the end of history.", "SELECT f.account, f.occurred, f.ended, f.seq, "+kept+" AS kept\nFROM "+facts+" AS f\nWHERE "+known("f", end))
	if err != nil {
		return "", err
	}
	from := e.shifted(periods+" AS p", []shift{{of: "ended", window: e.project.Sources[source].Bridge, as: "reach"}})
	return "SELECT a.account, a.ended AS instant\nFROM (SELECT * FROM " + from + " WHERE ended IS NOT NULL AND kept) AS a\n" +
		"LEFT JOIN " + periods + " AS b\n  ON b.account = a.account AND b.seq <> a.seq AND b.occurred <= a.reach AND (b.ended IS NULL OR b.ended > a.ended)\nWHERE b.account IS NULL", nil
}

// joined writes the intervals as known at the end of history, each up to the next one
// that begins within the bridge.
func (e *emitter) joined() (string, error) {
	source, _, _, where, err := e.labelled()
	if err != nil {
		return "", err
	}
	facts, err := e.factsOf(source)
	if err != nil {
		return "", err
	}
	end, err := e.end()
	if err != nil {
		return "", err
	}
	s := &e.project.Sources[source]
	amount := e.d.number(0)
	if e.model.Label.Value != "" {
		if amount, err = e.columns(s)(e.model.Label.Value); err != nil {
			return "", err
		}
	}
	periods, err := e.step("periods", "The intervals, as known at the end of history.", "SELECT account, occurred, ended, seq, "+amount+" AS amount\nFROM "+facts+" AS f\nWHERE "+both(known("f", end), where))
	if err != nil {
		return "", err
	}
	from := e.shifted(periods+" AS p", []shift{{of: "ended", window: s.Bridge, as: "reach"}})
	body := "SELECT a.account, a.occurred, coalesce(min(b.occurred), a.ended) AS ended, a.amount\nFROM (SELECT * FROM " + from + ") AS a\nLEFT JOIN " + periods +
		" AS b\n  ON b.account = a.account AND b.seq <> a.seq AND b.occurred >= a.ended AND b.occurred <= a.reach\nGROUP BY a.account, a.seq, a.occurred, a.ended, a.amount"
	return e.step("states", "Each interval up to the next one that begins within the bridge.", body)
}

// during is the condition that an interval is true at an instant.
func during(at string) string {
	return "s.occurred <= " + at + " AND (s.ended IS NULL OR s.ended > " + at + ")"
}

// states answers whether an interval is true at the horizon's end.
func (e *emitter) states(horizons string) (string, error) {
	states, err := e.joined()
	if err != nil {
		return "", err
	}
	is := "= 0"
	if e.model.Label.Is {
		is = "> 0"
	}
	return "SELECT h.account, h.moment, count(s.account) " + is + " AS answer\nFROM " + horizons + " AS h\nLEFT JOIN " + states + " AS s\n  ON s.account = h.account AND " + during("h.closes") + "\nGROUP BY h.account, h.moment", nil
}

// changes answers whether an amount has risen or fallen by a share of it. As 77 is 10 %
// more than 70, though 0.1 * 70 is above 7 in binary numbers, there is some slack.
func (e *emitter) changes(horizons string) (string, error) {
	states, err := e.joined()
	if err != nil {
		return "", err
	}
	d, by := e.d, e.model.Label.By
	compare, slack := ">=", by-1e-9
	if by < 0 {
		compare, slack = "<=", by+1e-9
	}
	sum := func(at string) string {
		return "coalesce(sum(s.amount) FILTER (WHERE " + during(at) + "), " + d.number(0) + ")"
	}
	sums := "SELECT h.account, h.moment, " + sum("h.moment") + " AS earlier, " + sum("h.closes") + " AS later\n  FROM " + horizons + " AS h\n  LEFT JOIN " + states + " AS s ON s.account = h.account\n  GROUP BY h.account, h.moment, h.closes"
	return "SELECT account, moment, CASE WHEN earlier <> " + d.number(0) + " THEN later - earlier " + compare + " " + d.number(slack) + " * abs(earlier) END AS answer\nFROM (\n  " + sums + "\n) AS x", nil
}
