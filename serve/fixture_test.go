package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/registry"
	"propensity/models/tree"
)

const day = 24 * 60 * 60 * int64(1e6)

// moment is 2026-03-01 09:30 UTC, the instant of the training rows and of the
// requests.
var moment = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC).UnixMicro()

// trainingTable has every kind of column that an encoder takes.
func trainingTable() (*datasets.Table, []int64) {
	const rows = 60
	plan := datasets.Column{Name: "plan", Kind: datasets.Category, Values: []string{"free", "pro", "team"}}
	code := datasets.Column{Name: "code", Kind: datasets.Category, Values: []string{"001", "002"}}
	tier := datasets.Column{Name: "tier", Kind: datasets.Category, Values: []string{"1", "2.5"}}
	logins := datasets.Column{Name: "logins_28d", Kind: datasets.Number}
	seats := datasets.Column{Name: "seats", Kind: datasets.Number}
	sso := datasets.Column{Name: "sso", Kind: datasets.Boolean}
	created := datasets.Column{Name: "created_at", Kind: datasets.Time}
	moments := make([]int64, rows)
	for i := range rows {
		plan.Codes = append(plan.Codes, int32(i*7%3))
		code.Codes = append(code.Codes, int32(i/3%2))
		tier.Codes = append(tier.Codes, int32(i/5%2))
		logins.Numbers = append(logins.Numbers, float64(i*i%53))
		seats.Numbers = append(seats.Numbers, float64(1+i%40))
		if i%50 == 49 {
			seats.Numbers[i] = math.NaN()
		}
		sso.Numbers = append(sso.Numbers, float64(i%4/3))
		created.Times = append(created.Times, moment-int64(10+i)*day)
		moments[i] = moment
	}
	return &datasets.Table{Columns: []datasets.Column{plan, logins, seats, sso, created, code, tier}}, moments
}

// artifactFiles makes a linear model of churn or a tree model of upsell, whose
// scores differ by variant, with changes of the test's own.
func artifactFiles(t testing.TB, name string, variant int, edits ...func(*models.Artifact)) models.Files {
	t.Helper()
	table, moments := trainingTable()
	return artifactOf(t, name, variant, table, moments, edits...)
}

func artifactOf(t testing.TB, name string, variant int, table *datasets.Table, moments []int64, edits ...func(*models.Artifact)) models.Files {
	t.Helper()
	encoder, left, err := features.FitEncoder(table, moments)
	if err != nil || len(left) > 0 {
		t.Fatalf("encoder: %v, left out %v", err, left)
	}
	columns, err := encoder.EncodeTable(table, moments)
	if err != nil {
		t.Fatal(err)
	}
	var model models.Model = linearModel(encoder, variant)
	if name == "upsell" {
		model = treeModel(t, encoder, variant)
	}
	ranking, err := evaluate.NewRanking(models.RawAll(model, columns, table.Rows()))
	if err != nil {
		t.Fatal(err)
	}
	bands := []models.Band{}
	for i, from := range []float64{0.6, 0.3, 0.1, 0.03, 0} {
		bands = append(bands, models.Band{Name: string(rune('A' + i)), From: from, Rows: 12, Positives: 9 - 2*i})
	}
	a := &models.Artifact{
		Manifest: models.Manifest{
			Name: name, Learner: "logistic", Account: "account_id", Moment: "moment",
			Label: models.Label{Column: "churned", Positive: "yes"}, BaseRate: 0.2, Seed: uint64(variant), Bands: bands,
			LeftOut: []features.LeftOut{{Column: "note", Reason: "it is text, kept letter by letter"}},
		},
		Encoder: encoder, Model: model, Calibration: models.Calibration{Kind: models.CalibrationPlatt, Slope: 0.9, Intercept: -0.05},
		Ranking: ranking, Spec: []byte("version: 1\n"), Card: []byte("# churn\n"), Report: []byte("<!DOCTYPE html>\n"),
	}
	for _, edit := range edits {
		edit(a)
	}
	f, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func linearModel(e *features.Encoder, variant int) *models.Linear {
	m := &models.Linear{Intercept: -1.3 + 0.01*float64(variant)}
	for j := range e.Columns {
		c := &e.Columns[j]
		term := models.Term{Scale: 1, Missing: 0.07, Mean: 0.015625, Spread: 0.3}
		if c.Kind == datasets.Category {
			for k := range c.Levels {
				term.Levels = append(term.Levels, 0.4-0.37*float64(k+j%2))
			}
		} else {
			term.Center, term.Scale = c.Mean, c.Max-c.Min
			term.Weight = []float64{-2.3, 1.1, 0.7}[j%3]
		}
		m.Terms = append(m.Terms, term)
	}
	return m
}

func treeModel(t testing.TB, e *features.Encoder, variant int) *tree.Ensemble {
	t.Helper()
	levels := make([]int, len(e.Columns))
	for j := range levels {
		levels[j] = len(e.Columns[j].Levels)
	}
	b := tree.NewBuilder(levels, -1.1+0.01*float64(variant))
	leaf := func(value, cover float64) tree.Node { return tree.Node{Feature: -1, Value: value, Cover: cover} }
	for _, nodes := range [][]tree.Node{
		{
			{Feature: e.Find("logins_28d"), Threshold: 20.5, Yes: 1, No: 2, MissingYes: true, Cover: 60},
			{Feature: e.Find("plan"), Set: []int32{0}, Yes: 3, No: 4, UnseenYes: true, Cover: 25},
			leaf(-0.61, 35), leaf(0.93, 10), leaf(0.21, 15),
		},
		{{Feature: e.Find("created_at"), Threshold: 33.3, Yes: 1, No: 2, Cover: 60}, leaf(0.17, 24), leaf(-0.11, 36)},
	} {
		if err := b.Add(nodes); err != nil {
			t.Fatal(err)
		}
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// publish adds a version and, with an alias, promotes it.
func publish(t testing.TB, r *registry.Registry, name string, variant int, alias string, edits ...func(*models.Artifact)) int {
	t.Helper()
	n, err := r.Publish(context.Background(), name, artifactFiles(t, name, variant, edits...), registry.Event{})
	if err != nil {
		t.Fatal(err)
	}
	if alias != "" {
		promote(t, r, name, n, alias)
	}
	return n
}

func promote(t testing.TB, r *registry.Registry, name string, version int, alias string) {
	t.Helper()
	if err := r.Promote(context.Background(), name, version, alias, registry.Event{}); err != nil {
		t.Fatal(err)
	}
}

// fixture is a server over a registry of its own.
type fixture struct {
	dir      string
	registry *registry.Registry
	server   *Server
	http     *httptest.Server
}

// serveRegistry starts a server over a registry that fill has filled, and waits
// until it is ready.
func serveRegistry(t testing.TB, cfg Config, fill func(f *fixture)) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir()}
	f.registry = registry.Open(f.dir)
	fill(f)
	cfg.Registry = f.registry
	if cfg.Poll == 0 {
		cfg.Poll = 2 * time.Millisecond
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.server = s
	f.http = httptest.NewServer(promised(t, s.Handler()))
	t.Cleanup(func() {
		f.http.Client().CloseIdleConnections()
		f.http.Close()
		s.Close()
	})
	f.eventually(t, "ready", func() bool { return !s.state.Load().loading })
	return f
}

// churn is a server of churn@1, its champion, and upsell@1.
func churn(t testing.TB, cfg Config) *fixture {
	t.Helper()
	return serveRegistry(t, cfg, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		publish(t, f.registry, "upsell", 1, registry.Champion)
	})
}

func (f *fixture) eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s in 10 s; %+v", what, f.server.state.Load().readiness())
		}
	}
}

// reply is an answer read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (f *fixture) post(t testing.TB, path, contentType string, body io.Reader) reply {
	t.Helper()
	r, err := f.try(path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (f *fixture) try(path, contentType string, body io.Reader) (reply, error) {
	resp, err := f.http.Client().Post(f.http.URL+path, contentType, body)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, b}, err
}

func (f *fixture) get(t testing.TB, path string) reply {
	t.Helper()
	resp, err := f.http.Client().Get(f.http.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

func readReply(t testing.TB, resp *http.Response) reply {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

func (f *fixture) score(t testing.TB, model, body string) reply {
	t.Helper()
	return f.post(t, "/v1/models/"+model+"/score", "application/json", bytes.NewBufferString(body))
}

// decodeAs reads JSON strictly.
func decodeAs[T any](t testing.TB, b []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// wire is an Answer as a client reads it.
type wire struct {
	Account, Model, Band                         string
	Version, Score                               int
	AsOf                                         string  `json:"as_of"`
	BaseRate                                     float64 `json:"base_rate"`
	Probability, Percentile, Reference, Coverage float64
	Reasons                                      []wireReason
	Warnings                                     []models.Warning
	Error                                        *problem
}

type wireReason struct {
	Feature        string
	Value, Typical any
	Points         float64
	Text           string
}

// wholeRow has an ordinary value for each column.
const wholeRow = `{"plan":"pro","logins_28d":6,"seats":12,"sso":false,"created_at":"2026-01-20T08:00:00Z","code":"002","tier":"1"}`

func requestOf(account, row string) string {
	return fmt.Sprintf(`{"account":%q,"row":%s,"as_of":"2026-03-01T09:30:00Z"}`, account, row)
}

// damage flips a byte of a file of a version, as a failing disk would.
func (f *fixture) damage(t testing.TB, name string, version int, file string) {
	t.Helper()
	path := filepath.Join(f.dir, name, fmt.Sprintf("v%d", version), file)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	replaceFile(t, path, b)
}

func replaceFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// record serves one GET without a connection.
func (f *fixture) record(path string) reply {
	w := httptest.NewRecorder()
	f.server.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}
