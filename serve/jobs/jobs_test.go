package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/stream"
)

// childDir names the directory whose jobs this program, started by a test, does until it
// is killed.
const childDir = "PROPENSITY_TEST_JOBS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		r, err := Open(testConfig(dir))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("at work")
		r.Run(context.Background())
	}
	goleak.VerifyTestMain(m)
}

func testConfig(dir string) Config {
	return Config{
		Dir: dir, PieceRows: 1000, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Load: func(string, int) (*models.Scorer, error) { return newScorer() },
		Accounts: openStore, KeepRows: true,
	}
}

// newScorer is of a linear model over one number.
func newScorer() (*models.Scorer, error) {
	logins := datasets.Column{Name: "logins", Kind: datasets.Number}
	for i := range 60 {
		logins.Numbers = append(logins.Numbers, float64(i))
	}
	e, _, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{logins}}, nil)
	if err != nil {
		return nil, err
	}
	ranking, err := evaluate.NewRanking([]float64{-2, -1, 0, 1})
	if err != nil {
		return nil, err
	}
	a := &models.Artifact{
		Manifest: models.Manifest{Name: "churn", Learner: "logistic", Account: "id", Bands: []models.Band{{Name: "A", From: 0.5}, {Name: "B"}}},
		Encoder:  e, Model: &models.Linear{Terms: []models.Term{{Scale: 10, Mean: 3, Weight: -0.5, Spread: 1}}},
		Calibration: models.Calibration{Kind: models.CalibrationNone}, Ranking: ranking,
	}
	f, err := a.Files()
	if err != nil {
		return nil, err
	}
	return models.NewScorer(f)
}

// table writes a table of accounts whose logins turn with the row, from a start.
func table(t *testing.T, path string, rows, start int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("id,logins\n")
	for i := range rows {
		fmt.Fprintf(&b, "A-%d,%d\n", i, (i+start)%60)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start gives a runner at work.
func start(t *testing.T, c Config) *Runner {
	t.Helper()
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		r.Close()
	})
	return r
}

func add(t *testing.T, r *Runner, s Spec) string {
	t.Helper()
	s.Model, s.Version, s.AsOf = "churn", 1, 1_767_225_600_000_000
	j, err := r.Add("", s)
	if err != nil {
		t.Fatal(err)
	}
	return j.ID
}

// ended waits for the end of a job.
func ended(t *testing.T, r *Runner, id string) Job {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		j, err := r.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		if j.State.ended() {
			return j
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", j)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A job writes what the command score writes, leaves nothing else behind, and is known to
// the next process.
func TestJobIsTheCommandsRun(t *testing.T) {
	dir := t.TempDir()
	const rows = 25_000
	table(t, filepath.Join(dir, "in.csv"), rows, 0)
	told := 0
	c := testConfig(dir)
	c.Given = func(_ context.Context, j *Job, scores *datasets.Table) error {
		told += scores.Rows()
		return nil
	}
	r := start(t, c)
	j := ended(t, r, add(t, r, Spec{In: "in.csv", Out: "out.csv", Reasons: 1}))
	if j.State != Done || j.Rows != rows || told != rows {
		t.Fatalf("%+v, told of %d", j, told)
	}
	s, err := newScorer()
	if err != nil {
		t.Fatal(err)
	}
	o := stream.Options{Model: "churn", Version: 1, Reasons: 1, AsOf: 1_767_225_600_000_000}
	in, err := datasets.Open(filepath.Join(dir, "in.csv"), datasets.ReadOptions{Kinds: stream.Kinds(s, o)})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	want, err := datasets.Create(filepath.Join(dir, "want.csv"), datasets.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Run(context.Background(), s, in, want, o, nil); err != nil {
		t.Fatal(err)
	}
	if err := want.Commit(); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(dir, "out.csv")) != read(t, filepath.Join(dir, "want.csv")) {
		t.Error("it is not what the command writes")
	}
	left, err := filepath.Glob(filepath.Join(dir, folder, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left are %v", left)
	}
	again, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := again.Get(j.ID); err != nil || got.State != Done || got.Rows != rows {
		t.Errorf("the next process knows %+v, %v", got, err)
	}
}

// However often it is killed, a job ends with the same bytes.
func TestJobGoesOnAfterKills(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	table(t, filepath.Join(dir, "in.csv"), 30_000, 0)
	crm := &stream.CRM{Kind: "salesforce", ID: "Key__c", Fields: []stream.CRMField{{From: "probability", To: "Churn__c"}}}
	outputs := []Spec{{In: "in.csv", Out: "out.parquet", Reasons: 1}, {From: FromStore, Out: "store.parquet", Reasons: 1}, {In: "in.csv", Out: "crm", CRM: crm}}
	want := map[string]string{}
	whole := start(t, testConfig(dir))
	for _, s := range outputs {
		out := s.Out
		s.Out = "whole-" + s.Out
		if j := ended(t, whole, add(t, whole, s)); j.State != Done {
			t.Fatalf("%+v", j)
		}
		want[out] = s.Out
	}
	rng := rand.New(rand.NewPCG(1, 2))
	other := t.TempDir()
	table(t, filepath.Join(other, "in.csv"), 30_000, 0)
	r, err := Open(testConfig(other))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, s := range outputs {
		add(t, r, s)
	}
	kills := 0
	for ; kills < 40; kills++ { // each has longer than the one before
		c := exec.Command(program)
		c.Env = append(os.Environ(), childDir+"="+other)
		said, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		_, _ = said.Read(make([]byte, 16))
		time.Sleep(time.Duration(rng.IntN(20*(kills+1))) * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
		now, err := Open(testConfig(other))
		if err != nil {
			t.Fatal(err)
		}
		over := true
		for _, j := range now.List() {
			over = over && j.State.ended()
		}
		now.Close()
		if over {
			break
		}
	}
	if kills < 3 {
		t.Errorf("only %d kills before the end", kills)
	}
	last := start(t, testConfig(other)) // for those that a slow machine has left
	for _, j := range last.List() {
		if j = ended(t, last, j.ID); j.State != Done {
			t.Fatalf("%+v", j)
		}
	}
	for out, whole := range want {
		if out == "crm" {
			out, whole = filepath.Join(out, "scores-0001.csv"), filepath.Join(whole, "scores-0001.csv")
		}
		if read(t, filepath.Join(other, out)) != read(t, filepath.Join(dir, whole)) {
			t.Errorf("%s is not what it is without %d kills", out, kills)
		}
	}
	if j := last.List()[1]; j.Rows != storeRowsAll || j.Skipped == nil || j.Skipped.Outside != storeAll-storeRowsAll || j.Skipped.Unknown == 0 {
		t.Errorf("of the store: %+v, skipped %+v", j, j.Skipped)
	}
}

// A jump stops a job, a dry run says what would change, and only changed rows are told of.
func TestJobAgainstTheLastRun(t *testing.T) {
	dir := t.TempDir()
	table(t, filepath.Join(dir, "monday.csv"), 6000, 0)
	table(t, filepath.Join(dir, "tuesday.csv"), 6000, 30)
	told := 0
	c := testConfig(dir)
	c.Given = func(_ context.Context, _ *Job, scores *datasets.Table) error {
		told += scores.Rows()
		return nil
	}
	r := start(t, c)
	if j := ended(t, r, add(t, r, Spec{In: "monday.csv", Out: "last.csv"})); j.State != Done {
		t.Fatalf("%+v", j)
	}
	told = 0
	j := ended(t, r, add(t, r, Spec{In: "tuesday.csv", Last: "last.csv", DryRun: true}))
	if j.State != Done || j.Changes == nil || j.Changes.Up == 0 || j.Changes.Up+j.Changes.Down+j.Changes.Same != 6000 || told != 0 {
		t.Errorf("dry run: %+v, told of %d", j, told)
	}
	j = ended(t, r, add(t, r, Spec{In: "tuesday.csv", Out: "jump.csv", Last: "last.csv", ChangedOnly: true, Limits: &stream.Limits{Changed: 0.01, Shift: 1}}))
	if _, err := os.Stat(filepath.Join(dir, "jump.csv")); j.State != Stopped || !strings.Contains(j.Cause, "change their band") || strings.Contains(j.Cause, dir) || err == nil || told != 0 {
		t.Errorf("jump: %+v, told of %d", j, told)
	}
	j = ended(t, r, add(t, r, Spec{In: "tuesday.csv", Out: "changed.csv", Last: "last.csv", ChangedOnly: true, Limits: &stream.Limits{Changed: 1, Shift: 1}}))
	if got := strings.Count(read(t, filepath.Join(dir, "changed.csv")), "\n") - 1; j.State != Done || got != j.Changes.Chosen || told != got || got == 0 {
		t.Errorf("changed: %+v, wrote %d, told of %d", j, got, told)
	}
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	table(t, filepath.Join(dir, "in.csv"), 5000, 0)
	c := testConfig(dir)
	loading, goOn := make(chan struct{}, 10), make(chan struct{})
	c.Load = func(string, int) (*models.Scorer, error) {
		loading <- struct{}{}
		<-goOn
		return newScorer()
	}
	r := start(t, c)
	first := add(t, r, Spec{In: "in.csv", Out: "1.csv"})
	second := add(t, r, Spec{In: "in.csv", Out: "2.csv"})
	third := add(t, r, Spec{In: "in.csv", Out: "3.csv"})
	<-loading
	for _, id := range []string{first, second} {
		if j, err := r.Cancel(id); err != nil || j.State != Cancelled {
			t.Fatal(j, err)
		}
	}
	close(goOn)
	if j := ended(t, r, third); j.State != Done {
		t.Errorf("%+v", j)
	}
	for _, name := range []string{"1.csv", "2.csv"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	if _, err := r.Cancel(third); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	if _, err := r.Cancel("x"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestAddRefuses(t *testing.T) {
	dir := t.TempDir()
	table(t, filepath.Join(dir, "in.csv"), 10, 0)
	outside := filepath.Join(t.TempDir(), "secret.csv")
	table(t, outside, 10, 0)
	if err := os.Symlink(outside, filepath.Join(dir, "link.csv")); err != nil {
		t.Log(err)
	}
	c := testConfig(dir)
	c.Queue = 1
	r, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, s := range map[string]Spec{
		"up":          {In: "../in.csv", Out: "o.csv"},
		"absolute":    {In: outside, Out: "o.csv"},
		"link":        {In: "link.csv", Out: "o.csv"},
		"out up":      {In: "in.csv", Out: "../o.csv"},
		"our own":     {In: "in.csv", Out: ".jobs/o.csv"},
		"not there":   {In: "x.csv", Out: "o.csv"},
		"no out":      {In: "in.csv"},
		"nothing":     {Out: "o.csv"},
		"both":        {In: "in.csv", From: FromStore, Out: "o.csv"},
		"from":        {From: "ledger", Out: "o.csv"},
		"column":      {From: FromStore, Out: "o.csv", Account: "id"},
		"overwritten": {In: "in.csv", Out: "in.csv"},
		"no folder":   {In: "in.csv", Out: "x/o.csv"},
		"no last":     {In: "in.csv", Out: "o.csv", ChangedOnly: true},
		"limits":      {In: "in.csv", Out: "o.csv", Last: "in.csv", Limits: &stream.Limits{Changed: 2}},
		"crm":         {In: "in.csv", Out: "o", CRM: &stream.CRM{Kind: "zoho"}},
	} {
		if _, err := r.Add("", s); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: %v", name, err)
		}
	}
	add(t, r, Spec{In: "in.csv", Out: "o.csv"})
	if _, err := r.Add("", Spec{In: "in.csv", Out: "p.csv"}); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

// Of a table without rows the output has the columns, as that of the command.
func TestJobOfNoRows(t *testing.T) {
	dir := t.TempDir()
	table(t, filepath.Join(dir, "in.csv"), 0, 0)
	r := start(t, testConfig(dir))
	j := ended(t, r, add(t, r, Spec{In: "in.csv", Out: "out.csv", Reasons: 1}))
	if got := read(t, filepath.Join(dir, "out.csv")); j.State != Done || !strings.HasPrefix(got, "account,model,version,") || strings.Count(got, "\n") != 1 || strings.Contains(got, "raw") {
		t.Errorf("%+v: %q", j, got)
	}
}

// A table that cannot be scored ends a job with the reason, and the next one is done.
func TestJobFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.csv"), []byte("id,logins\nA,many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table(t, filepath.Join(dir, "in.csv"), 10, 0)
	r := start(t, testConfig(dir))
	bad, good := add(t, r, Spec{In: "bad.csv", Out: "bad.out.csv"}), add(t, r, Spec{In: "in.csv", Out: "out.csv"})
	if j := ended(t, r, bad); j.State != Failed || !strings.Contains(j.Cause, "logins") || strings.Contains(j.Cause, dir) {
		t.Errorf("%+v", j)
	}
	if j := ended(t, r, good); j.State != Done {
		t.Errorf("%+v", j)
	}
}
