package serve

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"propensity/datasets"
	"propensity/models"
)

// dialectColumns are the columns of dialectTable, in the encoder's order.
var dialectColumns = [...]string{"plan", "logins_28d", "seats", "sso", "created_at", "code", "tier"}

// dialectRowsOf are rows with every state of a value, in the JSON of POST /score.
func dialectRowsOf() [][]string {
	return [][]string{
		{`"pro"`, `6`, `12`, `false`, `"2026-01-20T08:00:00Z"`, `"002"`, `"1"`},
		{`"free"`, `41.5`, `null`, `true`, `"2026-02-11"`, `"001"`, `"2.5"`},
		{`"enterprise"`, `400`, `3`, `null`, `null`, `""`, `null`},
		{`null`, `0.1`, `1e2`, `true`, `"2025-12-24T23:59:59.000001Z"`, `"1"`, `"9"`},
		{`"team"`, `-0.0`, `7`, `false`, `"2026-01-01T00:00:00Z"`, `"é\u0001\"\\"`, `"1"`},
	}
}

const rowsAsOf = "2026-03-01T09:30:00Z"

// rowJSON is a row as an object.
func rowJSON(cells []string) string {
	var parts []string
	for j, name := range dialectColumns {
		parts = append(parts, fmt.Sprintf("%q:%s", name, cells[j]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// columnJSON is a column as an array.
func columnJSON(j int) string {
	var parts []string
	for _, cells := range dialectRowsOf() {
		parts = append(parts, cells[j])
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// dialectTable is the rows as a table, with accounts.
func dialectTable(t testing.TB) *datasets.Table {
	t.Helper()
	var b bytes.Buffer
	for i, cells := range dialectRowsOf() {
		fmt.Fprintf(&b, `{"account_id":"A-%d",%s`+"\n", i, rowJSON(cells)[1:])
	}
	table, err := datasets.ReadFrom(&b, "t.ndjson", datasets.ReadOptions{Kinds: map[string]datasets.Kind{
		"account_id": datasets.Text, "plan": datasets.Category, "logins_28d": datasets.Number, "seats": datasets.Number, "sso": datasets.Boolean,
		"created_at": datasets.Time, "code": datasets.Category, "tier": datasets.Category,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// plainAnswers are what POST /score says of the rows, one by one.
func plainAnswers(t testing.TB, f *fixture, model string) []wire {
	t.Helper()
	var out []wire
	for i, cells := range dialectRowsOf() {
		got := f.score(t, model, fmt.Sprintf(`{"account":"A-%d","row":%s,"reasons":2,"as_of":%q}`, i, rowJSON(cells), rowsAsOf))
		if got.status != 200 {
			t.Fatalf("row %d: %d %s", i, got.status, got.body)
		}
		out = append(out, decodeAs[wire](t, got.body))
	}
	return out
}

// withoutAccounts are answers to rows that named none.
func withoutAccounts(answers []wire) []wire {
	out := slices.Clone(answers)
	for i := range out {
		out[i].Account = ""
	}
	return out
}

type oipWire struct {
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version"`
	ID           string `json:"id"`
	Outputs      []struct {
		Name, Datatype string
		Shape          []int
		Parameters     map[string]int
		Data           []any
	}
	Error string
}

// answersOf puts the outputs of an inference together again; binary data are in rest.
func (o *oipWire) answersOf(t testing.TB, model string, rest []byte) []wire {
	t.Helper()
	out := make([]wire, len(dialectRowsOf()))
	for i := range out {
		out[i] = wire{Model: model, Version: 1, AsOf: rowsAsOf}
	}
	for _, tensor := range o.Outputs {
		if !slices.Equal(tensor.Shape, []int{len(out)}) {
			t.Fatalf("%s has the shape %v", tensor.Name, tensor.Shape)
		}
		for i := range out {
			var v any
			if tensor.Parameters == nil {
				v = tensor.Data[i]
			} else {
				v, rest = rawValue(tensor.Datatype, rest)
			}
			switch tensor.Name + " " + tensor.Datatype {
			case "probability FP64":
				out[i].Probability = v.(float64)
			case "score INT64":
				out[i].Score = int(v.(float64))
			case "percentile FP64":
				out[i].Percentile = v.(float64)
			case "band BYTES":
				out[i].Band = v.(string)
			case "reasons BYTES":
				out[i].Reasons = decodeAs[[]wireReason](t, []byte(v.(string)))
			case "warnings BYTES":
				out[i].Warnings = decodeAs[[]models.Warning](t, []byte(v.(string)))
			default:
				t.Fatalf("an output %s of %s", tensor.Name, tensor.Datatype)
			}
		}
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	return out
}

func rawValue(datatype string, b []byte) (any, []byte) {
	switch datatype {
	case "FP64":
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
	case "INT64":
		return float64(int64(binary.LittleEndian.Uint64(b))), b[8:]
	}
	n := 4 + int(binary.LittleEndian.Uint32(b))
	return string(b[4:n]), b[n:]
}

// The same rows get the same answers, to the bit, in every dialect.
func TestDialectsAgree(t *testing.T) {
	f := churn(t, Config{})
	for _, model := range []string{"churn", "upsell"} {
		want := plainAnswers(t, f, model)
		check := func(what string, want, got []wire) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s, %s: %s", model, what, d)
			}
		}
		var lines strings.Builder
		for i, cells := range dialectRowsOf() {
			fmt.Fprintf(&lines, `{"account":"A-%d","row":%s,"reasons":2,"as_of":%q}`+"\n", i, rowJSON(cells), rowsAsOf)
		}
		got := f.post(t, "/v1/models/"+model+"/score:batch", "application/x-ndjson", strings.NewReader(lines.String()))
		var answers []wire
		for line := range strings.Lines(string(got.body)) {
			answers = append(answers, decodeAs[wire](t, []byte(line)))
		}
		check("NDJSON", want, answers)

		for what, body := range mlflowForms() { // one of them is no JSON, which the contract does not know
			got := f.unchecked(http.MethodPost, "/models/"+model+"/invocations", "application/json", body)
			if got.status != 200 {
				t.Fatalf("%s: %d %s", what, got.status, got.body)
			}
			check("MLflow "+what, withoutAccounts(want), decodeAs[struct{ Predictions []wire }](t, got.body).Predictions)
		}
		checkProbabilities(t, f, model, want)

		for _, outputs := range []bool{false, true} {
			for _, inputs := range []bool{false, true} {
				head, tail := oipRequest(t, inputs, outputs)
				got := f.infer(t, model, head, tail)
				if got.status != 200 {
					t.Fatalf("%d %s", got.status, got.body)
				}
				n := len(got.body)
				if text := got.header.Get(oipHeaderLength); (text != "") != outputs {
					t.Fatalf("%s %q", oipHeaderLength, text)
				} else if outputs {
					if n, _ = strconv.Atoi(text); got.header.Get("Content-Type") != "application/octet-stream" {
						t.Error(got.header)
					}
				}
				o := decodeAs[oipWire](t, got.body[:n])
				if o.ModelName != model || o.ModelVersion != "1" || o.ID != "42" {
					t.Errorf("%s", got.body[:n])
				}
				bare := withoutAccounts(want)
				for i := range bare {
					bare[i].BaseRate, bare[i].Reference, bare[i].Coverage = 0, 0, 0
				}
				check(fmt.Sprintf("OIP, binary inputs %v, outputs %v", inputs, outputs), bare, o.answersOf(t, model, got.body[n:]))
			}
		}
		checkArrow(t, f, model, want)
	}
}

// unchecked serves a request that openapi.yaml does not promise to take.
func (f *fixture) unchecked(method, path, contentType, body string) reply {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	f.server.Handler().ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

// A request whose answer names one version gets all of it from that one, canary or not.
func TestDialectsWithCanary(t *testing.T) {
	f := churn(t, Config{})
	publish(t, f.registry, "churn", 2, "")
	wantStatus(t, f.do(t, "PUT", canaryPath, `{"version": 2, "share": 1}`), 200)
	if n := f.servedBy(t, "churn", "A-1"); n != 2 {
		t.Fatalf("version %d is the canary", n)
	}
	head, _ := oipRequest(t, false, false)
	head = strings.Replace(head, `"inputs":[`, `"inputs":[{"name":"account_id","shape":[5],"datatype":"BYTES","data":["A-1","A-2","A-3","A-4","A-5"]},`, 1)
	if got := decodeAs[oipWire](t, f.infer(t, "churn", head, nil).body); got.ModelVersion != "1" {
		t.Errorf("OIP: version %s", got.ModelVersion)
	}
	body := strings.Replace(mlflowForms()["records"], `{"plan"`, `{"account_id":"A-1","plan"`, 1)
	whole := f.post(t, "/models/churn/invocations", "application/json", strings.NewReader(body))
	for _, a := range decodeAs[struct{ Predictions []wire }](t, whole.body).Predictions {
		if a.Version != 1 {
			t.Errorf("MLflow: %+v", a)
		}
	}
	lines, _ := arrowAnswers(t, f.post(t, batchPath, arrowType, arrowBody(t, dialectTable(t))).body)
	for _, line := range lines {
		if strings.Split(line, "|")[2] != "1" {
			t.Errorf("Arrow: %s", line)
		}
	}
}

// mlflowForms are the rows in each form that a request to MLflow may have.
func mlflowForms() map[string]string {
	var records, data, inputs, names []string
	for j, name := range dialectColumns {
		inputs = append(inputs, fmt.Sprintf("%q:%s", name, columnJSON(j)))
		names = append(names, strconv.Quote(name))
	}
	for _, cells := range dialectRowsOf() {
		records = append(records, rowJSON(cells))
		data = append(data, "["+strings.Join(cells, ",")+"]")
	}
	const params = `"params":{"reasons":2,"as_of":"` + rowsAsOf + `"}`
	return map[string]string{
		"split":          fmt.Sprintf(`{"dataframe_split":{"data":[%s],"index":[0,1,2,3,4],"columns":[%s]},%s}`, strings.Join(data, ","), strings.Join(names, ","), params),
		"records":        fmt.Sprintf(`{%s,"dataframe_records":[%s]}`, params, strings.Join(records, " , ")),
		"instances":      fmt.Sprintf(`{"instances":[%s],%s}`, strings.Join(records, ","), params),
		"inputs":         fmt.Sprintf(`{"inputs":{%s},%s}`, strings.Join(inputs, ","), params),
		"inputs of rows": fmt.Sprintf(`{"inputs":[%s],%s}`, strings.Join(records, ","), params),
		"NaN for null":   fmt.Sprintf(`{%s,"dataframe_records":[%s]}`, params, strings.ReplaceAll(strings.Join(records, ","), "null", "NaN")),
	}
}

// checkProbabilities is of answers that are probabilities alone: JSON without reasons, and CSV,
// which has no params, from which the rows with empty text are left out.
func checkProbabilities(t *testing.T, f *fixture, model string, want []wire) {
	t.Helper()
	type predictions struct{ Predictions []float64 }
	body := strings.Replace(mlflowForms()["records"], `"reasons":2,`, "", 1)
	got := f.post(t, "/invocations?model="+model, "application/json", strings.NewReader(body))
	var all []float64
	for i := range want {
		all = append(all, want[i].Probability)
	}
	if d := cmp.Diff(all, decodeAs[predictions](t, got.body).Predictions); d != "" {
		t.Error(d)
	}
	table := dialectTable(t).Take([]int{0, 1, 3})
	table.Columns = append(table.Columns, datasets.Column{Name: "moment", Kind: datasets.Time, Times: []int64{moment, moment, moment}})
	var b bytes.Buffer
	w := datasets.NewWriter(&b, datasets.CSV)
	if err := w.Write(table); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	got = f.post(t, "/models/"+model+"@1/invocations", "text/csv; charset=utf-8", &b)
	if d := cmp.Diff([]float64{all[0], all[1], all[3]}, decodeAs[predictions](t, got.body).Predictions); d != "" {
		t.Errorf("CSV: %s", d)
	}
}

// checkArrow sends the rows as record batches of two, one and two rows.
func checkArrow(t *testing.T, f *fixture, model string, want []wire) {
	t.Helper()
	table := dialectTable(t)
	got := f.post(t, "/v1/models/"+model+"/score:batch?reasons=2&as_of="+rowsAsOf, arrowType,
		arrowBody(t, table.Take([]int{0, 1}), table.Take([]int{2}), table.Take([]int{3, 4})))
	if got.status != 200 || got.header.Get("Content-Type") != arrowType {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	answers, sizes := arrowAnswers(t, got.body)
	if !slices.Equal(sizes, []int{2, 1, 2}) {
		t.Errorf("record batches of %d rows", sizes)
	}
	var lines []string
	for i := range want {
		w := &want[i]
		line := []string{w.Account, w.Model, fmt.Sprint(w.Version), w.AsOf}
		for _, x := range []float64{w.Probability, float64(w.Score), w.Percentile, w.Reference, w.Coverage} {
			line = append(line, datasets.FormatNumber(x))
		}
		line = append(line, w.Band)
		for k := range 2 {
			if k < len(w.Reasons) {
				line = append(line, w.Reasons[k].Feature, datasets.FormatNumber(w.Reasons[k].Points), w.Reasons[k].Text)
			} else {
				line = append(line, "", "", "")
			}
		}
		var details []string
		for _, warning := range w.Warnings {
			details = append(details, warning.Detail)
		}
		lines = append(lines, strings.Join(append(line, strings.Join(details, "; ")), "|"))
	}
	if d := cmp.Diff(lines, answers); d != "" {
		t.Errorf("%s, Arrow: %s", model, d)
	}
}

// arrowBody is tables as an Arrow stream, a record batch each.
func arrowBody(t testing.TB, tables ...*datasets.Table) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := datasets.NewWriter(&b, datasets.ArrowStream)
	for _, table := range tables {
		if err := w.Write(table); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// arrowAnswers are the rows of an answer, their cells spelt, and the rows of each record batch.
func arrowAnswers(t testing.TB, body []byte) (lines []string, sizes []int) {
	t.Helper()
	whole, err := datasets.ReadFrom(bytes.NewReader(body), "answer.arrows", datasets.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]datasets.Kind{}
	for j := range whole.Columns {
		kinds[whole.Columns[j].Name] = whole.Columns[j].Kind
	}
	records, err := datasets.OpenRecords(bytes.NewReader(body), "answer", datasets.RecordOptions{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := records.Next()
		if err != nil {
			break
		}
		sizes = append(sizes, part.Rows())
	}
	for i := range whole.Rows() {
		var cells []string
		for j := range whole.Columns {
			cells = append(cells, whole.Columns[j].At(i).String())
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	return lines, sizes
}

// oipRequest is the rows as tensors, and the binary data after them. One tensor of [n,1], two
// of other types than the model's, to show that they are taken.
func oipRequest(t testing.TB, binaryInputs, binaryOutputs bool) (head string, tail []byte) {
	t.Helper()
	var inputs []string
	for j, name := range dialectColumns {
		datatype := []string{"BYTES", "FP64", "FP64", "BOOL", "BYTES", "BYTES", "BYTES"}[j]
		shape, data := "[5]", columnJSON(j)
		if name == "code" {
			shape = "[5,1]"
		}
		if name == "plan" {
			shape, data = "[5,1]", strings.NewReplacer("[", "[[", ",", "],[", "]", "]]").Replace(data)
		}
		raw, ok := rawTensor(t, datatype, j)
		if !binaryInputs || !ok {
			inputs = append(inputs, fmt.Sprintf(`{"name":%q,"shape":%s,"datatype":%q,"data":%s}`, name, shape, datatype, data))
			continue
		}
		inputs = append(inputs, fmt.Sprintf(`{"name":%q,"shape":%s,"datatype":%q,"parameters":{"binary_data_size":%d}}`, name, shape, datatype, len(raw)))
		tail = append(tail, raw...)
	}
	head = fmt.Sprintf(`{"id":"42","parameters":{"as_of":%q,"reasons":2,"binary_data_output":%v},"inputs":[%s]}`, rowsAsOf, binaryOutputs, strings.Join(inputs, ","))
	return head, tail
}

// rawTensor is a column as binary data; false for one with nulls that are no numbers, which
// there are none of among bytes.
func rawTensor(t testing.TB, datatype string, j int) (out []byte, ok bool) {
	t.Helper()
	cells := decodeAs[[]any](t, []byte(columnJSON(j)))
	for _, cell := range cells {
		switch v := cell.(type) {
		case string:
			out = append(binary.LittleEndian.AppendUint32(out, uint32(len(v))), v...)
		case float64:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
		case bool:
			out = append(out, map[bool]byte{true: 1}[v])
		default:
			if datatype != "FP64" {
				return nil, false
			}
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(math.NaN()))
		}
	}
	return out, true
}

// infer posts an inference; a tail makes it one with binary data.
func (f *fixture) infer(t testing.TB, model, head string, tail []byte) reply {
	t.Helper()
	return f.inferAs(t, model, head, tail, strconv.Itoa(len(head)))
}
