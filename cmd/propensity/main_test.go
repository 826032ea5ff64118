package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// What trainChurn copies.
var (
	churnOnce  sync.Once
	churnFiles []kept
	churnSaid  said
)

type kept struct {
	path string
	mode fs.FileMode
	data []byte
}

// firstChurn trains in the working directory and reads what came of it.
func firstChurn(t *testing.T) (out []kept, s said) {
	t.Helper()
	s = trainFrom(t)
	err := filepath.WalkDir("registry", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		k := kept{path: path, mode: info.Mode()}
		if !d.IsDir() {
			k.data, err = os.ReadFile(path)
		}
		out = append(out, k)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, s
}

var update = flag.Bool("update", false, "write the golden files anew")

// said is what a command left: its exit code, stdout and stderr.
type said struct {
	code     int
	out, err string
}

// do runs the program in the working directory, without anything on stdin.
func do(t *testing.T, args ...string) said {
	t.Helper()
	return doWith(t, context.Background(), nil, args...)
}

func doWith(t *testing.T, ctx context.Context, stdin io.Reader, args ...string) said {
	t.Helper()
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	var out, err bytes.Buffer
	code := run(ctx, args, stdin, &out, &err)
	s := said{code, out.String(), err.String()}
	if all := s.out + s.err; strings.Contains(all, "goroutine ") || strings.Contains(all, "panic") || strings.Contains(all, "%!") || strings.Contains(all, "<nil>") {
		t.Errorf("%q shows its insides:\n%s%s", args, s.out, s.err)
	}
	return s
}

// must fails unless the command ended with that code.
func must(t *testing.T, code int, args ...string) said {
	t.Helper()
	s := do(t, args...)
	if s.code != code {
		t.Fatalf("%q: exit code %d, expected %d\n%s\n%s", args, s.code, code, s.out, s.err)
	}
	return s
}

// mentions fails unless the text holds all the words.
func mentions(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

// golden compares a text with testdata, after what varies was cut.
func golden(t *testing.T, dir, name, text string) {
	t.Helper()
	for _, cut := range []struct{ varies, as string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`, "(time)             "},
		{`\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b`, "(hash)"},
		{`(?m)((?:publish|promote|rollback|delete)  .*?  )` + regexp.QuoteMeta(actor()) + ` *`, "$1(user)  "},
		{`(\.\d{6})\d+`, "$1"}, // other processors may round the last digits otherwise
		{`by( +)note`, "by      note"},
		{`[ \t]+\n`, "\n"},
	} {
		text = regexp.MustCompile(cut.varies).ReplaceAllString(text, cut.as)
	}
	path := filepath.Join(dir, "testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", name, text)
	}
}

// inFolder makes an empty folder the working directory and gives the one before.
func inFolder(t *testing.T) (before string) {
	t.Helper()
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	return before
}

// write puts a file into the working directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// accountsCSV is a table whose outcome follows from plan and logins.
func accountsCSV(rows int, seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 3))
	var b strings.Builder
	b.WriteString("id,plan,logins,seats,annual,mrr,churned\n")
	for i := range rows {
		plan, logins := []string{"free", "pro", "team"}[rng.IntN(3)], rng.IntN(60)
		seats := fmt.Sprint(1 + rng.IntN(20))
		if rng.IntN(10) == 0 {
			seats = ""
		}
		z := 1.2 - 0.09*float64(logins)
		if plan == "free" {
			z += 1.5
		}
		churned := "No"
		if rng.Float64() < 1/(1+math.Exp(-z)) {
			churned = "Yes"
		}
		fmt.Fprintf(&b, "A-%04d,%s,%d,%s,%v,%d,%s\n", i, plan, logins, seats, rng.IntN(2) == 0, 10*(1+rng.IntN(30)), churned)
	}
	return b.String()
}

// trainChurn trains churn@1 from accounts.csv in the working directory. Without more
// flags it was trained once, in a folder whose files every test gets a copy of.
func trainChurn(t *testing.T, more ...string) said {
	t.Helper()
	write(t, "accounts.csv", accountsCSV(1500, 1))
	if len(more) > 0 {
		return trainFrom(t, more...)
	}
	first := false
	churnOnce.Do(func() { churnFiles, churnSaid = firstChurn(t); first = true })
	if first {
		return churnSaid
	}
	if len(churnFiles) == 0 {
		t.Fatal("churn@1, of which this test needs a copy, was not trained")
	}
	for _, f := range churnFiles { // a folder stands before what is in it
		if f.mode.IsDir() {
			if err := os.MkdirAll(f.path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(f.path, f.data, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range slices.Backward(churnFiles) {
		if err := os.Chmod(f.path, f.mode.Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return churnSaid
}

func trainFrom(t *testing.T, more ...string) said {
	t.Helper()
	return must(t, exitDone, append([]string{"train", "churn", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic"}, more...)...)
}

// files lists what is in a folder, hidden files too, without the locks of the registry.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".lock" {
			out = append(out, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExitCodes(t *testing.T) {
	inFolder(t)
	for _, c := range []struct {
		code  int
		args  string
		words []string
	}{
		{exitDone, "", []string{"Usage:", "Examples:"}},
		{exitDone, "--version", []string{"propensity version"}},
		{exitUsage, "fly", []string{`unknown command "fly"`, "--help"}},
		{exitUsage, "models fly", []string{`unknown command "fly"`, "propensity models --help"}},
		{exitUsage, "--fly", []string{"unknown flag: --fly", "--help"}},
		{exitUsage, "score", []string{"accepts 1 arg", "propensity score --help"}},
		{exitUsage, "score churn --reasons many", []string{"--reasons", "many"}},
		{exitUsage, "score churn --reasons -1", []string{"--reasons -1"}},
		{exitUsage, "score churn@@", []string{`alias "@"`, "after the @ stands a version"}},
		{exitUsage, "score churn --as-of yesterday", []string{"--as-of", "yesterday"}},
		{exitUsage, "score churn --out-format xls", []string{"--out-format", "xls"}},
		{exitFailed, "score churn", []string{"no registry at registry"}},
		{exitUsage, "train", []string{"no --data", "propensity.yaml", "--config"}},
		{exitUsage, "train churn --label y --id id", []string{"--id, --label only with --data"}},
		{exitUsage, "train --data a.csv --label y", []string{"name the one model"}},
		{exitUsage, "train a b --data a.csv --label y", []string{"name the one model"}},
		{exitUsage, "train a --data a.csv", []string{"no label", "--label"}},
		{exitUsage, "train A --data a.csv --label y", []string{`"A"`, "lower-case"}},
		{exitUsage, "train a --data a.csv --label y --split magic", []string{`"magic"`, "time, order or group"}},
		{exitUsage, "train a --data a.csv --label y --split time", []string{"--time"}},
		{exitUsage, "train a --data a.csv --label y --learner magic", []string{`"magic"`, "scorecard, logistic, elastic, cart, additive, boosting"}},
		{exitUsage, "train a --data a.csv --label y --types x=colour", []string{"x=colour", "number, boolean, category, time or text"}},
		{exitUsage, "train a --data a.csv --label y --types x", []string{`"x"`, "column=type"}},
		{exitUsage, "train a --data a.csv --label y --holdout 0", []string{"--holdout 0"}},
		{exitUsage, "train a --data a.csv --label y --holdout 0.9", []string{"0.9", "0.05 and 0.5"}},
		{exitFailed, "train a --data a.csv --label y", []string{"a.csv", "no such file"}},
		{exitUsage, "evaluate", []string{"--cv"}},
		{exitUsage, "evaluate --cv", []string{"--data with --schema"}},
		{exitUsage, "evaluate --cv --data a.csv", []string{"--schema"}},
		{exitFailed, "evaluate --cv nowhere", []string{"nowhere", "schema.json", "no such file"}},
		{exitUsage, "models promote churn", []string{"churn@7"}},
		{exitUsage, "models delete churn", []string{"churn@7"}},
		{exitFailed, "models list", []string{"no registry at registry"}},
		{exitFailed, "models show churn", []string{"no registry at registry"}},
		{exitFailed, "serve --addr nowhere:what --ledger off", []string{"unknown port"}},
	} {
		s := do(t, strings.Fields(c.args)...)
		if s.code != c.code {
			t.Errorf("%q: exit code %d, expected %d: %s", c.args, s.code, c.code, s.err)
		}
		if c.code == exitDone {
			mentions(t, s.out, c.words...)
			continue
		}
		mentions(t, s.err, append(c.words, "Error: ")...)
		if s.out != "" {
			t.Errorf("%q: a failure speaks on stdout: %s", c.args, s.out)
		}
	}
	if left := files(t, "."); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestHelp(t *testing.T) {
	inFolder(t)
	for _, c := range []string{"", "doctor", "train", "evaluate", "score", "serve", "demo", "models", "models list", "models show", "models promote",
		"models rollback", "models verify", "models delete", "models log"} {
		s := must(t, exitDone, append(strings.Fields(c), "--help")...)
		mentions(t, s.out, "Usage:\n  propensity "+c, "Examples:\n  propensity "+c)
	}
}

// A full disk or a closed pipe is not taken for success.
func TestStdoutFull(t *testing.T) {
	full := filepath.FromSlash("/dev/full")
	if _, err := os.Stat(full); err != nil {
		t.Skip("no /dev/full on this system")
	}
	inFolder(t)
	trainChurn(t)
	for _, args := range [][]string{
		{"models", "list"}, {"models", "list", "--json"}, {"models", "show", "churn"}, {"models", "log", "churn"}, {"models", "verify", "churn"},
		{"score", "churn", "--in", "accounts.csv"}, {"--help"},
	} {
		f, err := os.OpenFile(full, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		code := run(context.Background(), args, strings.NewReader(""), f, &said)
		f.Close()
		if code != exitFailed || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%q: exit code %d: %s", args, code, said.String())
		}
	}
}

// decode reads a result for machines; unknown fields in it are no matter.
func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("something follows the JSON: %s", text)
	}
	return v
}

func TestMessage(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: say which", errUsage), "say which"}, {fmt.Errorf("%w: not better", errNo), "not better"},
		{errors.New("usage: other"), "usage: other"}, {fmt.Errorf("m: %w: x", errUsage), "m: usage: x"},
	} {
		if got := message(c.err); got != c.want {
			t.Errorf("%q, expected %q", got, c.want)
		}
	}
	if !slices.Equal([]int{exitDone, exitFailed, exitUsage, exitNo}, []int{0, 1, 2, 3}) {
		t.Error("the exit codes are a contract")
	}
}
