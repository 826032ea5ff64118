package serve

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features"
)

// Each bad body gets its status and points at its fault.
func TestBadBodies(t *testing.T) {
	f := churn(t, Config{MaxBody: 4000, MaxFields: 50})
	with := func(old, new string) string {
		if !strings.Contains(wholeRow, old) {
			t.Fatalf("no %s in the row", old)
		}
		return `{"row":` + strings.Replace(wholeRow, old, new, 1) + `}`
	}
	for _, c := range []struct {
		name, body string
		status     int
		pointers   string // separated by spaces; - is the whole
	}{
		{"empty", ``, 400, "-"},
		{"white space", " \n", 400, "-"},
		{"cut off", `{"row":{"plan":"pro"`, 400, "/row"},
		{"cut off in text", `{"row":{"plan":"pr`, 400, "/row/plan"},
		{"two values", `{"row":` + wholeRow + `} {}`, 400, "-"},
		{"array", `[]`, 422, "-"},
		{"text", `"row"`, 422, "-"},
		{"null", `null`, 422, "-"},
		{"trailing comma", `{"row":` + wholeRow + `,}`, 400, "-"},
		{"trailing comma in row", `{"row":{"plan":"pro",}}`, 400, "/row"},
		{"single quotes", `{'row':{}}`, 400, "-"},
		{"byte order mark", "\ufeff" + `{"row":` + wholeRow + `}`, 400, "-"},
		{"NaN", with(`:6`, `:NaN`), 400, "/row/logins_28d"},
		{"Infinity", with(`:6`, `:Infinity`), 400, "/row/logins_28d"},
		{"-Infinity", with(`:6`, `:-Infinity`), 400, "/row/logins_28d"},
		{"too large a number", with(`:6`, `:1e400`), 422, "/row/logins_28d"},
		{"leading zero", with(`:6`, `:06`), 400, "/row/logins_28d"},
		{"plus", with(`:6`, `:+6`), 400, "/row/logins_28d"},
		{"bare point", with(`:6`, `:6.`), 400, "/row/logins_28d"},
		{"bare exponent", with(`:6`, `:6e`), 400, "/row/logins_28d"},
		{"hexadecimal", with(`:6`, `:0x6`), 400, "/row"},
		{"True", with(`false`, `True`), 400, "/row/sso"},
		{"text for a number", with(`:6`, `:"6"`), 422, "/row/logins_28d"},
		{"empty text for a number", with(`:6`, `:""`), 422, "/row/logins_28d"},
		{"number for text", with(`"002"`, `2`), 422, "/row/code"},
		{"number for a boolean", with(`false`, `0`), 422, "/row/sso"},
		{"boolean for a number", with(`:6`, `:true`), 422, "/row/logins_28d"},
		{"number for a time", with(`"2026-01-20T08:00:00Z"`, `1767225600`), 422, "/row/created_at"},
		{"no time", with(`"2026-01-20T08:00:00Z"`, `"yesterday"`), 422, "/row/created_at"},
		{"no such day", with(`"2026-01-20T08:00:00Z"`, `"2026-02-30"`), 422, "/row/created_at"},
		{"three faults", `{"row":{"plan":"pro","logins_28d":"6","seats":true,"sso":1,"created_at":null,"code":"1","tier":"1"}}`, 422, "/row/logins_28d /row/seats /row/sso"},
		{"object in row", with(`:6`, `:{"x":1}`), 422, "/row/logins_28d"},
		{"array in row", with(`:6`, `:[6]`), 422, "/row/logins_28d"},
		{"array in an unknown field", with(`:6`, `:6,"extra":[1]`), 422, "/row/extra"},
		{"deep", with(`:6`, `:`+strings.Repeat("[", 500)+strings.Repeat("]", 500)), 400, "/row/logins_28d"},
		{"very deep", strings.Repeat("[", 3000), 400, "-"},
		{"twice", with(`:6`, `:6,"seats":13`), 400, "/row/seats"},
		{"unknown twice", with(`:6`, `:6,"x":13,"x":13`), 400, "/row/x"},
		{"twice by escape", with(`:6`, `:6,"\u0073eats":13`), 400, "/row/seats"},
		{"row twice", `{"row":` + wholeRow + `,"row":{}}`, 400, "/row"},
		{"no row", `{}`, 422, "/row"},
		{"row null", `{"row":null}`, 422, "/row"},
		{"row array", `{"row":[]}`, 422, "/row"},
		{"row text", `{"row":"x"}`, 422, "/row"},
		{"absent", `{"row":{"plan":"pro","code":"001","sso":true}}`, 422, "/row/logins_28d /row/seats /row/created_at /row/tier"},
		{"absent, allow_missing false", `{"row":{"plan":"pro","code":"001","sso":true,"tier":"1","seats":1,"logins_28d":2},"allow_missing":false}`, 422, "/row/created_at"},
		{"unknown field", `{"row":` + wholeRow + `,"rows":1}`, 422, "/rows"},
		{"the row itself", wholeRow, 422, "/plan /logins_28d /seats /sso /created_at /code /tier"},
		{"pointer escapes", `{"row":` + wholeRow + `,"a/b~c":1}`, 422, "/a~1b~0c"},
		{"too many fields", with(`:6`, `:6`+manyFields(60)), 422, "/row"},
		{"reasons negative", `{"row":` + wholeRow + `,"reasons":-1}`, 422, "/reasons"},
		{"reasons huge", `{"row":` + wholeRow + `,"reasons":99999999999999999999}`, 422, "/reasons"},
		{"reasons beyond the limit", `{"row":` + wholeRow + `,"reasons":1001}`, 422, "/reasons"},
		{"reasons half", `{"row":` + wholeRow + `,"reasons":1.5}`, 422, "/reasons"},
		{"reasons text", `{"row":` + wholeRow + `,"reasons":"3"}`, 422, "/reasons"},
		{"reasons null", `{"row":` + wholeRow + `,"reasons":null}`, 422, "/reasons"},
		{"allow_missing text", `{"row":` + wholeRow + `,"allow_missing":"yes"}`, 422, "/allow_missing"},
		{"as_of text", `{"row":` + wholeRow + `,"as_of":"now"}`, 422, "/as_of"},
		{"as_of number", `{"row":` + wholeRow + `,"as_of":5}`, 422, "/as_of"},
		{"as_of without a zone", `{"row":` + wholeRow + `,"as_of":"2026-03-01T09:30:00"}`, 422, "/as_of"},
		{"account empty", `{"row":` + wholeRow + `,"account":""}`, 422, "/account"},
		{"account object", `{"row":` + wholeRow + `,"account":{}}`, 422, "/account"},
		{"account boolean", `{"row":` + wholeRow + `,"account":true}`, 422, "/account"},
		{"account nul", `{"row":` + wholeRow + `,"account":nul}`, 400, "/account"},
		{"not UTF-8", `{"row":{"plan":"` + "\xff" + `"}}`, 400, "-"},
		{"half a surrogate", with(`"pro"`, `"\ud83d"`), 400, "/row/plan"},
		{"low surrogate first", with(`"pro"`, `"\ude00\ud83d"`), 400, "/row/plan"},
		{"bad escape", with(`"pro"`, `"\x"`), 400, "/row/plan"},
		{"short escape", with(`"pro"`, `"\u12"`), 400, "/row/plan"},
		{"control character", with(`"pro"`, "\"a\nb\""), 400, "/row/plan"},
		{"too large", `{"row":` + wholeRow + `,"account":"` + strings.Repeat("x", 4000) + `"}`, 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := f.score(t, "churn", c.body)
			if got.status != c.status {
				t.Fatalf("%d %s, want %d", got.status, got.body, c.status)
			}
			var pointers []string
			for _, e := range checkProblem(t, got, c.status).Errors {
				if e.Detail == "" {
					t.Errorf("a fault without detail: %s", got.body)
				}
				if e.Pointer == "" {
					e.Pointer = "-"
				}
				pointers = append(pointers, e.Pointer)
			}
			if s := strings.Join(pointers, " "); s != c.pointers {
				t.Errorf("points at %q, want %q: %s", s, c.pointers, got.body)
			}
		})
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"x` + strings.Repeat("y", i) + `":1`)
	}
	return b.String()
}

func TestContentType(t *testing.T) {
	f := churn(t, Config{})
	for contentType, want := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "Application/JSON; charset=UTF-8": 200,
		"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/x-ndjson": 415, "application/json; charset=latin1": 415, ";": 415,
	} {
		if got := f.post(t, "/v1/models/churn/score", contentType, strings.NewReader(requestOf("A", wholeRow))); got.status != want {
			t.Errorf("%q: %d %s, want %d", contentType, got.status, got.body, want)
		}
	}
}

// Missing, absent, unseen, empty, out of range and unknown are told apart.
func TestWarnings(t *testing.T) {
	f := churn(t, Config{})
	got := f.score(t, "churn", `{"row":{"plan":"gold","logins_28d":900,"seats":null,"code":"","tier":"1","created_at":"2026-01-20","note":"x","who":1},"allow_missing":true,"as_of":"2026-03-01T00:00:00Z"}`)
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var states []string
	for _, w := range decodeAs[wire](t, got.body).Warnings {
		states = append(states, w.Field+" "+w.State)
	}
	want := "row.plan unseen, row.logins_28d out_of_range, row.seats missing, row.sso missing, row.code empty, row.note unknown, row.who unknown"
	if s := strings.Join(states, ", "); s != want {
		t.Errorf("warnings %s, want %s", s, want)
	}
	if !strings.Contains(string(got.body), "it is text, kept letter by letter") {
		t.Errorf("no word of why note was left out: %s", got.body)
	}
}

func testEncoder(t testing.TB) *features.Encoder {
	table, moments := trainingTable()
	e, _, err := features.FitEncoder(table, moments)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// FuzzDecode holds the decoder against encoding/json: it never panics, takes
// nothing that is no JSON, and reads the same values.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(requestOf("A", wholeRow)))
	f.Add([]byte(`{"row":{"plan":"a\ud83d\ude00\n","seats":-0.5e-3,"x":null,"tier":2.50},"reasons":0,"allow_missing":true,"account":0.10}`))
	f.Add([]byte(`{"row":{"seats":1e400,"sso":[{}]},"as_of":"2026-03-01T09:30:00+02:00"}`))
	f.Add([]byte(`{"row":{"plan":"\u00e9\/","a~/b":false}`))
	e := testEncoder(f)
	var q request // used again and again, as the server does
	f.Fuzz(func(t *testing.T, text []byte) {
		err := q.decode(text, e, moment, 100, "/rows/3")
		if err != nil {
			p, ok := err.(*problem)
			if !ok || (p.Status != 400 && p.Status != 422) || len(p.Errors) == 0 {
				t.Fatalf("%#v", err)
			}
			for _, fault := range p.Errors {
				if !strings.HasPrefix(fault.Pointer, "/rows/3") {
					t.Errorf("pointer %q", fault.Pointer)
				}
			}
			return
		}
		var want struct {
			Account any            `json:"account"`
			Row     map[string]any `json:"row"`
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("taken, but encoding/json says %v", err)
		}
		if account, ok := want.Account.(json.Number); ok {
			want.Account = account.String()
		}
		if want.Account == nil {
			want.Account = ""
		}
		if want.Account != q.account {
			t.Errorf("account %q, want %q", q.account, want.Account)
		}
		for j := range e.Columns {
			if v, ok := want.Row[e.Columns[j].Name]; ok || !q.row[j].Missing() {
				sameCell(t, &e.Columns[j], q.row[j], v)
			}
		}
		if len(q.unknown) != len(want.Row)-present(q.present) {
			t.Errorf("unknown %q of %v", q.unknown, want.Row)
		}
	})
}

func present(flags []bool) (n int) {
	for _, ok := range flags {
		if ok {
			n++
		}
	}
	return n
}

func sameCell(t *testing.T, c *features.Column, got datasets.Value, want any) {
	t.Helper()
	var cell datasets.Value
	switch want := want.(type) {
	case json.Number:
		x, err := want.Float64()
		if err != nil {
			t.Fatal(err)
		}
		cell = datasets.Value{Kind: datasets.Number, Number: x}
	case bool:
		cell = datasets.Value{Kind: datasets.Boolean}
		if want {
			cell.Number = 1
		}
	case string:
		cell = datasets.Value{Kind: datasets.Category, Text: want}
		if c.Kind == datasets.Time {
			us, err := datasets.ParseTime(want)
			if err != nil {
				t.Fatal(err)
			}
			cell = datasets.Value{Kind: datasets.Time, Time: us}
		}
	}
	if !reflect.DeepEqual(got, cell) || math.Signbit(got.Number) && got.Number == 0 {
		t.Errorf("%s: %+v, want %+v", c.Name, got, cell)
	}
}
