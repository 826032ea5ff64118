package serve

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"propensity/models/registry"
)

// still is a server that looks at the registry only when it is told to.
func still(t *testing.T, cfg Config, versions int) *fixture {
	t.Helper()
	cfg.Poll = time.Hour
	return serveRegistry(t, cfg, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		for k := 2; k <= versions; k++ {
			publish(t, f.registry, "churn", k, "")
		}
	})
}

const championPath = "/v1/models/churn/aliases/champion"

// servedBy is the version that answers a request.
func (f *fixture) servedBy(t *testing.T, model, account string) int {
	t.Helper()
	return decodeAs[wire](t, wantStatus(t, f.score(t, model, requestOf(account, wholeRow)), 200).body).Version
}

// An alias that the API has moved is moved when it says so, without a look at the
// registry in between.
func TestAliasIsMovedAtOnce(t *testing.T) {
	f := still(t, Config{}, 3)
	at := func(r reply) aliasAnswer { t.Helper(); return decodeAs[aliasAnswer](t, wantStatus(t, r, 200).body) }
	got := at(f.do(t, "PUT", championPath, `{"version": 2, "note": "better"}`))
	if got.Version != 2 || got.Serving != 2 || got.Previous == nil || *got.Previous != 1 || got.Cause != "" {
		t.Errorf("%+v", got)
	}
	if n := f.servedBy(t, "churn", "A"); n != 2 {
		t.Errorf("version %d answers", n)
	}
	at(f.do(t, "PUT", championPath, `{"version": 3}`))
	if got := at(f.do(t, "POST", championPath+"/rollback", `{"note": "worse"}`)); got.Serving != 2 || *got.Previous != 3 {
		t.Errorf("%+v", got)
	}
	if got := at(f.do(t, "POST", championPath+"/rollback", "")); got.Serving != 1 || f.servedBy(t, "churn", "A") != 1 {
		t.Errorf("%+v", got)
	}
	wantStatus(t, f.do(t, "POST", championPath+"/rollback", ""), 409) // there is none before
	// Another alias comes, is asked for, and goes.
	if got := at(f.do(t, "PUT", "/v1/models/churn/aliases/challenger", `{"version": 3}`)); *got.Previous != 0 || f.servedBy(t, "churn@challenger", "A") != 3 {
		t.Errorf("%+v", got)
	}
	list := decodeAs[aliasesAnswer](t, wantStatus(t, f.get(t, "/v1/models/churn/aliases"), 200).body)
	if len(list.Aliases) != 2 || list.Aliases[0].Alias != "challenger" || list.Aliases[1].Serving != 1 {
		t.Errorf("%+v", list)
	}
	wantStatus(t, f.do(t, "DELETE", "/v1/models/churn/aliases/challenger", ""), 204)
	wantStatus(t, f.score(t, "churn@challenger", requestOf("A", wholeRow)), 404)
	log := decodeAs[logAnswer](t, wantStatus(t, f.get(t, "/v1/models/churn/log?limit=6"), 200).body)
	var actions []string
	for _, e := range log.Entries {
		actions = append(actions, fmt.Sprint(e.Action, " ", e.Version, " by ", e.Actor))
	}
	want := "unalias 3 by api; promote 3 by api; rollback 1 by api; rollback 2 by api; promote 3 by api; promote 2 by api"
	if text := strings.Join(actions, "; "); text != want || log.Entries[5].Note != "better" {
		t.Errorf("log: %s", text)
	}
	if n := len(decodeAs[logAnswer](t, f.get(t, "/v1/models/churn/log").body).Entries); n != 10 {
		t.Errorf("%d entries of 10", n)
	}
}

// What an alias cannot be moved to changes nothing, and says why.
func TestAliasStays(t *testing.T) {
	f := still(t, Config{}, 3)
	f.damage(t, "churn", 2, "model.arrow")
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", championPath, `{"version": 2}`, 409, "version 2 cannot be served: its files are damaged; nothing has changed"},
		{"PUT", championPath, `{"version": 9}`, 404, "no version 9"},
		{"PUT", championPath, `{"version": 0}`, 422, "/version"},
		{"PUT", championPath, `{}`, 422, "/version"},
		{"PUT", championPath, `{"version": "3"}`, 422, "version"},
		{"PUT", championPath, `{"version": 3, "force": true}`, 422, "force"},
		{"PUT", championPath, `{"version": 3, "from": 2}`, 412, "at version 1"},
		{"PUT", championPath, `{"version": 3, "from": 0}`, 412, "at version 1"},
		{"PUT", championPath, `{"version": 3, "from": -1}`, 422, "/from"},
		{"PUT", championPath, `{"version": 3, "note": "` + strings.Repeat("x", 1001) + `"}`, 422, "/note"},
		{"PUT", "/v1/models/nothing/aliases/champion", `{"version": 1}`, 404, "no model"},
		{"PUT", "/v1/models/churn/aliases/v7", `{"version": 1}`, 400, "@7"},
		{"PUT", "/v1/models/churn/aliases/7", `{"version": 1}`, 400, "no alias"},
		{"PUT", "/v1/models/churn/aliases/%2e%2e", `{"version": 1}`, 400, "alias"},
		{"PUT", "/v1/models/churn@2/aliases/champion", `{"version": 1}`, 400, "alone"},
		{"DELETE", championPath, "", 409, "answers for the model"},
		{"DELETE", "/v1/models/churn/aliases/none", "", 404, "no alias"},
		{"POST", "/v1/models/churn/aliases/none/rollback", "", 404, "no alias"},
		{"GET", "/v1/models/churn/aliases/none", "", 404, "no alias"},
		{"GET", "/v1/models/none/aliases", "", 404, "no model"},
		{"GET", "/v1/models/none/log", "", 404, "no model"},
		{"GET", "/v1/models/churn/log?limit=0", "", 400, "limit"},
		{"GET", "/v1/models/churn/log?limit=x", "", 400, "limit"},
	} {
		r := f.do(t, c.method, c.path, c.body)
		if r.status != c.status || !strings.Contains(string(r.body), c.says) || strings.Contains(string(r.body), f.dir) {
			t.Errorf("%s %s %s: %d %s, want %d with %q", c.method, c.path, c.body, r.status, r.body, c.status, c.says)
		}
	}
	if a, err := f.registry.Aliases("churn"); err != nil || len(a) != 1 || a["champion"] != 1 || f.servedBy(t, "churn", "A") != 1 {
		t.Errorf("%v, %v", a, err)
	}
	if entries, err := f.registry.Log("churn"); err != nil || len(entries) != 4 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// A move holds only from where the caller has seen the alias.
func TestAliasConditions(t *testing.T) {
	f := still(t, Config{}, 3)
	send := func(body string, header ...string) reply {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "PUT", f.http.URL+championPath, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := f.http.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return readReply(t, resp)
	}
	tag := wantStatus(t, f.get(t, championPath), 200).header.Get("ETag")
	wantStatus(t, send(`{"version": 2}`, "If-None-Match", "*"), 412)
	wantStatus(t, send(`{"version": 2}`, "If-Match", `"other"`), 412)
	wantStatus(t, send(`{"version": 2}`, "If-Match", tag), 200)
	wantStatus(t, send(`{"version": 3}`, "If-Match", tag), 412) // it has moved since
	wantStatus(t, send(`{"version": 3}`, "If-Match", "*"), 200)
	wantStatus(t, send(`{"version": 1, "from": 3}`), 200)
	if n := f.servedBy(t, "churn", "A"); n != 1 {
		t.Errorf("version %d answers", n)
	}
	// Of many who move from the same place, one does.
	var done atomic.Int64
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			switch r := send(fmt.Sprintf(`{"version": %d, "from": 1}`, 2+k%2)); r.status {
			case 200:
				done.Add(1)
			case 412:
			default:
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	all.Wait()
	if done.Load() != 1 {
		t.Errorf("%d moved from 1", done.Load())
	}
}

// While the API, the registry's own writer and a file move the alias, each request is
// answered, by exactly one version, and what the API has moved answers at once.
func TestAliasesMoveUnderLoad(t *testing.T) {
	const versions, clients, moves = 3, 2, 32
	f := serveRegistry(t, Config{Shadow: true}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		for k := 2; k <= versions; k++ {
			publish(t, f.registry, "churn", k, "")
		}
	})
	var want [versions + 1]float64
	for n := 1; n <= versions; n++ {
		want[n] = decodeAs[wire](t, f.score(t, fmt.Sprint("churn@", n), requestOf("A", wholeRow)).body).Probability
	}
	check := func(a wire, number int) error {
		if a.Version < 1 || a.Version > versions || number > 0 && a.Version != number || a.Probability != want[a.Version] {
			return fmt.Errorf("version %d (the batch's %d): %v, want %v", a.Version, number, a.Probability, want)
		}
		return nil
	}
	done := make(chan struct{})
	var all sync.WaitGroup
	for k := range clients {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if err := f.scoreOnce(t, (i+k)%4 == 0, check); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for k := range moves {
		next := 1 + (k+1)%versions
		switch k % 4 {
		case 0, 1:
			got := decodeAs[aliasAnswer](t, wantStatus(t, f.do(t, "PUT", championPath, fmt.Sprintf(`{"version": %d}`, next)), 200).body)
			if got.Serving != next || f.servedBy(t, "churn", "A") != next {
				t.Fatalf("%+v", got)
			}
		case 2:
			promote(t, f.registry, "churn", next, registry.Champion)
			promote(t, f.registry, "churn", 1+next%versions, Challenger)
		case 3:
			replaceFile(t, filepath.Join(f.dir, "churn", "aliases.json"), fmt.Appendf(nil, "{\"champion\": %d}\n", next))
		}
	}
	last := 1 + moves%versions
	f.eventually(t, "at the last version", func() bool { return f.servedBy(t, "churn", "A") == last })
	close(done)
	all.Wait()
}

// A server that cannot serve what the registry points at says so, and the old one stays.
func TestAliasMovedBehindItsBack(t *testing.T) {
	f := still(t, Config{}, 2)
	f.damage(t, "churn", 2, "model.arrow")
	replaceFile(t, filepath.Join(f.dir, "churn", "aliases.json"), []byte(`{"champion": 2}`+"\n"))
	f.server.refreshOne("churn", false)
	got := decodeAs[aliasAnswer](t, wantStatus(t, f.get(t, championPath), 200).body)
	if got.Version != 2 || got.Serving != 1 || !strings.Contains(got.Cause, "damaged") {
		t.Errorf("%+v", got)
	}
	if n := f.servedBy(t, "churn", "A"); n != 1 {
		t.Errorf("version %d answers", n)
	}
	// Nor is there a way forward over it but to a sound one.
	wantStatus(t, f.do(t, "PUT", championPath, `{"version": 2}`), 409)
	wantStatus(t, f.do(t, "PUT", championPath, `{"version": 1}`), 200)
	if r := decodeAs[readiness](t, f.get(t, "/readyz").body); !r.Ready || len(r.Causes) > 0 {
		t.Errorf("%+v", r)
	}
}

// A disk that is full, or may not be written to, is told as what it is, without paths.
func TestDiskFaultsAreTold(t *testing.T) {
	for err, want := range map[error]int{
		syscall.ENOSPC: 507, syscall.EROFS: 503, syscall.EACCES: 503, syscall.EPERM: 503, syscall.EIO: 500,
	} {
		p := problemOf(fmt.Errorf("model churn: %w", &os.PathError{Op: "open", Path: "/srv/registry/churn", Err: err}))
		if p.Status != want || strings.Contains(p.Detail, "/srv") {
			t.Errorf("%v: %d %s, want %d", err, p.Status, p.Detail, want)
		}
	}
}
