package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/models"
	"propensity/models/registry"
)

// allWire is the answer of POST /v1/score as a client reads it.
type allWire struct {
	Account  *string
	AsOf     string `json:"as_of"`
	Answers  []json.RawMessage
	Warnings []contradiction
}

func (f *fixture) scoreAll(t testing.TB, body string) reply {
	t.Helper()
	return f.post(t, "/v1/score", "application/json", strings.NewReader(body))
}

// money makes a model one of money: of a column, with a horizon.
func money(column, horizon string) func(*models.Artifact) {
	return func(a *models.Artifact) { a.Manifest.Value, a.Manifest.Split.Horizon = column, horizon }
}

// Each answer is, letter by letter, the one that the model gives when it is asked alone.
func TestScoreAllIsEachScore(t *testing.T) {
	f := churn(t, Config{})
	publish(t, f.registry, "churn", 2, "challenger")
	f.eventually(t, "there", func() bool { return len(f.server.state.Load().models["churn"].aliases) == 2 })
	body := withOptions(`"reasons":2,"threshold":0.25`)
	for _, c := range []struct {
		models string
		names  []string
	}{
		{"", []string{"churn", "upsell"}},
		{`,"models":["upsell","churn@2","churn@challenger","churn"]`, []string{"upsell", "churn@2", "churn@challenger", "churn"}},
	} {
		got := decodeAs[allWire](t, wantStatus(t, f.scoreAll(t, strings.TrimSuffix(body, "}")+c.models+"}"), 200).body)
		if len(got.Answers) != len(c.names) || got.Account == nil || *got.Account != "A-17" || got.AsOf != "2026-03-01T09:30:00Z" {
			t.Fatalf("%d answers of %v: %+v", len(got.Answers), c.names, got)
		}
		for i, name := range c.names {
			want := wantStatus(t, f.score(t, name, body), 200).body
			if string(got.Answers[i]) != strings.TrimSuffix(string(want), "\n") {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got.Answers[i], want)
			}
		}
	}
}

// What one model cannot answer costs the others nothing, and says where it lies.
func TestScoreAllErrorsInPlace(t *testing.T) {
	f := churn(t, Config{})
	without := strings.Replace(wholeRow, `"tier":"1"`, `"tier":1,"sso":0`, 1)
	without = strings.Replace(without, `"sso":false,`, "", 1)
	body := fmt.Sprintf(`{"models":["churn","upsell","nothing","churn@9"],"rows":{"churn":%s,"upsell":%s}}`, wholeRow, without)
	got := decodeAs[allWire](t, wantStatus(t, f.scoreAll(t, body), 200).body)
	if got.Account != nil || len(got.Answers) != 4 || !bytes.Contains(got.Answers[0], []byte(`"probability"`)) {
		t.Fatalf("%s", got.Answers)
	}
	for i, want := range []struct {
		name    string
		status  int
		pointer string
	}{1: {"upsell", 422, "/rows/upsell/sso"}, 2: {"nothing", 404, ""}, 3: {"churn@9", 404, ""}} {
		if i == 0 {
			continue
		}
		e := decodeAs[struct {
			Model string
			Error problem
		}](t, got.Answers[i])
		if e.Model != want.name || e.Error.Status != want.status || want.pointer != "" && e.Error.Errors[0].Pointer != want.pointer {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	// If none has an answer, and all for one kind of reason, that is the status.
	p := decodeAs[problem](t, wantStatus(t, f.scoreAll(t, `{"row":{"plan":"pro"}}`), 422).body)
	if !slices.ContainsFunc(p.Errors, func(f fault) bool { return f.Pointer == "/row/seats" }) {
		t.Errorf("%+v", p)
	}
	checkProblem(t, f.scoreAll(t, `{"row":`+wholeRow+`,"models":["a","b"]}`), 404)
}

// A column of one model is no stranger to the others; one of none is.
func TestScoreAllUnknownColumns(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), 202)
	row := strings.TrimSuffix(wholeRow, "}") + `,"mrr":50,"owner":"Kim"}`
	got := decodeAs[allWire](t, wantStatus(t, f.scoreAll(t, requestOf("A-17", row)), 200).body)
	for i, want := range []string{"row.owner", "row.owner"} {
		a := decodeAs[wire](t, got.Answers[i])
		var unknown, posted []string
		for _, w := range a.Warnings {
			switch w.State {
			case "unknown":
				unknown = append(unknown, w.Field)
			case "posted":
				posted = append(posted, w.Field)
			}
		}
		if diff := cmp.Diff([]string{want}, unknown); diff != "" {
			t.Errorf("%s: %s", a.Model, diff)
		}
		if a.Model == "renewal" && !slices.Contains(posted, "row.mrr") {
			t.Errorf("what was posted wins, and the answer says so: %+v", a.Warnings)
		}
	}
}

// The money at stake: probability x a month's money x months, worked out here.
func TestStake(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion, money("mrr", "90d"))
		publish(t, f.registry, "upsell", 1, registry.Champion, money("seats", ""))
		publish(t, f.registry, "other", 1, registry.Champion)
	})
	of := func(row string) (out []struct {
		Model       string
		Probability float64
		AtStake     *stake `json:"at_stake"`
	}) {
		t.Helper()
		r := decodeAs[allWire](t, wantStatus(t, f.scoreAll(t, requestOf("A-17", row)), 200).body)
		b, err := json.Marshal(r.Answers)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	got := of(strings.TrimSuffix(wholeRow, "}") + `,"mrr":40.5}`)
	want := got[0].Probability * 40.5 * 90 / 30.4375
	if s := got[0].AtStake; s == nil || s.Column != "mrr" || *s.Value != 40.5 || math.Abs(s.Months-2.9568788501) > 1e-9 || math.Abs(*s.Expected-want) > 1e-9 {
		t.Errorf("%+v, want %v", s, want)
	}
	if got[1].Model != "other" || got[1].AtStake != nil {
		t.Errorf("%+v", got[1])
	}
	if s := got[2].AtStake; s == nil || *s.Value != 12 || s.Expected != nil || !strings.Contains(s.Cause, "how far") {
		t.Errorf("%+v", s)
	}
	for _, row := range []string{wholeRow, strings.TrimSuffix(wholeRow, "}") + `,"mrr":null}`} {
		if s := of(row)[0].AtStake; s == nil || s.Value != nil || s.Expected != nil || !strings.Contains(s.Cause, "not known") {
			t.Errorf("%+v", s)
		}
	}
}

// Money that is not posted is what the store knows.
func TestStakeFromFacts(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), 202)
	v := f.server.state.Load().models["renewal"].aliases[registry.Champion].version
	q := &allRequest{request: request{account: "A-17", moment: moment}}
	value, err := f.server.valueOf(t.Context(), v, "mrr", q)
	if err != nil || value != 40.5 {
		t.Errorf("%v, %v", value, err)
	}
	if v.months() != 90/30.4375 {
		t.Errorf("%v months", v.months())
	}
	q.shared = []byte(`{"mrr":7}`)
	if value, err = f.server.valueOf(t.Context(), v, "mrr", q); err != nil || value != 7 {
		t.Errorf("%v, %v: what was posted wins", value, err)
	}
	q.shared, q.account = nil, "nobody"
	if value, err = f.server.valueOf(t.Context(), v, "mrr", q); err != nil || !math.IsNaN(value) {
		t.Errorf("%v, %v", value, err)
	}
}

func TestContradictions(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion, money("", "90d"))
		publish(t, f.registry, "upsell_eu", 1, registry.Champion, money("", "90d"))
		publish(t, f.registry, "upsell_long", 1, registry.Champion, money("", "180d"))
		publish(t, f.registry, "conversion", 1, registry.Champion, money("", "90d"))
	})
	at := func(name string, p float64, band string) opinion {
		return opinion{name: name, version: f.server.state.Load().models[name].aliases[registry.Champion].version, probability: p, band: band}
	}
	failed := at("churn", 0.9, "A")
	failed.err = errors.New("none")
	for _, c := range []struct {
		opinions []opinion
		want     string
	}{
		{[]opinion{at("churn", 0.6, "A"), at("upsell_eu", 0.5, "B")}, "impossible"},
		{[]opinion{at("upsell_eu", 0.5, "B"), at("churn", 0.6, "A")}, "impossible"},
		{[]opinion{at("churn", 0.5, "A"), at("upsell_eu", 0.5, "B")}, ""},
		{[]opinion{at("churn", 0.3, "A"), at("upsell_eu", 0.3, "A")}, "contradictory"},
		{[]opinion{at("churn", 0.9, "A"), at("upsell_long", 0.9, "B")}, ""}, // it may grow, and leave later
		{[]opinion{at("churn", 0.9, "A"), at("upsell_long", 0.9, "A")}, "contradictory"},
		{[]opinion{at("churn", 0.9, "A"), at("conversion", 0.9, "A")}, ""},
		{[]opinion{failed, at("upsell_eu", 0.9, "A")}, ""},
	} {
		got := contradictions(c.opinions)
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].State != c.want || got[0].Models[0] != "churn" {
			t.Errorf("%s %v and %s %v: %+v, want %q", c.opinions[0].name, c.opinions[0].probability, c.opinions[1].name, c.opinions[1].probability, got, c.want)
		}
	}
}

func TestScoreAllRefuses(t *testing.T) {
	f := churn(t, Config{})
	for _, c := range []struct {
		body    string
		status  int
		pointer string
	}{
		{`{}`, 422, "/row"},
		{`[]`, 422, ""},
		{`{"row":5}`, 422, "/row"},
		{`{"row":{"plan":[1]}}`, 422, "/row/plan"},
		{`{"rows":{"upsell":{"plan":1,"plan":2}}}`, 400, "/rows/upsell/plan"},
		{`{"rows":{"upsell":{"plan":{}},"churn":{"plan":1}}}`, 422, "/rows/upsell/plan"},
		{`{"row":{},"rows":{}}`, 422, "/rows"},
		{`{"rows":{"churn":5}}`, 422, "/rows/churn"},
		{`{"rows":{"a/b":{}}}`, 422, "/rows/a~1b"},
		{`{"rows":{"upsell":{}},"models":["churn"]}`, 422, "/rows/upsell"},
		{`{"rows":{"churn":{},"churn":{}}}`, 400, "/rows/churn"},
		{`{"row":{},"row":{}}`, 400, "/row"},
		{`{"row":{},"models":[]}`, 422, "/models"},
		{`{"row":{},"models":"churn"}`, 422, "/models"},
		{`{"row":{},"models":["churn",1]}`, 422, "/models/1"},
		{`{"row":{},"models":["churn@"]}`, 422, "/models/0"},
		{`{"row":{},"models":["churn","churn"]}`, 422, "/models/1"},
		{`{"row":{},"reasons":-1}`, 422, "/reasons"},
		{`{"row":{},"as_of":"now"}`, 422, "/as_of"},
		{`{"row":{},"fields":["stake"]}`, 422, "/fields/0"},
		{`{"row":{},"more":1}`, 422, "/more"},
		{`{"row":{}`, 400, ""},
		{`{"row":{"plan":"a","plan":"b"}}`, 400, "/row/plan"},
	} {
		r := f.scoreAll(t, c.body)
		if r.status != c.status {
			t.Errorf("%s: %d %s", c.body, r.status, r.body)
			continue
		}
		p := decodeAs[problem](t, r.body)
		if !slices.ContainsFunc(p.Errors, func(f fault) bool { return f.Pointer == c.pointer }) {
			t.Errorf("%s: %+v, want %q", c.body, p.Errors, c.pointer)
		}
	}
	empty := serveRegistry(t, Config{}, func(f *fixture) { publish(t, f.registry, "churn", 1, "") })
	checkProblem(t, empty.scoreAll(t, `{"row":{}}`), 404)
}

func TestScoreAllFields(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) { publish(t, f.registry, "churn", 1, registry.Champion, money("seats", "30d")) })
	got := wantStatus(t, f.scoreAll(t, withOptions(`"fields":["at_stake","band"]`)), 200).body
	answers := decodeAs[allWire](t, got).Answers
	if !strings.HasPrefix(string(answers[0]), `{"model":"churn","band":"C","at_stake":{"column":"seats","value":12,`) {
		t.Errorf("%s", answers[0])
	}
	got = wantStatus(t, f.scoreAll(t, withOptions(`"fields":["band"],"dry_run":true`)), 200).body
	if answers := decodeAs[allWire](t, got).Answers; string(answers[0]) != `{"model":"churn","band":"C"}` {
		t.Errorf("%s", answers[0])
	}
}

// The example of docs/API.md.
func TestGoldenAll(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("another architecture may round the last digit another way")
	}
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 260, registry.Champion, money("mrr", "90d"))
		publish(t, f.registry, "upsell", 200, registry.Champion, money("mrr", "90d"))
		publish(t, f.registry, "conversion", 1, "challenger")
	})
	body, err := os.ReadFile(filepath.Join("testdata", "all.request.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := wantStatus(t, f.scoreAll(t, string(body)), 200)
	var b bytes.Buffer
	if err := json.Indent(&b, got.body, "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "all.answer.json"), b.Bytes())
}

func FuzzScoreAllRequest(f *testing.F) {
	for _, text := range []string{`{"account":"A","row":{"plan":"pro"},"models":["churn@2"]}`, `{"rows":{"churn":{"plan":null}},"reasons":1.0,"fields":["at_stake"]}`, `{"as_of":"2026-03-01T09:30:00Z","threshold":1e-3,"dry_run":true,"account":5}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var q allRequest
		err := q.decode(text, moment, 100)
		if err != nil {
			var p *problem
			if !errors.As(err, &p) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		for _, name := range append([]string{"churn"}, q.models...) {
			one, _ := q.textOf(name)
			if !json.Valid(one) {
				t.Fatalf("%s of %s is no JSON", one, text)
			}
		}
	})
}
