package serve

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/registry"
	"propensity/serve/database/databasetest"
	"propensity/serve/ledger"
)

func (f *fixture) inferAs(t testing.TB, model, head string, tail []byte, length string) reply {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, f.http.URL+"/v2/models/"+model+"/infer", bytes.NewReader(append([]byte(head), tail...)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if tail != nil {
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set(oipHeaderLength, length)
	}
	resp, err := f.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return readReply(t, resp)
}

// The shapes of the specification, field by field.
func TestOIPMetadata(t *testing.T) {
	f := churn(t, Config{Version: "1.2.3"})
	publish(t, f.registry, "churn", 2, "challenger")
	f.eventually(t, "there", func() bool { return len(f.server.state.Load().models["churn"].aliases) == 2 })
	const inputs = `"inputs":[{"name":"plan","datatype":"BYTES","shape":[-1]},{"name":"logins_28d","datatype":"FP64","shape":[-1]},{"name":"seats","datatype":"FP64","shape":[-1]},` +
		`{"name":"sso","datatype":"BOOL","shape":[-1]},{"name":"created_at","datatype":"BYTES","shape":[-1]},{"name":"code","datatype":"BYTES","shape":[-1]},{"name":"tier","datatype":"BYTES","shape":[-1]}],` +
		`"outputs":[{"name":"probability","datatype":"FP64","shape":[-1]},{"name":"score","datatype":"INT64","shape":[-1]},{"name":"percentile","datatype":"FP64","shape":[-1]},` +
		`{"name":"band","datatype":"BYTES","shape":[-1]},{"name":"reasons","datatype":"BYTES","shape":[-1]},{"name":"warnings","datatype":"BYTES","shape":[-1]}]}`
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/v2", 200, `{"name":"propensity","version":"1.2.3","extensions":["binary_tensor_data"]}`},
		{"/v2/health/live", 200, `{"live":true}`},
		{"/v2/health/ready", 200, `{"live":true}`},
		{"/v2/models/churn", 200, `{"name":"churn","versions":["1","2"],"platform":"propensity",` + inputs},
		{"/v2/models/churn/versions/2", 200, `{"name":"churn","versions":["1","2"],"platform":"propensity",` + inputs},
		{"/v2/models/churn/ready", 200, `{"name":"churn","ready":true}`},
		{"/v2/models/churn/versions/challenger/ready", 200, `{"name":"churn","ready":true}`},
		{"/v2/models/nobody", 404, `{"error":"there is no model \"nobody\"; there are: churn, upsell"}`},
		{"/v2/models/churn/versions/9/ready", 404, `{"error":"model \"churn\" has no version 9"}`},
		{"/v2/models/churn@1/versions/2", 400, ""},
		{"/v2/repository/index", 404, `{"error":"there is nothing at this path"}`},
	} {
		got := f.get(t, c.path)
		if got.status != c.status || got.header.Get("Content-Type") != "application/json" || c.body != "" && string(got.body) != c.body+"\n" {
			t.Errorf("%s: %d %s %s", c.path, got.status, got.header.Get("Content-Type"), got.body)
		}
	}
	if got := f.post(t, "/v2/models/churn", "", nil); got.status != 405 || !strings.HasPrefix(string(got.body), `{"error":"POST is not for this path`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	for version, want := range map[string]string{"": "1", "/versions/2": "2", "/versions/challenger": "2"} {
		head, _ := oipRequest(t, false, false)
		if got := decodeAs[oipWire](t, f.infer(t, "churn"+version, head, nil).body); got.ModelVersion != want {
			t.Errorf("churn%s: version %s", version, got.ModelVersion)
		}
	}
}

// A model that cannot be served is not ready, nor is the server.
func TestOIPNotReady(t *testing.T) {
	f := serveRegistry(t, Config{}, func(f *fixture) {
		publish(t, f.registry, "churn", 1, registry.Champion)
		f.damage(t, "churn", 1, "model.arrow")
	})
	for path, body := range map[string]string{
		"/v2/health/live": `{"live":true}`, "/v2/health/ready": `{"live":false}`, "/v2/models/churn/ready": `{"name":"churn","ready":false}`,
		"/ping": "", "/health": "",
	} {
		status := 503
		if path == "/v2/health/live" {
			status = 200
		}
		if got := f.get(t, path); got.status != status || string(got.body) != body+"\n" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// Only what is asked for is answered; an id that was not given does not come back.
func TestOIPOutputs(t *testing.T) {
	f := churn(t, Config{})
	head, _ := oipRequest(t, false, false)
	head = strings.Replace(head, `"id":"42",`, `"outputs":[{"name":"band"},{"name":"probability","parameters":{"binary_data":true}}],`, 1)
	got := f.infer(t, "churn", head, nil)
	if got.status != 200 || !strings.HasPrefix(string(got.body), `{"model_name":"churn","model_version":"1","outputs":[{"name":"band","datatype":"BYTES","shape":[5],"data":["C",`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if !strings.Contains(string(got.body), `{"name":"probability","datatype":"FP64","shape":[5],"parameters":{"binary_data_size":40}}]}`) {
		t.Errorf("%s", got.body)
	}
	// Triton's clients do not say what they send.
	if again := f.unchecked(http.MethodPost, "/v2/models/churn/infer", "", head); again.status != 200 || !bytes.Equal(again.body, got.body) {
		t.Errorf("%d %s", again.status, again.body)
	}
	none := strings.Replace(head, `[{"name":"band"},{"name":"probability","parameters":{"binary_data":true}}]`, `[]`, 1)
	if got := f.infer(t, "churn", none, nil); string(got.body) != `{"model_name":"churn","model_version":"1","outputs":[]}`+"\n" {
		t.Errorf("%s", got.body)
	}
}

// Whatever the dialect, the ledger learns the same of each score: account, moment, row, and
// what was answered.
func TestDialectsInLedger(t *testing.T) {
	moments := []string{"2026-03-01T09:30:00Z", "2026-03-01", "2026-02-28T23:00:00Z", "2026-03-02", "2026-03-01T09:30:00.000001Z"}
	var accounts []string
	var lines, records strings.Builder
	for i, cells := range dialectRowsOf() {
		accounts = append(accounts, fmt.Sprintf(`"A-%d"`, i))
		at, err := datasets.ParseTime(moments[i])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, `{"account":"A-%d","row":%s,"reasons":2,"as_of":%q}`+"\n", i, rowJSON(cells), datasets.FormatTime(at))
		fmt.Fprintf(&records, `,{"account_id":"A-%d","moment":%q,%s`, i, moments[i], rowJSON(cells)[1:])
	}
	head, _ := oipRequest(t, false, false)
	head = strings.Replace(head, `"inputs":[`, fmt.Sprintf(`"inputs":[{"name":"account_id","shape":[5],"datatype":"BYTES","data":[%s]},{"name":"moment","shape":[5,1],"datatype":"BYTES","data":["%s"]},`,
		strings.Join(accounts, ","), strings.Join(moments, `","`)), 1)
	table := dialectTable(t)
	at := datasets.Column{Name: "moment", Kind: datasets.Time}
	for _, m := range moments {
		us, err := datasets.ParseTime(m)
		if err != nil {
			t.Fatal(err)
		}
		at.Times = append(at.Times, us)
	}
	table.Columns = append(table.Columns, at)
	var want []ledger.Score
	for _, c := range []struct{ what, path, contentType, body string }{
		{"NDJSON", batchPath, "application/x-ndjson", lines.String()},
		{"OIP", "/v2/models/churn/infer", "application/json", head},
		{"MLflow", "/models/churn/invocations", "application/json", `{"params":{"reasons":2},"dataframe_records":[` + records.String()[1:] + `]}`},
		{"Arrow", batchPath + "?reasons=2", arrowType, arrowBody(t, table).String()},
	} {
		f := churn(t, Config{Database: databasetest.Open(t, databasetest.SQLite(t)), LedgerSync: true})
		if got := f.post(t, c.path, c.contentType, strings.NewReader(c.body)); got.status != 200 {
			t.Fatalf("%s: %d %s", c.what, got.status, got.body)
		}
		var got []ledger.Score
		if err := f.server.ledger.Each(t.Context(), ledger.Query{}, func(list []ledger.Kept) error {
			for _, k := range list {
				k.At, k.Request = 0, ""
				got = append(got, k.Score)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" || len(got) != 5 {
			t.Errorf("%s: %d scores, %s", c.what, len(got), d)
		}
	}
}

// What cannot be answered has the protocol's body, with all that is wrong in it; and
// nothing of the request reaches the ledger.
func TestOIPRefused(t *testing.T) {
	f := churn(t, Config{MaxInferRows: 6, MaxFields: 9, MaxInferBody: 4000, Database: databasetest.Open(t, databasetest.SQLite(t)), LedgerSync: true})
	whole, _ := oipRequest(t, false, false)
	change := func(from, to string) string {
		t.Helper()
		if !strings.Contains(whole, from) {
			t.Fatalf("no %s in %s", from, whole)
		}
		return strings.Replace(whole, from, to, 1)
	}
	const logins = `{"name":"logins_28d","shape":[5],"datatype":"FP64","data":[6,41.5,400,0.1,-0.0]}`
	for _, c := range []struct {
		what, body string
		status     int
		says       string
	}{
		{"no JSON", `{"inputs":`, 400, "invalid JSON at byte 10"},
		{"no object", `[]`, 400, "invalid JSON"},
		{"no UTF-8", "{\"id\":\"\xff\"}", 400, "not UTF-8"},
		{"nothing", `{}`, 422, "inputs is missing"},
		{"no inputs", `{"inputs":[]}`, 422, "inputs is missing"},
		{"inputs of another type", `{"inputs":{}}`, 422, "inputs must be an array"},
		{"an input of another type", `{"inputs":[1]}`, 422, "an input must be an object"},
		{"a number for an id", change(`"id":"42"`, `"id":42`), 422, "id must be text"},
		{"twice", change(`"id":"42"`, `"id":"42","id":"43"`), 400, "given twice"},
		{"an unknown field", change(`"id":"42"`, `"ids":"42"`), 422, `unknown field "ids"`},
		{"an unknown parameter", change(`"reasons":2`, `"reason":2`), 422, `unknown parameter "reason"`},
		{"a bad parameter", change(`"reasons":2`, `"reasons":-1`), 422, "reasons must be a whole number"},
		{"a bad moment", change(`"as_of":"2026`, `"as_of":"26`), 422, "is no time"},
		{"an unknown output", change(`"id":"42"`, `"outputs":[{"name":"probabilities"}]`), 422, `there is no output "probabilities"; there are: probability, score`},
		{"an output twice", change(`"id":"42"`, `"outputs":[{"name":"band"},{"name":"band"}]`), 422, "asked for twice"},
		{"classification", change(`"id":"42"`, `"outputs":[{"name":"band","parameters":{"classification":2}}]`), 422, `unknown parameter "classification"`},
		{"shared memory", change(`"shape":[5],"datatype":"FP64"`, `"shape":[5],"parameters":{"shared_memory_region":"r"},"datatype":"FP64"`), 422, `unknown parameter "shared_memory_region"`},
		{"an unknown column", change(`"name":"seats"`, `"name":"seat"`), 422, `input "seat" is no column of the model`},
		{"a column left out", change(`"name":"seats"`, `"name":"note"`), 422, `input "note" was left out of the model: it is text`},
		{"a column twice", change(`"name":"seats"`, `"name":"logins_28d"`), 422, `"logins_28d" is there twice`},
		{"an absent column", change(logins+",", ""), 422, "row 1: logins_28d is absent, and the model needs it"},
		{"two faults", change(logins+",", `{"name":"account_id","shape":[5],"datatype":"BYTES","data":["a","b","c",null,""]},`), 422, "row 1: logins_28d is absent"},
		{"one tensor for all", `{"inputs":[{"name":"plan","shape":[2,7],"datatype":"BYTES","data":["a"]}]}`, 422, `shape [2 7]: a column of n rows is [n] or [n,1]`},
		{"no shape", change(`"shape":[5],"datatype":"FP64"`, `"datatype":"FP64"`), 422, "the shape []"},
		{"no datatype", change(`"datatype":"FP64",`, ``), 422, `there is no datatype ""`},
		{"an unknown datatype", change(`"FP64"`, `"FP128"`), 422, `there is no datatype "FP128"`},
		{"no data", change(`,"data":[6,41.5,400,0.1,-0.0]`, ``), 422, `"logins_28d" has no data`},
		{"too few cells", change(`41.5,`, ``), 422, `"logins_28d" has 4 cells, and the shape [5]`},
		{"another length", change(logins, `{"name":"logins_28d","shape":[1],"datatype":"FP64","data":[6]}`), 422, `"logins_28d" has 1 rows, "plan" has 5`},
		{"a negative shape", change(`"shape":[5],"datatype":"FP64"`, `"shape":[-1],"datatype":"FP64"`), 422, "each part of a shape must be a whole number"},
		{"nested where it is flat", change(`[6,41.5,400,0.1,-0.0]`, `[[6],[41.5],[400],[0.1],[0]]`), 422, "cells in arrays"},
		{"two in a cell", change(`[["pro"]`, `[["pro","free"]`), 422, "row 1: an array holds more than a cell"},
		{"none in a cell", change(`["free"]`, `[]`), 422, "row 2: an array is empty"},
		{"a cell without its array", change(`["free"]`, `"free"`), 422, "row 2: each cell is in an array of its own"},
		{"text for a number", change(`41.5`, `"41.5"`), 422, `row 2: "41.5" is no FP64`},
		{"a part for a whole", change(`"FP64","data":[6`, `"INT64","data":[6`), 422, "row 2: 41.5 is no INT64"},
		{"out of its type", change(`"FP64","data":[6,41.5,400,0.1,-0.0]`, `"INT8","data":[1,2,400,4,5]`), 422, "row 3: 400 is no INT8"},
		{"a negative unsigned", change(`"FP64","data":[6,41.5,400,0.1,-0.0]`, `"UINT8","data":[1,-2,4,4,5]`), 422, "row 2: -2 is no UINT8"},
		{"beyond 64 bits", change(`41.5`, `1e999`), 422, "row 2: 1e999 is beyond what a 64-bit number holds"},
		{"a number for a truth", change(`"BOOL","data":[false`, `"BOOL","data":[0`), 422, "row 1: 0 is no BOOL"},
		{"a type the model does not take", change(`"BOOL","data":[false,true,null,true,false]`, `"INT32","data":[0,1,null,1,0]`), 422, `row 1: column "sso" wants a boolean, got the number 0`},
		{"a number for a category of text", change(`"data":["002","001","","1","é\u0001\"\\"]`, `"data":["002","001","","1",7]`), 422, "row 5: 7 is no BYTES"},
		{"no time", change(`"2026-02-11"`, `"yesterday"`), 422, `row 2: "yesterday" is no time`},
		{"an object in it", change(`41.5`, `{}`), 422, "row 2: {} is no FP64"},
		{"no moment", change(`"inputs":[`, `"inputs":[{"name":"moment","shape":[5],"datatype":"BYTES","data":["2026-03-01",null,"2026-03-01","2026-03-01","2026-03-01"]},`), 422, "row 2: the row has no moment"},
		{"too many rows", strings.NewReplacer(`[5`, `[7`).Replace(`{"inputs":[{"name":"plan","shape":[7],"datatype":"BYTES","data":["a","a","a","a","a","a","a"]}]}`), 413, "more than 6 rows"},
		{"a large body", strings.Repeat(" ", 5000), 413, "the body is larger than"},
	} {
		got := f.infer(t, "churn", c.body, nil)
		if got.status != c.status || got.header.Get("Content-Type") != "application/json" || !strings.Contains(decodeAs[oipError](t, got.body).Error, c.says) {
			t.Errorf("%s: %d %s, want %d %s", c.what, got.status, got.body, c.status, c.says)
		}
	}
	for _, c := range []struct {
		what, head, tail, length string
		status                   int
		says                     string
	}{
		{"a length beyond it", whole, "x", "99999", 400, "no length within the body"},
		{"a length that is none", whole, "x", "-1", 400, "no length within the body"},
		{"bytes after it", whole, "xyz", "", 400, "3 bytes follow the binary data"},
		{"bytes missing", change(logins, `{"name":"logins_28d","shape":[5],"datatype":"FP64","parameters":{"binary_data_size":40}}`), "x", "", 400, "39 bytes are missing"},
		{"bytes of another number", change(logins, `{"name":"logins_28d","shape":[5],"datatype":"FP64","parameters":{"binary_data_size":20}}`), "x", "", 422, "has 20 bytes; a FP64 has 8"},
		{"data and bytes", change(`"FP64","data"`, `"FP64","parameters":{"binary_data_size":40},"data"`), "x", "", 422, "has data and binary data"},
		{"a text beyond it", `{"inputs":[{"name":"plan","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}}]}`, "\x05\x00\x00\x00a", "", 400, "a text goes beyond the binary data"},
		{"a text left over", `{"parameters":{"allow_missing":true},"inputs":[{"name":"plan","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}`, "\x01\x00\x00\x00ab", "", 400, "1 bytes of its binary data are left over"},
		{"no UTF-8 in it", `{"parameters":{"allow_missing":true},"inputs":[{"name":"plan","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5}}]}`, "\x01\x00\x00\x00\xff", "", 422, "row 1: a text is not UTF-8"},
	} {
		length := c.length
		if length == "" {
			length = strconv.Itoa(len(c.head))
		}
		got := f.inferAs(t, "churn", c.head, []byte(c.tail), length)
		if got.status != c.status || !strings.Contains(decodeAs[oipError](t, got.body).Error, c.says) {
			t.Errorf("%s: %d %s, want %d %s", c.what, got.status, got.body, c.status, c.says)
		}
	}
	if got := f.post(t, "/v2/models/churn/infer", "text/plain", strings.NewReader(whole)); got.status != 415 || !strings.HasPrefix(string(got.body), `{"error":`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if n := f.server.ledger.Stats().Committed; n != 0 {
		t.Errorf("%d scores in the ledger", n)
	}
}

// Numbers of 16 bits, by the values of IEEE 754.
func TestHalf(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0000: 0, 0x0001: 0x1p-24, 0x03ff: 1023 * 0x1p-24, 0x0400: 0x1p-14, 0x3555: 0.333251953125, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0xfc00: math.Inf(-1),
	} {
		if got := half(bits); got != want {
			t.Errorf("%#04x is %v, want %v", bits, got, want)
		}
	}
	if !math.IsNaN(half(0x7e00)) {
		t.Error("no NaN")
	}
}

// bareVersion is a version of churn without a server.
func bareVersion(t testing.TB) *version {
	t.Helper()
	scorer, err := models.NewScorer(artifactFiles(t, "churn", 1))
	if err != nil {
		t.Fatal(err)
	}
	return &version{name: "churn", number: 1, scorer: scorer}
}

func FuzzOIP(f *testing.F) {
	v := bareVersion(f)
	for _, binary := range []bool{false, true} {
		head, tail := oipRequest(f, binary, binary)
		f.Add(head+string(tail), len(head))
	}
	f.Add(`{"inputs":[{"name":"plan","shape":[1],"datatype":"BYTES","data":["a"]}],"outputs":[{"name":"band"}],"parameters":{"allow_missing":true}}`, -1)
	f.Fuzz(func(t *testing.T, body string, length int) {
		w := &work{}
		w.body.WriteString(body)
		i := inference{rows: -1}
		i.inputs.encoder = v.scorer.Encoder()
		i.inputs.at = func(int, string) string { return "" }
		text := ""
		if length >= 0 {
			text = strconv.Itoa(length)
		}
		err := i.decode(w, v, text, 10)
		if err == nil {
			err = walk(&i.inputs, v, i.rows)
		}
		if err != nil && problemOf(err).Status >= 500 {
			t.Fatal(err)
		}
	})
}

// walk reads all rows of a dialect; so many there must be, -1 for any number.
func walk(rows dialectRows, v *version, want int) error {
	var q request
	rows.rewind()
	for n := 0; ; n++ {
		q.reset(v.scorer.Encoder(), 0)
		err := rows.next(&q)
		if err == io.EOF {
			if want >= 0 && n != want {
				return fmt.Errorf("%d rows, want %d", n, want)
			}
			return nil
		}
		if err != nil {
			return inRow(err, n, rows)
		}
	}
}
