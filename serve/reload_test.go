package serve

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
)

// Under load, through 100 moves of the alias, no request fails and each answer
// is wholly of one version.
func TestMovingAlias(t *testing.T) {
	const versions, moves, clients = 3, 100, 2
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		for k := 2; k <= versions; k++ {
			publish(t, f.registry, "churn", k, "")
		}
	})
	var want [versions + 1]models.Answer
	for n := 1; n <= versions; n++ {
		scorer, _, err := f.registry.Load(registry.Ref{Name: "churn", Version: n})
		if err != nil {
			t.Fatal(err)
		}
		if err := scorer.Score(&want[n], wholeCells(t, f), moment, 3); err != nil {
			t.Fatal(err)
		}
		if n > 1 && want[n].Probability == want[n-1].Probability {
			t.Fatal("the versions do not differ")
		}
	}
	var served [versions + 1]atomic.Int64
	check := func(a wire, number int) error {
		if a.Version < 1 || a.Version > versions || number > 0 && a.Version != number {
			return fmt.Errorf("version %d, want %d", a.Version, number)
		}
		w := &want[a.Version]
		same := math.Float64bits(a.Probability) == math.Float64bits(w.Probability) && math.Float64bits(a.Reference) == math.Float64bits(w.Reference)
		for k := range w.Reasons {
			same = same && len(a.Reasons) == len(w.Reasons) && math.Float64bits(a.Reasons[k].Points) == math.Float64bits(w.Reasons[k].Points)
		}
		if !same {
			return fmt.Errorf("version %d answers %+v, its scorer %+v", a.Version, a, *w)
		}
		served[a.Version].Add(1)
		return nil
	}
	done := make(chan struct{})
	var clientsDone sync.WaitGroup
	for k := range clients {
		clientsDone.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				case <-time.After(time.Millisecond):
				}
				if err := f.scoreOnce(t, (i+k)%4 == 0, check); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for k := range moves {
		promote(t, f.registry, "churn", 1+(k+1)%versions, registry.Champion)
		time.Sleep(time.Duration(k%4) * time.Millisecond)
	}
	last := 1 + moves%versions
	f.eventually(t, "at the last version", func() bool {
		return decodeAs[wire](t, f.score(t, "churn", requestOf("A", wholeRow)).body).Version == last
	})
	close(done)
	clientsDone.Wait()
	for n := 1; n <= versions; n++ {
		if served[n].Load() == 0 {
			t.Errorf("version %d never answered", n)
		}
	}
}

// scoreOnce asks once, or for a batch, whose answers must be of one version.
func (f *fixture) scoreOnce(t *testing.T, batch bool, check func(a wire, number int) error) error {
	path, body, contentType, rows := "/v1/models/churn/score", requestOf("A", wholeRow), "application/json", 1
	if batch {
		rows = 20
		path, contentType, body = path+":batch", "application/x-ndjson", strings.Repeat(body+"\n", rows)
	}
	got, err := f.try(path, contentType, strings.NewReader(body))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(got.body)), "\n")
	if got.status != 200 || len(lines) != rows {
		return fmt.Errorf("%d %s", got.status, got.body)
	}
	number := 0
	for _, line := range lines {
		a := decodeAs[wire](t, []byte(line))
		if err := check(a, number); err != nil {
			return err
		}
		number = a.Version
	}
	return nil
}

// wholeCells are the cells of wholeRow.
func wholeCells(t *testing.T, f *fixture) []datasets.Value {
	t.Helper()
	var q request
	v := f.server.state.Load().models["churn"].aliases[registry.Champion].version
	if err := q.decode([]byte(requestOf("A", wholeRow)), v.scorer.Encoder(), 0, 100, ""); err != nil {
		t.Fatal(err)
	}
	return q.row
}

// A version that is damaged, or does not give its recorded scores, is refused;
// the old one serves on until a sound one comes.
func TestDamagedVersion(t *testing.T) {
	f := churn(t, Config{})
	publish(t, f.registry, "churn", 2, "")
	f.damage(t, "churn", 2, "model.arrow")
	// By hand, as promote itself refuses it.
	replaceFile(t, filepath.Join(f.dir, "churn", "aliases.json"), []byte(`{"champion": 2}`+"\n"))
	cause := ""
	f.eventually(t, "refused", func() bool {
		r := decodeAs[readiness](t, f.get(t, "/readyz").body)
		cause = strings.Join(r.Causes, "; ")
		return r.Ready && cause != ""
	})
	if want := "churn@champion: version 2 cannot be served: its files are damaged; version 1 still answers"; cause != want {
		t.Errorf("cause %q, want %q", cause, want)
	}
	if got := f.score(t, "churn", requestOf("A", wholeRow)); got.status != 200 || decodeAs[wire](t, got.body).Version != 1 {
		t.Errorf("%d %s, want version 1", got.status, got.body)
	}
	if got := f.score(t, "churn@2", requestOf("A", wholeRow)); got.status != 503 || strings.Contains(string(got.body), f.dir) {
		t.Errorf("the damaged version by number: %d %s", got.status, got.body)
	}
	if text := string(f.get(t, "/metrics").body); !strings.Contains(text, `propensity_reloads_total{model="churn",result="failure"}`) ||
		!strings.Contains(text, `propensity_loaded_version{alias="champion",model="churn"} 1`) {
		t.Error("the failure is not counted, or the loaded version is not 1")
	}
	publish(t, f.registry, "churn", 3, registry.Champion)
	f.eventually(t, "at version 3", func() bool {
		return decodeAs[wire](t, f.score(t, "churn", requestOf("A", wholeRow)).body).Version == 3
	})
	if r := decodeAs[readiness](t, f.get(t, "/readyz").body); !r.Ready || len(r.Causes) > 0 {
		t.Errorf("%+v", r)
	}
}

// A failed load is tried again without a move of the alias.
func TestRetry(t *testing.T) {
	f := churn(t, Config{})
	publish(t, f.registry, "churn", 2, "")
	path := filepath.Join(f.dir, "churn", "v2", "encoder.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.damage(t, "churn", 2, "encoder.json")
	replaceFile(t, filepath.Join(f.dir, "churn", "aliases.json"), []byte(`{"champion": 2}`+"\n"))
	f.eventually(t, "refused", func() bool { return len(f.server.state.Load().readiness().Causes) > 0 })
	replaceFile(t, path, whole)
	f.eventually(t, "recovered", func() bool { return len(f.server.state.Load().readiness().Causes) == 0 })
	if got := decodeAs[wire](t, f.score(t, "churn", requestOf("A", wholeRow)).body); got.Version != 2 {
		t.Errorf("version %d, want 2", got.Version)
	}
}

// A server that starts over a damaged champion is not ready and says why; the
// other model answers. A model without a champion holds up nothing.
func TestNotReady(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		publish(t, f.registry, "upsell", 1, registry.Champion)
		publish(t, f.registry, "draft", 1, "")
		f.damage(t, "churn", 1, "calibration.json")
	})
	got := f.get(t, "/readyz")
	want := `{"ready":false,"causes":["churn@champion: version 1 cannot be served: its files are damaged"]}` + "\n"
	if got.status != 503 || string(got.body) != want {
		t.Errorf("%d %s, want %s", got.status, got.body, want)
	}
	if got := f.get(t, "/livez"); got.status != 200 {
		t.Errorf("not alive: %d", got.status)
	}
	for model, want := range map[string]int{"churn": 503, "upsell": 200, "draft": 404, "draft@1": 200} {
		if got := f.score(t, model, requestOf("A", wholeRow)); got.status != want || strings.Contains(string(got.body), f.dir) {
			t.Errorf("%s: %d %s, want %d", model, got.status, got.body, want)
		}
	}
}

func TestNoRegistry(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		if err := os.Remove(f.dir); err != nil {
			t.Fatal(err)
		}
	})
	if got := f.get(t, "/readyz"); got.status != 503 || !strings.Contains(string(got.body), "the registry: it is not there") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := f.get(t, "/v1/models"); got.status != 503 {
		t.Errorf("%d %s", got.status, got.body)
	}
	publish(t, f.registry, "churn", 1, registry.Champion)
	f.eventually(t, "served", func() bool { return f.score(t, "churn", requestOf("A", wholeRow)).status == 200 })
	if got := f.get(t, "/readyz"); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Models, versions and aliases come and go while the server runs.
func TestComingAndGoing(t *testing.T) {
	f := churn(t, Config{})
	status := func(ref string) func() bool {
		return func() bool { return f.score(t, ref, requestOf("A", wholeRow)).status == 200 }
	}
	publish(t, f.registry, "newcomer", 1, registry.Champion)
	f.eventually(t, "there", status("newcomer"))
	publish(t, f.registry, "churn", 2, "challenger")
	f.eventually(t, "there", status("churn@challenger"))
	publish(t, f.registry, "churn", 3, "")
	if !status("churn@3")() {
		t.Error("version 3 does not load when it is asked for")
	}
	list := decodeAs[listing](t, f.get(t, "/v1/models").body)
	if len(list.Models) != 3 || fmt.Sprint(list.Models[0].Aliases) != "map[challenger:2 champion:1]" || !list.Models[0].Versions[2].Loaded {
		t.Errorf("%+v", list)
	}
	if err := f.registry.Delete(t.Context(), "churn", 3, registry.Event{}); err != nil {
		t.Fatal(err)
	}
	f.eventually(t, "gone", func() bool { return f.score(t, "churn@3", requestOf("A", wholeRow)).status == 404 })
	if err := os.RemoveAll(filepath.Join(f.dir, "newcomer")); err != nil {
		t.Fatal(err)
	}
	f.eventually(t, "gone", func() bool { return f.score(t, "newcomer", requestOf("A", wholeRow)).status == 404 })
	// Another artifact under the same number, in a directory made anew.
	before := decodeAs[wire](t, f.score(t, "upsell", requestOf("A", wholeRow)).body)
	if err := os.RemoveAll(filepath.Join(f.dir, "upsell")); err != nil {
		t.Fatal(err)
	}
	publish(t, f.registry, "upsell", 9, registry.Champion)
	f.eventually(t, "replaced", func() bool {
		got := f.score(t, "upsell", requestOf("A", wholeRow))
		return got.status == 200 && decodeAs[wire](t, got.body).Probability != before.Probability
	})
}

// Versions asked for by number are loaded once, however many ask, and the oldest
// leave when there are too many.
func TestPinned(t *testing.T) {
	f := serveRegistry(t, Config{Versions: 2, Poll: time.Hour}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		for k := 2; k <= 4; k++ {
			publish(t, f.registry, "churn", k, "")
		}
	})
	var all sync.WaitGroup
	var first atomic.Pointer[version]
	for range 16 {
		all.Go(func() {
			v, err := f.server.version(t.Context(), "churn@2")
			if err != nil {
				t.Error(err)
			} else if !first.CompareAndSwap(nil, v) && first.Load() != v {
				t.Error("loaded twice")
			}
		})
	}
	all.Wait()
	for _, n := range []int{3, 2, 4} { // 2 is used again, so 3 leaves
		if _, err := f.server.version(t.Context(), fmt.Sprint("churn@", n)); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int]bool{1: false, 2: true, 3: false, 4: true} {
		if got := f.server.pinned.has("churn", n); got != want {
			t.Errorf("version %d kept: %v, want %v", n, got, want)
		}
	}
}
