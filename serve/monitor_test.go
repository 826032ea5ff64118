package serve

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"propensity/models/registry"
	"propensity/serve/database"
	"propensity/serve/monitor"
)

// scoreMany scores rows of accounts that differ, in one batch.
func (f *fixture) scoreMany(t testing.TB, model string, n int, row func(i int) string) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		b.WriteString(requestOf(fmt.Sprintf("A-%d", i), row(i)) + "\n")
	}
	r := f.post(t, "/v1/models/"+model+"/score:batch", "application/x-ndjson", strings.NewReader(b.String()))
	if r.status != 200 || strings.Contains(string(r.body), `"error"`) {
		t.Fatalf("%d %.300s", r.status, r.body)
	}
}

// usual is a row like those of training.
func usual(i int) string {
	return fmt.Sprintf(`{"plan":%q,"logins_28d":%d,"seats":%d,"sso":%v,"created_at":"2026-01-%02dT08:00:00Z","code":"00%d","tier":%q}`,
		[]string{"free", "pro", "team"}[i%3], i*i%53, 1+i%40, i%4 == 3, 1+i%28, 1+i/3%2, []string{"1", "2.5"}[i/5%2])
}

func (f *fixture) monitor(t testing.TB, path string) *monitor.Report {
	t.Helper()
	r := f.get(t, path)
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	out := decodeAs[monitor.Report](t, r.body)
	return &out
}

func TestMonitorNamesTheBurstPipe(t *testing.T) {
	f := churn(t, Config{})
	if r := f.monitor(t, "/v1/models/churn/monitor"); r.Verdict != monitor.Wait || r.Scores != 0 {
		t.Errorf("of no scores: %+v", r)
	}
	f.scoreMany(t, "churn", 200, usual)
	if r := f.monitor(t, "/v1/models/churn/monitor?since=24h"); r.Verdict != monitor.Fine || r.Scores != 200 {
		t.Errorf("%d scores: %s: %s", r.Scores, r.Verdict, r.Detail)
	}
	f.scoreMany(t, "churn", 200, func(i int) string { return strings.Replace(usual(i), `"free"`, `"Free"`, 1) })
	r := f.monitor(t, "/v1/models/churn@1/monitor")
	if r.Verdict != monitor.FixPipe || len(r.Findings) == 0 || r.Findings[0].Column != "plan" || r.Findings[0].Cause != monitor.CauseUnseen {
		t.Errorf("%s: %s", r.Verdict, r.Detail)
	}
	if r := f.monitor(t, "/v1/models/upsell/monitor"); r.Scores != 0 {
		t.Errorf("upsell: %d scores", r.Scores)
	}
	f.server.judgeAll(context.Background())
	for _, c := range f.server.findings() {
		if c.Found != (c.Model == "churn" && (c.Column == "plan")) {
			t.Errorf("%+v", c)
		}
	}
	for path, status := range map[string]int{
		"/v1/models/churn/monitor?since=":      400,
		"/v1/models/churn/monitor?since=week":  400,
		"/v1/models/churn/monitor?since=-7d":   400,
		"/v1/models/churn/monitor?since=9999d": 400,
		"/v1/models/nobody/monitor":            404,
		"/v1/models/churn@9/monitor":           404,
	} {
		if got := f.get(t, path); got.status != status {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// A dry run is no score that was given.
func TestMonitorCountsWhatIsGiven(t *testing.T) {
	f := churn(t, Config{})
	f.score(t, "churn", `{"account":"A-1","row":{"plan":7}}`)
	f.score(t, "churn", requestOf("A-1", usual(1)))
	if r := f.monitor(t, "/v1/models/churn/monitor"); r.Scores != 1 {
		t.Errorf("%d scores", r.Scores)
	}
}

// What was counted outlives the server, and what the ledger has gives the very same.
func TestMonitorSurvivesARestart(t *testing.T) {
	db, err := database.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	dir := t.TempDir()
	start := func() (*Server, *fixture) {
		f := &fixture{dir: dir, registry: registry.Open(dir)}
		s, err := New(Config{Registry: f.registry, Database: db})
		if err != nil {
			t.Fatal(err)
		}
		f.server = s
		f.eventually(t, "ready", func() bool { return !s.state.Load().loading })
		return s, f
	}
	publish(t, registry.Open(dir), "churn", 1, registry.Champion)
	first, f := start()
	for i := range 40 {
		if r := f.postDirectly("/v1/models/churn/score", requestOf(fmt.Sprintf("A-%d", i%7), usual(i))); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, f := start()
	defer second.Close()
	r := decodeAs[monitor.Report](t, f.record("/v1/models/churn/monitor").body)
	if r.Scores != 40 {
		t.Errorf("%d scores after a restart", r.Scores)
	}
	v, err := second.version(context.Background(), "churn")
	if err != nil {
		t.Fatal(err)
	}
	counted, err := monitor.CountLedger(context.Background(), second.ledger, v.scorer, v.counts.Shape, monitor.Span{From: 1, To: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	span := monitor.Span{From: 1, To: 1 << 62}
	live, err := second.monitor.Counts(context.Background(), v.counts.Shape, span)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := live.Append(nil), counted.Counts.Append(nil); string(a) != string(b) || counted.WithoutRows != 0 {
		t.Errorf("%d rows live, %d of the ledger", live.Rows, counted.Counts.Rows)
	}
}

// postDirectly serves one POST without a connection.
func (f *fixture) postDirectly(path, body string) reply {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	f.server.Handler().ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}
