package ledger_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

// A score comes back as it was given: the texts of reasons apart, which can be made
// again from the version.
func TestScoresComeBackAsTheyWereGiven(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, address string) {
		l := open(t, address, ledger.Options{})
		a, b := score("A-\x00é", start, "B", 0.25), score("", start+1, "C", 0.1)
		b.Origin, b.Row, b.Key = ledger.OriginShadow, nil, ""
		b.Reasons = nil
		for _, s := range []*ledger.Score{a, b} {
			if err := l.Record(s); err != nil {
				t.Fatal(err)
			}
		}
		flush(t, l)
		for _, want := range []*ledger.Score{a, b} {
			got, err := l.Scores(context.Background(), want.Account, ledger.Query{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 {
				t.Fatalf("%d scores of %q", len(got), want.Account)
			}
			if diff := cmp.Diff(*want, got[0].Score); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Without rows, a score has all but its row, and the values of its reasons.
func TestRowsCanBeLeftOut(t *testing.T) {
	l := open(t, "sqlite:"+t.TempDir()+"/l.db", ledger.Options{NoRows: true})
	want := score("A", start, "B", 0.25)
	if err := l.Record(want); err != nil {
		t.Fatal(err)
	}
	got := scores(t, l, "A")[0].Score
	want.Row = nil
	for i := range want.Reasons {
		want.Reasons[i].Value = datasets.Value{}
	}
	if diff := cmp.Diff(*want, got); diff != "" {
		t.Error(diff)
	}
}
