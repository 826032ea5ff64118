package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"propensity/datasets"
	"propensity/datasets/sample"
	"propensity/models"
	"propensity/models/registry"
	"propensity/train"
)

// parityRows is how many leading rows of a table go through files and over HTTP;
// all rows are scored by columns and one by one.
const parityRows = 1500

// parityTrained is how many leading rows of a table the artifacts learn from:
// what is compared is the scores, not their quality.
const parityTrained = 1000

// asOf is the moment of every row.
const asOf = "2026-03-01T09:30:00Z"

// The three ways to a score give the same bits: encoded columns, as training
// does; the score command, through every format; and the server, one row at a
// time and in batches.
func TestParity(t *testing.T) {
	t.Run("telco_churn", func(t *testing.T) {
		kinds := map[string]datasets.Kind{"customerID": datasets.Text}
		table, err := datasets.ReadFrom(bytes.NewReader(sample.Telco()), "telco.csv", datasets.ReadOptions{Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		parity(t, table, train.Spec{ID: "customerID", Label: "Churn", Positive: "Yes"})
	})
	shared := os.Getenv("PROPENSITY_SHARED")
	if shared == "" {
		t.Log("PROPENSITY_SHARED names no directory of tables: only the bundled one was compared")
		return
	}
	schemas, err := filepath.Glob(filepath.Join(shared, "data", "*", "schema.json"))
	if err != nil || len(schemas) == 0 {
		t.Fatalf("no schema.json in %s: %v", shared, err)
	}
	for _, path := range schemas {
		t.Run("shared "+filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			schema, err := train.ParseSchema(b)
			if err != nil {
				t.Fatal(err)
			}
			table, spec, err := schema.Read(filepath.Join(filepath.Dir(path), "table.csv"), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			parity(t, table, spec)
		})
	}
}

// leading are the places 0 to n-1.
func leading(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func parity(t *testing.T, table *datasets.Table, spec train.Spec) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr, registry: filepath.Join(dir, "registry"), quiet: true}
	part := table.Take(leading(min(parityTrained, table.Rows())))
	for _, learner := range []string{"logistic", "boosting"} {
		s := spec
		s.Name, s.Learners, s.Seed = learner, []string{learner}, 1
		r, err := train.Run(t.Context(), part, s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		reg := a.open()
		version, err := reg.Publish(t.Context(), learner, r.Files, registry.Event{})
		if err != nil {
			t.Fatal(err)
		}
		if err := reg.Promote(t.Context(), learner, version, registry.Champion, registry.Event{}); err != nil {
			t.Fatal(err)
		}
	}
	url := startServer(t, a)
	for _, learner := range []string{"logistic", "boosting"} {
		t.Run(learner, func(t *testing.T) {
			scorer, _, err := a.open().Load(registry.Ref{Name: learner, Version: 1})
			if err != nil {
				t.Fatal(err)
			}
			answers, moment := byColumns(t, scorer, table)
			some := table.Take(leading(min(parityRows, table.Rows())))
			answers = answers[:some.Rows()]
			for _, format := range []string{"csv", "parquet", "ndjson", "arrow"} {
				compareFile(t, a, learner, some, format, answers)
			}
			compareServer(t, url+"/v1/models/"+learner, requestsOf(t, scorer, some, moment), answers)
		})
	}
}

// byColumns scores a table the way training does, and checks on all rows that
// Score agrees and that its parts add up. It gives the answers of Score.
func byColumns(t *testing.T, s *models.Scorer, table *datasets.Table) (answers []models.Answer, moment int64) {
	t.Helper()
	moment, err := datasets.ParseTime(asOf)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := s.Encoder().EncodeTable(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, probability := s.ScoreColumns(columns, table.Rows())
	answers = make([]models.Answer, table.Rows())
	for i := range answers {
		a := &answers[i]
		if err := s.Score(a, cellsOf(s, table, i), moment, -1); err != nil {
			t.Fatal(err)
		}
		if !sameBits(a.Raw, raw[i]) || !sameBits(a.Probability, probability[i]) {
			t.Fatalf("row %d: Score gives %v, the columns %v", i, a.Probability, probability[i])
		}
		sum := a.Base
		for _, r := range a.Reasons {
			sum += r.LogOdds
		}
		if math.Abs(sum-a.Raw) > 1e-9 {
			t.Fatalf("row %d: base and reasons make %v, raw is %v", i, sum, a.Raw)
		}
		a.Reasons = a.Reasons[:min(3, len(a.Reasons))]
	}
	return answers, moment
}

func cellsOf(s *models.Scorer, table *datasets.Table, i int) []datasets.Value {
	e := s.Encoder()
	row := make([]datasets.Value, len(e.Columns))
	for j := range row {
		row[j] = table.Column(e.Columns[j].Name).At(i)
	}
	return row
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// compareFile runs the score command from a file of a format into one of the same.
func compareFile(t *testing.T, a *app, learner string, table *datasets.Table, format string, want []models.Answer) {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in."+format), filepath.Join(dir, "out."+format)
	if err := datasets.Write(in, table, datasets.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	args := []string{"score", learner, "--in", in, "--out", out, "--registry", a.registry, "--as-of", asOf, "--quiet"}
	if code := run(t.Context(), args, strings.NewReader(""), io.Discard, &stderr); code != exitDone {
		t.Fatalf("%s: exit code %d: %s", format, code, stderr.String())
	}
	got, err := datasets.Read(out, datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows() != len(want) {
		t.Fatalf("%s: %d rows of %d", format, got.Rows(), len(want))
	}
	for i := range want {
		for column, x := range map[string]float64{
			"probability": want[i].Probability, "percentile": want[i].Percentile,
			"reference": want[i].Reference, "coverage": want[i].Coverage, "score": float64(want[i].Score),
		} {
			if y := got.Column(column).Numbers[i]; !sameBits(x, y) {
				t.Fatalf("%s, row %d: %s is %v, want %v", format, i, column, y, x)
			}
		}
		if band := got.Column("band").At(i).Text; band != want[i].Band {
			t.Fatalf("%s, row %d: band %s, want %s", format, i, band, want[i].Band)
		}
		for k := range 3 {
			var r models.Reason
			r.Points = math.NaN()
			if k < len(want[i].Reasons) {
				r = want[i].Reasons[k]
			}
			column := fmt.Sprintf("reason_%d", k+1)
			feature, points, text := got.Column(column+"_feature").At(i).Text, got.Column(column+"_points").At(i), got.Column(column).At(i).Text
			if feature != r.Feature || text != r.Text || points.Missing() != math.IsNaN(r.Points) || !points.Missing() && !sameBits(points.Number, r.Points) {
				t.Fatalf("%s, row %d: reason %d is %s, %v, %q; want %s, %v, %q", format, i, k+1, feature, points, text, r.Feature, r.Points, r.Text)
			}
		}
	}
}

// startServer serves the registry as the serve command does, until the test ends.
func startServer(t *testing.T, a *app) (url string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- a.serve(ctx, "127.0.0.1:0", "", time.Hour, &serveParts{}, func(addr string) { address <- addr })
	}()
	select {
	case addr := <-address:
		url = "http://" + addr
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if r, err := http.Get(url + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return url
			}
		}
		if time.Now().After(end) {
			t.Fatal("the server is not ready after 20 s")
		}
	}
}

// requestsOf are the rows as a client would send them.
func requestsOf(t *testing.T, s *models.Scorer, table *datasets.Table, moment int64) [][]byte {
	t.Helper()
	e := s.Encoder()
	out := make([][]byte, table.Rows())
	for i := range out {
		row := map[string]datasets.Value{}
		for j, v := range cellsOf(s, table, i) {
			row[e.Columns[j].Name] = v
		}
		b, err := json.Marshal(map[string]any{"account": fmt.Sprint("A-", i), "as_of": datasets.FormatTime(moment), "row": row})
		if err != nil {
			t.Fatal(err)
		}
		out[i] = b
	}
	return out
}

// reply is an answer as a client reads it.
type reply struct {
	Account, Band, Model                         string
	Probability, Percentile, Reference, Coverage float64
	Score                                        int
	Reasons                                      []struct {
		Feature, Text string
		Points        float64
	}
	Error json.RawMessage
}

func compareServer(t *testing.T, url string, requests [][]byte, want []models.Answer) {
	t.Helper()
	check := func(path string, got []reply) {
		t.Helper()
		if len(got) != len(requests) && path != "score" {
			t.Fatalf("%s: %d answers to %d requests", path, len(got), len(requests))
		}
		for i, g := range got {
			w := want[i]
			same := g.Error == nil && g.Account == fmt.Sprint("A-", i) && g.Band == w.Band && g.Score == w.Score && len(g.Reasons) == len(w.Reasons) &&
				sameBits(g.Probability, w.Probability) && sameBits(g.Percentile, w.Percentile) &&
				sameBits(g.Reference, w.Reference) && sameBits(g.Coverage, w.Coverage)
			for k := range min(len(g.Reasons), len(w.Reasons)) {
				r, v := g.Reasons[k], w.Reasons[k]
				same = same && r.Feature == v.Feature && r.Text == v.Text && sameBits(r.Points, v.Points)
			}
			if !same {
				t.Fatalf("%s, row %d: %+v, want %+v", path, i, g, w)
			}
		}
	}
	post := func(path, contentType string, body []byte) []byte {
		t.Helper()
		r, err := http.Post(url+"/"+path, contentType, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v: %s", path, r.Status, err, b)
		}
		return b
	}
	var single []reply
	for _, request := range requests[:min(len(requests), 300)] {
		single = append(single, parse[reply](t, post("score", "application/json", request)))
	}
	check("score", single)
	batch := append(append([]byte(`{"rows":[`), bytes.Join(requests, []byte(","))...), "]}"...)
	check("JSON batch", parse[struct{ Answers []reply }](t, post("score:batch", "application/json", batch)).Answers)
	var lines []reply
	in := bufio.NewScanner(bytes.NewReader(post("score:batch", "application/x-ndjson", bytes.Join(requests, []byte("\n")))))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		lines = append(lines, parse[reply](t, in.Bytes()))
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	check("NDJSON batch", lines)
}

func parse[T any](t *testing.T, b []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}
