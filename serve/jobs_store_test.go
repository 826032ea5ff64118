package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/models"
	"propensity/serve/database"
	"propensity/serve/jobs"
)

// job adds a job and waits for its end.
func (f *fixture) job(t *testing.T, body string) jobAnswer {
	t.Helper()
	j := decodeAs[jobAnswer](t, wantStatus(t, f.post(t, "/v1/jobs", "application/json", strings.NewReader(body)), http.StatusAccepted).body)
	f.eventually(t, "the job", func() bool {
		j = decodeAs[jobAnswer](t, f.get(t, "/v1/jobs/"+j.ID).body)
		return j.Ended != ""
	})
	return j
}

// aboutAccounts has facts of accounts of every sort, by those of A-17.
func aboutAccounts(t *testing.T, f *fixture) {
	t.Helper()
	wantStatus(t, f.event(t, knownEvents), 202)
	for i := range 40 {
		id := fmt.Sprintf("B-%02d", i)
		wantStatus(t, f.event(t, strings.ReplaceAll(strings.ReplaceAll(knownEvents, `"A-17"`, `"`+id+`"`), "3.141592653589793", fmt.Sprintf("%d.%d", 1+i*i, i))), 202)
	}
	for _, body := range []string{
		`{"source": "merges", "account": "A-17", "id": 1, "occurred_at": "2026-02-01", "arrived_at": "2026-02-01", "properties": {"old": "A-16"}}`,
		`{"source": "events", "account": "A-16", "id": 1, "occurred_at": "2026-01-20", "arrived_at": "2026-01-20", "properties": {"event": "login"}}`,
		`{"source": "events", "account": "late", "id": 1, "occurred_at": "2026-01-20", "arrived_at": "2026-03-02", "properties": {"event": "login"}}`,
		`{"source": "events", "id": "u", "occurred_at": "2026-01-20", "arrived_at": "2026-01-20", "properties": {"user_id": "U-1", "event": "login"}}`,
		`{"source": "users", "account": "C", "id": "u", "occurred_at": "2026-01-10", "arrived_at": "2026-01-10", "properties": {"user_id": "U-1"}}`,
	} {
		wantStatus(t, f.event(t, body), 202)
	}
	// What no request brings: without a date, or of a time before there was a model.
	undated := facts.Fact{Source: "accounts", Account: "undated", ID: "1", Occurred: datasets.MissingTime, Arrived: moment - day, End: datasets.MissingTime,
		Values: map[string]datasets.Value{"region": {Kind: datasets.Category, Text: "eu"}}}
	odd := facts.Fact{Source: "subscriptions", Account: "odd", ID: "1", Occurred: moment - day, Arrived: moment - day, End: datasets.MissingTime,
		Values: map[string]datasets.Value{"mrr": {Kind: datasets.Category, Text: "much"}}}
	if err := f.server.cfg.Store.Append(context.Background(), []facts.Fact{odd, undated}); err != nil {
		t.Fatal(err)
	}
}

// A job of the store scores each account as the endpoint does by its id alone as of that
// moment, whatever comes later, and counts those that it does not; the ledger has scores
// and rows.
func TestJobOfTheStoreScoresAsTheEndpointDoes(t *testing.T) {
	db, err := database.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	dir := t.TempDir()
	f := withFacts(t, Config{JobsDir: dir, Database: db})
	aboutAccounts(t, f)
	j := f.job(t, `{"model": "renewal", "from": "store", "out": "out.parquet", "reasons": 2, "as_of": "2026-03-01T09:30:00Z"}`)
	if j.State != jobs.Done || j.From != "store" || j.In != "" || j.AsOf != "2026-03-01T09:30:00Z" {
		t.Fatalf("%+v", j)
	}
	table, err := datasets.Read(filepath.Join(dir, "out.parquet"), datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[int]int{}, 0
	for _, account := range slices.Concat([]string{"A-16", "A-17"}, bAccounts(), []string{"C", "late", "odd", "undated"}) {
		r := f.score(t, "renewal", fmt.Sprintf(`{"account": %q, "reasons": 2, "dry_run": true, %s}`, account, asOf))
		if account == "undated" { // about which the model is not: the endpoint does not ask
			wantStatus(t, r, 200)
			want[-1]++
			continue
		}
		if want[r.status]++; r.status != 200 {
			continue
		}
		if got == table.Rows() || table.Column("account").At(got).String() != account {
			t.Fatalf("row %d is not of %s", got, account)
		}
		a := decodeAs[wire](t, r.body)
		for name, x := range map[string]float64{"probability": a.Probability, "percentile": a.Percentile, "score": float64(a.Score), "coverage": a.Coverage, "reference": a.Reference} {
			if y := table.Column(name).At(got).Number; math.Float64bits(x) != math.Float64bits(y) {
				t.Errorf("%s of %s is %v, of the endpoint %v", name, account, y, x)
			}
		}
		for k, reason := range a.Reasons {
			if text, points := table.Column(fmt.Sprintf("reason_%d", k+1)).At(got).String(), table.Column(fmt.Sprintf("reason_%d_points", k+1)).At(got).Number; text != reason.Text || points != reason.Points {
				t.Errorf("reason %d of %s is %s %v, of the endpoint %s %v", k+1, account, text, points, reason.Text, reason.Points)
			}
		}
		kept := f.scores(t, account+"/scores")
		if len(kept.Scores) != 1 || kept.Scores[0].Origin != "job" || kept.Scores[0].Probability != a.Probability || len(kept.Scores[0].Reasons) != 2 {
			t.Fatalf("the ledger has of %s %+v", account, kept)
		}
		row := decodeAs[accountWire](t, f.get(t, "/v1/accounts/"+account+"?as_of=2026-03-01T09:30:00Z").body).Rows
		if a, b := fmt.Sprint(kept.Scores[0].Row), fmt.Sprint(row[len(row)-1].Row); a != b {
			t.Errorf("the ledger has of %s the row %s, the store %s", account, a, b)
		}
		got++
	}
	if skipped := (jobs.Skipped{Outside: want[-1], Unknown: want[404], Merged: want[410], Refused: want[422]}); j.Skipped == nil || *j.Skipped != skipped ||
		skipped != (jobs.Skipped{Outside: 1, Unknown: 1, Merged: 1, Refused: 1}) || j.Rows != want[200] || got != table.Rows() || got != 42 {
		t.Errorf("%d rows, %d in the file, skipped %+v; the endpoint gave %v", j.Rows, table.Rows(), j.Skipped, want)
	}
	// Facts that come afterwards change nothing as of that moment.
	wantStatus(t, f.event(t, `{"source": "events", "account": "A-17", "id": "e9", "occurred_at": "2026-02-27", "properties": {"event": "login", "seconds": 1e6}}`), 202)
	j = f.job(t, `{"model": "renewal", "from": "store", "last": "out.parquet", "dry_run": true, "changed_by": 1e-12, "as_of": "2026-03-01T09:30:00Z"}`)
	if j.State != jobs.Done || j.Changes == nil || j.Changes.Chosen != 0 || j.Changes.Same != 42 {
		t.Errorf("%+v %+v", j, j.Changes)
	}
	// As of now they count.
	j = f.job(t, `{"model": "renewal", "from": "store", "last": "out.parquet", "out": "changed.csv", "changed_only": true, "changed_by": 1e-12, "force": true}`)
	if j.State != jobs.Done || j.Changes.Chosen == 0 || j.Changes.New != 1 {
		t.Errorf("%+v %+v", j, j.Changes)
	}
}

func bAccounts() (out []string) {
	for i := range 40 {
		out = append(out, fmt.Sprintf("B-%02d", i))
	}
	return out
}

func TestJobOfTheStoreRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in.csv"), []byte("id\nA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, plain := withFacts(t, Config{JobsDir: dir}), churn(t, Config{JobsDir: t.TempDir()})
	for _, c := range []struct {
		server       *fixture
		body, detail string
		status       int
	}{
		{plain, `{"model": "churn", "from": "store", "out": "o.csv"}`, "--store sqlite:facts.db", 501},
		{f, `{"model": "churn", "from": "store", "out": "o.csv"}`, "the model was not learnt from facts", 422},
		{f, `{"model": "renewal", "from": "facts", "out": "o.csv"}`, "from is store", 422},
		{f, `{"model": "renewal", "from": "", "out": "o.csv"}`, "from is store", 422},
		{f, `{"model": "renewal", "out": "o.csv"}`, "name either a table", 422},
		{f, `{"model": "renewal", "from": "store", "in": "in.csv", "out": "o.csv"}`, "name either a table", 422},
		{f, `{"model": "renewal", "from": "store", "out": "o.csv", "account": "id"}`, "account is a column", 422},
		{f, `{"model": "renewal", "from": "store", "out": "o.csv", "as_of": "2999-01-01T00:00:00Z"}`, "in the future", 422},
	} {
		if r := c.server.post(t, "/v1/jobs", "application/json", strings.NewReader(c.body)); r.status != c.status || !strings.Contains(string(r.body), c.detail) {
			t.Errorf("%s: %d %s", c.body, r.status, r.body)
		}
	}
}

// awayStore stops to answer after so many accounts.
type awayStore struct {
	online.Store
	left int
}

func (s *awayStore) Facts(ctx context.Context, account string, since online.Since) ([]facts.Fact, error) {
	if s.left--; s.left < 0 {
		return nil, fmt.Errorf("%w: gone", online.ErrUnavailable)
	}
	return s.Store.Facts(ctx, account, since)
}

// Of a store that stops to answer, a job waits for more.
func TestJobOfAStoreThatGoesAway(t *testing.T) {
	f := withFacts(t, Config{})
	aboutAccounts(t, f)
	scorer, err := f.server.loadForJob("renewal", 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.server.openAccounts(t.Context(), &jobs.Spec{AsOf: moment}, scorer, "")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	a.(*storeAccounts).accounts = online.NewAccounts(&awayStore{f.server.cfg.Store, 5}, 0)
	if p, err := a.Next(); !errors.Is(err, online.ErrUnavailable) || !errors.Is(err, jobs.ErrAway) {
		t.Errorf("%+v, %v", p, err)
	}
}

// cutAccounts are cut off after the first page, as by the end of the process.
type cutAccounts struct {
	jobs.Accounts
	cut   context.CancelFunc
	pages int
}

func (a *cutAccounts) Next() (*jobs.Page, error) {
	if a.pages++; a.pages == 2 {
		a.cut()
		return nil, context.Canceled
	}
	return a.Accounts.Next()
}

// A job of the store goes on after the last account that it has on disk, and ends with the
// same bytes whatever has come meanwhile.
func TestJobOfTheStoreGoesOnWhereItWas(t *testing.T) {
	ctx := context.Background()
	f := withFacts(t, Config{})
	login := func(account string, k int, arrived int64) facts.Fact {
		return facts.Fact{Source: "events", Account: account, ID: fmt.Sprint("e", k), Occurred: moment - int64(1+k%40)*day, Arrived: arrived, End: datasets.MissingTime,
			Values: map[string]datasets.Value{"event": {Kind: datasets.Category, Text: "login"}, "seconds": {Kind: datasets.Number, Number: float64(k) / 7}}}
	}
	var list []facts.Fact
	for k := range 2*jobPage + 300 {
		list = append(list, login(fmt.Sprintf("A-%05d", k), k+1, moment-day))
	}
	store := f.server.cfg.Store
	if err := store.Append(ctx, list); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, c jobs.Config, out string) jobs.Job {
		r, err := jobs.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if len(r.List()) == 0 {
			if _, err := r.Add("", jobs.Spec{Model: "renewal", Version: 1, From: jobs.FromStore, Out: out, Reasons: 1, AsOf: moment}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx)
		}()
		f.eventually(t, "the end of the job", func() bool { return ctx.Err() != nil || r.List()[0].Ended != 0 })
		stop()
		<-done
		return r.List()[0]
	}
	config := func() jobs.Config {
		return jobs.Config{Dir: t.TempDir(), PieceRows: 1, Load: f.server.loadForJob, Accounts: f.server.openAccounts, KeepRows: true}
	}
	whole := config()
	want := run(ctx, whole, "out.csv")
	if want.State != jobs.Done || want.Rows != len(list) {
		t.Fatalf("%+v", want)
	}
	other := config()
	first, cut := context.WithCancel(ctx)
	other.Accounts = func(ctx context.Context, spec *jobs.Spec, scorer *models.Scorer, after string) (jobs.Accounts, error) {
		a, err := f.server.openAccounts(ctx, spec, scorer, after)
		return &cutAccounts{Accounts: a, cut: cut}, err
	}
	if j := run(first, other, "out.csv"); j.State != jobs.Running || j.Rows != jobPage {
		t.Fatalf("%+v", j)
	}
	list = list[:0]
	for k := range 500 { // they arrive now: of accounts before, between and new ones
		list = append(list, login(fmt.Sprintf("A-%05d", 5*k), 9000+k, datasets.MissingTime), login(fmt.Sprintf("A-%05d-new", 4*k), k, datasets.MissingTime))
	}
	if err := store.Append(ctx, list); err != nil {
		t.Fatal(err)
	}
	at := ""
	other.Accounts = func(ctx context.Context, spec *jobs.Spec, scorer *models.Scorer, after string) (jobs.Accounts, error) {
		at = after
		return f.server.openAccounts(ctx, spec, scorer, after)
	}
	if j := run(ctx, other, "out.csv"); j.State != jobs.Done || j.Rows != want.Rows || at != fmt.Sprintf("A-%05d", jobPage-1) || j.Skipped.Unknown == 0 {
		t.Fatalf("after %s: %+v", at, j)
	}
	a, err := os.ReadFile(filepath.Join(whole.Dir, "out.csv"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(other.Dir, "out.csv"))
	if err != nil || string(a) != string(b) {
		t.Errorf("it is not what it is without the cut: %v", err)
	}
}
