package stream

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/datasets"
)

// Each file has a header and stays below the limit, here a small one, and no row is lost
// or cut.
func TestSalesforceFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	w, err := NewCRMFiles(dir, &CRM{Kind: "salesforce", ID: "Account_Key__c", Fields: []CRMField{{"probability", "Churn__c"}, {"band", "Band__c"}, {"as_of", "Scored_At__c"}, {"reasons", "Why__c"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.most = 2000
	const rows = 100
	in := &datasets.Table{Columns: []datasets.Column{
		{Name: "account", Kind: datasets.Text}, {Name: "probability", Kind: datasets.Number}, {Name: "band", Kind: datasets.Category, Values: []string{"A"}},
		{Name: "as_of", Kind: datasets.Time}, {Name: "reason_1", Kind: datasets.Text, Values: []string{"6 logins, \"few\"\nin 28 days"}},
	}}
	for i := range rows {
		in.Columns[0].Codes, in.Columns[0].Values = append(in.Columns[0].Codes, int32(i)), append(in.Columns[0].Values, fmt.Sprintf("00%d", i))
		in.Columns[1].Numbers = append(in.Columns[1].Numbers, 1/float64(i+3))
		in.Columns[2].Codes = append(in.Columns[2].Codes, 0)
		in.Columns[3].Times = append(in.Columns[3].Times, 1_767_225_600_000_000)
		in.Columns[4].Codes = append(in.Columns[4].Codes, int32(i%2)-1)
	}
	if err := w.Write(in); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	row := 0
	for k, path := range files {
		if want := fmt.Sprintf("scores-%04d.csv", k+1); filepath.Base(path) != want {
			t.Errorf("%s, want %s", path, want)
		}
		text, err := os.ReadFile(path)
		if err != nil || len(text) > w.most || strings.Contains(string(text), "\r") {
			t.Errorf("%s: %d bytes, %v", path, len(text), err)
		}
		r := csv.NewReader(strings.NewReader(string(text)))
		if head, err := r.Read(); err != nil || strings.Join(head, " ") != "Account_Key__c Churn__c Band__c Scored_At__c Why__c" {
			t.Fatal(head, err)
		}
		for {
			got, err := r.Read()
			if err == io.EOF {
				break
			}
			why := []string{"#N/A", "6 logins, \"few\"\nin 28 days"}[row%2]
			p := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.6f", 1/float64(row+3)), "0"), ".")
			if want := []string{fmt.Sprintf("00%d", row), p, "A", "2026-01-01T00:00:00Z", why}; err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
				t.Fatalf("row %d: %q, want %q, %v", row, got, want, err)
			}
			row++
		}
	}
	if row != rows {
		t.Errorf("%d rows of %d", row, rows)
	}
}
