package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"propensity/serve/database"
)

// remembering is a server of churn with a ledger.
func remembering(t *testing.T, cfg Config) *fixture {
	t.Helper()
	db, err := database.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	cfg.Database = db
	return churn(t, cfg)
}

func (f *fixture) outcomes(t *testing.T, body string) reply {
	t.Helper()
	return f.post(t, "/v1/outcomes", "application/json", strings.NewReader(body))
}

// keptWire is a score as a client reads it.
type keptWire struct {
	KeptScore
	Reasons []wireReason   `json:"reasons"`
	Row     map[string]any `json:"row"`
}

type keptScores struct {
	Account string
	Scores  []keptWire
	Next    int64
}

// scores gives the scores of an account once all that were given are committed.
func (f *fixture) scores(t *testing.T, path string) keptScores {
	t.Helper()
	if err := f.server.ledger.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	r := f.get(t, "/v1/accounts/"+path)
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	return decodeAs[keptScores](t, r.body)
}

func (f *fixture) delete(t *testing.T, path string) reply {
	t.Helper()
	q, err := http.NewRequest(http.MethodDelete, f.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.http.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, r)
}

// Each score that goes out is in the ledger, as it went out; an outcome settles it; the
// account can be forgotten.
func TestLedgerHasWhatWentOut(t *testing.T) {
	f := remembering(t, Config{})
	var given []wire
	for i := range 3 {
		r := f.score(t, "churn", fmt.Sprintf(`{"account":"A/1","row":%s,"as_of":"2026-03-0%dT09:30:00Z"}`, wholeRow, i+1))
		given = append(given, decodeAs[wire](t, r.body))
	}
	f.score(t, "upsell", requestOf("A/1", wholeRow))
	f.score(t, "churn", requestOf("B", wholeRow))
	f.score(t, "churn", `{"account":"A/1","row":{}}`) // refused: no score
	r := f.outcomes(t, `[{"id":7,"model":"churn","account":"A/1","as_of":"2026-03-02T09:30:00Z","positive":true,"value":120.5},
		{"model":"churn","account":"A/1","as_of":"2026-03-01T09:30:00Z","positive":false,"occurred_at":null}]`)
	if got := string(r.body); r.status != 200 || got != `{"accepted":2,"added":2}`+"\n" {
		t.Fatalf("%d %s", r.status, got)
	}
	got := f.scores(t, "A%2F1/scores?model=churn")
	if len(got.Scores) != 3 || got.Account != "A/1" {
		t.Fatalf("%+v", got)
	}
	for i, k := range got.Scores {
		want := given[2-i] // the newest first
		if k.AsOf != want.AsOf || k.Probability != want.Probability || k.Score != want.Score || k.Band != want.Band || k.Percentile != want.Percentile || k.Version != want.Version || k.Origin != "request" {
			t.Errorf("%+v was given, %+v is kept", want, k)
		}
		for j, reason := range k.Reasons {
			if reason.Feature != want.Reasons[j].Feature || reason.Points != want.Reasons[j].Points {
				t.Errorf("reason %d: %+v, was %+v", j, reason, want.Reasons[j])
			}
		}
		if len(k.Reasons) != len(want.Reasons) {
			t.Errorf("%d reasons, were %d", len(k.Reasons), len(want.Reasons))
		}
		row := `{"code":"002","created_at":"2026-01-20T08:00:00Z","logins_28d":6,"plan":"pro","seats":12,"sso":false,"tier":"1"}`
		if text, _ := marshal(k.Row); string(text) != row+"\n" {
			t.Errorf("row %s", text)
		}
	}
	if s := got.Scores[1].Settled; s.Positive == nil || !*s.Positive || s.Outcome != "7" || *s.Value != 120.5 {
		t.Errorf("%+v", s)
	}
	if s := got.Scores[2].Settled; s.Positive == nil || *s.Positive {
		t.Errorf("%+v", s)
	}
	if s := got.Scores[0].Settled; s.Positive != nil {
		t.Errorf("%+v", s)
	}
	if page := f.scores(t, "A%2F1/scores?limit=1&model=churn&before="+fmt.Sprint(got.Scores[0].Number)); len(page.Scores) != 1 || !reflect.DeepEqual(page.Scores[0], got.Scores[1]) || page.Next != got.Scores[1].Number {
		t.Errorf("%+v", page)
	}
	if r := f.delete(t, "/v1/accounts/A%2F1"); string(r.body) != `{"scores":4,"outcomes":2,"changes":0,"facts":0}`+"\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if a, b := f.scores(t, "A%2F1/scores"), f.scores(t, "B/scores"); len(a.Scores) != 0 || len(b.Scores) != 1 {
		t.Errorf("%d and %d scores are left", len(a.Scores), len(b.Scores))
	}
	m := string(f.get(t, "/metrics").body)
	for _, line := range []string{"propensity_ledger_scores_total 5", "propensity_ledger_dropped_total 0", "propensity_ledger_outcomes_total 2"} {
		if !strings.Contains(m, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// Every fault of a body is told with its place, and nothing of it is added.
func TestOutcomesAreRefusedAsAWhole(t *testing.T) {
	f := remembering(t, Config{MaxEvents: 3})
	good := `{"model":"churn","account":"A","positive":true,"occurred_at":"2026-03-01"}`
	for body, want := range map[string]string{
		`{"model":"churn","account":"A","positive":true}`:                                        `422 neither when it occurred ""`,
		`[` + good + `,{"model":"churn","account":"A","positive":1,"occurred_at":"2026-03-01"}]`: `422 true or false "/1/positive"`,
		`[` + good + `,{"account":"","positive":true,"when":1}]`:                                 `422 4 faults "/1/account" "/1/when" "/1/model"`,
		`{"model":"churm","account":"A","positive":true,"as_of":"2026-03-01"}`:                   `422 there is no model "/model"`,
		`{"model":"churn","account":"A","positive":true,"as_of":"soon"}`:                         `422 is no time "/as_of"`,
		`{"model":"churn","account":"A","positive":true,"as_of":"2999-01-01"}`:                   `422 has not come "/as_of"`,
		`{"model":"churn","account":"A","positive":true,"as_of":"2026-03-01","value":"9"}`:       `422 must be a number "/value"`,
		`{"model":"churn","account":"A","account":"B","positive":true}`:                          `400 given twice "/account"`,
		`[` + good + `,`:   `400 JSON`,
		`[` + good + `] x`: `400 JSON`,
		`7`:                `422 is an object`,
		`[` + strings.Repeat(good+",", 3) + good + `]`: `413 more than 3 outcomes`,
	} {
		r := f.outcomes(t, body)
		got := fmt.Sprint(r.status, " ", string(r.body))
		for i, part := range strings.SplitN(want, " ", 2) {
			if i == 0 && !strings.HasPrefix(got, part) {
				t.Errorf("%s: %s", body, got)
			}
		}
		for _, part := range strings.Fields(want)[1:] {
			if !strings.Contains(got, part) {
				t.Errorf("%s: no %s in %s", body, part, got)
			}
		}
	}
	r := f.post(t, "/v1/outcomes", "application/x-ndjson", strings.NewReader(good+"\n\n"+strings.Replace(good, "A", "", 1)+"\n"))
	if p := decodeAs[problem](t, r.body); r.status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != "/1/account" || !strings.HasPrefix(p.Errors[0].Detail, "line 3: ") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.post(t, "/v1/outcomes", "application/x-ndjson", strings.NewReader(good+"\n"+good)); string(r.body) != `{"accepted":2,"added":1}`+"\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.post(t, "/v1/outcomes", "application/json", strings.NewReader(`[]`)); string(r.body) != `{"accepted":0,"added":0}`+"\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, path := range []string{"?limit=0", "?limit=x", "?before=0", "?before=x"} {
		if r := f.get(t, "/v1/accounts/A/scores"+path); r.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestWithoutALedgerItIsSaid(t *testing.T) {
	f := churn(t, Config{})
	for _, r := range []reply{f.outcomes(t, `{}`), f.get(t, "/v1/accounts/A/scores"), f.delete(t, "/v1/accounts/A")} {
		if r.status != http.StatusNotImplemented || !strings.Contains(string(r.body), "--ledger") {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// away takes the tables of the ledger away, as a database that is down would be.
func (f *fixture) away(t *testing.T) {
	t.Helper()
	if _, err := f.server.cfg.Database.Exec(`ALTER TABLE ledger_counters RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) back(t *testing.T) {
	t.Helper()
	if _, err := f.server.cfg.Database.Exec(`ALTER TABLE gone RENAME TO ledger_counters`); err != nil {
		t.Fatal(err)
	}
}

// With the database away scores go out all the same, and are kept when it is back; /readyz
// says so.
func TestScoresWaitForTheLedger(t *testing.T) {
	f := remembering(t, Config{})
	f.score(t, "churn", requestOf("A", wholeRow))
	f.scores(t, "A/scores")
	f.away(t)
	for range 3 {
		if r := f.score(t, "churn", requestOf("A", wholeRow)); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	f.eventually(t, "said", func() bool { return strings.Contains(string(f.get(t, "/readyz").body), "scores wait for it") })
	if r := f.get(t, "/readyz"); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.outcomes(t, `{"model":"churn","account":"A","positive":true,"as_of":"2026-03-01"}`); r.status != http.StatusServiceUnavailable {
		t.Errorf("an outcome that was not kept was answered with %d %s", r.status, r.body)
	}
	f.back(t)
	if got := f.scores(t, "A/scores"); len(got.Scores) != 4 {
		t.Errorf("%d scores are kept of 4", len(got.Scores))
	}
	if r := f.get(t, "/readyz"); strings.Contains(string(r.body), "ledger") {
		t.Errorf("%s", r.body)
	}
}

// What finds no room is dropped, which is counted and said, and holds up nothing.
func TestDroppedScoresAreCounted(t *testing.T) {
	f := remembering(t, Config{LedgerQueue: 2000})
	f.score(t, "churn", requestOf("A", wholeRow))
	f.scores(t, "A/scores")
	f.away(t)
	for range 50 {
		if r := f.score(t, "churn", requestOf("A", wholeRow)); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	f.back(t)
	kept := len(f.scores(t, "A/scores").Scores)
	if kept < 2 || kept > 20 {
		t.Fatalf("%d scores are kept", kept)
	}
	cause := fmt.Sprintf("%d scores were given and are not in it", 51-kept)
	if r := f.get(t, "/readyz"); r.status != http.StatusOK || !strings.Contains(string(r.body), cause) {
		t.Errorf("%d %s, want %s", r.status, r.body, cause)
	}
	if m := string(f.get(t, "/metrics").body); !strings.Contains(m, fmt.Sprintf("propensity_ledger_dropped_total %d\n", 51-kept)) {
		t.Error("the metric does not count them")
	}
}

// In Sync a score is there when its answer comes, and where it cannot be kept there is
// no answer.
func TestSyncLetsNothingOutThatIsNotKept(t *testing.T) {
	f := remembering(t, Config{LedgerSync: true})
	for i := range 3 {
		f.score(t, "churn", requestOf("A", wholeRow))
		got := decodeAs[keptScores](t, f.get(t, "/v1/accounts/A/scores").body)
		if len(got.Scores) != i+1 {
			t.Fatalf("%d scores are kept of %d", len(got.Scores), i+1)
		}
	}
	f.away(t)
	if r := f.score(t, "churn", requestOf("A", wholeRow)); r.status != http.StatusServiceUnavailable || strings.Contains(string(r.body), "probability") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.get(t, "/readyz"); r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), "the ledger") {
		t.Errorf("%d %s", r.status, r.body)
	}
	f.back(t)
	if r := f.score(t, "churn", requestOf("A", wholeRow)); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A database that is not there yet holds up no score, and is used once it is there.
func TestDatabaseAwayAtStart(t *testing.T) {
	dir := t.TempDir()
	db, err := database.Open(context.Background(), "sqlite:"+filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE propensity_layouts (empty TEXT)`); err != nil { // no tables can be made
		t.Fatal(err)
	}
	f := churn(t, Config{Database: db})
	if r := f.score(t, "churn", requestOf("A", wholeRow)); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	f.eventually(t, "said", func() bool { return strings.Contains(string(f.get(t, "/readyz").body), "the ledger") })
	if _, err := db.Exec(`DROP TABLE propensity_layouts`); err != nil {
		t.Fatal(err)
	}
	if got := f.scores(t, "A/scores"); len(got.Scores) != 1 {
		t.Errorf("%d scores are kept", len(got.Scores))
	}
}

// A forgotten account's facts go too.
func TestForgetTakesFactsToo(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), http.StatusAccepted)
	wantStatus(t, f.get(t, "/v1/accounts/A-17"), http.StatusOK)
	if r := f.delete(t, "/v1/accounts/A-17"); string(r.body) != `{"scores":0,"outcomes":0,"changes":0,"facts":5}`+"\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	wantStatus(t, f.get(t, "/v1/accounts/A-17"), http.StatusNotFound)
}

// What is recorded costs a score no allocation.
func TestRecordAllocatesNothing(t *testing.T) {
	f := remembering(t, Config{})
	v, err := f.server.version(context.Background(), "churn")
	if err != nil {
		t.Fatal(err)
	}
	w := new(work)
	if err := w.request.decode([]byte(requestOf("A", wholeRow)), v.scorer.Encoder(), f.server.now(), 100, ""); err != nil {
		t.Fatal(err)
	}
	if err := v.scorer.Score(&w.answer, w.request.row, w.request.moment, 3); err != nil {
		t.Fatal(err)
	}
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	g := &given{c: c, version: v, request: &w.request, answer: &w.answer}
	if n := testing.AllocsPerRun(1000, func() { _ = f.server.record(g) }); n > 0.5 && !raced {
		t.Errorf("%.2f allocations a score", n)
	}
}

// In Sync the scores of a batch are committed together, before their answers go out; where
// they cannot be, no answer does.
func TestSyncBatch(t *testing.T) {
	f := remembering(t, Config{LedgerSync: true})
	rows := strings.Repeat(requestOf("A", wholeRow)+"\n", 300)
	r := wantStatus(t, f.post(t, "/v1/models/churn/score:batch", "application/x-ndjson", strings.NewReader(rows)), http.StatusOK)
	if n := strings.Count(string(r.body), `"probability"`); n != 300 {
		t.Fatalf("%d answers", n)
	}
	if got := decodeAs[keptScores](t, f.get(t, "/v1/accounts/A/scores?limit=1000").body); len(got.Scores) != 300 {
		t.Errorf("%d scores are kept", len(got.Scores))
	}

	// A line at a time, and the database goes away in between.
	in, out := io.Pipe()
	q, err := http.NewRequest(http.MethodPost, f.http.URL+"/v1/models/churn/score:batch", in)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/x-ndjson")
	go func() { _, _ = io.WriteString(out, requestOf("B", wholeRow)+"\n") }()
	a, err := f.http.Client().Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	lines := bufio.NewReader(a.Body)
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	f.away(t)
	go func() {
		_, _ = io.WriteString(out, requestOf("B", wholeRow)+"\n")
		_ = out.Close()
	}()
	if rest, err := io.ReadAll(lines); err == nil || len(rest) > 0 {
		t.Errorf("an answer that is not kept: %q, %v", rest, err)
	}
	r = f.post(t, "/v1/models/churn/score:batch", "application/x-ndjson", strings.NewReader(rows))
	if r.status != http.StatusServiceUnavailable || strings.Contains(string(r.body), "probability") {
		t.Errorf("%d %.300s", r.status, r.body)
	}
}

// A batch waits for room in the ledger: none of its scores is dropped.
func TestBatchWaitsForRoom(t *testing.T) {
	f := remembering(t, Config{LedgerQueue: 5000})
	rows := strings.Repeat(requestOf("A", wholeRow)+"\n", 300)
	wantStatus(t, f.post(t, "/v1/models/churn/score:batch", "application/x-ndjson", strings.NewReader(rows)), http.StatusOK)
	if got := f.scores(t, "A/scores?limit=1000"); len(got.Scores) != 300 {
		t.Errorf("%d scores are kept", len(got.Scores))
	}
}
