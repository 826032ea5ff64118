package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"propensity/models/registry"
	"propensity/serve/database"
	"propensity/serve/ledger"
	"propensity/serve/monitor"
	"propensity/serve/notify"
)

// hook is a receiver of webhooks.
type hook struct {
	http *httptest.Server
	got  chan hooked
	ids  map[string]bool // delivered is at least once: an id tells what is known
}

type hooked struct {
	header http.Header
	body   []byte
	event  struct {
		Type, Timestamp string
		Data            map[string]any
	}
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{got: make(chan hooked, 1000), ids: map[string]bool{}}
	h.http = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		e := hooked{header: r.Header}
		e.body, _ = io.ReadAll(r.Body)
		if err := json.Unmarshal(e.body, &e.event); err != nil {
			t.Errorf("%v in %s", err, e.body)
		}
		h.got <- e
	}))
	t.Cleanup(h.http.Close)
	return h
}

// fresh is the next event that is not known.
func (h *hook) fresh(t *testing.T) hooked {
	t.Helper()
	for {
		e := h.next(t)
		if id := e.header.Get("webhook-id"); !h.ids[id] {
			h.ids[id] = true
			return e
		}
	}
}

func (h *hook) next(t *testing.T) hooked {
	t.Helper()
	select {
	case e := <-h.got:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no webhook in 10 s")
		return hooked{}
	}
}

// stateDB is a database for one test, which outlives its servers.
func stateDB(t *testing.T) *database.DB {
	t.Helper()
	db, err := database.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// register has a server send to a receiver.
func (f *fixture) register(t *testing.T, h *hook, types ...string) webhookAnswer {
	t.Helper()
	list, err := json.Marshal(append([]string{}, types...))
	if err != nil {
		t.Fatal(err)
	}
	got := f.call(t, "POST", "/v1/webhooks", fmt.Sprintf(`{"url":%q,"types":%s}`, h.http.URL+"/secret-path", list))
	if got.status != http.StatusCreated {
		t.Fatalf("%d %s", got.status, got.body)
	}
	w := decodeAs[webhookAnswer](t, got.body)
	if got.header.Get("Location") != "/v1/webhooks/"+w.ID || !strings.HasPrefix(w.Secret, notify.SecretPrefix) {
		t.Fatalf("%s: %+v", got.header.Get("Location"), w)
	}
	return w
}

// call makes a request with a body of JSON, or none.
func (f *fixture) call(t *testing.T, method, path, body string) reply {
	t.Helper()
	r, err := http.NewRequest(method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

// From the registration to the last delivery, through the API.
func TestWebhookAPI(t *testing.T) {
	var log bytes.Buffer
	h := newHook(t)
	f := churn(t, Config{Database: stateDB(t), WebhookPrivate: true, Logger: slog.New(slog.NewTextHandler(&syncWriter{w: &log}, nil))})
	w := f.register(t, h, notify.TypeBandChanged)
	path := "/v1/webhooks/" + w.ID
	list := decodeAs[webhookList](t, f.get(t, "/v1/webhooks").body)
	if len(list.Webhooks) != 1 || list.Webhooks[0].ID != w.ID || list.Webhooks[0].Secret != "" {
		t.Fatalf("%+v", list)
	}
	rotated := decodeAs[webhookAnswer](t, f.call(t, "POST", path+"/rotate", "").body)
	if rotated.Secret == w.Secret || rotated.PreviousUntil == "" {
		t.Fatalf("%+v", rotated)
	}

	got := f.call(t, "POST", path+"/test", "")
	event := decodeAs[testAnswer](t, got.body).Event
	if got.status != http.StatusAccepted || got.header.Get("Location") != path+"/deliveries/"+event {
		t.Fatalf("%d %s", got.status, got.body)
	}
	e := h.next(t)
	for _, secret := range []string{w.Secret, rotated.Secret} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(e.body, e.header); err != nil {
			t.Error(err)
		}
	}
	if e.header.Get("webhook-id") != event || e.event.Type != notify.TypeTest || e.event.Data["webhook"] != w.ID {
		t.Errorf("%v %s", e.header, e.body)
	}
	var d deliveryAnswer
	f.eventually(t, "delivered", func() bool {
		d = decodeAs[deliveryAnswer](t, f.get(t, path+"/deliveries/"+event).body)
		return d.State == notify.StateDone
	})
	if d.Attempts != 1 || d.Status != 200 || string(d.Body) != string(e.body) {
		t.Errorf("%+v", d)
	}
	page := decodeAs[deliveryPage](t, f.get(t, path+"/deliveries?state=done&limit=1").body)
	if len(page.Deliveries) != 1 || page.Deliveries[0].Event != event || page.Next != "" || page.Deliveries[0].Body != nil {
		t.Errorf("%+v", page)
	}
	if got := f.call(t, "POST", path+"/replay", `{"events":["`+event+`"]}`); got.status != http.StatusAccepted || decodeAs[replayAnswer](t, got.body).Replayed != 1 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if again := h.next(t); again.header.Get("webhook-id") != event {
		t.Errorf("replayed as %s", again.header.Get("webhook-id"))
	}
	if got := f.call(t, "POST", path+"/replay", `{}`); decodeAs[replayAnswer](t, got.body).Replayed != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}

	changed := decodeAs[webhookAnswer](t, f.call(t, "PATCH", path, `{"types":[],"models":["churn"],"enabled":false}`).body)
	if len(changed.Types) != 0 || !slices.Equal(changed.Models, []string{"churn"}) || changed.Enabled || changed.URL != w.URL {
		t.Errorf("%+v", changed)
	}
	for _, what := range []string{"/test", "/replay"} {
		if got := f.call(t, "POST", path+what, `{}`); got.status != http.StatusConflict {
			t.Errorf("%s of one that is disabled: %d %s", what, got.status, got.body)
		}
	}
	if got := f.call(t, "DELETE", path, ""); got.status != http.StatusNoContent || len(got.body) != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := f.get(t, path); got.status != http.StatusNotFound {
		t.Errorf("%d %s", got.status, got.body)
	}
	acts := string(f.get(t, "/v1/audit").body)
	for _, act := range []string{"create", "rotate", "test", "replay", "change", "delete"} {
		if !strings.Contains(acts, `"webhooks.`+act+`"`) {
			t.Errorf("webhooks.%s is not in the audit log", act)
		}
	}
	for _, secret := range []string{"secret-path", w.Secret, rotated.Secret} {
		if strings.Contains(acts, secret) || strings.Contains(log.String(), secret) {
			t.Errorf("a log has %s", secret)
		}
	}
}

// syncWriter may be written to by several goroutines.
type syncWriter struct {
	w  io.Writer
	mu sync.Mutex
}

func (s *syncWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

func TestWebhookRefusals(t *testing.T) {
	f := churn(t, Config{Database: stateDB(t)})
	const in = "https://hooks.example.com/in"
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/webhooks", `{}`, 422},
		{"POST", "/v1/webhooks", `{"url":"http://hooks.example.com"}`, 422},
		{"POST", "/v1/webhooks", `{"url":"https://169.254.169.254/latest/meta-data"}`, 422},
		{"POST", "/v1/webhooks", `{"url":null}`, 422},
		{"POST", "/v1/webhooks", `{"url":7}`, 422},
		{"POST", "/v1/webhooks", `{"url":"` + in + `","types":null}`, 422},
		{"POST", "/v1/webhooks", `{"url":"` + in + `","types":["account.born"]}`, 422},
		{"POST", "/v1/webhooks", `{"url":"` + in + `","secret":"whsec_mine"}`, 422},
		{"POST", "/v1/webhooks", `{"url":"` + in + `","enabled":false}`, 422},
		{"POST", "/v1/webhooks", `[]`, 422},
		{"POST", "/v1/webhooks", `{`, 400},
		{"PATCH", "/v1/webhooks/wh_none", `{}`, 404},
		{"DELETE", "/v1/webhooks/wh_none", ``, 404},
		{"POST", "/v1/webhooks/wh_none/rotate", ``, 404},
		{"POST", "/v1/webhooks/wh_none/test", ``, 404},
		{"POST", "/v1/webhooks/wh_none/replay", `{}`, 404},
		{"POST", "/v1/webhooks/wh_none/replay", `{"events":[]}`, 422},
		{"GET", "/v1/webhooks/wh_none/deliveries", ``, 404},
		{"GET", "/v1/webhooks/wh_none/deliveries?state=lost", ``, 400},
		{"GET", "/v1/webhooks/wh_none/deliveries?state=", ``, 400},
		{"GET", "/v1/webhooks/wh_none/deliveries?limit=0", ``, 400},
		{"GET", "/v1/webhooks/wh_none/deliveries/msg_none", ``, 404},
	} {
		got := f.call(t, c.method, c.path, c.body)
		if got.status != c.status {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, got.status, got.body)
			continue
		}
		checkProblem(t, got, c.status)
	}
	without := churn(t, Config{})
	if got := without.get(t, "/v1/webhooks"); got.status != http.StatusNotImplemented {
		t.Errorf("without a database: %d %s", got.status, got.body)
	}
}

// A moved alias is told once, also one that moved while no server ran, and nothing from
// before the webhook was.
func TestAliasMovesAreTold(t *testing.T) {
	db, h := stateDB(t), newHook(t)
	cfg := Config{Database: db, WebhookPrivate: true}
	f := churn(t, cfg)
	w := f.register(t, h, notify.TypeAliasMoved)
	moved := func(version, previous float64, action string) {
		t.Helper()
		d := h.fresh(t).event.Data
		if d["model"] != "churn" || d["alias"] != registry.Champion || d["version"] != version || d["previous_version"] != previous || d["action"] != action {
			t.Errorf("%v, want %v after %v", d, version, previous)
		}
	}
	publish(t, f.registry, "churn", 2, registry.Champion)
	moved(2, 1, registry.ActionPromote)
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	publish(t, f.registry, "churn", 3, registry.Champion) // nobody looks
	s, err := New(Config{Registry: f.registry, Database: db, WebhookPrivate: true, Poll: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	moved(3, 2, registry.ActionPromote)
	if _, _, err := f.registry.Rollback(context.Background(), "churn", registry.Champion, registry.Event{}); err != nil {
		t.Fatal(err)
	}
	moved(2, 3, registry.ActionRollback)
	list, err := s.notifier.Deliveries(context.Background(), w.ID, "", "", 100)
	if err != nil || len(list) != 3 {
		t.Errorf("%d events, %v", len(list), err)
	}
}

// A score that takes an account into another band is told, and usage that fell.
func TestScoresAreTold(t *testing.T) {
	h := newHook(t)
	fall, err := notify.ParseFall("logins*<10")
	if err != nil {
		t.Fatal(err)
	}
	f := churn(t, Config{Database: stateDB(t), WebhookPrivate: true, Falls: []notify.Fall{fall}})
	w := f.register(t, h)
	score := func(logins int, at string) wire {
		t.Helper()
		row := strings.Replace(wholeRow, `"logins_28d":6`, fmt.Sprintf(`"logins_28d":%d`, logins), 1)
		return decodeAs[wire](t, f.score(t, "churn", fmt.Sprintf(`{"account":"A-17","row":%s,"as_of":%q}`, row, at)).body)
	}
	was, is := score(48, "2026-03-01T09:30:00Z"), score(6, "2026-03-02T09:30:00Z")
	if was.Band == is.Band {
		t.Fatal("the bands do not differ")
	}
	told := map[string]map[string]any{}
	for len(told) < 2 {
		e := h.fresh(t).event
		if told[e.Type] != nil {
			t.Fatalf("%s came twice", e.Type)
		}
		told[e.Type] = e.Data
	}
	b := told[notify.TypeBandChanged]
	if b["account"] != "A-17" || b["model"] != "churn" || b["version"] != 1.0 || b["previous_band"] != was.Band || b["band"] != is.Band || b["probability"] != is.Probability || b["previous_probability"] != was.Probability {
		t.Errorf("%v of %+v and %+v", b, was, is)
	}
	u := told[notify.TypeUsageFell]
	if u["account"] != "A-17" || u["column"] != "logins_28d" || u["value"] != 6.0 || u["previous_value"] != 48.0 || u["threshold"] != 10.0 || u["as_of"] != "2026-03-02T09:30:00Z" {
		t.Errorf("%v", u)
	}
	deliveries := "/v1/webhooks/" + w.ID + "/deliveries"
	if page := decodeAs[deliveryPage](t, f.get(t, deliveries).body); len(page.Deliveries) != 2 {
		t.Errorf("%+v", page)
	}
	if got := f.call(t, "DELETE", "/v1/accounts/A-17", ""); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if page := decodeAs[deliveryPage](t, f.get(t, deliveries).body); len(page.Deliveries) != 0 {
		t.Errorf("the account is forgotten, and there is %+v", page)
	}
}

// listed are changes of bands as a ledger would give them.
type listedChanges []ledger.Change

func (l listedChanges) Changes(_ context.Context, after int64, most int) (out []ledger.Change, _ error) {
	for _, c := range l {
		if c.Number > after && len(out) < most {
			out = append(out, c)
		}
	}
	return out, nil
}

// Many changes are told in pages, each once, whoever tells them.
func TestBandsAreToldOnce(t *testing.T) {
	h := newHook(t)
	f := churn(t, Config{Database: stateDB(t), WebhookPrivate: true})
	w := f.register(t, h)
	var all listedChanges
	for k := range 1200 { // with gaps in the numbers
		all = append(all, ledger.Change{Number: int64(3*k + 1), At: time.Now().UnixMicro(), Account: fmt.Sprint("A-", k), Model: "churn", Version: 1, From: "A", To: "B", Was: 0.7, Is: 0.4})
	}
	for range 3 {
		if err := f.server.tellBands(context.Background(), all); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for after := ""; ; {
		list, err := f.server.notifier.Deliveries(context.Background(), w.ID, "", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, d := range list {
			seen[d.Event], after = true, d.Event
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d events of %d changes", len(seen), len(all))
	}
}

// What the monitor finds is told once, until it is over.
func TestFindingsAreTold(t *testing.T) {
	h := newHook(t)
	f := churn(t, Config{Database: stateDB(t), WebhookPrivate: true})
	w := f.register(t, h, notify.TypeDriftFound)
	report := func(verdict string, found ...monitor.Finding) {
		t.Helper()
		f.server.monitor.mu.Lock()
		f.server.monitor.reports = []*monitor.Report{{Model: "churn", Version: 1, Verdict: verdict, Findings: found, Columns: []monitor.Column{{Name: "seats"}}}}
		f.server.monitor.mu.Unlock()
		if err := f.server.notifier.Drifted(context.Background(), f.server.findings()); err != nil {
			t.Fatal(err)
		}
	}
	seats := monitor.Finding{Model: "churn", Version: 1, Verdict: monitor.FixPipe, Column: "seats", Detail: "seats is missing in 40 % of rows"}
	report(monitor.FixPipe, seats)
	report(monitor.FixPipe, seats)
	report(monitor.Wait) // too little to tell is not over
	report(monitor.FixPipe, seats)
	report(monitor.Fine)
	report(monitor.FixPipe, seats)
	for range 2 {
		d := h.fresh(t).event.Data
		if d["model"] != "churn" || d["version"] != 1.0 || d["column"] != "seats" || d["verdict"] != monitor.FixPipe || d["detail"] != seats.Detail {
			t.Errorf("%v", d)
		}
	}
	list, err := f.server.notifier.Deliveries(context.Background(), w.ID, "", "", 100)
	if err != nil || len(list) != 2 {
		t.Errorf("%d events, %v", len(list), err)
	}
}
