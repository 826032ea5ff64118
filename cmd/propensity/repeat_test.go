package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/datasets/sample"
)

// trainedHash trains as the command does, into a registry of its own, and gives
// the hash of the artifact.
func trainedHash(t *testing.T, threads int, args ...string) string {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	var stdout, stderr bytes.Buffer
	args = append([]string{"train", "churn", "--json", "--quiet", "--registry", t.TempDir()}, args...)
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != exitDone && code != exitNo {
		t.Fatalf("%q: exit code %d: %s", args, code, stderr.String())
	}
	var got trained
	if err := json.NewDecoder(io.TeeReader(&stdout, &stderr)).Decode(&got); err != nil {
		t.Fatalf("%v in %s", err, stderr.String())
	}
	if len(got.Hash) != 64 || got.Hash != got.Manifest.Hash {
		t.Fatalf("hash %q, manifest %q", got.Hash, got.Manifest.Hash)
	}
	return got.Hash
}

// tables writes a table in every format.
func tables(t *testing.T, table *datasets.Table) map[string]string {
	t.Helper()
	dir, out := t.TempDir(), map[string]string{}
	for _, format := range []string{"csv", "parquet", "ndjson", "arrow"} {
		out[format] = filepath.Join(dir, "table."+format)
		if err := datasets.Write(out[format], table, datasets.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The same table, flags and seed make the same artifact, whatever the format of
// the file and the number of threads; another seed makes another.
func TestRepeat(t *testing.T) {
	kinds := map[string]datasets.Kind{"customerID": datasets.Text}
	telco, err := datasets.ReadFrom(bytes.NewReader(sample.Telco()), "telco.csv", datasets.ReadOptions{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	company := sample.Simulate(sample.Options{Accounts: 100, Seed: 1}).Churn
	byAccount := []string{"--id", "customerID", "--label", "Churn=Yes"}
	byTime := []string{"--id", "account_id", "--label", "churned", "--time", "moment", "--horizon", "90"}
	telcoFiles, companyFiles := tables(t, telco.Take(leading(450))), tables(t, company)
	for _, c := range []struct {
		name  string
		files map[string]string
		args  []string
	}{
		{"group", telcoFiles, byAccount},
		{"order", telcoFiles, append([]string{"--split", "order"}, byAccount...)},
		{"time", companyFiles, byTime},
	} {
		for _, learner := range []string{"logistic", "boosting"} {
			t.Run(c.name+" "+learner, func(t *testing.T) {
				hash := func(format string, threads int, more ...string) string {
					return trainedHash(t, threads, append(append([]string{"--learner", learner, "--data", c.files[format]}, c.args...), more...)...)
				}
				want := hash("csv", 1)
				formats := []string{"parquet", "ndjson", "arrow"}
				if learner == "boosting" { // which gets the very matrices that logistic got from the formats
					formats = formats[:1]
				}
				for _, format := range formats {
					if got := hash(format, 2); got != want {
						t.Errorf("from %s with 2 threads: hash %s, want %s", format, got, want)
					}
				}
				if got := hash("csv", 2, "--seed", "2"); got == want {
					t.Errorf("another seed makes the same artifact %s", got)
				}
			})
		}
	}
}
