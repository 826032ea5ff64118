package datasets

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// spell writes a table out in a way that shows everything, for comparisons.
func spell(t *Table) string {
	var b strings.Builder
	for j := range t.Columns {
		c := &t.Columns[j]
		fmt.Fprintf(&b, "%q %s:", c.Name, c.Kind)
		for i := range c.Len() {
			if v := c.At(i); v.Missing() {
				b.WriteString(" -")
			} else {
				fmt.Fprintf(&b, " %q", v.String())
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func readText(t *testing.T, name, text string, o ReadOptions) *Table {
	t.Helper()
	table, err := ReadFrom(strings.NewReader(text), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestCSVGood(t *testing.T) {
	nan := `"x" number: "1" - "3"` + "\n"
	for name, c := range map[string]struct {
		text string
		o    ReadOptions
		want string
	}{
		"plain":              {"a,b\n1,x\n2,y\n", ReadOptions{}, `"a" number: "1" "2"` + "\n" + `"b" category: "x" "y"` + "\n"},
		"no last line end":   {"a\n1\n2", ReadOptions{}, `"a" number: "1" "2"` + "\n"},
		"CRLF":               {"a,b\r\n1,x\r\n", ReadOptions{}, `"a" number: "1"` + "\n" + `"b" category: "x"` + "\n"},
		"lone CR":            {"a,b\r1,x\r2,y\r", ReadOptions{}, `"a" number: "1" "2"` + "\n" + `"b" category: "x" "y"` + "\n"},
		"byte order mark":    {"\ufeffa\n1\n", ReadOptions{}, `"a" number: "1"` + "\n"},
		"header only":        {"a,b\n", ReadOptions{}, `"a" category:` + "\n" + `"b" category:` + "\n"},
		"semicolon":          {"a;b,c\n1;2,5\n", ReadOptions{}, `"a;b" category: "1;2"` + "\n" + `"c" number: "5"` + "\n"},
		"semicolons":         {"a;b;c,d\n1;2;3\n", ReadOptions{}, `"a" number: "1"` + "\n" + `"b" number: "2"` + "\n" + `"c,d" number: "3"` + "\n"},
		"tab":                {"a\tb\n1\t2\n", ReadOptions{}, `"a" number: "1"` + "\n" + `"b" number: "2"` + "\n"},
		"bar":                {"a|b\n1|2\n", ReadOptions{}, `"a" number: "1"` + "\n" + `"b" number: "2"` + "\n"},
		"comma set":          {"a;b\n1;2\n", ReadOptions{Comma: ','}, `"a;b" category: "1;2"` + "\n"},
		"delimiter in quote": {"\"a;;;b\",c\n1,2\n", ReadOptions{}, `"a;;;b" number: "1"` + "\n" + `"c" number: "2"` + "\n"},
		"quotes":             {"a,b\n\"x,\"\"y\"\"\",\"2\nlines\r\nor 3\"\n", ReadOptions{}, `"a" category: "x,\"y\""` + "\n" + `"b" category: "2\nlines\r\nor 3"` + "\n"},
		"quote inside":       {"a,b\n6\" nail,5'\n", ReadOptions{}, `"a" category: "6\" nail"` + "\n" + `"b" category: "5'"` + "\n"},
		"quote at end":       {"a,b\n1,\"x\"", ReadOptions{}, `"a" number: "1"` + "\n" + `"b" category: "x"` + "\n"},
		"empty lines":        {"\n\na\n\n1\r\n\r\n2\n\n", ReadOptions{}, `"a" number: "1" "2"` + "\n"},
		"empty is missing":   {"x\n1\n\"\"\n3\n", ReadOptions{}, nan},
		"blank is missing":   {"x\n1\n \t\n3\n", ReadOptions{}, nan},
		"token is missing":   {"x\n1\nNA\n3\n", ReadOptions{}, nan},
		"blanks around":      {"x\n 1\n\"\"\n3 \n", ReadOptions{}, nan},
		"Namibia":            {"x\nDE\nNA\n \n", ReadOptions{}, `"x" category: "DE" "NA" " "` + "\n"},
		"tokens alone":       {"x\nNA\nNA\n", ReadOptions{}, `"x" category: "NA" "NA"` + "\n"},
		"token set":          {"x,y\n1,a\n-9,NA\n3,-9\n", ReadOptions{Missing: []string{"-9"}}, nan + `"y" category: "a" "NA" -` + "\n"},
		"token not set":      {"x\n1\nNA\n", ReadOptions{Missing: []string{}}, `"x" category: "1" "NA"` + "\n"},
		"all missing":        {"x,y\n,\n,\n", ReadOptions{}, `"x" category: - -` + "\n" + `"y" category: - -` + "\n"},
		"leading zeros":      {"x\n001\n2\n", ReadOptions{}, `"x" category: "001" "2"` + "\n"},
		"long ids":           {"x\n12345678901234567\n2\n", ReadOptions{}, `"x" category: "12345678901234567" "2"` + "\n"},
		"numbers":            {"x\n-0\n1e3\n.5\n2.\n1E-2\n", ReadOptions{}, `"x" number: "0" "1000" "0.5" "2" "0.01"` + "\n"},
		"not numbers":        {"x\n1\n1e999\n", ReadOptions{}, `"x" category: "1" "1e999"` + "\n"},
		"infinity":           {"x\n1\ninf\n", ReadOptions{}, `"x" category: "1" "inf"` + "\n"},
		"booleans":           {"x\nTrue\nFALSE\n\ntrue\n", ReadOptions{}, `"x" boolean: "true" "false" "true"` + "\n"},
		"booleans and 1":     {"x\nTrue\n1\n", ReadOptions{}, `"x" category: "True" "1"` + "\n"},
		"booleans by hand":   {"x\nTrue\n1\n0\nNA\n", ReadOptions{Kinds: map[string]Kind{"x": Boolean}}, `"x" boolean: "true" "true" "false" -` + "\n"},
		"dates":              {"x\n2024-02-29\nNA\n", ReadOptions{}, `"x" time: "2024-02-29T00:00:00Z" -` + "\n"},
		"no date":            {"x\n2023-02-29\n", ReadOptions{}, `"x" category: "2023-02-29"` + "\n"},
		"local times":        {"x\n2024-01-02 03:04:05\n2024-01-02T03:04:05.25\n", ReadOptions{}, `"x" time: "2024-01-02T03:04:05Z" "2024-01-02T03:04:05.25Z"` + "\n"},
		"zoned times":        {"x\n2024-01-02T03:04:05Z\n2024-01-02 03:04:05+02:00\n", ReadOptions{}, `"x" time: "2024-01-02T03:04:05Z" "2024-01-02T01:04:05Z"` + "\n"},
		"mixed times":        {"x\n2024-01-02\n2024-01-02 03:04:05\n", ReadOptions{}, `"x" category: "2024-01-02" "2024-01-02 03:04:05"` + "\n"},
		"mixed by hand":      {"x\n2024-01-02\n2024-01-02 03:04:05Z\n", ReadOptions{Kinds: map[string]Kind{"x": Time}}, `"x" time: "2024-01-02T00:00:00Z" "2024-01-02T03:04:05Z"` + "\n"},
		"category by hand":   {"x\n28.0\n28\n1e1\n\n", ReadOptions{Kinds: map[string]Kind{"x": Category}}, `"x" category: "28" "28" "10"` + "\n"},
		"category verbatim":  {"x\n28.0\n28\nNA\n", ReadOptions{Kinds: map[string]Kind{"x": Category}}, `"x" category: "28.0" "28" "NA"` + "\n"},
		"text by hand":       {"x\n28.0\n28\n", ReadOptions{Kinds: map[string]Kind{"x": Text}}, `"x" text: "28.0" "28"` + "\n"},
		"columns":            {"a,b,c\n1,x,3\n", ReadOptions{Columns: []string{"c", "a"}}, `"a" number: "1"` + "\n" + `"c" number: "3"` + "\n"},
		"quoted as a whole":  {"a,b\n\"1,\"\"x,y\"\"\"\n2,z\n", ReadOptions{}, `"a" number: "1" "2"` + "\n" + `"b" category: "x,y" "z"` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			table := readText(t, "t.csv", c.text, c.o)
			if d := cmp.Diff(c.want, spell(table)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCSVNotes(t *testing.T) {
	table := readText(t, "t.csv", "a,b,c\n1,2,2024-01-01\n\"NA,  ,2024-01-01T00:00:00Z\"\n", ReadOptions{})
	want := []string{
		"1 records were quoted as a whole; they were read as if they were not",
		`column "c" mixes times with and without a time of day or an offset, so it was read as a category; set its type to time to read it`,
		`column "a": 1 fields such as "NA" taken as missing`,
		`column "b": 1 blank fields taken as missing`,
	}
	if d := cmp.Diff(want, table.Notes); d != "" {
		t.Error(d)
	}
}

func TestCSVBad(t *testing.T) {
	kinds := func(k Kind) ReadOptions { return ReadOptions{Kinds: map[string]Kind{"b": k}} }
	for name, c := range map[string]struct {
		text   string
		o      ReadOptions
		err    error
		line   int
		column string
		value  string
	}{
		"empty":            {"", ReadOptions{}, ErrEmpty, 0, "", ""},
		"only a mark":      {"\ufeff", ReadOptions{}, ErrEmpty, 0, "", ""},
		"only line ends":   {"\n\n", ReadOptions{}, ErrEmpty, 0, "", ""},
		"unnamed":          {"a,,c\n1,2,3\n", ReadOptions{}, ErrHeader, 1, "", ""},
		"blank name":       {"a, \n1,2\n", ReadOptions{}, ErrHeader, 1, "", ""},
		"duplicate":        {"\na,b,a\n1,2,3\n", ReadOptions{}, ErrHeader, 2, "a", ""},
		"short":            {"a,b\n1,2\n3\n", ReadOptions{}, ErrRagged, 3, "", "3"},
		"long":             {"a,b\n1,\"x\ny\"\n3,4,5\n", ReadOptions{}, ErrRagged, 4, "", "3,4,5"},
		"unclosed":         {"a,b\n1,2\n3,\"4\n5,6\n", ReadOptions{}, ErrTruncated, 3, "", "\"4\n5,6\n"},
		"after quote":      {"a,b\n1,\"2\"x\n", ReadOptions{}, ErrValue, 2, "", "\"2\"x\n"},
		"invalid UTF-8":    {"a,b\r\n1,x\r\n1,\xff\r\n", ReadOptions{}, ErrEncoding, 3, "", "\xff"},
		"zero byte":        {"a\n1\n\x00\n", ReadOptions{}, ErrEncoding, 3, "", ""},
		"UTF-16":           {"\xff\xfea\x00\n\x00", ReadOptions{}, ErrEncoding, 0, "", ""},
		"too long":         {"a\n1\n" + strings.Repeat("x", 101) + "\n", ReadOptions{MaxLine: 100}, ErrTooLong, 3, "", strings.Repeat("x", 40)},
		"number by hand":   {"a,b\n1,2\n3,001\n", kinds(Number), ErrValue, 3, "b", "001"},
		"too many digits":  {"a,b\n1,12345678901234567\n", kinds(Number), ErrValue, 2, "b", "12345678901234567"},
		"boolean by hand":  {"a,b\n1,yes\n", kinds(Boolean), ErrValue, 2, "b", "yes"},
		"time by hand":     {"a,b\n1,01/02/2024\n", kinds(Time), ErrValue, 2, "b", "01/02/2024"},
		"no such column":   {"a,b\n1,2\n", ReadOptions{Columns: []string{"a", "z"}}, ErrColumn, 0, "", ""},
		"quoted, not like": {"a,b\n\"1,2,3\"\n", ReadOptions{}, ErrRagged, 2, "", "\"1,2,3\""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadFrom(strings.NewReader(c.text), "t.csv", c.o)
			checkFault(t, err, c.err, c.line, c.column, c.value)
			r, err := OpenFrom(strings.NewReader(c.text), "t.csv", c.o)
			for err == nil {
				_, err = r.Next()
			}
			checkFault(t, err, c.err, c.line, c.column, c.value)
		})
	}
}

func checkFault(t *testing.T, err, want error, line int, column, value string) {
	t.Helper()
	var parse *ParseError
	if !errors.Is(err, want) || !errors.As(err, &parse) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if parse.Line != line || parse.Column != column || parse.Value != value || !strings.HasPrefix(parse.File, "t.") {
		t.Errorf("got %#v", parse)
	}
	if parse.Hint == "" || !strings.HasPrefix(err.Error(), parse.File) {
		t.Errorf("message %q", err)
	}
}

func TestBadPaths(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none.csv")} {
		if _, err := Read(path, ReadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Read %s: %v", path, err)
		}
		if _, err := Open(path, ReadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open %s: %v", path, err)
		}
	}
	for _, o := range []ReadOptions{{MaxLine: -1}, {Batch: -1}, {Comma: '"'}, {Format: 9}, {Kinds: map[string]Kind{"x": 9}}} {
		if _, err := ReadFrom(strings.NewReader("x\n1\n"), "t.csv", o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// A line of 100 MB is refused without being taken into memory by a stream.
func TestEndlessLine(t *testing.T) {
	endless := strings.NewReader("a,b\n1,\"" + strings.Repeat("x", 100<<20))
	r, err := OpenFrom(endless, "t.csv", ReadOptions{})
	if err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
	if read := 100<<20 - endless.Len(); read > 70<<20 {
		t.Errorf("%d bytes were read before giving up", read)
	}
}

// slowCSV reads as readCSV does, byte by byte and field by field, without chunks.
func slowCSV(text string, comma byte) (header []string, records [][]string, ok bool) {
	var fields []string
	var field []byte
	started, quoted, wasQuoted := false, false, false
	endField := func() {
		fields = append(fields, string(field))
		field, wasQuoted = nil, false
	}
	endRecord := func() {
		if started {
			endField()
			records = append(records, fields)
		}
		fields, started = nil, false
	}
	fresh := true // at the first byte of a field
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '"' && i+1 < len(text) && text[i+1] == '"':
			field = append(field, '"')
			i++
		case quoted && c == '"':
			quoted, wasQuoted = false, true
		case quoted:
			field = append(field, c)
		case c == '\n' || c == '\r':
			endRecord()
			fresh = true
		case c == comma:
			started = true
			endField()
			fresh = true
		case c == '"' && fresh:
			started, quoted, fresh = true, true, false
		case wasQuoted:
			return nil, nil, false
		default:
			started, fresh = true, false
			field = append(field, c)
		}
	}
	if quoted {
		return nil, nil, false
	}
	endRecord()
	if len(records) == 0 {
		return nil, nil, false
	}
	for _, r := range records {
		if len(r) != len(records[0]) {
			return nil, nil, false
		}
	}
	return records[0], records[1:], true
}

// slowKind infers from all values of a column, on the rules as documented.
func slowKind(values []string) Kind {
	all := func(f func(string) bool) bool {
		some := false
		for _, s := range values {
			s = strings.Trim(s, " \t")
			if s == "" || s == "NA" || s == "null" {
				continue
			}
			if !f(s) {
				return false
			}
			some = true
		}
		return some
	}
	form := func(want timeForm) func(string) bool {
		return func(s string) bool { _, got := parseTime(s); return got == want }
	}
	switch {
	case all(func(s string) bool { _, ok := ParseNumber(s); return ok }):
		return Number
	case all(func(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }):
		return Boolean
	case all(form(dateOnly)), all(form(localTime)), all(form(zonedTime)):
		return Time
	}
	return Category
}

func drawCSV(t *rapid.T) string {
	columns := rapid.IntRange(1, 4).Draw(t, "columns")
	style := rapid.SampledFrom([]string{"1", "2.5", "-3e2", "true", "False", "2024-01-02", "2024-01-02 10:00:00", "2024-01-02T10:00:00Z",
		"", " ", "NA", "null", "x", "y z", `"q"`, `"a""b"`, "\"l\n2\"", "\"c,d\"", `6"`, "é", `""`, " 7 "})
	end := rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end")
	var b strings.Builder
	b.WriteString("a,b,c,d"[:2*columns-1])
	b.WriteString(end)
	wild := rapid.IntRange(0, 9).Draw(t, "wild") == 0
	sameKind := make([]string, columns)
	for j := range sameKind {
		sameKind[j] = style.Draw(t, "kind")
	}
	for range rapid.IntRange(0, 30).Draw(t, "rows") {
		for j := range columns {
			if j > 0 {
				b.WriteByte(',')
			}
			if s := style.Draw(t, "field"); rapid.IntRange(0, 3).Draw(t, "other") == 0 {
				b.WriteString(s)
			} else {
				b.WriteString(sameKind[j])
			}
		}
		if wild && rapid.IntRange(0, 9).Draw(t, "extra") == 0 {
			b.WriteString(rapid.SampledFrom([]string{",", `,"`, `"x"y`, "\n\n"}).Draw(t, "junk"))
		}
		b.WriteString(end)
	}
	return b.String()
}

// The reader agrees with its slow twin, whatever the chunks.
func TestCSVTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawCSV(t)
		var want string
		var failure string
		for _, size := range []int{1, 2, 7, 64, 1 << 20} {
			o := ReadOptions{Comma: ','}
			if err := o.check(); err != nil {
				t.Fatal(err)
			}
			table, err := readCSV(textIn(text), "t.csv", &o, size)
			if err != nil {
				table = &Table{}
			}
			got, problem := spell(table), fmt.Sprint(err)
			if size > 1 && (got != want || problem != failure) {
				t.Fatalf("chunks of %d give\n%s%s\nnot\n%s%s", size, got, problem, want, failure)
			}
			want, failure = got, problem
		}
		header, records, ok := slowCSV(text, ',')
		if ok != (failure == "<nil>") {
			t.Fatalf("twin: %v, reader: %s", ok, failure)
		}
		if !ok {
			return
		}
		var slow Table
		for j, name := range header {
			var values []string
			for _, r := range records {
				values = append(values, r[j])
			}
			c := newBuilder(name, slowKind(values), &ReadOptions{})
			for _, s := range values {
				if s == "" {
					c.null()
				} else if !c.text(s) {
					t.Fatalf("%q does not fit %s", s, c.col.Kind)
				}
			}
			slow.Columns = append(slow.Columns, c.column())
		}
		if got := spell(&slow); got != want {
			t.Fatalf("twin\n%sreader\n%s", got, want)
		}
	})
}

func TestCSVStreamIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawCSV(t)
		o := ReadOptions{Comma: ','}
		whole, err := ReadFrom(strings.NewReader(text), "t.csv", o)
		kinds := make(map[string]Kind)
		if err == nil {
			for _, c := range whole.Columns {
				kinds[c.Name] = c.Kind
			}
		}
		o.Kinds, o.Batch = kinds, rapid.IntRange(1, 5).Draw(t, "batch")
		r, failed := OpenFrom(strings.NewReader(text), "t.csv", o)
		rows := 0
		for failed == nil {
			var part *Table
			if part, failed = r.Next(); failed != nil {
				break
			}
			if part.Rows() == 0 || part.Rows() > o.Batch {
				t.Fatalf("a batch of %d", part.Rows())
			}
			for j := range part.Columns {
				c := &part.Columns[j]
				if err == nil {
					for i := range c.Len() {
						if got, want := c.At(i), whole.Column(c.Name).At(rows+i); got != want {
							t.Fatalf("row %d: got %v, want %v", rows+i, got, want)
						}
					}
				}
			}
			rows += part.Rows()
		}
		if err == nil {
			if failed.Error() != "EOF" || rows != whole.Rows() {
				t.Fatalf("%d of %d rows, %v", rows, whole.Rows(), failed)
			}
			return
		}
		// The whole file is checked stage by stage, a stream batch by batch: both fail,
		// maybe at different places.
		if failed.Error() == "EOF" {
			t.Fatalf("the stream ends well, the whole: %v", err)
		}
	})
}

func TestStreamLines(t *testing.T) {
	r, err := OpenFrom(strings.NewReader("\r\na,b\r\n\r\n1,\"x\r\ny\"\r\n2,z\r\n\r\n\r\n3,\r\n4,w"), "t.csv", ReadOptions{Batch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, want := range []int{4, 6, 9, 10} {
		if _, err := r.Next(); err != nil || r.Line() != want {
			t.Errorf("line %d, want %d (%v)", r.Line(), want, err)
		}
	}
}

func TestManglesTable(t *testing.T) {
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED names no directory of shared data")
	}
	plain, err := Read(filepath.Join(dir, "data/lead_scoring/table.csv"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mangled, err := Read(filepath.Join(dir, "data/lead_scoring/mangled_quotes.csv"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(mangled.Notes) == 0 || !strings.HasPrefix(mangled.Notes[0], "338 records") {
		t.Errorf("notes %q", mangled.Notes)
	}
	if plain.Rows() != 9240 || mangled.Rows() != 9240 || !cmp.Equal(plain.Names(), mangled.Names()) {
		t.Fatalf("%d and %d rows", plain.Rows(), mangled.Rows())
	}
	for j := range plain.Columns {
		a, b := &plain.Columns[j], &mangled.Columns[j]
		if a.Kind != b.Kind {
			t.Errorf("%q is %s and %s", a.Name, a.Kind, b.Kind)
			continue
		}
		for i := range a.Len() {
			u, v := a.At(i), b.At(i)
			if u != v && !(u.Missing() && v.Text == "Select") {
				t.Fatalf("%q, row %d: %v and %v", a.Name, i, u, v)
			}
		}
	}
}

func TestSharedTables(t *testing.T) {
	dir := os.Getenv("PROPENSITY_SHARED")
	if dir == "" {
		t.Skip("PROPENSITY_SHARED names no directory of shared data")
	}
	telco, err := Read(filepath.Join(dir, "data/telco_churn/table.csv"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	total, missing := telco.Column("TotalCharges"), 0
	for _, x := range total.Numbers {
		if math.IsNaN(x) {
			missing++
		}
	}
	if telco.Rows() != 7043 || total.Kind != Number || missing != 11 {
		t.Errorf("%d rows, TotalCharges a %s, %d missing", telco.Rows(), total.Kind, missing)
	}
	tickets, err := Read(filepath.Join(dir, "data/ravenstack/ravenstack_support_tickets.csv"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Kind{"ticket_id": Category, "submitted_at": Time, "closed_at": Time, "escalation_flag": Boolean, "satisfaction_score": Number} {
		if got := tickets.Column(name).Kind; got != want {
			t.Errorf("%s is a %s, want %s", name, got, want)
		}
	}
}
