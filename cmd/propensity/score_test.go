package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
)

const newAccounts = `id,plan,logins,seats,annual,mrr,comment
N-1,free,2,3,false,10,new
N-2,team,55,,true,250,
N-3,enterprise,400,20,false,300,"big, loud"
`

var scoreNew = []string{"score", "churn", "--as-of", "2026-03-01T09:30:00Z"}

func TestScoreCSV(t *testing.T) {
	home := inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	s := must(t, exitDone, append(scoreNew, "--in", "new.csv")...)
	golden(t, home, "score.csv", s.out)
	mentions(t, s.err, "scored 3 rows by churn@1", "1 cells were missing", "1 cells hold a category never seen", "1 cells are beyond the training range", "columns the model does not know: comment")
	if quiet := must(t, exitDone, append(scoreNew, "--in", "new.csv", "-q")...); quiet.out != s.out || quiet.err != "" {
		t.Errorf("--quiet says %q", quiet.err)
	}
}

// Every format, by file and by stream, holds the very same answers.
func TestScoreFormats(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	table, err := datasets.Read("new.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := must(t, exitDone, append(scoreNew, "--in", "new.csv", "--out-format", "ndjson")...).out
	if strings.Count(want, "\n") != 3 || !strings.Contains(want, `"account":"N-1"`) {
		t.Fatal(want)
	}
	for _, ext := range []string{"csv", "csv.gz", "tsv", "parquet", "arrow", "arrows", "ndjson", "ndjson.zst"} {
		in, out := "in."+ext, "out."+ext
		if err := datasets.Write(in, table, datasets.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		must(t, exitDone, append(scoreNew, "--in", in, "--out", out)...)
		kinds := map[string]datasets.Kind{}
		for _, c := range []string{"account", "model", "band", "warnings", "reason_1", "reason_2", "reason_3", "reason_1_feature", "reason_2_feature", "reason_3_feature"} {
			kinds[c] = datasets.Text
		}
		scores, err := datasets.Read(out, datasets.ReadOptions{Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		w := datasets.NewWriter(&again, datasets.NDJSON)
		if err := w.Write(scores); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if again.String() != want {
			t.Errorf("%s:\n%s\n%s", ext, again.String(), want)
		}
		b, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		args := append(slices.Clone(scoreNew), "--in", "-", "--out-format", "ndjson")
		if ext == "tsv" || strings.HasPrefix(ext, "csv") {
			args = append(args, "--in-format", "csv")
		}
		if s := doWith(t, context.Background(), bytes.NewReader(b), args...); s.code != exitDone || s.out != want {
			t.Errorf("%s from stdin: exit code %d, %s\n%s", ext, s.code, s.err, s.out)
		}
	}
}

func TestScoreOptions(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	head := func(args ...string) string {
		line, _, _ := strings.Cut(must(t, exitDone, append(append(slices.Clone(scoreNew), "--in", "new.csv"), args...)...).out, "\n")
		return line
	}
	if h := head("--reasons", "0"); strings.Contains(h, "reason") || !strings.HasPrefix(h, "account,model,version,as_of,probability,score,percentile") {
		t.Error(h)
	}
	if h := head("--reasons", "5"); !strings.Contains(h, "reason_5_points") || strings.Contains(h, "reason_6") {
		t.Error(h)
	}
	if h := head("--account", "comment"); !strings.HasPrefix(h, "account,") {
		t.Error(h)
	}
	for _, ref := range []string{"churn@1", "churn@champion"} {
		args := append([]string{"score", ref}, scoreNew[2:]...)
		if got := must(t, exitDone, append(args, "--in", "new.csv")...).out; got != must(t, exitDone, append(scoreNew, "--in", "new.csv")...).out {
			t.Errorf("%s scores otherwise", ref)
		}
	}
	write(t, "less.csv", "id,plan,logins\nN-1,free,2\n")
	s := must(t, exitFailed, append(scoreNew, "--in", "less.csv")...)
	mentions(t, s.err, "less.csv", `the model needs "seats", "annual", "mrr"`, "--allow-missing")
	s = must(t, exitDone, append(scoreNew, "--in", "less.csv", "--allow-missing")...)
	mentions(t, s.err, "columns taken as missing: seats, annual, mrr")
	mentions(t, s.out, "N-1")
	s = must(t, exitFailed, append(scoreNew, "--in", "new.csv", "--account", "customer")...)
	mentions(t, s.err, "new.csv", `"customer"`)
	mentions(t, must(t, exitFailed, "score", "other", "--in", "new.csv").err, "other", "churn")
	mentions(t, must(t, exitFailed, "score", "churn@7", "--in", "new.csv").err, "7", "1")
}

// What cannot be scored ends the run, names the place, and leaves no output.
func TestScoreBadInput(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	if err := os.Mkdir("folder.csv", 0o755); err != nil {
		t.Fatal(err)
	}
	good := strings.Repeat("N,free,2,3,false,10\n", 20000) // several batches
	head := "id,plan,logins,seats,annual,mrr\n"
	before := files(t, ".")
	for _, c := range []struct {
		name, file, text, out string
		words                 []string
	}{
		{"missing file", "gone.csv", "", "o.csv", []string{"gone.csv", "no such file"}},
		{"a directory", "folder.csv", "", "o.csv", []string{"folder.csv is a directory"}},
		{"empty", "empty.csv", "\x00", "o.csv", []string{"empty.csv", "no bytes"}},
		{"wrong cell", "cell.csv", head + "N,free,2,3,false,10\nN,free,often,3,false,10\n", "o.csv", []string{"cell.csv:3", `"logins"`, `"often"`, "number"}},
		{"wrong cell far down", "deep.csv", head + good + "N,free,2,3,perhaps,10\n", "o.csv", []string{"deep.csv:20002", `"annual"`, `"perhaps"`, "boolean"}},
		{"ragged far down", "deep.csv", head + good + "N,free\n", "o.parquet", []string{"deep.csv:20002", "wrong number of fields"}},
		{"wrong type", "type.ndjson", `{"id":"N","plan":"free","logins":true,"seats":1,"annual":true,"mrr":1}` + "\n", "o.csv", []string{"type.ndjson:1", `"logins"`, "true", "number"}},
		{"out into no directory", "ok.csv", head + "N,free,2,3,false,10\n", "nowhere/o.csv", []string{"--out nowhere/o.csv", "no directory nowhere"}},
		{"out is a directory", "ok.csv", head + "N,free,2,3,false,10\n", "folder.csv", []string{"folder.csv is a directory"}},
		{"out of no format", "ok.csv", head + "N,free,2,3,false,10\n", "o.xls", []string{"o.xls", "names no format", ".parquet"}},
		{"device of no format", "ok.csv", head + "N,free,2,3,false,10\n", "/dev/full", []string{"/dev/full", "names no format"}},
		{"no rows at all", "head.csv", "id\n", "o.csv", []string{"head.csv", `"plan"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.text != "" {
				write(t, c.file, strings.TrimSuffix(c.text, "\x00"))
				defer os.Remove(c.file)
			}
			s := do(t, append(slices.Clone(scoreNew), "--in", c.file, "--out", c.out)...)
			t.Log(s.code, strings.TrimSpace(s.err))
			if s.code != exitFailed {
				t.Errorf("exit code %d", s.code)
			}
			mentions(t, s.err, append(c.words, "Error: ")...)
			if c.text != "" {
				os.Remove(c.file)
			}
			if now := files(t, "."); !slices.Equal(now, before) {
				t.Errorf("left behind: %q", now)
			}
		})
	}
	t.Run("a header alone", func(t *testing.T) {
		write(t, "head.csv", head)
		s := do(t, append(slices.Clone(scoreNew), "--in", "head.csv", "--out", "none.csv")...)
		mentions(t, s.err, "scored 0 rows by churn@1: there were none")
		b, err := os.ReadFile("none.csv")
		if s.code != exitDone || err != nil || strings.Count(string(b), "\n") != 1 {
			t.Errorf("exit code %d, %s, %q", s.code, s.err, b)
		}
	})
	t.Run("an output that stands already", func(t *testing.T) {
		write(t, "o.csv", "precious\n")
		write(t, "bad.csv", head+"N,free,often,3,false,10\n")
		must(t, exitFailed, append(slices.Clone(scoreNew), "--in", "bad.csv", "--out", "o.csv")...)
		if b, err := os.ReadFile("o.csv"); err != nil || string(b) != "precious\n" {
			t.Errorf("%q, %v", b, err)
		}
	})
}

func TestScoreDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full on this system")
	}
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	for _, format := range []string{"csv", "parquet", "arrow", "arrows", "ndjson"} {
		s := must(t, exitFailed, append(scoreNew, "--in", "new.csv", "--out", "/dev/full", "--out-format", format)...)
		mentions(t, s.err, "/dev/full", "no space left")
	}
}

// Interrupted at any moment, the output is either not there or whole.
func TestScoreInterrupted(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	before := files(t, ".")
	text := accountsCSV(60000, 4)
	for n := range 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			in := &interrupting{text: text, at: len(text) * (n + 1) / 5, interrupt: cancel, over: t.Context().Done()}
			s := doWith(t, ctx, in, "score", "churn", "--in", "-", "--out", "o.parquet")
			if s.code != exitFailed {
				t.Errorf("exit code %d", s.code)
			}
			mentions(t, s.err, "interrupted")
			if now := files(t, "."); !slices.Equal(now, before) {
				t.Errorf("left behind: %q", now)
			}
		})
	}
}

// interrupting gives a text and interrupts at a place in it. At the end it waits, as a
// terminal does, until the test is over.
type interrupting struct {
	text      string
	read, at  int
	interrupt func()
	over      <-chan struct{}
}

func (r *interrupting) Read(b []byte) (int, error) {
	if r.read >= r.at {
		r.interrupt()
	}
	if r.read == len(r.text) {
		<-r.over
		return 0, io.EOF
	}
	n := copy(b, r.text[r.read:])
	r.read += n
	return n, nil
}

// Of a Parquet file only what the model takes is read, and the rest is told all the same.
func TestScoreReadsWhatItNeeds(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "new.csv", newAccounts)
	table, err := datasets.Read("new.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := datasets.Write("new.parquet", table, datasets.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]datasets.Kind{"id": datasets.Text, "plan": datasets.Category, "seats": datasets.Number, "gone": datasets.Number}
	for path, want := range map[string][2][]string{
		"new.parquet": {{"id", "plan", "logins", "seats", "annual", "mrr", "comment"}, {"id", "plan", "seats"}},
		"new.csv":     {}, "-": {}, "gone.parquet": {}, os.DevNull: {},
	} {
		all, needed, err := new(app).needed(path, datasets.ReadOptions{Kinds: kinds})
		if err != nil || !slices.Equal(all, want[0]) || !slices.Equal(needed, want[1]) {
			t.Errorf("%s: %q of %q, %v", path, needed, all, err)
		}
	}
	s := must(t, exitDone, append(scoreNew, "--in", "new.parquet")...)
	mentions(t, s.err, "columns the model does not know: comment")
	if want := must(t, exitDone, append(scoreNew, "--in", "new.csv")...).out; s.out != want {
		t.Errorf("from Parquet:\n%sfrom CSV:\n%s", s.out, want)
	}
	// Where nothing is needed, all is read: a table without columns has no rows.
	only := &datasets.Table{Columns: table.Columns[6:]}
	if err := datasets.Write("only.parquet", only, datasets.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	mentions(t, must(t, exitDone, append(scoreNew, "--in", "only.parquet", "--allow-missing")...).err, "comment", "scored 3 rows")
}
