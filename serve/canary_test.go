package serve

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/models/registry"
)

const canaryPath = "/v1/models/churn/canary"

// place against Python:
//
//	import hashlib
//	int.from_bytes(hashlib.sha256(b"churn\0A-17").digest()[:8], "big")
func TestPlaceOfAnAccount(t *testing.T) {
	for account, want := range map[string]uint64{
		"A-17": 9803855673279293021, "": 13735709388453247695, strings.Repeat("é", 100): 10399270406140245148,
	} {
		if got := placeOf("churn", account); got != want {
			t.Errorf("%.10q: %d, want %d", account, got, want)
		}
	}
}

// A share is that share of the accounts, whatever they are called; two models do not try
// theirs on the same ones.
func TestSharesAreEven(t *testing.T) {
	const n = 20_000
	for _, name := range []string{"A-%d", "%d", "%08d", "account/%d@example.com"} {
		for _, share := range []float64{0.05, 0.5} {
			both, taken := 0, 0
			bound := boundOf(share)
			for i := range n {
				account := fmt.Sprintf(name, i)
				in := placeOf("churn", account) < bound
				if in {
					taken++
				}
				if in && placeOf("upsell", account) < bound {
					both++
				}
			}
			// Five standard deviations of a binomial count.
			if off := math.Abs(float64(taken) - n*share); off > 5*math.Sqrt(n*share*(1-share)) {
				t.Errorf("%s: %d of %d, share %v", name, taken, n, share)
			}
			if off := math.Abs(float64(both) - n*share*share); off > 5*math.Sqrt(n*share*share) {
				t.Errorf("%s: %d of both models, share %v", name, both, share)
			}
		}
	}
}

// A share that grows lets no account go, one that shrinks takes none in.
func TestSharesAreNested(t *testing.T) {
	v := &version{name: "churn"}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 1).Draw(t, "b")
		small, large := canary{version: v, bound: boundOf(min(a, b))}, canary{version: v, bound: boundOf(max(a, b))}
		account := rapid.String().Draw(t, "account")
		if small.takes(account) && !large.takes(account) {
			t.Fatalf("%q is in %v and not in %v", account, min(a, b), max(a, b))
		}
		if all := (&canary{version: v, bound: boundOf(1)}); all.takes(account) != (account != "") {
			t.Fatalf("%q of all", account)
		}
	})
}

// Accounts of the share are answered by the canary, one by one and in a batch; the rest,
// those without an account and those who name a version or an alias are not.
func TestCanaryTakesItsShare(t *testing.T) {
	f := still(t, Config{}, 3)
	wantStatus(t, f.get(t, canaryPath), 404)
	got := decodeAs[canaryAnswer](t, wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 2, "share": 0.3, "note": "try"}`), 200).body)
	if got.Version != 2 || got.Champion != 1 || got.Share != 0.3 || !got.Serving {
		t.Errorf("%+v", got)
	}
	if again := decodeAs[canaryAnswer](t, f.get(t, canaryPath).body); again != got {
		t.Errorf("%+v, then %+v", got, again)
	}
	want := func(account string, share float64) int {
		if float64(placeOf("churn", account)) < share*math.Exp2(64) {
			return 2
		}
		return 1
	}
	probability := map[int]float64{}
	for n := 1; n <= 3; n++ {
		probability[n] = decodeAs[wire](t, f.score(t, fmt.Sprint("churn@", n), requestOf("A", wholeRow)).body).Probability
	}
	taken := 0
	check := func(share float64) {
		t.Helper()
		taken = 0
		var lines strings.Builder
		for i := range 60 {
			account := fmt.Sprint("A-", i)
			lines.WriteString(requestOf(account, wholeRow) + "\n")
			a := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", requestOf(account, wholeRow)), 200).body)
			if a.Version != want(account, share) || a.Probability != probability[a.Version] || a.Account != account {
				t.Fatalf("%s: %+v, want version %d", account, a, want(account, share))
			}
			taken += a.Version - 1
		}
		for _, a := range f.ndjson(t, lines.String()) {
			if a.Version != want(a.Account, share) || a.Probability != probability[a.Version] {
				t.Fatalf("in a batch, %s: %+v", a.Account, a)
			}
		}
	}
	check(0.3)
	if taken < 8 || taken > 30 {
		t.Errorf("%d of 60", taken)
	}
	ours := ""
	for i := 0; ours == ""; i++ {
		if account := fmt.Sprint("A-", i); want(account, 0.3) == 2 {
			ours = account
		}
	}
	for model, version := range map[string]int{"churn": 2, "churn@champion": 1, "churn@1": 1, "churn@2": 2, "churn@3": 3} {
		if n := f.servedBy(t, model, ours); n != version {
			t.Errorf("%s: version %d", model, n)
		}
	}
	all := wantStatus(t, f.do(t, "POST", "/v1/score", requestOf(ours, wholeRow)), 200)
	if !strings.Contains(string(all.body), `"model":"churn","version":2,`) || strings.Contains(string(all.body), "unknown") {
		t.Errorf("with all models: %s", all.body)
	}
	nobody := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", `{"row": `+wholeRow+`}`), 200).body)
	if nobody.Version != 1 {
		t.Errorf("without an account: version %d", nobody.Version)
	}
	wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 2, "share": 0.7}`), 200)
	before := taken
	if check(0.7); taken <= before {
		t.Errorf("%d of 60, then %d", before, taken)
	}
	wantStatus(t, f.do(t, "DELETE", canaryPath, ""), 204)
	check(0)
	wantStatus(t, f.do(t, "DELETE", canaryPath, ""), 404)
}

// A canary outlives the server; it is over when the champion moves.
func TestCanaryAndRestart(t *testing.T) {
	f := still(t, Config{}, 3)
	wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 2, "share": 1}`), 200)
	again := serveRegistry(t, Config{}, func(g *fixture) {
		if err := os.Remove(g.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(g.dir, os.DirFS(f.dir)); err != nil {
			t.Fatal(err)
		}
	})
	if n := again.servedBy(t, "churn", "A"); n != 2 {
		t.Errorf("after a restart: version %d", n)
	}
	wantStatus(t, f.do(t, "PUT", championPath, `{"version": 3}`), 200)
	if n := f.servedBy(t, "churn", "A"); n != 3 {
		t.Errorf("after a move: version %d", n)
	}
	wantStatus(t, f.do(t, "POST", championPath+"/rollback", ""), 200)
	if n := f.servedBy(t, "churn", "A"); n != 1 {
		t.Errorf("after a rollback: version %d", n)
	}
	wantStatus(t, f.get(t, canaryPath), 404)
}

// What cannot be tried is refused; a canary that cannot be loaded leaves all accounts to
// the champion, and readyz says so.
func TestCanaryRefused(t *testing.T) {
	f := still(t, Config{}, 3)
	f.damage(t, "churn", 3, "model.arrow")
	for body, status := range map[string]int{
		`{"version": 3, "share": 0.1}`:                        409,
		`{"version": 9, "share": 0.1}`:                        404,
		`{"version": 1, "share": 0.1}`:                        422,
		`{"version": 0, "share": 0.1}`:                        422,
		`{"version": 2}`:                                      422,
		`{"version": 2, "share": 0}`:                          422,
		`{"version": 2, "share": 1.5}`:                        422,
		`{"version": 2, "share": "5 %"}`:                      422,
		`{"share": 0.1}`:                                      422, // and no challenger
		`{"version": 2, "share": 0.1, "alias": "challenger"}`: 422,
	} {
		wantStatus(t, f.do(t, "PUT", canaryPath, body), status)
	}
	wantStatus(t, f.do(t, "PUT", "/v1/models/none/canary", `{"version": 2, "share": 0.1}`), 404)
	wantStatus(t, f.get(t, canaryPath), 404)
	wantStatus(t, f.do(t, "PUT", "/v1/models/churn/aliases/challenger", `{"version": 2}`), 200)
	if got := decodeAs[canaryAnswer](t, wantStatus(t, f.do(t, "PUT", canaryPath, `{"share": 1}`), 200).body); got.Version != 2 {
		t.Errorf("the challenger by default: %+v", got)
	}
	replaceFile(t, filepath.Join(f.dir, "churn", "canary.json"), []byte(`{"version": 3, "share": 1, "champion": 1}`))
	f.server.refreshOne("churn", false)
	if n := f.servedBy(t, "churn", "A"); n != 1 {
		t.Errorf("version %d answers", n)
	}
	if got := decodeAs[canaryAnswer](t, f.get(t, canaryPath).body); got.Serving || !strings.Contains(got.Cause, "damaged") {
		t.Errorf("%+v", got)
	}
	r := decodeAs[readiness](t, wantStatus(t, f.get(t, "/readyz"), 200).body)
	if want := "churn: the canary: version 3 cannot be served: its files are damaged; the champion answers"; !r.Ready || strings.Join(r.Causes, ";") != want {
		t.Errorf("%+v, want %s", r, want)
	}
}

// A request that the canary cannot answer is the champion's, and counted.
func TestCanaryThatNeedsMore(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		wider(t, f.registry, "churn")
	})
	wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 2, "share": 1}`), 200)
	if a := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", requestOf("A", wholeRow)), 200).body); a.Version != 1 || len(a.Warnings) > 0 {
		t.Errorf("%+v", a)
	}
	more := strings.Replace(wholeRow, "{", `{"tickets":3,`, 1)
	if a := decodeAs[wire](t, wantStatus(t, f.score(t, "churn", requestOf("A", more)), 200).body); a.Version != 2 || len(a.Warnings) > 0 {
		t.Errorf("%+v", a)
	}
	// What neither can answer is told as the champion sees it.
	wantStatus(t, f.score(t, "churn", requestOf("A", `{"plan": 1}`)), 422)
	text := string(f.get(t, "/metrics").body)
	for _, want := range []string{`propensity_canary_total{model="churn",result="answered"} 1`, `propensity_canary_total{model="churn",result="unfit"} 1`,
		`propensity_loaded_version{alias="the canary",model="churn"} 2`, `propensity_scores_total{band="C",model="churn",version="2"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// A row for all models has columns that only another model knows: the canary calls them
// strangers no more than the champion does.
func TestCanaryAmongModels(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		publish(t, f.registry, "churn", 2, "")
		promote(t, f.registry, "upsell", wider(t, f.registry, "upsell"), registry.Champion)
	})
	body := requestOf("A", strings.Replace(wholeRow, "{", `{"tickets":3,"owner":"Kim",`, 1))
	before := string(wantStatus(t, f.do(t, "POST", "/v1/score", body), 200).body)
	wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 2, "share": 1}`), 200)
	after := string(wantStatus(t, f.do(t, "POST", "/v1/score", body), 200).body)
	if !strings.Contains(before, `"model":"churn","version":1,`) || !strings.Contains(after, `"model":"churn","version":2,`) ||
		strings.Contains(after, "row.tickets") || strings.Count(after, "row.owner") != strings.Count(before, "row.owner") {
		t.Errorf("%s\n%s", before, after)
	}
}
