package ledger_test

import (
	"path/filepath"
	"testing"

	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// BenchmarkRecord is what a score costs its request, without what the writer does.
func BenchmarkRecord(b *testing.B) {
	scores := make([]*ledger.Score, 1000)
	for i := range scores {
		scores[i] = wide(i)
	}
	l := open(b, "sqlite:"+filepath.Join(b.TempDir(), "ledger.db"), ledger.Options{Queue: 1 << 20})
	_ = l.Record(scores[0])
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = l.Record(scores[i%1000])
	}
}

// BenchmarkCommit is what a score costs until it is in the database: its time is that of
// one core, of which 10,000 scores a second take ten thousand times as much.
func BenchmarkCommit(b *testing.B) {
	scores := make([]*ledger.Score, 100_000)
	for i := range scores {
		scores[i] = wide(i)
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			address := "sqlite:" + filepath.Join(b.TempDir(), "ledger.db")
			if kind == "postgres" {
				address = databasetest.Postgres(b)
			}
			l := open(b, address, ledger.Options{Queue: 1 << 30})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_ = l.Record(scores[i%len(scores)])
				if i%2000 == 1999 {
					flush(b, l)
				}
			}
			flush(b, l)
			b.ReportMetric(float64(l.Stats().Committed)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
