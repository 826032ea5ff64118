package main

import (
	"os"
	"strings"
	"testing"

	"propensity/models"
	"propensity/models/registry"
)

// twoVersions leaves churn@1 and churn@2, the second champion.
func twoVersions(t *testing.T) {
	t.Helper()
	trainChurn(t)
	write(t, "more.csv", accountsCSV(1900, 1))
	must(t, exitDone, "train", "churn", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--data", "more.csv")
}

func TestModels(t *testing.T) {
	home := inFolder(t)
	twoVersions(t)
	golden(t, home, "list.txt", must(t, exitDone, "models", "list").out)
	golden(t, home, "show.txt", must(t, exitDone, "models", "show", "churn@1").out)

	mentions(t, must(t, exitDone, "models", "verify", "churn").out, "churn@2 is whole")
	mentions(t, must(t, exitFailed, "models", "delete", "churn@2").err, "2", "champion")
	mentions(t, must(t, exitDone, "models", "rollback", "churn", "--note", "too many alarms").out, "churn@champion is version 1 now")
	mentions(t, must(t, exitFailed, "models", "rollback", "churn").err, "churn")
	mentions(t, must(t, exitDone, "models", "promote", "churn@2", "--alias", "challenger").out, "churn@challenger is version 2 now")
	mentions(t, must(t, exitDone, "models", "promote", "churn@2", "--note", "now").out, "churn@champion is version 2 now")
	mentions(t, must(t, exitDone, "models", "delete", "churn@1", "--note", "old").err, "deleted churn@1")
	mentions(t, must(t, exitFailed, "models", "show", "churn@1").err, "churn", "1")
	golden(t, home, "log.txt", must(t, exitDone, "models", "log", "churn").out)
	if _, err := os.Stat("registry/churn/v1"); !os.IsNotExist(err) {
		t.Errorf("a deleted version is still there: %v", err)
	}
	// A number is never used again.
	write(t, "accounts.csv", accountsCSV(1500, 8))
	s := do(t, "train", "churn", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic")
	mentions(t, s.out, "churn@3")
}

func TestModelsJSON(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	list := decode[[]listing](t, must(t, exitDone, "models", "list", "churn", "--json").out)
	if len(list) != 1 || list[0].Model != "churn" || len(list[0].Versions) != 2 {
		t.Fatalf("%+v", list)
	}
	type shown struct {
		Model    string          `json:"model"`
		Version  int             `json:"version"`
		Manifest models.Manifest `json:"manifest"`
		Metrics  models.Metrics  `json:"metrics"`
	}
	s := decode[shown](t, must(t, exitDone, "models", "show", "churn@1", "--json").out)
	if s.Model != "churn" || s.Version != 1 || s.Manifest.Data.Rows != 1500 || s.Metrics.Chosen != "logistic" {
		t.Errorf("%+v", s)
	}
	type whole struct {
		Model   string `json:"model"`
		Version int    `json:"version"`
		Whole   bool   `json:"whole"`
	}
	if v := decode[whole](t, must(t, exitDone, "models", "verify", "churn@champion", "--json").out); v != (whole{"churn", 2, true}) {
		t.Errorf("%+v", v)
	}
	type moved struct {
		Model   string `json:"model"`
		Alias   string `json:"alias"`
		Version int    `json:"version"`
	}
	if m := decode[moved](t, must(t, exitDone, "models", "rollback", "churn", "--json").out); m != (moved{"churn", "champion", 1}) {
		t.Errorf("%+v", m)
	}
	if m := decode[moved](t, must(t, exitDone, "models", "promote", "churn@2", "--alias", "challenger", "--json").out); m != (moved{"churn", "challenger", 2}) {
		t.Errorf("%+v", m)
	}
	log := decode[[]registry.Entry](t, must(t, exitDone, "models", "log", "churn", "--json").out)
	if len(log) != 6 || log[0].Action != "publish" || log[5].Alias != "challenger" || log[0].Facts["data"] != "accounts.csv" {
		t.Errorf("%+v", log)
	}
}

func TestModelsNotThere(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	for _, args := range []string{"models show other", "models show churn@7", "models show churn@best", "models verify churn@7", "models promote churn@7",
		"models rollback other", "models rollback churn", "models delete churn@7", "models log other", "models list other"} {
		s := must(t, exitFailed, strings.Fields(args)...)
		mentions(t, s.err, "Error: ", "not found: ")
		if s.out != "" {
			t.Errorf("%q speaks on stdout: %s", args, s.out)
		}
	}
	for _, args := range []string{"models show ../churn", "models show churn@0", "models promote churn@champion", "models promote churn@1 --alias 7", "models promote churn@1 --alias Best"} {
		if s := do(t, strings.Fields(args)...); s.code != exitUsage {
			t.Errorf("%q: exit code %d: %s", args, s.code, s.err)
		}
	}
}

// A version that was tampered with is not verified, shown, promoted or scored by.
func TestModelsDamaged(t *testing.T) {
	inFolder(t)
	twoVersions(t)
	path := "registry/churn/v2/encoder.json"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(b), `"mean":`, `"mean": `, 1))
	for _, args := range []string{"models verify churn@2", "models show churn@2", "models promote churn@2 --alias challenger", "score churn --in accounts.csv",
		"train churn --data accounts.csv --label churned=Yes"} {
		s := must(t, exitFailed, strings.Fields(args)...)
		mentions(t, s.err, "churn", "encoder.json does not match its hash")
		if s.out != "" {
			t.Errorf("%q speaks on stdout: %s", args, s.out)
		}
	}
	must(t, exitDone, "models", "rollback", "churn") // and one can go back
	must(t, exitDone, "score", "churn", "--in", "accounts.csv", "--out", "scores.csv")
}
