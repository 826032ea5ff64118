package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/datasets"
)

// A table over the limit is learnt from column by column: the same version, to
// the bit. What cannot be is refused before anything is learnt.
func TestTrainMemory(t *testing.T) {
	inFolder(t)
	write(t, "accounts.csv", accountsCSV(1500, 1))
	table, err := datasets.Read("accounts.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := datasets.Write("accounts.parquet", table, datasets.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	train := func(code int, data string, more ...string) said {
		return must(t, code, append([]string{"train", "churn", "--data", data, "--id", "id", "--label", "churned=Yes", "--trees", "20", "--json"}, more...)...)
	}
	whole := decode[trained](t, train(exitDone, "accounts.parquet", "--learner", "boosting").out)
	for _, memory := range []string{"1KB", "0.05 MB", "1GiB"} {
		s := train(exitDone, "accounts.parquet", "--learner", "boosting", "--memory", memory)
		if r := decode[trained](t, s.out); r.Hash != whole.Hash || !r.Identical {
			t.Errorf("--memory %s: another version", memory)
		}
		if apart := strings.Contains(s.err, "column by column"); apart != (memory != "1GiB") {
			t.Errorf("--memory %s: %s", memory, s.err)
		}
	}
	mentions(t, train(exitUsage, "accounts.parquet", "--memory", "1KB").err, "logistic needs the whole table", "boosting or additive alone")
	mentions(t, train(exitUsage, "accounts.parquet", "--memory", "1KB", "--learner", "boosting", "--surrogate").err, "surrogate needs the whole table")
	mentions(t, train(exitUsage, "accounts.csv", "--memory", "1KB", "--learner", "boosting").err, "accounts.csv has ", "write it as Parquet")
	train(exitDone, "accounts.csv", "--memory", "1GB", "--learner", "boosting")
	mentions(t, train(exitUsage, "-", "--memory", "1KB").err, "stdin")
	for _, bad := range []string{"12", "x MB", "-1MB", "0MB", "NaNGB", "1e30TB", "MB"} {
		mentions(t, train(exitUsage, "accounts.csv", "--memory="+bad).err, "--memory", "512MB")
	}
	if err := os.WriteFile("cut.parquet", []byte("PAR1 and no more"), 0o644); err != nil {
		t.Fatal(err)
	}
	mentions(t, train(exitFailed, "cut.parquet", "--memory", "1KB", "--learner", "boosting").err, "cut.parquet")
	if left, err := filepath.Glob("registry/churn/v*"); err != nil || len(left) != 1 {
		t.Errorf("left %q, %v", left, err)
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "1B": 1, "512MB": 512e6, "4GB": 4e9, "2GiB": 2 << 30, "1.5 KB": 1500, "1TiB": 1 << 40} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	if got := fmt.Sprint(bytesText(17), bytesText(1500), bytesText(271e6), bytesText(4e9)); got != "17 B1.5 KB271.0 MB4.0 GB" {
		t.Error(got)
	}
}
