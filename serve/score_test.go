package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
)

// The answers over HTTP, one by one and in both kinds of batch, have the very
// bits of Scorer.Score, for linear and tree models.
func TestBitIdentical(t *testing.T) {
	f := churn(t, Config{})
	rng := rand.New(rand.NewPCG(3, 4))
	for _, model := range []string{"churn", "upsell"} {
		scorer, _, err := f.registry.Load(registry.Ref{Name: model, Version: 1})
		if err != nil {
			t.Fatal(err)
		}
		var requests []string
		var want []models.Answer
		for i := range 200 {
			row, cells := randomRow(t, rng, scorer)
			var a models.Answer
			if err := scorer.Score(&a, cells, moment, 5); err != nil {
				t.Fatal(err)
			}
			want = append(want, a)
			requests = append(requests, fmt.Sprintf(`{"account":"A-%d","row":%s,"reasons":5,"as_of":"2026-03-01T10:30:00+01:00"}`, i, row))
		}
		var single [][]byte
		for _, r := range requests {
			got := f.score(t, model, r)
			if got.status != 200 {
				t.Fatalf("%s: %d %s", r, got.status, got.body)
			}
			single = append(single, got.body)
		}
		path := "/v1/models/" + model + "/score:batch"
		nd := f.post(t, path, "application/x-ndjson", strings.NewReader(strings.Join(requests, "\n")))
		if !bytes.Equal(nd.body, bytes.Join(single, nil)) {
			t.Errorf("%s: the NDJSON batch answers other bytes than the requests one by one", model)
		}
		array := f.post(t, path, "application/json", strings.NewReader(`{"rows":[`+strings.Join(requests, ",")+`]}`))
		var batch struct{ Answers []json.RawMessage }
		if err := json.Unmarshal(array.body, &batch); err != nil || len(batch.Answers) != len(single) {
			t.Fatalf("%s: %v, %d answers", model, err, len(batch.Answers))
		}
		for i, b := range single {
			if !bytes.Equal(append(batch.Answers[i], '\n'), b) {
				t.Errorf("%s: the JSON batch answers %s, alone %s", model, batch.Answers[i], b)
			}
			sameAnswer(t, want[i], b)
		}
	}
}

func sameAnswer(t *testing.T, want models.Answer, b []byte) {
	t.Helper()
	got := decodeAs[wire](t, b)
	same := func(what string, a, b float64) {
		if math.Float64bits(a) != math.Float64bits(b) {
			t.Errorf("%s: %v over HTTP, %v by Score", what, b, a)
		}
	}
	same("probability", want.Probability, got.Probability)
	same("reference", want.Reference, got.Reference)
	same("percentile", want.Percentile, got.Percentile)
	same("coverage", want.Coverage, got.Coverage)
	same("base rate", want.BaseRate, got.BaseRate)
	if want.Band != got.Band || want.Score != got.Score || len(want.Reasons) != len(got.Reasons) || len(want.Warnings) != len(got.Warnings) {
		t.Fatalf("%s\nwant %+v", b, want)
	}
	for k, r := range want.Reasons {
		same(r.Feature, r.Points, got.Reasons[k].Points)
		if r.Feature != got.Reasons[k].Feature || r.Text != got.Reasons[k].Text {
			t.Errorf("reason %d: %+v, want %+v", k, got.Reasons[k], r)
		}
	}
	for k, w := range want.Warnings {
		if w != got.Warnings[k] {
			t.Errorf("warning %d: %+v, want %+v", k, got.Warnings[k], w)
		}
	}
}

// randomRow makes a row as JSON, through encoding/json, and as cells.
func randomRow(t *testing.T, rng *rand.Rand, s *models.Scorer) (string, []datasets.Value) {
	t.Helper()
	e := s.Encoder()
	cells := make([]datasets.Value, len(e.Columns))
	row := make(map[string]any)
	for j := range e.Columns {
		c := &e.Columns[j]
		row[c.Name] = nil
		if rng.IntN(8) == 0 {
			continue
		}
		switch c.Kind {
		case datasets.Number:
			x := c.Min + (c.Max-c.Min)*(1.2*rng.Float64()-0.1)
			cells[j] = datasets.Value{Kind: datasets.Number, Number: x}
			row[c.Name] = x
		case datasets.Boolean:
			x := rng.IntN(2)
			cells[j] = datasets.Value{Kind: datasets.Boolean, Number: float64(x)}
			row[c.Name] = x == 1
		case datasets.Time:
			us := moment - rng.Int64N(100*day)
			cells[j] = datasets.Value{Kind: datasets.Time, Time: us}
			row[c.Name] = datasets.FormatTime(us)
		default:
			text := append(c.Levels, "é<\"☃", "")[rng.IntN(len(c.Levels)+2)]
			cells[j] = datasets.Value{Kind: datasets.Category, Text: text}
			row[c.Name] = text
		}
	}
	b, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), cells
}

// Text and numbers of one value are the same where all levels are numbers, and
// never elsewhere.
func TestCategorySpelling(t *testing.T) {
	f := churn(t, Config{})
	row := func(code, tier string) string {
		return requestOf("A", strings.NewReplacer(`"002"`, code, `"1"`, tier).Replace(wholeRow))
	}
	first := f.score(t, "churn", row(`"002"`, `"2.5"`))
	for _, tier := range []string{`2.5`, `2.50`, `"2.50"`, `25e-1`} {
		if got := f.score(t, "churn", row(`"002"`, tier)); decodeAs[wire](t, got.body).Probability != decodeAs[wire](t, first.body).Probability {
			t.Errorf("tier %s: %s, want %s", tier, got.body, first.body)
		}
	}
	if got := f.score(t, "churn", row(`2`, `1`)); got.status != 422 {
		t.Errorf("the number 2 for the text \"002\": %d %s", got.status, got.body)
	}
	if got := decodeAs[wire](t, f.score(t, "churn", row(`"2"`, `1`)).body); len(got.Warnings) != 1 || got.Warnings[0].State != "unseen" {
		t.Errorf(`"2" where "002" was seen: %+v`, got.Warnings)
	}
}

func TestAccount(t *testing.T) {
	f := churn(t, Config{})
	for account, want := range map[string]string{
		`"A-17"`: "A-17", `"001"`: "001", `12345678901234567890123`: "12345678901234567890123", `1.50`: "1.50", `null`: "", `"\ud83d\ude00"`: "😀",
	} {
		got := f.score(t, "churn", `{"account":`+account+`,"row":`+wholeRow+`}`)
		if got.status != 200 || decodeAs[wire](t, got.body).Account != want {
			t.Errorf("account %s: %d %s", account, got.status, got.body)
		}
	}
}

func TestReferences(t *testing.T) {
	f := churn(t, Config{})
	publish(t, f.registry, "churn", 2, "")
	for _, c := range []struct {
		ref             string
		status, version int
	}{
		{"churn", 200, 1}, {"churn@champion", 200, 1}, {"churn@1", 200, 1}, {"churn@2", 200, 2},
		{"churn@3", 404, 0}, {"churn@challenger", 404, 0}, {"nothing", 404, 0}, {"nothing@1", 404, 0},
		{"churn@v2", 400, 0}, {"churn@", 400, 0}, {"Churn", 400, 0}, {"churn@champion@1", 400, 0}, {"..", 400, 0},
	} {
		got := f.score(t, c.ref, requestOf("A", wholeRow))
		if got.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.ref, got.status, got.body, c.status)
		}
		if c.status == 200 && decodeAs[wire](t, got.body).Version != c.version {
			t.Errorf("%s: %s, want version %d", c.ref, got.body, c.version)
		}
		if c.status != 200 {
			checkProblem(t, got, c.status)
		}
		if strings.Contains(string(got.body), f.dir) {
			t.Errorf("%s: the answer shows a path: %s", c.ref, got.body)
		}
	}
}

func checkProblem(t *testing.T, got reply, status int) problem {
	t.Helper()
	p := decodeAs[problem](t, got.body)
	if got.header.Get("Content-Type") != "application/problem+json" || p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" {
		t.Errorf("no problem of status %d: %v %s", status, got.header, got.body)
	}
	return p
}

func TestPaths(t *testing.T) {
	f := churn(t, Config{})
	for path, want := range map[string]int{
		"/": 404, "/v1": 404, "/v1/models/": 404, "/v1/models/churn/score": 405, "/v1/models/churn/score:batch": 405,
		"/v1/models/churn/score:other": 404, "/v1/models/churn/scoreX": 404, "/livez": 200, "/readyz": 200, "/metrics": 200,
		"/v1/models": 200, "/v1/models/churn": 200, "/v1/models/churn@1": 200, "/v1/models/none": 404,
	} {
		got := f.get(t, path)
		if got.status != want {
			t.Errorf("GET %s: %d, want %d", path, got.status, want)
		}
		if want >= 400 {
			checkProblem(t, got, want)
		}
	}
	if got := f.get(t, "/v1/models/churn/score"); got.header.Get("Allow") != "POST" {
		t.Errorf("Allow: %v", got.header)
	}
}

// The example that a model gives of itself can be sent as it is.
func TestExample(t *testing.T) {
	f := churn(t, Config{})
	for _, model := range []string{"churn", "upsell"} {
		var d struct{ Example json.RawMessage }
		if err := json.Unmarshal(f.get(t, "/v1/models/"+model).body, &d); err != nil {
			t.Fatal(err)
		}
		got := f.score(t, model, string(d.Example))
		if got.status != 200 || len(decodeAs[wire](t, got.body).Warnings) > 0 {
			t.Errorf("%s: %s gets %d %s", model, d.Example, got.status, got.body)
		}
	}
}

func TestMetrics(t *testing.T) {
	f := churn(t, Config{})
	for range 3 {
		f.score(t, "churn", requestOf("SECRET-ACCOUNT", wholeRow))
	}
	f.score(t, "churn", `{}`)
	f.get(t, "/nowhere/SECRET-ACCOUNT")
	text := string(f.get(t, "/metrics").body)
	for _, want := range []string{
		`propensity_requests_total{code="200",route="/v1/models/:name/score"} 3`,
		`propensity_requests_total{code="422",route="/v1/models/:name/score"} 1`,
		`propensity_requests_total{code="404",route="none"} 1`,
		`propensity_request_seconds_count{route="/v1/models/:name/score"} 4`,
		`propensity_loaded_version{alias="champion",model="churn"} 1`,
		`propensity_reloads_total{model="churn",result="success"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	band := decodeAs[wire](t, f.score(t, "churn", requestOf("A", wholeRow)).body).Band
	if want := fmt.Sprintf("propensity_scores_total{band=%q,model=%q,version=%q} 3\n", band, "churn", "1"); !strings.Contains(text, want) {
		t.Errorf("no %s", want)
	}
	if strings.Contains(text, "SECRET") {
		t.Error("an account shows in the metrics")
	}
}

func TestConfig(t *testing.T) {
	_, err := New(Config{})
	if err == nil {
		t.Error("no registry is no error")
	}
	_, err = New(Config{Registry: registry.Open(t.TempDir()), Poll: -1, MaxBody: -1})
	if err == nil || !strings.Contains(err.Error(), "Poll") || !strings.Contains(err.Error(), "MaxBody") {
		t.Errorf("not all faults: %v", err)
	}
}

// BenchmarkScoreRow is one request from its text to the text of its answer.
func BenchmarkScoreRow(b *testing.B) {
	f := churn(b, Config{})
	v, err := f.server.version(b.Context(), "churn")
	if err != nil {
		b.Fatal(err)
	}
	text := []byte(requestOf("A-17", wholeRow))
	w := new(work)
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodPost, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.server.scoreRow(c, w, v, text, moment, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBatch is one row of an NDJSON batch over HTTP.
func BenchmarkBatch(b *testing.B) {
	f := churn(b, Config{})
	const rows = 10_000
	body := strings.Repeat(requestOf("A-17", wholeRow)+"\n", rows)
	for b.Loop() {
		if got := f.post(b, "/v1/models/churn/score:batch", "application/x-ndjson", strings.NewReader(body)); got.status != 200 {
			b.Fatal(got.status)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/rows, "µs/row")
}
