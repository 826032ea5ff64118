package check_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/check"
)

const twinProject = one + `
  accounts: {path: accounts.csv, time: created_at}
  events: {path: events.csv, id: id, time: at, arrived: seen, checks: {ranges: {n: [0, 5]}, required: [plan], values: {plan: [a, b]}, unique: [plan], references: {plan: subscriptions.id}, after: [subscriptions.start by plan], agree: {subscriptions: 'plan == "a"'}}}
  subscriptions: {path: subscriptions.csv, id: id, start: started, end: ended}
features: [{name: n, from: events, agg: sum, value: n}]
`

// csvRow is a record by column.
type csvRow map[string]string

func (r csvRow) time(column string) (int64, bool) {
	us, err := datasets.ParseTime(strings.TrimSpace(r[column]))
	return us, err == nil
}

// The same questions, asked of every record one by one in the plainest way.
func twin(accounts, events, subscriptions []csvRow, now int64) map[string]int {
	n := map[string]int{}
	born, listed := map[string]int64{}, map[string]bool{}
	for _, a := range accounts {
		at, ok := a.time("created_at")
		id := a["account_id"]
		if listed[id] = true; ok && id != "" {
			if old, known := born[id]; !known || at < old {
				born[id] = at
			}
		}
	}
	started := map[string]int64{}
	for _, s := range subscriptions {
		at, ok := s.time("started")
		plan := s["plan"]
		if old, known := started[plan]; ok && (!known || at < old) {
			started[plan] = at
		}
	}
	single := func(source, column string, rows []csvRow) {
		withID := map[string][]csvRow{}
		strangers := map[string]bool{}
		for _, r := range rows {
			account := r["account_id"]
			at, ok := r.time(column)
			early := ok && at < 631152000000000
			_, known := born[account]
			for name, is := range map[string]bool{
				"account no account id":          account == "",
				"time no time":                   !ok,
				"old dated before 1990":          early,
				"future dated after":             ok && at > now,
				"sign-up dated before":           source != "accounts" && account != "" && ok && known && at < born[account],
				"types not a number":             source == "events" && r["n"] == "x",
				"ranges outside 0 to 5":          source == "events" && (r["n"] == "9" || r["n"] == "-1"),
				"required records without it":    source == "events" && r["plan"] == "",
				"values not among":               source == "events" && !slices.Contains([]string{"", "a", "b"}, r["plan"]),
				"references values that are not": source == "events" && r["plan"] != "" && !slices.ContainsFunc(subscriptions, func(s csvRow) bool { return s["id"] == r["plan"] }),
			} {
				if is {
					n[source+" "+name]++
				}
			}
			if account != "" && !listed[account] {
				strangers[account] = true
			}
			if r["id"] != "" {
				withID[r["id"]] = append(withID[r["id"]], r)
			}
			if source == "subscriptions" {
				if end, has := r.time("ended"); ok && has && end < at {
					n["subscriptions end ended before"]++
				}
			}
			if source == "events" && ok {
				seen, has := r.time("seen")
				if has && seen < at {
					n["events arrival arrived before"]++
				}
				if has && seen > now && at <= now {
					n["events future dated after"]++
				}
				if start, has := started[r["plan"]]; has && r["plan"] != "" && at < start {
					n["events after dated before subscriptions.start"]++
				}
			}
		}
		if source != "accounts" && len(strangers) > 0 {
			n[source+" known accounts that accounts does not have"] = len(strangers)
		}
		for _, same := range withID {
			if len(same) > 1 {
				n[source+" id ids on more than one record"]++
			}
		}
	}
	single("accounts", "created_at", accounts)
	single("events", "at", events)
	single("subscriptions", "started", subscriptions)
	plans := map[string]int{}
	truth, has := map[string]bool{}, map[string]bool{}
	for _, e := range events {
		if e["plan"] != "" {
			plans[e["plan"]]++
		}
		if e["account_id"] != "" {
			truth[e["account_id"]] = truth[e["account_id"]] || e["plan"] == "a"
		}
	}
	for _, k := range plans {
		if k > 1 {
			n["events unique values on more than one record"]++
		}
	}
	for _, s := range subscriptions {
		has[s["account_id"]] = true
	}
	for account, t := range truth {
		if t && !has[account] {
			n["events agree accounts without subscriptions"]++
		}
		if !t && has[account] {
			n["events agree accounts that have subscriptions"]++
		}
	}
	return n
}

func TestTheCountsAreThoseOfAskingRecordByRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	now, err := datasets.ParseTime("2025-03-01")
	if err != nil {
		t.Fatal(err)
	}
	pick := func(options ...string) string { return options[r.IntN(len(options))] }
	date := func() string {
		return pick("2025-01-01", "2025-01-02", "2025-01-02 12:00:00", "2025-02-01T00:00:00Z", "2025-03-01", "2025-03-02", "0001-01-01", "1989-12-31", "", "soon", "2025-02-30")
	}
	for round := range 40 {
		dir := t.TempDir()
		write := func(file string, columns []string, rows int, cell func(column string) string) (out []csvRow) {
			var b strings.Builder
			b.WriteString(strings.Join(columns, ",") + "\n")
			for range rows {
				row := csvRow{}
				var cells []string
				for _, c := range columns {
					row[c] = cell(c)
					cells = append(cells, row[c])
				}
				out = append(out, row)
				b.WriteString(strings.Join(cells, ",") + "\n")
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			return out
		}
		cell := func(column string) string {
			switch column {
			case "account_id":
				return pick("A1", "A2", "A3", "A4", "")
			case "id":
				return pick("a", "b", "c", "d", "e", "f", "")
			case "n":
				return pick("0", "5", "9", "-1", "x", "", "NA")
			case "plan":
				return pick("a", "b", "c", "z", "")
			}
			return date()
		}
		rows := 1 + r.IntN(12)
		accounts := write("accounts.csv", []string{"account_id", "created_at"}, rows, cell)
		events := write("events.csv", []string{"id", "account_id", "at", "seen", "n", "plan"}, 1+r.IntN(20), cell)
		subscriptions := write("subscriptions.csv", []string{"id", "account_id", "started", "ended", "plan"}, 1+r.IntN(12), cell)
		report := run(t, twinProject, dir, "2025-03-01", check.Options{})
		got := map[string]int{}
		want := twin(accounts, events, subscriptions, now)
		for _, s := range report.Sources {
			for _, f := range s.Findings {
				if f.Count < 0 || f.Count > f.Of || f.Share < 0 || f.Share > 1 || (f.Severity == check.OK) != (f.Count == 0) {
					t.Fatalf("round %d: %s: %+v", round, s.Name, f)
				}
				if f.Count == 0 || slices.Contains([]string{"clock", "late", "overlap", "silent"}, f.Check) || strings.Contains(f.Detail, "taken as") {
					continue
				}
				key := s.Name + " " + f.Check + " " + f.Detail
				for known := range want { // a detail may go on
					if strings.HasPrefix(key, known) {
						key = known
					}
				}
				got[key] += int(f.Count)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d\n got %v\nwant %v\n%s", round, got, want, text(t, report))
		}
	}
}
