package serve

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/models"
	"propensity/models/registry"
)

const asOf = `"as_of": "2026-03-01T09:30:00Z"`

// A score by the account alone has the bits of the score of the offline table's row.
func TestScoreFromFactsIsThatOfTheTable(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), 202)
	plan := renewalPlan(t)
	part, err := facts.Assemble(plan.Project(), []string{"A-17"}, knownFacts())
	if err != nil {
		t.Fatal(err)
	}
	columns, err := plan.Rows(part, []build.Moment{{At: moment}})
	if err != nil {
		t.Fatal(err)
	}
	scorer, _, err := f.registry.Load(registry.Ref{Name: "renewal", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	row := make([]datasets.Value, len(columns))
	for _, c := range columns {
		row[scorer.Encoder().Find(c.Name)] = c.At(0)
	}
	if x := row[scorer.Encoder().Find("seconds_28d")].Number; x != math.Pi+0.1 {
		t.Fatalf("seconds_28d is %v", x)
	}
	var want models.Answer
	if err := scorer.Score(&want, row, moment, 3); err != nil {
		t.Fatal(err)
	}
	got := wantStatus(t, f.score(t, "renewal", `{"account": "A-17", `+asOf+`}`), 200)
	sameAnswer(t, want, got.body)
	batch := f.post(t, "/v1/models/renewal/score:batch", "application/x-ndjson", strings.NewReader(`{"account": "A-17", `+asOf+`}`+"\n"+`{"account": "B", `+asOf+`}`))
	lines := strings.SplitAfter(string(batch.body), "\n")
	if lines[0] != string(got.body) {
		t.Errorf("in a batch: %s, alone: %s", lines[0], got.body)
	}
	if second := decodeAs[wire](t, []byte(lines[1])); second.Error == nil || second.Error.Status != 404 || second.Error.Line != 2 {
		t.Errorf("an account without facts, in a batch: %s", lines[1])
	}
	// Nothing is known before it had arrived, and the window slides without new events.
	wantStatus(t, f.score(t, "renewal", `{"account": "A-17", "as_of": "2025-10-01T00:00:00Z"}`), 404)
	sliding := func(when string) float64 {
		body := wantStatus(t, f.get(t, "/v1/accounts/A-17?as_of="+when), 200).body
		return decodeAs[accountWire](t, body).Rows[1].Row["logins_28d"].(float64)
	}
	if a, b, c := sliding("2026-02-02T09:59:59Z"), sliding("2026-02-02T10:00:00.000001Z"), sliding("2026-02-20T08:00:00.000001Z"); a != 1 || b != 0 || c != 1 {
		t.Errorf("logins in 28 days: %v, %v, %v", a, b, c)
	}
}

type accountWire struct {
	Account string
	AsOf    string `json:"as_of"`
	Known   int
	Facts   []struct {
		Source, Account, ID string
		OccurredAt          string `json:"occurred_at"`
		ArrivedAt           string `json:"arrived_at"`
		EndedAt             string `json:"ended_at"`
		Properties          map[string]any
	}
	Rows []struct {
		Model   string
		Version int
		Row     map[string]any
		Cause   string
	}
}

// A posted value wins over the store's, and the answer says so.
func TestScorePostedValuesWin(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), 202)
	whole := `{"logins_28d": 1, "seconds_28d": 3.241592653589793, "due": "2026-02-25", "plan": "free", "mrr": 40.5, "region": "eu"}`
	want := decodeAs[wire](t, wantStatus(t, f.score(t, "renewal", `{"account": "A-17", "row": `+whole+`, `+asOf+`}`), 200).body)
	got := decodeAs[wire](t, wantStatus(t, f.score(t, "renewal", `{"account": "A-17", "row": {"plan": "free", "owner": "Kim"}, `+asOf+`}`), 200).body)
	if len(want.Warnings) != 0 || got.Probability != want.Probability {
		t.Errorf("probability %v, of the whole row %v, which has warnings %v", got.Probability, want.Probability, want.Warnings)
	}
	if len(got.Warnings) != 2 || got.Warnings[0].Field != "row.plan" || got.Warnings[0].State != "posted" || got.Warnings[1].State != "unknown" {
		t.Errorf("warnings %+v", got.Warnings)
	}
	// A whole row, and one to be taken as it is, need no store: the account may be any.
	wantStatus(t, f.score(t, "renewal", `{"account": "Z", "row": `+whole+`}`), 200)
	wantStatus(t, f.score(t, "renewal", `{"account": "Z", "row": {"plan": "pro"}, "allow_missing": true}`), 200)
	wantStatus(t, f.score(t, "renewal", `{"account": "Z", "row": {"plan": "pro"}}`), 404)
	wantStatus(t, f.score(t, "renewal", `{"row": {"plan": "pro"}}`), 422)
}

func TestScoreFromFactsRefuses(t *testing.T) {
	f := withFacts(t, Config{})
	wantStatus(t, f.event(t, knownEvents), 202)
	wantStatus(t, f.event(t, `{"source": "merges", "account": "A-17", "id": 1, "occurred_at": "2026-02-01", "arrived_at": "2026-02-01", "properties": {"old": "A-16"}}`), 202)
	wantStatus(t, f.event(t, `{"source": "events", "account": "A-16", "id": 1, "occurred_at": "2026-01-20", "arrived_at": "2026-01-20", "properties": {"event": "login"}}`), 202)
	plain := churn(t, Config{})
	for _, c := range []struct {
		server              *fixture
		model, body, detail string
		status              int
	}{
		{f, "renewal", `{"account": "nobody"}`, "nothing is known of the account \"nobody\"", 404},
		{f, "renewal", `{"account": "A-16", ` + asOf + `}`, "merged into another", 410},
		{f, "renewal", `{"account": "A-16", "as_of": "2026-01-31T00:00:00Z"}`, "", 200},
		{f, "renewal", `{}`, "row is missing", 422},
		{f, "churn", `{"account": "A-17"}`, "churn version 1 cannot score from facts: the model was not learnt from facts; post a row", 422},
		{f, "churn", `{"account": "A-17", "row": {"plan": "pro"}}`, "is absent", 422},
		{plain, "churn", `{"account": "A-17"}`, "row is missing", 422},
		{plain, "churn", `{"account": "A-17", "row": {"plan": "pro"}}`, "is absent", 422},
	} {
		got := c.server.score(t, c.model, c.body)
		if got.status != c.status || !strings.Contains(string(got.body), strings.ReplaceAll(c.detail, `"`, `\"`)) {
			t.Errorf("%s %s: %d %s, want %d %s", c.model, c.body, got.status, got.body, c.status, c.detail)
		}
	}
	for _, method := range []string{"POST /v1/events", "PUT /v1/accounts/A-17", "GET /v1/accounts/A-17"} {
		verb, path, _ := strings.Cut(method, " ")
		if got := plain.do(t, verb, path, "{}"); got.status != 501 || !strings.Contains(string(got.body), "--store sqlite:facts.db") {
			t.Errorf("%s without a store: %d %s", method, got.status, got.body)
		}
	}
}

// What a fault in one event costs is all of them, and every fault has its place.
func TestEventsAreAddedAllOrNone(t *testing.T) {
	f := withFacts(t, Config{MaxEvents: 20})
	good := `{"source": "events", "account": "A", "id": "g", "occurred_at": "2026-01-05", "properties": {"event": "login"}}`
	for _, c := range []struct {
		body, pointers string
		status         int
	}{
		{`5`, "", 422},
		{`[` + good + `, 5]`, "/1", 422},
		{`[` + good + `, {"account": "A", "id": 1, "occurred_at": "2026-01-05"}]`, "/1/source", 422},
		{`{"source": "events", "id": 1, "occurred_at": "2026-01-05"}`, "/account", 422},
		{`{"source": "subscriptions", "id": 1, "occurred_at": "2026-01-05"}`, "/account", 422},
		{`{"source": "events", "account": "A", "occurred_at": "2026-01-05"}`, "/id", 422},
		{`{"source": "events", "account": "A", "id": 1}`, "/occurred_at", 422},
		{`{"source": "events", "account": "", "id": 1, "occurred_at": "yesterday"}`, "/account /occurred_at", 422},
		{`{"source": "events", "account": [], "id": {}, "occurred_at": 5, "properties": 5, "when": 1}`, "/account /id /occurred_at /properties /when", 422},
		{`{"source": "events", "account": "A", "id": 1, "occurred_at": "2026-01-05", "properties": {"seconds": "3", "due": 5, "event": true, "x": [1]}}`, "/properties/x /properties/due /properties/seconds", 422},
		{`{"source": "events", "account": "A", "id": 1, "occurred_at": "0001-01-01"}`, "/occurred_at", 422},
		{`{"source": "events", "account": "A", "id": 1, "occurred_at": "2126-01-05"}`, "/occurred_at", 422},
		{`{"source": "events", "account": "A", "id": 1, "occurred_at": "2026-01-05", "arrived_at": "2126-01-05"}`, "/arrived_at", 422},
		{`{"source": "events", "account": "A", "id": 1, "occurred_at": "2026-01-05", "ended_at": "2026-01-06"}`, "/ended_at", 422},
		{`{"source": "subscriptions", "account": "A", "id": 1, "occurred_at": "2026-01-05", "ended_at": "2026-01-04"}`, "/ended_at", 422},
		{`{"source": "users", "account": "A", "id": 1}`, "/user", 422},
		{`{"source": "merges", "account": "A", "id": 1, "occurred_at": "2026-01-05"}`, "/properties/old", 422},
		{`{"source": "merges", "account": "A", "id": 1, "occurred_at": "2026-01-05", "properties": {"old": "A"}}`, "/properties/old", 422},
		{`{"source": "events", "account": "` + strings.Repeat("a", 600) + `", "id": 1, "occurred_at": "2026-01-05"}`, "", 422},
		{`{"source": "events", "source": "events"}`, "/source", 400},
		{`[` + good + `, {"id": NaN}]`, "/1", 400},
		{`[` + good + `] 1`, "", 400},
		{`[` + good + `, {}`, "/1", 400},
		{`[` + strings.Repeat(good+",", 20) + good + `]`, "", 413},
	} {
		got := f.event(t, c.body)
		p := decodeAs[problem](t, got.body)
		var pointers []string
		for _, e := range p.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if got.status != c.status || strings.Join(pointers, " ") != c.pointers && !strings.HasPrefix(strings.Join(pointers, " "), "/1 ") {
			t.Errorf("%s: %d %q, want %d %q: %s", c.body, got.status, pointers, c.status, c.pointers, got.body)
		}
	}
	lines := f.post(t, "/v1/events", "application/x-ndjson", strings.NewReader(good+"\n\n"+`{"source": "events", "account": "A", "id": 1}`+"\n"))
	p := decodeAs[problem](t, wantStatus(t, lines, 422).body)
	if len(p.Errors) != 1 || p.Errors[0].Pointer != "/1/occurred_at" || !strings.HasPrefix(p.Errors[0].Detail, "line 3: ") {
		t.Errorf("%s", lines.body)
	}
	broken := f.post(t, "/v1/events", "application/x-ndjson", strings.NewReader(good+"\n{\n"))
	if p := decodeAs[problem](t, wantStatus(t, broken, 400).body); p.Line != 2 {
		t.Errorf("%s", broken.body)
	}
	wantStatus(t, f.get(t, "/v1/accounts/A"), 404)
	// What no model looks at is kept, with a warning.
	got := decodeAs[accepted](t, wantStatus(t, f.event(t, `[`+good+`, {"source": "calls", "account": "A", "id": 1, "occurred_at": "2026-01-05"},
		{"source": "events", "account": "A", "id": 2, "occurred_at": "2026-01-05", "properties": {"event": 7, "device": "phone", "seconds": null}}]`), 202).body)
	if got.Accepted != 3 || len(got.Warnings) != 2 || got.Warnings[0].Field != "1/source" || got.Warnings[1].Field != "2/properties/device" {
		t.Errorf("%+v", got)
	}
	again := decodeAs[accepted](t, wantStatus(t, f.event(t, good), 202).body)
	account := decodeAs[accountWire](t, wantStatus(t, f.get(t, "/v1/accounts/A"), 200).body)
	if again.Accepted != 1 || account.Known != 3 {
		t.Errorf("after it was sent again %d facts are known", account.Known)
	}
}

// Facts of a user count for the account as soon as it is known whose user it is.
func TestEventsOfUsers(t *testing.T) {
	f := withFacts(t, Config{})
	logins := func(account string) any {
		got := f.get(t, "/v1/accounts/"+account)
		if got.status == 404 {
			return nil
		}
		return decodeAs[accountWire](t, wantStatus(t, got, 200).body).Rows[1].Row["logins_28d"]
	}
	recent := datasets.FormatTime(f.server.now() - day)
	for id, user := range []string{`"user": "U-1"`, `"properties": {"user_id": "U-1", "event": "login"}`, `"user": 1, "account": "A"`} {
		body := fmt.Sprintf(`{"source": "events", "id": %d, "occurred_at": %q, "properties": {"event": "login"}, %s}`, id, recent, user)
		wantStatus(t, f.event(t, strings.Replace(body, `"properties": {"event": "login"}, "properties"`, `"properties"`, 1)), 202)
	}
	if got := logins("A"); got != 1.0 {
		t.Errorf("A has %v logins before its user is known", got)
	}
	wantStatus(t, f.event(t, `{"source": "users", "account": "A", "id": "x", "user": "U-1"}`), 202)
	if got := logins("A"); got != 3.0 {
		t.Errorf("A has %v logins when its user is known", got)
	}
	wantStatus(t, f.event(t, `{"source": "users", "account": "B", "id": "x", "user": "U-1"}`), 202)
	if a, b := logins("A"), logins("B"); a != 1.0 || b != 2.0 {
		t.Errorf("A has %v logins and B %v when the user has gone from A to B", a, b)
	}
}

func TestPutAccount(t *testing.T) {
	f := withFacts(t, Config{})
	path := "/v1/accounts/a%2Fb%20c"
	wantStatus(t, f.put(t, path, `{"properties": {"region": "us"}}`), 202)
	wantStatus(t, f.put(t, path, `{"properties": {"size": 5, "colour": "red"}}`), 202)
	got := decodeAs[accountWire](t, wantStatus(t, f.get(t, path), 200).body)
	if got.Account != "a/b c" || got.Known != 2 || got.Rows[1].Row["region"] != "us" || got.Rows[0].Cause == "" || got.Facts[0].Source != "accounts" {
		t.Errorf("%+v", got)
	}
	wantStatus(t, f.score(t, "renewal", `{"account": "a/b c"}`), 200)
	for _, body := range []string{`{"account": "A"}`, `{"properties": {"size": "5"}}`, `{"ended_at": "2026-01-01"}`, `[]`, `{"source": ""}`} {
		wantStatus(t, f.put(t, path, body), 422)
	}
	wantStatus(t, f.put(t, path, `{`), 400)
	wantStatus(t, f.get(t, path+"?as_of=now"), 400)
}

// A store that does not answer costs 503, the server says that it is not ready, and
// when it is back all is as before.
func TestStoreThatDies(t *testing.T) {
	store := &failing{Store: online.NewMemory()}
	f := withFacts(t, Config{Store: store})
	wantStatus(t, f.event(t, knownEvents), 202)
	store.dead.Store(true)
	for _, got := range []reply{
		f.event(t, knownEvents), f.put(t, "/v1/accounts/A-17", `{}`), f.get(t, "/v1/accounts/A-17"),
		f.score(t, "renewal", `{"account": "A-17"}`), f.score(t, "renewal", `{"account": "A-17", "row": {"plan": "pro"}}`),
	} {
		if got.status != 503 || got.header.Get("Retry-After") == "" || strings.Contains(string(got.body), "secret") {
			t.Errorf("%d %v %s", got.status, got.header, got.body)
		}
	}
	if got := f.get(t, "/readyz"); got.status != 503 || !strings.Contains(string(got.body), "the store of facts does not answer") {
		t.Errorf("%d %s", got.status, got.body)
	}
	wantStatus(t, f.score(t, "churn", requestOf("A-17", wholeRow)), 200)
	store.dead.Store(false)
	wantStatus(t, f.get(t, "/readyz"), 200)
	if got := decodeAs[accountWire](t, wantStatus(t, f.get(t, "/v1/accounts/A-17"), 200).body); got.Known != 5 {
		t.Errorf("%d facts are known", got.Known)
	}
	metrics := string(f.get(t, "/metrics").body)
	for _, line := range []string{`propensity_facts_total{result="accepted"} 5`, `propensity_facts_total{result="failed"} 6`, `propensity_live_rows_total{model="renewal",result="failed"} 2`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// A version that takes the place of another of the same features makes its rows by the
// same plan: what was read of accounts stays in memory.
func TestPlanOutlivesItsVersion(t *testing.T) {
	f := withFacts(t, Config{})
	serving := func() *version { return f.server.state.Load().models["renewal"].aliases[registry.Champion].version }
	was := serving()
	a := *was.scorer.Artifact()
	a.Manifest.Seed++
	files, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	n, err := f.registry.Publish(t.Context(), "renewal", files, registry.Event{})
	if err != nil {
		t.Fatal(err)
	}
	wantStatus(t, f.put(t, "/v1/models/renewal/aliases/champion", fmt.Sprintf(`{"version": %d}`, n)), 200)
	if is := serving(); is == was || is.number != n || is.live.plan != was.live.plan {
		t.Errorf("version %d has a plan of its own", is.number)
	}
}

// failing is a store that can be made to fail.
type failing struct {
	online.Store
	dead atomic.Bool
}

func (s *failing) err() error {
	if s.dead.Load() {
		return fmt.Errorf("%w: %w", online.ErrUnavailable, errors.New("secret"))
	}
	return nil
}

func (s *failing) Append(ctx context.Context, list []facts.Fact) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Append(ctx, list)
}

func (s *failing) Facts(ctx context.Context, account string, since online.Since) ([]facts.Fact, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Store.Facts(ctx, account, since)
}

func FuzzEvents(f *testing.F) {
	f.Add(knownEvents)
	f.Add(`{"source": "events", "account": "A", "user": 5, "id": 1e3, "occurred_at": null, "ended_at": "2026-01-01", "properties": {"": null}}`)
	p := renewalPlan(f).Project()
	f.Fuzz(func(t *testing.T, body string) {
		k := &schema{sources: map[string]*source{}}
		k.add(p)
		for _, account := range []string{"", "A"} {
			l := &events{schema: k, now: moment, most: 5, attributes: "accounts"}
			err := l.decode([]byte(body), -1, account)
			if account == "" {
				l = &events{schema: k, now: moment, most: 5}
				err = eachItem([]byte(body), 5, "facts", l.one)
			}
			if err != nil || len(l.faults) > 0 {
				continue
			}
			if err := online.NewAccounts(online.NewMemory(), 0).Append(context.Background(), k.projects, l.list); err != nil {
				t.Fatalf("%q was taken, and the store refuses it: %v", body, err)
			}
		}
	})
}
