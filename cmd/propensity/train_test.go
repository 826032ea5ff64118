package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/train"
)

func TestTrain(t *testing.T) {
	home := inFolder(t)
	s := trainChurn(t)
	golden(t, home, "train.txt", s.out)
	if !strings.Contains(s.err, "logistic: done in") {
		t.Errorf("no progress: %s", s.err)
	}
	want := []string{"accounts.csv", "registry/churn/aliases.json", "registry/churn/log.jsonl"}
	for _, name := range []string{"baseline.arrow", "calibration.json", "card.md", "encoder.json", "manifest.json", "metrics.json", "model.arrow", "replay.arrow", "report.html", "spec.yaml"} {
		want = append(want, "registry/churn/v1/"+name)
	}
	if got := files(t, "."); !slices.Equal(got, want) {
		t.Errorf("left %q", got)
	}
	spec, err := os.ReadFile("registry/churn/v1/spec.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := train.ParseSpec(spec); err != nil || parsed.Label != "churned" || parsed.Positive != "Yes" {
		t.Errorf("%+v, %v", parsed, err)
	}
	// The same again is the same to the bit: nothing is published.
	s = must(t, exitDone, "train", "churn", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "-q")
	mentions(t, s.out, "churn@1")
	if s.err != "" {
		t.Errorf("--quiet says %s", s.err)
	}
}

func TestTrainJSON(t *testing.T) {
	inFolder(t)
	s := trainChurn(t, "--json", "--value", "mrr")
	r := decode[trained](t, s.out)
	m := r.Manifest
	if r.Name != "churn" || r.Version != 1 || !r.Promoted || !r.Gate.Passed || len(r.Hash) != 64 || m.Hash != r.Hash {
		t.Errorf("%+v", r)
	}
	if m.Data.Rows != 1500 || m.Label.Positive != "Yes" || m.Account != "id" || m.Value != "mrr" || len(m.Bands) != 5 || m.Seed != 1 {
		t.Errorf("%+v", m)
	}
	c := r.Metrics.Candidate("logistic")
	if r.Metrics.Chosen != "logistic" || c.Report.Rows < 299 || c.Report.ROCAUC.Value < 0.75 || c.Report.Value == nil || len(r.Metrics.Importance) == 0 {
		t.Errorf("%+v", r.Metrics)
	}
	seed := decode[trained](t, trainChurn(t, "--json", "--seed", "9", "--registry", "other").out)
	if seed.Hash == r.Hash || seed.Manifest.Seed != 9 {
		t.Error("the seed does not count")
	}
}

// A retrain is held against the champion; one that loses is published without
// the alias, and the exit code is 3.
func TestRetrain(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "more.csv", accountsCSV(1900, 1))
	args := []string{"train", "churn", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--data"}
	s := must(t, exitDone, append(args, "more.csv")...)
	mentions(t, s.out, "pass champion", "a retrain of version 1 (logistic)", "churn@2 is champion")

	noise := strings.Split(strings.TrimSpace(accountsCSV(1500, 1)), "\n")
	for i := 1; i < len(noise); i++ {
		noise[i] = noise[i][:strings.LastIndexByte(noise[i], ',')] + map[bool]string{true: ",Yes", false: ",No"}[i%3 == 0]
	}
	write(t, "noise.csv", strings.Join(noise, "\n")+"\n")
	s = must(t, exitNo, append(args, "noise.csv")...)
	mentions(t, s.out, "FAIL base rate", "retrain of version 2", "churn@3 is NOT champion", "propensity models promote churn@3")
	mentions(t, s.err, "churn@3 published without becoming champion")
	if strings.Contains(s.err, "Error") {
		t.Errorf("a gate that says no is no failure: %s", s.err)
	}
	mentions(t, must(t, exitDone, "models", "list").out, "2        champion")
}

func TestTrainProject(t *testing.T) {
	inFolder(t)
	write(t, "project/churn.csv", accountsCSV(1500, 1))
	write(t, "project/propensity.yaml", `version: 1
account: id
models:
  zeta: {data: churn.csv, label: {column: churned, positive: "Yes"}, learners: [logistic]}
  alpha: {data: churn.csv, label: {column: churned, positive: "Yes"}, learners: [logistic], drop: [plan]}
  broken: {data: gone.csv, label: {column: churned, positive: "Yes"}}
`)
	config := "--config=project/propensity.yaml"
	s := must(t, exitDone, "train", config, "zeta", "alpha", "--json")
	if all := decode[[]trained](t, s.out); len(all) != 2 || all[0].Name != "zeta" || all[1].Name != "alpha" || all[0].Hash == all[1].Hash {
		t.Errorf("%+v", all)
	}
	// What was trained before one failed is told.
	s = must(t, exitFailed, "train", config, "--json", "--registry", "second")
	if all := decode[[]trained](t, s.out); len(all) != 2 {
		t.Errorf("%+v", all)
	}
	mentions(t, s.err, "broken: ", "project/gone.csv", "no such file")
	mentions(t, must(t, exitUsage, "train", config, "beta").err, `"beta"`, "zeta, alpha, broken", "project/propensity.yaml")
	write(t, "bad.yaml", "version: 1\nmodels:\n  m: {data: a.csv, colour: red}\n")
	mentions(t, must(t, exitUsage, "train", "--config", "bad.yaml").err, "bad.yaml: line 3, model m", "[3:20]", "colour")
}

func TestTrainFromStdin(t *testing.T) {
	inFolder(t)
	args := []string{"train", "churn", "--data", "-", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--json"}
	s := doWith(t, context.Background(), strings.NewReader(accountsCSV(1500, 1)), args...)
	if s.code != exitDone {
		t.Fatal(s.err)
	}
	if file := decode[trained](t, trainChurn(t, "--json", "--registry", "file").out); decode[trained](t, s.out).Hash != file.Hash {
		t.Error("stdin and a file give other models")
	}
	args[3] = "-"
	s = doWith(t, context.Background(), strings.NewReader("id,churned\n1,Yes,3\n"), args...)
	if s.code != exitFailed {
		t.Errorf("exit code %d", s.code)
	}
	mentions(t, s.err, "stdin:2", "wrong number of fields")
}

// column gives a CSV of n rows with an id, a useful x and the label as told.
func column(n int, label func(i int) string) string {
	var b strings.Builder
	b.WriteString("id,x,z,y\n")
	for i := range n {
		fmt.Fprintf(&b, "a%d,%d,%d,%s\n", i, i*37%101, i%7, label(i))
	}
	return b.String()
}

func yesNo(positives int) func(int) string {
	return func(i int) string { return map[bool]string{true: "1", false: "0"}[i < positives] }
}

// Bad tables: the message names the place and says what to do, and nothing is published.
func TestTrainBadTables(t *testing.T) {
	inFolder(t)
	good := column(200, func(i int) string { return map[bool]string{true: "1", false: "0"}[i*37%101 > 60] })
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, good) //nolint:errcheck // a buffer never fails
	z.Close()
	table, err := datasets.ReadFrom(strings.NewReader(good), "good.csv", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := datasets.Write("good.parquet", table, datasets.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	parquet, err := os.ReadFile("good.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("folder.csv", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, "good.csv", good)
	copied := "id,x,y\n"
	for i := range 100 {
		copied += fmt.Sprintf("a%d,%s,%d\n", i, map[bool]string{true: "left", false: "here"}[i%4 == 0], (3-i%4)/3)
	}
	before := files(t, ".")
	for _, c := range []struct {
		name, file, text string // no text: the file is there, or is not
		args             string
		words            []string
	}{
		{"missing file", "gone.csv", "", "", []string{"gone.csv", "no such file"}},
		{"a directory", "folder.csv", "", "", []string{"folder.csv is a directory", "name a file"}},
		{"empty", "empty.csv", "\x00", "", []string{"empty.csv"}},
		{"header only", "head.csv", "id,x,y\n", "", []string{"head.csv", "no rows"}},
		{"truncated gzip", "cut.csv.gz", zipped.String()[:zipped.Len()/2], "", []string{"cut.csv.gz", "cut off", "copy or write it again"}},
		{"truncated parquet", "cut.parquet", string(parquet[:len(parquet)/2]), "", []string{"cut.parquet", "cut off"}},
		{"binary", "binary.csv", "\x7fELF\x02\x01\x01\x00\x00\xff\xfe\x00", "", []string{"binary.csv"}},
		{"ragged", "ragged.csv", "id,x,y\na,1,1\nb,2\n", "", []string{"ragged.csv:3", "wrong number of fields"}},
		{"duplicate columns", "twice.csv", "id,x,x,y\na,1,1,1\n", "", []string{"twice.csv:1", `"x"`}},
		{"unnamed column", "unnamed.csv", "id,,y\na,1,1\n", "", []string{"unnamed.csv:1", "name"}},
		{"invalid UTF-8", "latin.csv", "id,x,y\na,caf\xe9,1\nb,c,0\n", "", []string{"latin.csv:2", `"\xe9"`, "UTF-8"}},
		{"extension lies", "lie.parquet", good, "", []string{"lie.parquet"}},
		{"label not there", "good.csv", "", "--label what", []string{"good.csv", `no column "what"`, `"y"`}},
		{"id not there", "good.csv", "", "--id who --drop q --label y", []string{`"who"`, `"q"`}},
		{"type of no column", "good.csv", "", "--label y --types w=text", []string{`"w" (of types)`}},
		{"wrong type", "good.csv", "", "--label y --types id=number", []string{"good.csv:2", `"id"`, `"a0"`, "number"}},
		{"moment is no time", "good.csv", "", "--label y --time z", []string{"good.csv:2", `"z"`, `"0"`}},
		{"value is no number", "good.csv", "", "--label y --value id", []string{"good.csv:2", `"id"`, `"a0"`}},
		{"positive value not there", "good.csv", "", "--label y=Yes", []string{`"y"`, `"Yes"`, `"1" (79 rows)`}},
		{"one class", "one.csv", column(100, yesNo(0)), "", []string{"one.csv", `"y"`, `only the value "0"`}},
		{"three classes", "three.csv", column(90, func(i int) string { return fmt.Sprint(i % 3) }), "", []string{"three.csv", "3 values", `"2" (30 rows)`}},
		{"label only missing", "none.csv", column(90, func(int) string { return "" }), "", []string{"none.csv", `"y"`, "missing in every row"}},
		{"two rows", "two.csv", column(2, yesNo(1)), "", []string{"two.csv", "in all 1 positive of 2 rows"}},
		{"one positive", "few1.csv", column(100, yesNo(1)), "", []string{"few1.csv", "in all 1 positive of 100 rows", "add rows"}},
		{"nothing to learn from", "nothing.csv", column(100, yesNo(30)), "--id id --drop x,z --label y", []string{"nothing.csv", "no column is left"}},
		{"only a copy of the label", "copy.csv", copied, "--id id --label y", []string{"copy.csv", "no column is left", `"x"`, "copy of the label"}},
		{"an account twice at a moment", "again.csv", "id,t,x,y\na,2026-01-01,1,1\nb,2026-01-01,2,0\na,2026-01-01,3,0\n", "--id id --time t --label y",
			[]string{"again.csv", `"a" at 2026-01-01T00:00:00Z in rows 1 and 3`, "keep one"}},
		{"moment missing", "when.csv", "id,t,x,y\na,2026-01-01,1,1\nb,,2,0\n", "--id id --time t --label y", []string{"when.csv", "row 2", `"t"`}},
		{"one moment", "once.csv", "id,t,x,y\n" + strings.Repeat("a,2026-01-01,1,1\nb,2026-01-01,2,0\n", 9), "--drop id --time t --label y", []string{"once.csv", "2026-01-01", "older rows"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.text != "" {
				write(t, c.file, strings.TrimSuffix(c.text, "\x00"))
				defer os.Remove(c.file)
			}
			args := append([]string{"train", "m", "--data", c.file}, strings.Fields(c.args)...)
			if c.args == "" {
				args = append(args, "--label", "y")
			}
			s := do(t, args...)
			if s.code != exitFailed || s.out != "" {
				t.Errorf("exit code %d: %s", s.code, s.out)
			}
			t.Log(strings.TrimSpace(s.err))
			mentions(t, s.err, append(c.words, "Error: m: ")...)
			if c.text != "" {
				os.Remove(c.file)
			}
			if now := files(t, "."); !slices.Equal(now, before) {
				t.Errorf("left behind: %q", now)
			}
		})
	}
}

// Awkward columns are left out and said, not failed on.
func TestTrainAwkwardColumns(t *testing.T) {
	inFolder(t)
	lines := strings.Split(strings.TrimSpace(accountsCSV(1500, 1)), "\n")
	lines[0] += ",flat,gone,mail,leak"
	for i := 1; i < len(lines); i++ {
		leak := map[bool]string{true: "closed", false: "open"}[strings.HasSuffix(lines[i], "Yes")]
		lines[i] += fmt.Sprintf(",7,,m%d@example.com,%s", i, leak)
	}
	write(t, "awkward.csv", strings.Join(lines, "\n")+"\n")
	s := must(t, exitDone, "train", "m", "--data", "awkward.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic")
	mentions(t, s.out, "left out flat: it is 7 in every", "left out gone: it is missing", "left out mail: it looks like an id", "left out leak: it is a copy of the label: each of its 2 values goes with one outcome only")
}

func TestTrainFewPositives(t *testing.T) {
	inFolder(t)
	write(t, "few.csv", column(300, func(i int) string { return map[bool]string{true: "1", false: "0"}[i%12 == 0] }))
	s := do(t, "train", "m", "--data", "few.csv", "--id", "id", "--label", "y")
	if s.code != exitNo && s.code != exitDone {
		t.Fatalf("exit code %d: %s", s.code, s.err)
	}
	mentions(t, s.out, "only 25 positives in the table", "treat the scores as a hint")
	write(t, "fewer.csv", column(300, yesNo(4)))
	s = do(t, "train", "n", "--data", "fewer.csv", "--id", "id", "--label", "y")
	if s.code != exitNo {
		t.Fatalf("exit code %d: %s%s", s.code, s.out, s.err)
	}
	mentions(t, s.out, "only 4 positives in the table", "NOT champion")
}

// One line of 100 MB is refused soon, and not by running out of memory.
func TestTrainLongLine(t *testing.T) {
	inFolder(t)
	head, long := strings.NewReader("id,x,y\na,"), io.LimitReader(endless{}, 100<<20)
	s := doWith(t, context.Background(), io.MultiReader(head, long, strings.NewReader(",1\n")), "train", "m", "--data", "-", "--label", "y")
	if s.code != exitFailed {
		t.Errorf("exit code %d: %s", s.code, s.out)
	}
	mentions(t, s.err, "stdin:2", "record too long")
	if len(s.err) > 500 {
		t.Errorf("a message of %d bytes", len(s.err))
	}
}

// endless gives the letter a for ever.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

func TestRegistryThatCannotBe(t *testing.T) {
	inFolder(t)
	write(t, "a-file", "")
	write(t, "accounts.csv", accountsCSV(1500, 1))
	for _, args := range [][]string{
		{"train", "m", "--data", "accounts.csv", "--label", "churned=Yes"}, {"models", "list"}, {"score", "m", "--in", "accounts.csv"}, {"serve"},
	} {
		mentions(t, must(t, exitUsage, append(args, "--registry", "a-file")...).err, "--registry a-file is a file; name a directory")
	}
	if os.Geteuid() == 0 {
		return // root may write anywhere; the registry's own test does this as another user
	}
	if err := os.Mkdir("locked", 0o555); err != nil {
		t.Fatal(err)
	}
	s := must(t, exitFailed, "train", "m", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--learner", "logistic", "--registry", "locked")
	mentions(t, s.err, "locked", "permission denied")
}

// slowly gives a text line by line and tells when it was half read; it then waits until the test is over.
type slowly struct {
	lines []string
	half  func()
	over  <-chan struct{}
}

func (s *slowly) Read(b []byte) (int, error) {
	if len(s.lines) == 0 {
		s.half()
		<-s.over
		return 0, io.EOF
	}
	n := copy(b, s.lines[0])
	s.lines[0] = s.lines[0][n:]
	if s.lines[0] == "" {
		s.lines = s.lines[1:]
	}
	return n, nil
}

// Ctrl-C in the middle of a stage: an end within a second, exit code 1, a word
// about it, nothing left behind.
func TestInterrupted(t *testing.T) {
	inFolder(t)
	trainChurn(t)
	write(t, "many.csv", accountsCSV(4000, 2))
	before := files(t, ".")
	half := strings.SplitAfter(accountsCSV(30000, 2), "\n")
	for _, c := range []struct {
		name  string
		stdin bool
		stage string // of the progress on stderr, after which the interrupt comes
		args  string
	}{
		{"train waiting for stdin", true, "", "train churn --data - --id id --label churned=Yes"},
		{"score waiting for stdin", true, "", "score churn --in - --out scores.csv"},
		{"score into parquet waiting for stdin", true, "", "score churn --in - --out scores.parquet"},
		{"train after reading", false, "read: done", "train other --data many.csv --id id --label churned=Yes"},
		{"train after preparing", false, "prepare: done", "train other --data many.csv --id id --label churned=Yes"},
		{"train after one learner", false, "logistic: done", "train churn --data many.csv --id id --label churned=Yes"},
		{"train before publishing", false, "boosting: done", "train other --data many.csv --id id --label churned=Yes --learner boosting --refit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var at time.Time
			interrupt := func() { at = time.Now(); cancel() }
			stderr := &listener{word: c.stage, heard: interrupt}
			var stdin io.Reader = strings.NewReader("")
			if c.stdin {
				stdin = &slowly{lines: slices.Clone(half), half: interrupt, over: t.Context().Done()}
			}
			var out bytes.Buffer
			code := run(ctx, strings.Fields(c.args), stdin, &out, stderr)
			if at.IsZero() {
				t.Fatalf("it ended before it could be interrupted: %d %s", code, stderr.text.String())
			}
			if took := time.Since(at); took > 10*time.Second { // it hangs: whoever waits gives up
				t.Errorf("ended after %v", took)
			}
			if code != exitFailed || !strings.Contains(stderr.text.String(), "interrupted: nothing was left half-written") {
				t.Errorf("exit code %d: %s", code, stderr.text.String())
			}
			if now := files(t, "."); !slices.Equal(now, before) {
				t.Errorf("left behind: %q", now)
			}
		})
	}
}

// listener keeps what is written and calls heard at a word.
type listener struct {
	word  string
	heard func()
	text  bytes.Buffer
}

func (l *listener) Write(b []byte) (int, error) {
	if l.word != "" && bytes.Contains(b, []byte(l.word)) {
		l.heard()
	}
	return l.text.Write(b)
}

// The settings of boosting are recorded, and refused where they mean nothing.
func TestTrainSettings(t *testing.T) {
	inFolder(t)
	write(t, "accounts.csv", accountsCSV(1500, 1))
	args := []string{"train", "churn", "--data", "accounts.csv", "--id", "id", "--label", "churned=Yes", "--json"}
	s := must(t, exitDone, append(args, "--learner", "boosting", "--trees", "30", "--leaves", "3", "--rate", "0.2")...)
	r := decode[trained](t, s.out)
	if got := r.Metrics.Candidates[0].Settings; got["trees"] != 30 || got["leaves"] != 3 || got["rate"] != 0.2 {
		t.Errorf("%v", got)
	}
	spec, err := os.ReadFile("registry/churn/v1/spec.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := train.ParseSpec(spec); err != nil || parsed.Boosting != (train.BoostingSettings{Trees: 30, Leaves: 3, Rate: 0.2}) {
		t.Errorf("%+v, %v", parsed.Boosting, err)
	}
	for want, more := range map[string][]string{
		"not among logistic":                  {"--learner", "logistic", "--trees", "9"},
		"--trees, --rate must be above 0":     {"--trees", "0", "--rate", "0"},
		"leaves 1 is not between":             {"--leaves", "1"},
		"rate 2 is not above 0 and at most 1": {"--rate", "2"},
	} {
		mentions(t, must(t, exitUsage, append(args, more...)...).err, want)
	}
	mentions(t, must(t, exitUsage, "train", "--trees", "9").err, "--trees only with --data")
}
