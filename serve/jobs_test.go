package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"propensity/datasets"
)

// A job gives the very numbers of the endpoint, and its scores are in the ledger.
func TestJobScoresAsTheEndpointDoes(t *testing.T) {
	dir := t.TempDir()
	row := decodeAs[map[string]any](t, []byte(wholeRow))
	row["id"] = "A-17"
	line, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "in.ndjson"), append(line, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	f := remembering(t, Config{JobsDir: dir})
	at := "2026-03-01T09:30:00Z"
	r := f.post(t, "/v1/jobs", "application/json", strings.NewReader(fmt.Sprintf(`{"model": "churn", "in": "in.ndjson", "out": "out.ndjson", "reasons": 2, "as_of": %q, "account": "id"}`, at)))
	if r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	id := decodeAs[jobAnswer](t, r.body).ID
	var j jobAnswer
	f.eventually(t, "the job", func() bool {
		j = decodeAs[jobAnswer](t, f.get(t, "/v1/jobs/"+id).body)
		return j.State != "queued" && j.State != "running" && j.State != "finishing"
	})
	if j.State != "done" || j.Rows != 1 || j.Version != 1 {
		t.Fatalf("%+v", j)
	}
	table, err := datasets.Read(filepath.Join(dir, "out.ndjson"), datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := decodeAs[wire](t, f.score(t, "churn", strings.Replace(requestOf("A-17", wholeRow), "{", `{"dry_run": true, `, 1)).body)
	if got := table.Column("probability").At(0).Number; got != want.Probability || table.Column("account").At(0).String() != "A-17" {
		t.Errorf("the job says %v, the endpoint %v", got, want.Probability)
	}
	kept := f.scores(t, "A-17/scores")
	if len(kept.Scores) != 1 || kept.Scores[0].Origin != "job" || kept.Scores[0].Probability != want.Probability || len(kept.Scores[0].Reasons) != 2 || kept.Scores[0].Row != nil {
		t.Errorf("the ledger has %+v", kept)
	}
	if r := f.delete(t, "/v1/jobs/"+id); r.status != http.StatusConflict {
		t.Errorf("a job that has ended: %d %s", r.status, r.body)
	}
	if r := f.get(t, "/v1/jobs/x"); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := f.get(t, "/v1/jobs"); r.status != http.StatusOK || !strings.Contains(string(r.body), id) {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, body := range []string{
		`{"model": "churn", "in": "../in.ndjson", "out": "o.csv"}`, `{"model": "churn", "in": "in.ndjson", "out": "out.ndjson"}`, `{"model": "churn", "in": "in.ndjson", "out": "o.csv", "max_shift": 0.1}`,
		`{"model": "churn", "in": "in.ndjson", "out": "o", "crm": {"kind": "zoho"}}`, `{"model": "churn", "in": "in.ndjson", "out": "o.csv", "as_of": "yesterday"}`,
	} {
		if r := f.post(t, "/v1/jobs", "application/json", strings.NewReader(body)); r.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
}

func TestWithoutADirectoryNoJobs(t *testing.T) {
	f := churn(t, Config{})
	if r := f.get(t, "/v1/jobs"); r.status != http.StatusNotImplemented || !strings.Contains(string(r.body), "--jobs-dir") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
