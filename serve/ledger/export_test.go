package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// spelled writes a table a row a line.
func spelled(tables []*datasets.Table) string {
	var b strings.Builder
	for i, t := range tables {
		for j := range t.Columns {
			if i == 0 {
				fmt.Fprintf(&b, "%s:%s ", t.Columns[j].Name, t.Columns[j].Kind)
			}
		}
		for r := range t.Rows() {
			b.WriteString("\n")
			for j := range t.Columns {
				if c := &t.Columns[j]; j > 0 {
					b.WriteString("|" + c.At(r).String())
				} else {
					b.WriteString(c.At(r).String())
				}
			}
		}
	}
	return b.String()
}

// What is exported, line by line: the newest version decides about kinds, the last score
// of a moment counts, what is open has no outcome.
func TestExportByHand(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, address string) {
		now := start + 1000*day
		l := open(t, address, ledger.Options{Now: func() int64 { return now }})
		old := &ledger.Score{At: start, Origin: ledger.OriginRequest, Account: "A", Model: "churn", Version: 1, Hash: "1", AsOf: start, Horizon: 30 * day,
			Columns: []string{"size", "gone", "outcome"}, Kinds: []datasets.Kind{datasets.Number, datasets.Boolean, datasets.Category}, Probability: 0.5, Score: 50, Band: "C",
			Row: []datasets.Value{{Kind: datasets.Number, Number: 12}, {Kind: datasets.Boolean, Number: 1}, {Kind: datasets.Category, Text: "won"}}}
		record := func(change func(s *ledger.Score)) {
			s := *old
			change(&s)
			if err := l.Record(&s); err != nil {
				t.Fatal(err)
			}
			flush(t, l)
		}
		record(func(*ledger.Score) {})
		newer := func(s *ledger.Score) {
			s.Version, s.Hash, s.At = 2, "2", s.At+5
			s.Columns, s.Kinds = []string{"plan", "size", "code"}, []datasets.Kind{datasets.Category, datasets.Category, datasets.Number}
			s.Row = []datasets.Value{{Kind: datasets.Category, Text: "pro"}, {Kind: datasets.Category, Text: "large"}, {Kind: datasets.Category, Text: "x"}}
		}
		record(func(s *ledger.Score) { newer(s); s.Account = "B"; s.AsOf = start + day })
		record(func(s *ledger.Score) {
			newer(s)
			s.Account = "B"
			s.AsOf = start + day
			s.Probability = 0.75
			s.Row[0].Text = "team"
		})
		record(func(s *ledger.Score) { newer(s); s.Account = "B"; s.AsOf = start + day; s.Origin = ledger.OriginShadow })
		record(func(s *ledger.Score) { newer(s); s.Account = "C"; s.AsOf = now - day })
		record(func(s *ledger.Score) { newer(s); s.Account = "" })
		record(func(s *ledger.Score) { newer(s); s.Account = "D"; s.Row = nil })
		record(func(s *ledger.Score) { newer(s); s.Model = "upsell" })
		sold := outcome("b", "B", start+day, datasets.MissingTime, true)
		sold.Value = 99.5
		add(t, l, sold, outcome("a", "A", start, datasets.MissingTime, false), outcome("c", "C", datasets.MissingTime, now-day, true))
		for _, c := range []struct {
			o    ledger.ExportOptions
			want string
			sum  string
		}{
			{ledger.ExportOptions{Model: "churn", Scores: true}, `account:text as_of:time plan:category size:category code:number gone:boolean outcome:category ledger_outcome:boolean value:number scored_at:time version:number origin:category probability:number score:number percentile:number band:category 
A|2026-02-02T02:40:00Z||12||true|won|false||2026-02-02T02:40:00Z|1|request|0.5|50|0|C
B|2026-02-03T02:40:00Z|team|large||||true|99.5|2026-02-02T02:40:00.000005Z|2|request|0.75|50|0|C
C|2028-10-28T02:40:00Z|pro|large||||||2026-02-02T02:40:00.000005Z|2|request|0.5|50|0|C`, "3 1 1 1 1 1"},
			{ledger.ExportOptions{Model: "churn", SettledOnly: true, Since: start + 1}, `account:text as_of:time plan:category size:category code:number gone:boolean outcome:category ledger_outcome:boolean 
B|2026-02-03T02:40:00Z|team|large||||true`, "1 1 0 1 0 0"},
			{ledger.ExportOptions{Model: "none"}, `account:text as_of:time outcome:boolean `, "0 0 0 0 0 0"},
		} {
			var tables []*datasets.Table
			sum, err := l.Export(context.Background(), c.o, func(t *datasets.Table) error {
				tables = append(tables, t)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := spelled(tables); got != c.want {
				t.Errorf("%+v:\n%s\nwant\n%s", c.o, got, c.want)
			}
			if got := fmt.Sprint(sum.Rows, sum.Positive, sum.Negative, sum.Open, sum.Bare, sum.Nameless); got != c.sum {
				t.Errorf("%+v: %s, want %s", c.o, got, c.sum)
			}
		}
	})
}

// A long export comes in several tables of the same columns, and has each score once.
func TestExportIsStreamed(t *testing.T) {
	l := open(t, "sqlite:"+t.TempDir()+"/l.db", ledger.Options{})
	const n = 10_000
	for i := range int64(n) {
		s := score(fmt.Sprint("A", i), start+i/3, "A", 0.5)
		if err := l.Record(s); err != nil {
			t.Fatal(err)
		}
	}
	flush(t, l)
	seen := map[string]bool{}
	tables := 0
	_, err := l.Export(context.Background(), ledger.ExportOptions{Model: "churn"}, func(table *datasets.Table) error {
		tables++
		for i := range table.Rows() {
			seen[table.Columns[0].At(i).Text] = true
		}
		return nil
	})
	if err != nil || tables != 2 || len(seen) != n {
		t.Errorf("%d tables of %d accounts, %v", tables, len(seen), err)
	}
}
