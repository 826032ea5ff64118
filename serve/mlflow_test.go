package serve

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/models/registry"
	"propensity/serve/database/databasetest"
)

// The model is the one in the path or the query, or the only one there is.
func TestMLflowModel(t *testing.T) {
	const body = `{"dataframe_records":[` + wholeRow + `],"params":{"as_of":"2026-03-01T09:30:00Z"}}`
	f := churn(t, Config{Version: "1.2.3"})
	publish(t, f.registry, "churn", 2, "")
	for _, c := range []struct {
		path   string
		status int
		says   string
	}{
		{"/invocations?model=churn", 200, `{"predictions":[0.26`},
		{"/invocations?model=upsell@champion", 200, `{"predictions":[0.28`},
		{"/models/churn@2/invocations", 200, `{"predictions":[0.26`},
		{"/invocations", 400, "there are: churn, upsell"},
		{"/invocations?model=nobody", 404, `there is no model \"nobody\"`},
		{"/models/churn@9/invocations", 404, "no version 9"},
		{"/models/churn@v9@/invocations", 400, "bad reference"},
	} {
		got := f.post(t, c.path, "application/json", strings.NewReader(body))
		if got.status != c.status || !strings.Contains(string(got.body), c.says) {
			t.Errorf("%s: %d %s", c.path, got.status, got.body)
		}
	}
	for path, want := range map[string]string{"/ping": "\n", "/health": "\n", "/version": "1.2.3"} {
		if got := f.get(t, path); got.status != 200 || string(got.body) != want {
			t.Errorf("%s: %d %q", path, got.status, got.body)
		}
	}
	one := serveRegistry(t, Config{}, func(f *fixture) { publish(t, f.registry, "upsell", 1, registry.Champion) })
	if got := one.post(t, "/invocations", "application/json", strings.NewReader(body)); got.status != 200 {
		t.Errorf("the only model: %d %s", got.status, got.body)
	}
}

// MLflow takes whole numbers where the model has others, and ignores columns that it does not
// know; whole answers tell of them.
func TestMLflowTypes(t *testing.T) {
	f := churn(t, Config{})
	predictions := func(body string) string {
		t.Helper()
		got := f.post(t, "/models/churn/invocations", "application/json", strings.NewReader(body))
		if got.status != 200 {
			t.Fatalf("%d %s in answer to %s", got.status, got.body, body)
		}
		return string(got.body)
	}
	const params = `,"params":{"as_of":"2026-03-01T09:30:00Z"}}`
	plain := predictions(`{"instances":[` + wholeRow + `]` + params)
	for _, same := range []string{
		`{"inputs":` + wholeRow + params,
		`{"inputs":` + strings.Replace(wholeRow, `"logins_28d":6`, `"logins_28d":6.0,"owner":"Kim"`, 1) + params,
		`{"dataframe_records":[` + strings.Replace(wholeRow, `"seats":12`, `"seats":12,"note":{"a":1}`, 1) + `]` + params,
		`{"inputs":[` + strings.Replace(wholeRow, `"tier":"1"`, `"tier":1`, 1) + `]` + params,
	} {
		if d := cmp.Diff(plain, predictions(same)); d != "" {
			t.Errorf("%s: %s", same, d)
		}
	}
	full := predictions(`{"params":{"reasons":0,"allow_missing":true,"as_of":"2026-03-01T09:30:00Z"},"instances":[{"plan":"pro","owner":"Kim"},{}]}`)
	got := decodeAs[struct{ Predictions []wire }](t, []byte(full)).Predictions
	if len(got) != 2 || len(got[0].Reasons) != 0 || len(got[1].Warnings) != 7 || got[0].Warnings[6].State != "unknown" || got[0].Warnings[6].Field != "row.owner" {
		t.Errorf("%s", full)
	}
	if got := predictions(`{"instances":[]}`); got != "{\"predictions\":[]}\n" {
		t.Error(got)
	}
	if got := predictions(`{"dataframe_split":{"columns":[],"data":[]}}`); got != "{\"predictions\":[]}\n" {
		t.Error(got)
	}
}

// Every fault has its place in the request; nothing of a request with a fault is scored.
func TestMLflowRefused(t *testing.T) {
	f := churn(t, Config{MaxInferRows: 4, MaxFields: 9, MaxInferBody: 4000, Database: databasetest.Open(t, databasetest.SQLite(t)), LedgerSync: true})
	const names = `"columns":["plan","logins_28d","seats","sso","created_at","code","tier"]`
	const good = `["pro",6,12,false,"2026-01-20","002","1"]`
	for _, c := range []struct {
		what, body string
		status     int
		says       string
		pointers   string
	}{
		{"no JSON", `{"instances":[`, 400, "invalid JSON", "/instances"},
		{"an array", `[]`, 422, "a request is an object", ""},
		{"no table", `{}`, 422, "there is no table", ""},
		{"params alone", `{"params":{}}`, 422, "there is no table", ""},
		{"two tables", `{"instances":[],"inputs":{}}`, 422, "instances and inputs: a request has one table", "/inputs"},
		{"an unknown field", `{"instances":[],"signature_name":"x"}`, 422, `unknown field "signature_name"`, "/signature_name"},
		{"an unknown param", `{"instances":[],"params":{"temperature":1}}`, 422, `unknown param "temperature"`, "/params/temperature"},
		{"a bad param", `{"instances":[],"params":{"reasons":"3"}}`, 422, "reasons must be a whole number", "/params/reasons"},
		{"params of another type", `{"instances":[],"params":[]}`, 422, "params must be an object", "/params"},
		{"a field twice", `{"instances":[],"instances":[]}`, 400, "given twice", "/instances"},
		{"no array", `{"dataframe_records":{}}`, 422, "dataframe_records must be an array of objects", "/dataframe_records"},
		{"values without names", `{"instances":[[1,2]]}`, 422, "row 1: a row must be an object", "/instances/0"},
		{"a column absent", `{"dataframe_records":[` + wholeRow + `,` + strings.Replace(wholeRow, `"seats":12,`, ``, 1) + `]}`, 422, "row 2: seats is absent", "/dataframe_records/1/seats"},
		{"text for a number", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:"6"`, 1) + `]}`, 422, `row 1: column "logins_28d" wants a number`, "/instances/0/logins_28d"},
		{"two faults", `{"instances":[` + strings.Replace(strings.Replace(wholeRow, `:6`, `:"6"`, 1), "2026-01-20T08:00:00Z", "noon", 1) + `]}`, 422, `row 1: 2 faults`, "/instances/0/created_at /instances/0/logins_28d"},
		{"a column twice", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:6,"plan":"free"`, 1) + `]}`, 400, `"plan" is given twice`, "/instances/0/plan"},
		{"an unknown column twice", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:6,"x":1,"x":2`, 1) + `]}`, 400, `"x" is given twice`, "/instances/0/x"},
		{"too many fields", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:6,"a":1,"b":2,"c":3`, 1) + `]}`, 422, "row 1: a row has more than 9 fields", "/instances/0"},
		{"too many rows", `{"instances":[` + strings.Repeat(wholeRow+",", 4) + wholeRow + `]}`, 413, "more than 4 rows", ""},
		{"a large body", `{"instances":[` + strings.Repeat(" ", 5000) + `]}`, 413, "the body is larger", ""},
		{"no moment", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:6,"moment":null`, 1) + `]}`, 422, "row 1: the row has no moment", "/instances/0/moment"},
		{"infinity", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:Infinity`, 1) + `]}`, 400, "Infinity is no JSON number", "/instances"},
		{"half a NaN", `{"instances":[` + strings.Replace(wholeRow, `:6`, `:NaNo`, 1) + `]}`, 400, "invalid JSON", "/instances"},

		{"split without columns", `{"dataframe_split":{"data":[` + good + `]}}`, 422, "needs columns and data", "/dataframe_split"},
		{"split of another type", `{"dataframe_split":[]}`, 422, "must be an object with columns and data", "/dataframe_split"},
		{"an unknown part", `{"dataframe_split":{` + names + `,"rows":[]}}`, 422, `unknown field "rows"`, "/dataframe_split/rows"},
		{"a name that is no text", `{"dataframe_split":{"columns":[0],"data":[]}}`, 422, "must be text", "/dataframe_split/columns"},
		{"a name twice", `{"dataframe_split":{"columns":["plan","plan"],"data":[]}}`, 422, `"plan" is there twice`, "/dataframe_split/columns"},
		{"too few values", `{"dataframe_split":{` + names + `,"data":[` + good + `,["pro"]]}}`, 422, "row 2: the row has 1 values for 7 columns", "/dataframe_split/data/1"},
		{"no values", `{"dataframe_split":{` + names + `,"data":[[]]}}`, 422, "row 1: the row has 0 values", "/dataframe_split/data/0"},
		{"too many values", `{"dataframe_split":{` + names + `,"data":[` + strings.Replace(good, `]`, `,1]`, 1) + `]}}`, 422, "row 1: the row has more than 7 values", "/dataframe_split/data/0"},
		{"a row that is none", `{"dataframe_split":{` + names + `,"data":[7]}}`, 422, "row 1: a row must be an array", "/dataframe_split/data/0"},
		{"a cell", `{"dataframe_split":{` + names + `,"data":[` + good + `,` + strings.Replace(good, `6`, `true`, 1) + `]}}`, 422, `row 2: column "logins_28d" wants a number`, "/dataframe_split/data/1/1"},
		{"a column that is not there", `{"dataframe_split":{"columns":["plan"],"data":[["pro"]]}}`, 422, "row 1: 6 faults", strings.TrimSpace(strings.Repeat("/dataframe_split/columns ", 6))},

		{"arrays and values", `{"inputs":{"plan":["pro"],"seats":1}}`, 422, "inputs has arrays and single values", "/inputs"},
		{"of two lengths", `{"inputs":{"plan":["pro","free"],"seats":[1]},"params":{"allow_missing":true}}`, 422, `"plan" and "seats" are not of one length`, "/inputs/seats/1"},
		{"of two lengths, the other way", `{"inputs":{"plan":["pro"],"seats":[1,2]},"params":{"allow_missing":true}}`, 422, `"plan" and "seats" are not of one length`, "/inputs/seats/1"},
		{"a cell in a column", `{"inputs":{"plan":["pro","free"],"seats":[1,"2"]},"params":{"allow_missing":true}}`, 422, `row 2: column "seats" wants a number`, "/inputs/seats/1"},
		{"nested", `{"inputs":{"seats":[[1]]},"params":{"allow_missing":true}}`, 422, "row 1: a row is flat", "/inputs/seats/0"},
	} {
		got := f.unchecked(http.MethodPost, "/models/churn/invocations", "application/json", c.body)
		p := decodeAs[problem](t, got.body)
		var pointers []string
		for _, fault := range p.Errors {
			pointers = append(pointers, fault.Pointer)
		}
		if got.status != c.status || !strings.Contains(p.Detail, c.says) || strings.Join(pointers, " ") != c.pointers {
			t.Errorf("%s: %d %q at %q, want %d %q at %q", c.what, got.status, p.Detail, pointers, c.status, c.says, c.pointers)
		}
	}
	for what, c := range map[string]struct{ contentType, body, says string }{
		"a type":        {"application/vnd.apache.parquet", "PAR1", "Content-Type"},
		"no UTF-8":      {"text/csv", "plan\n\xff\n", "the CSV is not UTF-8"},
		"compressed":    {"text/csv", "\x1f\x8b\x08\x00", "the CSV is not UTF-8"},
		"no header":     {"text/csv", "", "nothing in it"},
		"ragged":        {"text/csv", "plan,seats\npro\n", "csv:2"},
		"a cell of CSV": {"text/csv", "plan,logins_28d,seats,sso,created_at,code,tier\npro,six,12,false,2026-01-20,002,1\n", `csv:2, column "logins_28d"`},
		"a column":      {"text/csv", "plan\npro\n", "row 1: 6 faults"},
	} {
		got := f.post(t, "/models/churn/invocations", c.contentType, strings.NewReader(c.body))
		if got.status < 400 || got.status > 422 || !strings.Contains(decodeAs[problem](t, got.body).Detail, c.says) {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	if n := f.server.ledger.Stats().Committed; n != 0 {
		t.Errorf("%d scores in the ledger", n)
	}
}

// Only a NaN that stands for a value is one.
func TestNullForNaN(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":NaN}`: `{"a":null}`, `[NaN,NaN]`: `[null,null]`, `[ NaN, "NaN"]`: `[ null, "NaN"]`, `{"NaN":"a\"NaN"}`: `{"NaN":"a\"NaN"}`,
		`{"\\":NaN}`: `{"\\":null}`, `[-NaN]`: `[-NaN]`, `NaN`: `NaN`, `["`: `["`, `["\`: `["\`, `[NaN`: `[null`, `[Na`: `[Na`,
	} {
		if got := string(nullForNaN([]byte(text))); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzMLflow(f *testing.F) {
	v := bareVersion(f)
	for _, body := range mlflowForms() {
		f.Add(body, false)
	}
	f.Add("plan,logins_28d,account_id\npro,6,a\n", true)
	f.Fuzz(func(t *testing.T, body string, csv bool) {
		i := invocation{}
		var err error
		if csv {
			err = i.table([]byte(body), v, 10)
		} else {
			err = i.decode(nullForNaN([]byte(body)), &request{}, v, 10)
		}
		if err == nil {
			err = walk(i.rows, v, -1)
		}
		if err != nil && problemOf(err).Status >= 500 {
			t.Fatal(err)
		}
	})
}
