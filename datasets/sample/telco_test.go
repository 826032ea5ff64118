package sample

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"testing"
)

func TestTelco(t *testing.T) {
	records, err := csv.NewReader(bytes.NewReader(Telco())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 7044 || len(records[0]) != 21 || records[0][0] != "customerID" || records[0][20] != "Churn" {
		t.Fatalf("%d records of %d fields, header %v", len(records), len(records[0]), records[0])
	}
	left, blank := 0, 0
	for _, record := range records[1:] {
		if record[20] == "Yes" {
			left++
		}
		if record[19] == "" {
			blank++
		}
	}
	if left != 1869 || blank != 11 {
		t.Errorf("%d left, want 1869; %d without TotalCharges, want 11", left, blank)
	}
}

func TestTelcoIsTheSharedTable(t *testing.T) {
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED is not set: the bundled table is not compared with the shared one")
	}
	want, err := os.ReadFile(filepath.Join(dir, "data", "telco_churn", "table.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Telco(), want) {
		t.Error("the bundled table differs from the shared one")
	}
}
