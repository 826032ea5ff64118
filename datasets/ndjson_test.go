package datasets

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNDJSONGood(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    ReadOptions
		want string
	}{
		"plain":            {`{"a":1,"b":"x"}` + "\n" + `{"a":2.50,"b":"y"}`, ReadOptions{}, `"a" number: "1" "2.5"` + "\n" + `"b" category: "x" "y"` + "\n"},
		"spaces, CRLF":     {" { \"a\" : 1 } \r\n\r\n\t\n{}\r\n", ReadOptions{}, `"a" number: "1" -` + "\n"},
		"keys come late":   {`{"a":true}` + "\n" + `{"b":"é","a":null}`, ReadOptions{}, `"a" boolean: "true" -` + "\n" + `"b" category: - "é"` + "\n"},
		"escapes":          {`{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, ReadOptions{}, `"a" category: "\"\\/\b\f\n\r\té😀"` + "\n"},
		"escaped key":      {`{"\u0061":1}`, ReadOptions{}, `"a" number: "1"` + "\n"},
		"empty text":       {`{"a":""}` + "\n" + `{"a":"NA"}`, ReadOptions{}, `"a" category: "" "NA"` + "\n"},
		"text of digits":   {`{"a":"5"}`, ReadOptions{}, `"a" category: "5"` + "\n"},
		"text of booleans": {`{"a":"true"}`, ReadOptions{}, `"a" category: "true"` + "\n"},
		"times":            {`{"a":"2024-01-02T03:04:05Z"}` + "\n" + `{"a":null}`, ReadOptions{}, `"a" time: "2024-01-02T03:04:05Z" -` + "\n"},
		"no times":         {`{"a":"2024-01-02T03:04:05Z"}` + "\n" + `{"a":"soon"}`, ReadOptions{}, `"a" category: "2024-01-02T03:04:05Z" "soon"` + "\n"},
		"long ids":         {`{"a":12345678901234567890}` + "\n" + `{"a":2}`, ReadOptions{}, `"a" category: "12345678901234567890" "2"` + "\n"},
		"all null":         {`{"a":null}`, ReadOptions{}, `"a" category: -` + "\n"},
		"mixed, text":      {`{"a":12}` + "\n" + `{"a":"x"}` + "\n" + `{"a":true}`, ReadOptions{Kinds: map[string]Kind{"a": Text}}, `"a" text: "12" "x" "true"` + "\n"},
		"mixed, category":  {`{"a":28.0}` + "\n" + `{"a":"28"}`, ReadOptions{Kinds: map[string]Kind{"a": Category}}, `"a" category: "28" "28"` + "\n"},
		"number by hand":   {`{"a":"5"}` + "\n" + `{"a":"NA"}` + "\n" + `{"a":6}`, ReadOptions{Kinds: map[string]Kind{"a": Number}}, `"a" number: "5" - "6"` + "\n"},
		"boolean by hand":  {`{"a":1}` + "\n" + `{"a":false}`, ReadOptions{Kinds: map[string]Kind{"a": Boolean}}, `"a" boolean: "true" "false"` + "\n"},
		"missing listed":   {`{"a":-9,"b":"-9"}` + "\n" + `{"a":2,"b":"x"}`, ReadOptions{Missing: []string{"-9"}}, `"a" number: - "2"` + "\n" + `"b" category: - "x"` + "\n"},
		"nested left out":  {`{"a":[1,{"x":"]"}],"b":{"c":{}},"d":1}`, ReadOptions{Columns: []string{"d"}}, `"d" number: "1"` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, spell(readText(t, "t.ndjson", c.text, c.o))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNDJSONBad(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		err    error
		line   int
		column string
	}{
		"empty":             {"", ErrEmpty, 0, ""},
		"blank lines":       {"\n \n", ErrEmpty, 0, ""},
		"no keys":           {"{}\n", ErrEmpty, 0, ""},
		"no object":         {"{\"a\":1}\n\n[1]\n", ErrValue, 3, ""},
		"cut off":           {"{\"a\":1}\n{\"a\":", ErrValue, 2, ""},
		"two on a line":     {"{\"a\":1}{\"a\":2}\n", ErrValue, 1, ""},
		"no comma":          {"{\"a\":1 \"b\":2}\n", ErrValue, 1, ""},
		"no colon":          {"{\"a\" 1}\n", ErrValue, 1, ""},
		"no quotes":         {"{a:1}\n", ErrValue, 1, ""},
		"unclosed":          {"{\"a\":\"x}\n", ErrValue, 1, ""},
		"NaN":               {"{\"a\":NaN}\n", ErrValue, 1, ""},
		"trailing comma":    {"{\"a\":1,}\n", ErrValue, 1, ""},
		"leading zero":      {"{\"a\":01}\n", ErrValue, 1, ""},
		"plus":              {"{\"a\":+1}\n", ErrValue, 1, ""},
		"half a number":     {"{\"a\":1.}\n", ErrValue, 1, ""},
		"nested":            {"{\"a\":1}\n{\"b\":[1]}\n", ErrValue, 2, "b"},
		"nested unclosed":   {"{\"a\":[1,\n", ErrValue, 1, ""},
		"twice":             {"{\"a\":1}\n{\"a\":1,\"\\u0061\":2}\n", ErrHeader, 2, "a"},
		"empty key":         {"{\"\":1}\n", ErrHeader, 1, ""},
		"half a surrogate":  {`{"a":"\ud800"}`, ErrValue, 1, ""},
		"no escape":         {`{"a":"\x"}`, ErrValue, 1, ""},
		"control character": {"{\"a\":\"\t\"}", ErrValue, 1, ""},
		"invalid UTF-8":     {"{\"a\":1}\n{\"a\":\"\xff\"}", ErrEncoding, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadFrom(strings.NewReader(c.text), "t.ndjson", ReadOptions{})
			r, streamed := OpenFrom(strings.NewReader(c.text), "t.ndjson", ReadOptions{})
			for streamed == nil {
				_, streamed = r.Next()
			}
			for _, err := range []error{err, streamed} {
				var parse *ParseError
				if !errors.Is(err, c.err) || !errors.As(err, &parse) || parse.Line != c.line || parse.Column != c.column || parse.Hint == "" {
					t.Errorf("got %#v: %v", parse, err)
				}
			}
		})
	}
}

// What only a whole file can find.
func TestNDJSONBadWhole(t *testing.T) {
	for text, want := range map[string]string{
		"{\"a\":1}\n{}\n{\"a\":null}\n{\"a\":\"x\"}\n": `t.ndjson:4, column "a": bad value: a string here, a number on line 1: set its type to category or text to read both`,
		"{\"a\":true}\n{\"a\":1}\n{\"a\":\"x\"}\n":     `t.ndjson:2, column "a": bad value: a number here, a boolean on line 1: set its type to category or text to read both`,
		"{\"a\":1}\n{\"a\":1e400}\n":                   `t.ndjson:2, column "a": bad value "1e400": the number is too great for 64 bits of floating point`,
	} {
		for _, size := range []int{1, 1000} {
			o := ReadOptions{}
			if err := o.check(); err != nil {
				t.Fatal(err)
			}
			if _, err := readNDJSON(text, "t.ndjson", &o, size); err == nil || err.Error() != want {
				t.Errorf("got %v\nwant %s", err, want)
			}
		}
	}
}

func TestNDJSONStreamKeys(t *testing.T) {
	text := "{\"a\":1}\n{\"b\":\"x\",\"a\":2}\n"
	r, err := OpenFrom(strings.NewReader(text), "t.ndjson", ReadOptions{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, err = r.Next()
	var parse *ParseError
	if !errors.Is(err, ErrColumn) || !errors.As(err, &parse) || parse.Line != 2 || parse.Column != "b" {
		t.Errorf("got %v", err)
	}
	if _, again := r.Next(); again != err {
		t.Errorf("then %v", again)
	}

	r, err = OpenFrom(strings.NewReader(text), "t.ndjson", ReadOptions{Batch: 1, Columns: []string{"b", "a"}, Kinds: map[string]Kind{"a": Number}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b"}, r.Columns()); d != "" {
		t.Error(d)
	}
	var got string
	for {
		part, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += spell(part)
	}
	want := `"a" number: "1"` + "\n" + `"b" text: -` + "\n" + `"a" number: "2"` + "\n" + `"b" text: "x"` + "\n"
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// FuzzNDJSON holds the scanner to encoding/json: what we read, it reads alike.
func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":"x\u00e9","c":null,"d":true}`, `{"a":[1,{"b":"]"}]}`, `{"a":"\ud83d\ude00"}`, `{"a":-0.5e+3}`, "{}\n{\"a\":2}", `{"a":1,"a":2}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ReadFrom(strings.NewReader(text), "t.ndjson", ReadOptions{Format: NDJSON})
		if err == nil {
			for j := range table.Columns {
				if table.Columns[j].Len() != table.Rows() {
					t.Fatalf("column %d has %d of %d rows", j, table.Columns[j].Len(), table.Rows())
				}
			}
		}
		if strings.ContainsRune(text, '\n') || checkText(text, "t") != nil {
			return
		}
		got := make(map[string]string)
		twice, nested := false, false
		fault := scanObject(text, func(key string, v jsonValue) *ParseError {
			_, again := got[key]
			twice = twice || again
			nested = nested || v.kind == jsonNested
			got[key] = v.text
			return nil
		})
		if fault != nil {
			return // we are stricter: surrogates
		}
		var want map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			if nested {
				return // of nested values only the end is found
			}
			t.Fatalf("encoding/json refuses %q: %v", text, err)
		}
		if twice || nested {
			return
		}
		if len(want) != len(got) {
			t.Fatalf("%d keys, encoding/json has %d", len(got), len(want))
		}
		for key, v := range want {
			var s string
			switch v := v.(type) {
			case nil:
				s = "null"
			case json.Number:
				s = v.String()
			case string:
				s = v
			case bool:
				s = "false"
				if v {
					s = "true"
				}
			}
			if got[key] != s {
				t.Fatalf("key %q: %q, encoding/json has %q", key, got[key], s)
			}
		}
	})
}
