package train

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"propensity/datasets"
)

// The card says what a reader must know, follows from the run alone and holds no
// time of its making and no machine.
func TestCard(t *testing.T) {
	table := known(900, 5)
	money := datasets.Column{Name: "mrr", Kind: datasets.Number}
	for i := range table.Rows() {
		money.Numbers = append(money.Numbers, float64(10+i%50))
	}
	table.Columns = append(table.Columns, money, numbers("flat", make([]float64, table.Rows())...))
	s := mSpec
	s.Value = "mrr"
	r, err := Run(context.Background(), table, s, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := string(r.Artifact.Card)
	for _, section := range []string{"# m\n", "## Training data", "## Evaluation data", "900 rows of 900 accounts", "Split by group: 720 rows to learn from, 180 to judge", "## Metrics", "ROC AUC",
		"money captured", "## Bands", "- E: from 0 %", "## Why this model", "passed: base rate", "best one-line rule", "## What it looks at",
		"## What was left out", "- flat: ", "## Caveats", r.Artifact.Manifest.Data.Fingerprint} {
		if !strings.Contains(text, section) {
			t.Errorf("no %q in\n%s", section, text)
		}
	}
	if found := regexp.MustCompile(`\b20\d\d-\d\d-\d\d|seconds|\d:\d\d|%!|NaN|\bmap\[`).FindString(text); found != "" {
		t.Errorf("the card holds %q:\n%s", found, text)
	}
	tables := 0
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "| down to") {
			tables = strings.Count(line, "|")
		} else if !strings.HasPrefix(line, "|") {
			tables = 0
		} else if tables > 0 && strings.HasPrefix(line, "|") && strings.Count(line, "|") != tables {
			t.Errorf("a row of another width: %s", line)
		}
	}
}
