package ledger_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/models"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

const (
	day   = int64(24 * time.Hour / time.Microsecond)
	start = int64(1_770_000_000_000_000) // 2026-02-02
)

// open opens a ledger that commits at once.
func open(t testing.TB, address string, o ledger.Options) *ledger.Ledger {
	t.Helper()
	if o.Every == 0 {
		o.Every = time.Millisecond
	}
	if o.Now == nil {
		o.Now = func() int64 { return start + 1000*day }
	}
	l := ledger.Open(databasetest.Open(t, address), o)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func flush(t failer, l *ledger.Ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// score is a score of churn@1 with a row of every kind.
func score(account string, asOf int64, band string, probability float64) *ledger.Score {
	return &ledger.Score{
		At: asOf, Key: "k1", Request: "r1", Origin: ledger.OriginRequest,
		Account: account, Model: "churn", Version: 1, Hash: "h1", AsOf: asOf, Horizon: 30 * day,
		Columns: []string{"plan", "logins", "share", "sso", "since", "note"},
		Kinds:   []datasets.Kind{datasets.Category, datasets.Number, datasets.Number, datasets.Boolean, datasets.Time, datasets.Category},
		Row: []datasets.Value{
			{Kind: datasets.Category, Text: "pro"}, {Kind: datasets.Number, Number: 6}, {Kind: datasets.Number, Number: 0.25},
			{Kind: datasets.Boolean, Number: 1}, {Kind: datasets.Time, Time: asOf - 40*day}, {},
		},
		Probability: probability, Raw: -1.25, Score: int(probability*100 + 0.5), Percentile: 91.5, Band: band,
		Reasons: []models.Reason{{Feature: "logins", Value: datasets.Value{Kind: datasets.Number, Number: 6}, Points: 18.25}, {Feature: "plan", Value: datasets.Value{Kind: datasets.Category, Text: "pro"}, Points: -2.5}},
	}
}

// wide is a score of 40 columns with reasons for all that matter, as benchmarks have it.
func wide(i int) *ledger.Score {
	s := &ledger.Score{
		At: start + int64(i), Origin: ledger.OriginRequest, Account: fmt.Sprintf("A-%d", i%20_000), Model: "churn", Version: 7,
		Hash: "5f0a5c3e", AsOf: start + int64(i), Probability: 0.2314, Raw: -1.2, Score: 23, Percentile: 91.3, Band: "B", Request: "01HZXW5J1Y",
	}
	for j := range 40 {
		s.Columns = append(s.Columns, fmt.Sprintf("column_%02d", j))
		v := datasets.Value{Kind: datasets.Number, Number: float64(j*i%1000) / 8}
		kind := datasets.Number
		if j%4 == 0 {
			v, kind = datasets.Value{Kind: datasets.Category, Text: "level-" + strconv.Itoa(i*j%9)}, datasets.Category
		}
		s.Row, s.Kinds = append(s.Row, v), append(s.Kinds, kind)
	}
	for j := range 3 {
		s.Reasons = append(s.Reasons, models.Reason{Feature: s.Columns[7*j], Points: 3.5 - float64(j)})
	}
	return s
}

// failer is a test, or a draw of one.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func usesPostgres(address string) bool { return strings.HasPrefix(address, "postgres") }
