package sql_test

import (
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/sql"
)

// scenario is the project of all aggregates with moments of one kind.
func scenario(t *testing.T, zone, moments, population, label, gap string) string {
	text := strings.NewReplacer("TIMEZONE", zone, "MOMENTS", moments, "POPULATION", population, "LABEL", label, "GAP", gap).Replace(project(t, "every.yaml"))
	for _, key := range []string{"population", "gap"} { // what is not asked for
		text = strings.ReplaceAll(text, "    "+key+": \n", "")
	}
	return text
}

const someLabel = "{event: subscriptions.end, within: 30d}"

// loose says that a column is a sum, or made of sums.
func loose(column string) bool {
	for _, name := range []string{"seconds", "total", "mean", "mrr", "ratio", "share", "slope", "log_n", "by_sum", "per_seat", "bounded"} {
		if strings.HasPrefix(column, name) {
			return true
		}
	}
	return false
}

func TestRowsAreTheEngines(t *testing.T) {
	for _, d := range sql.Dialects() {
		t.Run(string(d), func(t *testing.T) {
			needs(t, d)
			var jobs []job
			var want []*datasets.Table
			for i, c := range []struct{ zone, moments, population string }{
				{"Europe/Berlin", "{every: 1mo}", "some"},
				{"UTC", "{every: 7d}", ""},
				{"America/New_York", "{every: 3d, while: subscriptions.active}", ""},
				{"Europe/Berlin", "{on: events, where: 'seconds > 3.0'}", ""},
				{"Europe/Berlin", "{on: subscriptions.end, while: subscriptions.active}", ""},
				{"Europe/Berlin", "{after: [7d, 1mo, 45d]}", ""},
				{"America/Santiago", "{before: [1mo, 10d, 1d], of: subscriptions}", "some"},
				{"Asia/Kathmandu", "{every: 1d, while: subscriptions.active}", ""},
			} {
				text, lag := scenario(t, c.zone, c.moments, c.population, someLabel, ""), strings.HasPrefix(c.zone, "America")
				if lag { // intervals whose starts and ends are known later, without a column that says when
					text = strings.Replace(text, "end: ended_at, arrived: loaded_at,", "end: ended_at, lag: 30h,", 1)
				}
				p := parse(t, text)
				if d == sql.Spark && i > 0 { // whose plans take long
					p.Models[0].Features = []string{"n_7d", "to_first", "days_1mo", "last_event", "per_seat"}
				}
				if strings.HasPrefix(c.zone, "Asia") {
					p.Models[0].Moments.Since, p.Models[0].Moments.Until = instant("2025-03-19 18:15:00"), instant("2025-04-09 18:15:00")
				}
				list := history(uint64(i+1), 12)
				for k := range list {
					if f := &list[k]; lag && f.Source == "subscriptions" {
						f.Arrived = f.Occurred + p.Source("subscriptions").Lag.Micros
					}
				}
				asOf, given := asOfAll(kept(list)), int64(0)
				if c.zone == "UTC" { // what came later has not come
					asOf = instant("2025-05-12 00:00:00")
					given = asOf
				}
				want = append(want, rowsOf(t, p, "churn", upTo(kept(list), asOf), asOf))
				jobs = append(jobs, job{name: c.zone + " " + c.moments, tables: tablesOf(t, p, list), query: func(d sql.Dialect, tables map[string]string) string {
					text, err := sql.Emit(p, sql.Options{Dialect: d, Tables: tables, AsOf: given})
					if err != nil {
						t.Fatal(err)
					}
					return text
				}})
			}
			for i, got := range run(t, d, jobs) {
				compare(t, jobs[i].name, got, want[i], loose)
			}
		})
	}
}

func TestLabelsAreTheEngines(t *testing.T) {
	for _, d := range sql.Dialects() {
		t.Run(string(d), func(t *testing.T) {
			needs(t, d)
			var jobs []job
			var want []*datasets.Table
			for i, c := range []struct{ moments, label, gap string }{
				{"{every: 7d}", "{event: subscriptions.end, within: 30d}", "7d"},
				{"{every: 7d, while: subscriptions.active}", "{event: subscriptions.lapse, within: 1mo}", ""},
				{"{every: 3d}", "{event: subscriptions.lapse, where: 'mrr > 200.0', within: 10d}", "1mo"},
				{"{every: 7d}", "{event: events, where: 'event == \"login\" && seconds > 2.0', within: 5d}", ""},
				{"{every: 7d}", "{event: subscriptions, within: 14d}", ""},
				{"{every: 3d, while: subscriptions.active}", "{state: subscriptions.active, is: false, after: 14d}", ""},
				{"{every: 7d}", "{state: subscriptions.active, is: true, after: 1mo}", "3d"},
				{"{every: 3d, while: subscriptions.active}", "{change: subscriptions.mrr, by: 10%, after: 14d}", ""},
				{"{every: 2d, while: subscriptions.active}", "{change: subscriptions.mrr, by: -20%, after: 14d}", ""},
			} {
				p := parse(t, scenario(t, "Europe/Berlin", c.moments, "", c.label, c.gap))
				list := history(uint64(i+100), 20)
				want = append(want, labelsOf(t, p, "churn", kept(list), asOfAll(kept(list))))
				jobs = append(jobs, job{name: c.moments + " " + c.label, tables: tablesOf(t, p, list), query: func(d sql.Dialect, tables map[string]string) string {
					text, err := sql.Emit(p, sql.Options{Dialect: d, Labels: true, Tables: tables})
					if err != nil {
						t.Fatal(err)
					}
					return text
				}})
			}
			for i, got := range run(t, d, jobs) {
				compare(t, jobs[i].name, got, want[i], func(string) bool { return false })
			}
		})
	}
}

// upTo are the facts that had occurred and arrived by an instant.
func upTo(list []facts.Fact, at int64) (out []facts.Fact) {
	for _, f := range list {
		if f.Occurred <= at && f.Arrived <= at {
			out = append(out, f)
		}
	}
	return out
}

// kept are the facts that where of events keeps, which is a condition on records, and
// those of users that have an account.
func kept(list []facts.Fact) (out []facts.Fact) {
	for _, f := range list {
		if x, ok := f.Values["quantity"]; f.Source == "events" && ok && x.Number <= -2 {
			continue
		}
		out = append(out, f)
	}
	return out
}
