package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/features/spec"
)

func csv(t *testing.T, path, text string) spec.Sample {
	t.Helper()
	table, err := datasets.ReadFrom(strings.NewReader(text), "a.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return spec.Sample{Path: path, Table: table, Whole: true}
}

// rows are a header and n rows of a pattern: %d is the row, %D a day that follows it.
func rows(n int, header, pattern string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range n {
		r := strings.NewReplacer("%d", fmt.Sprint(i), "%h", fmt.Sprint(i/2), "%D", fmt.Sprintf("2025-%02d-%02d", 1+i/28%12, 1+i%28), "%E", fmt.Sprintf("2026-%02d-%02d", 1+i/28%12, 1+i%28),
			"%c", []string{"red", "green", "blue"}[i%3])
		b.WriteString(r.Replace(pattern) + "\n")
	}
	return b.String()
}

// What a company's files are is seen, and the draft says so.
func TestDraft(t *testing.T) {
	got, err := spec.Draft([]spec.Sample{
		csv(t, "crm/accounts.csv", rows(60, "account_id,name,created_at,industry,seats,status,lifetime_value", "A%d,Name %d,%D,%c,%d,active,%d")),
		csv(t, "crm/users.csv", rows(60, "user_id,account_id,joined_at", "U%d,A%h,%D")),
		csv(t, "events/*.csv", rows(60, "event_id,user_id,event,occurred_at,received_at,seconds", "E%d,U%h,%c,%D,%D,%d")),
		csv(t, "billing/subscriptions.csv", rows(60, "id,account_id,plan,mrr,currency,started_at,ended_at,renews_at,cancel_reason", "S%d,A%h,%c,%d,EUR,%D,%E,%E,late")),
		csv(t, "support/tickets.csv", rows(60, "ticket_id,account_id,priority,opened_at,closed_at,satisfaction", "T%d,A%h,%c,%D,%E,%d")),
		csv(t, "nps.csv", rows(60, "account_id,answered_at,score", "A%h,%D,%d")),
		csv(t, "usage_daily.csv", rows(60, "account_id,day,storage", "A%h,%D,%d")),
		csv(t, "merges.csv", rows(3, "from_account,into_account,merged_at", "A%d,B%d,%D")),
		csv(t, "notes.csv", rows(3, "text,author", "x%d,y")),
	})
	if err != nil {
		t.Fatal(err)
	}
	name := "testdata/draft.yaml"
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || got != string(want) {
		t.Errorf("%v\n%s", err, got)
	}
	again(t, parse(t, got))
}

// A table that is finished already becomes a model of it.
func TestDraftOfFinishedTable(t *testing.T) {
	got, err := spec.Draft([]spec.Sample{csv(t, "telco.csv", rows(30, "customerID,tenure,Churn", "C%d,%d,No")+"C99,1,Yes\n")})
	if err != nil || !strings.Contains(got, "label: {column: Churn, positive: \"Yes\"}") || !strings.Contains(got, "id: customerID") {
		t.Errorf("%v\n%s", err, got)
	}
	parse(t, got)
	if _, err := spec.Draft(nil); err == nil {
		t.Error("nothing has a draft")
	}
}

// Known exports are known by their columns, and what they leak is not shown.
func TestDraftOfExports(t *testing.T) {
	got, err := spec.Draft([]spec.Sample{
		csv(t, "tracks.csv", rows(20, "id,user_id,event,timestamp,received_at,context_ip", "E%d,U%h,%c,%D,%D,x")),
		csv(t, "groups.csv", rows(20, "id,group_id,user_id,timestamp,received_at", "G%d,C%h,U%d,%D,%D")),
		csv(t, "subs.csv", rows(20, "id,customer,status,start_date,ended_at,canceled_at,cancel_at_period_end,current_period_end,quantity", "S%d,C%h,canceled,%D,%E,%E,true,%E,%d")),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, got)
	for i, want := range []string{"segment", "segment", "stripe"} {
		if s := p.Sources[i]; s.Export != want {
			t.Errorf("%s: %s", s.Name, got)
		}
	}
	if p.Sources[1].Kind != spec.Users || strings.Contains(outputs(p), "cancel") || strings.Contains(outputs(p), "status") {
		t.Errorf("%s", got)
	}
	again(t, p)
}

// A survey's answer is known when it was given, not when it was asked for; files that
// are called by a month are those of their folder.
func TestDraftOfSurveys(t *testing.T) {
	got, err := spec.Draft([]spec.Sample{
		csv(t, "nps.csv", rows(40, "account_id,sent_at,answered_at,score", "A%h,%D,%E,%d")),
		csv(t, "raw/logins/*-*.csv", rows(40, "account_id,at", "A%h,%D")),
	})
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, got)
	if s := p.Source("nps"); s.Kind != spec.Intervals || s.End != "answered_at" || p.Features[0].From != "nps.end" || p.Source("logins") == nil {
		t.Errorf("%s", got)
	}
}

// Of the five files of RavenStack each is what its description says.
func TestDraftOfRavenstack(t *testing.T) {
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED names no directory of public tables")
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "ravenstack", "*.csv"))
	if err != nil || len(files) != 5 {
		t.Fatalf("%v, %v", files, err)
	}
	var samples []spec.Sample
	for _, f := range files {
		table, err := datasets.Read(f, datasets.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, spec.Sample{Path: filepath.Base(f), Table: table, Whole: true})
	}
	text, err := spec.Draft(samples)
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, text)
	for name, want := range map[string]spec.Kind{"accounts": spec.Attributes, "churn_events": spec.Events, "feature_usage": spec.Events, "subscriptions": spec.Intervals, "support_tickets": spec.Intervals, "users": spec.Users} {
		if s := p.Source(name); s == nil || s.Kind != want {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s := p.Source("feature_usage"); s.User != "subscription_id" || s.Account != "" || s.ID != "usage_id" {
		t.Errorf("%+v", s)
	}
	if len(p.Models) != 3 {
		t.Errorf("%s", text)
	}
}

// Whatever the tables, the draft is a project file without faults, and the same for the
// same tables.
func TestDraftIsRead(t *testing.T) {
	names := []string{"account_id", "Account ID", "customerID", "company", "user_id", "id", "uuid", "event", "type", "event_id", "occurred_at", "created_at", "received_at",
		"started_at", "ended_at", "start_date", "end_date", "closed_at", "mrr", "amount", "currency", "renews_at", "current_period_end", "status", "plan", "seats", "churned",
		"is_trial", "score", "name", "Größe", "2nd", "a b", "a_b", "true", "from_account", "into_account", "notes: #1", "\"quoted\"", "timestamp", "distinct_id", "customer",
		"start_date", "cancel_at_period_end", "customer_id", "events_7d", "_", "\xff"}
	files := []string{"accounts.csv", "users.parquet", "x/events.csv", "subscriptions.csv", "2024.csv", "data_a.csv", "data_b.csv", "nps survey.csv", "tickets.csv", "daily.csv", "é.csv", "true.csv", "a: b#c.csv", "dir/*.csv"}
	rapid.Check(t, func(t *rapid.T) {
		var samples []spec.Sample
		for range rapid.IntRange(1, 5).Draw(t, "files") {
			table := &datasets.Table{}
			n := rapid.IntRange(1, 30).Draw(t, "rows")
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 12, rapid.ID).Draw(t, "names") {
				c := datasets.Column{Name: name, Kind: rapid.SampledFrom([]datasets.Kind{datasets.Number, datasets.Boolean, datasets.Category, datasets.Time, datasets.Text}).Draw(t, "kind")}
				values := rapid.SampledFrom([]int{1, 2, 5, 100}).Draw(t, "values")
				for i := range n {
					v := rapid.IntRange(-1, values-1).Draw(t, "value")
					if values == 100 {
						v = i
					}
					switch c.Kind {
					case datasets.Number, datasets.Boolean:
						c.Numbers = append(c.Numbers, float64(max(v, 0)%2)+float64(max(v, 0))*b2f(c.Kind == datasets.Number))
					case datasets.Time:
						c.Times = append(c.Times, []int64{datasets.MissingTime, int64(v) * 86400e6}[min(v+1, 1)])
					default:
						c.Codes = append(c.Codes, int32(v))
					}
				}
				for i := range values {
					c.Values = append(c.Values, []string{"login", "a b", "a_b", "", "yes", "1", "\"x\"", "é"}[i%8]+strings.Repeat("!", i/8))
				}
				if c.Kind != datasets.Category && c.Kind != datasets.Text {
					c.Values = nil
				}
				table.Columns = append(table.Columns, c)
			}
			samples = append(samples, spec.Sample{Path: rapid.SampledFrom(files).Draw(t, "file"), Table: table, Whole: true})
		}
		text, err := spec.Draft(samples)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := spec.Parse([]byte(text)); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if twice, err := spec.Draft(samples); err != nil || twice != text {
			t.Fatalf("%v\n%s\n%s", err, text, twice)
		}
	})
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
