package datasets

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The spellings by the standard library alone.
func longhand(x float64) string {
	switch a := math.Abs(x); {
	case x == 0:
		return "0"
	case a < 1e-6 || a >= 1e15:
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

func TestAppendValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int64(), func(n int64) float64 { return float64(n) }),
			rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) / 100 }),
			rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1e-6, 999999999999999, 1e15, 1<<63 + 0., -1 << 63, math.Inf(1), math.NaN()})).Draw(t, "x")
		us := rapid.Int64Range(earliestTime, latestTime).Draw(t, "time")
		for _, c := range []struct {
			v    Value
			want string
		}{
			{Value{}, ""}, {Value{Kind: Number, Number: x}, longhand(x)}, {Value{Kind: Boolean, Number: 1}, "true"}, {Value{Kind: Boolean}, "false"},
			{Value{Kind: Time, Time: us}, time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.999999Z07:00")},
			{Value{Kind: Text, Text: "a,b"}, "a,b"}, {Value{Kind: Category, Text: "é"}, "é"},
		} {
			if got := string(AppendValue([]byte("so "), c.v)); got != "so "+c.want || c.v.String() != c.want {
				t.Fatalf("%+v is appended as %q and spelt %q, want %q", c.v, got, c.v.String(), c.want)
			}
		}
	})
}

// slowText writes a table row by row, cell by cell.
func slowText(t *rapid.T, table *Table, f Format) string {
	var out bytes.Buffer
	if f == CSV {
		out.WriteString(slowFields(t, table.Names(), nil))
	}
	for i := range table.Rows() {
		var fields []string
		var missing []bool
		object := "{"
		for j := range table.Columns {
			c := &table.Columns[j]
			v := c.At(i)
			fields, missing = append(fields, v.String()), append(missing, v.Missing())
			if j > 0 {
				object += ","
			}
			object += slowJSON(t, c.Name) + ":"
			switch {
			case v.Missing():
				object += "null"
			case v.Kind == Number || v.Kind == Boolean:
				object += v.String()
			default:
				object += slowJSON(t, v.String())
			}
		}
		if f == CSV {
			out.WriteString(slowFields(t, fields, missing))
		} else {
			out.WriteString(object + "}\n")
		}
	}
	return out.String()
}

func slowFields(t *rapid.T, fields []string, missing []bool) string {
	line := ""
	for j, s := range fields {
		if j > 0 {
			line += ","
		}
		empty := missing == nil || !missing[j]
		if (s == "" && empty) || strings.ContainsAny(s, ",\"\r\n") || strings.HasPrefix(s, byteOrderMark) {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		line += s
	}
	if line == "" {
		line = `""`
	}
	back, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(line, byteOrderMark) + "\n")).Read()
	if err != nil || len(back) != len(fields) {
		t.Fatalf("the line %q: %q, %v", line, back, err)
	}
	return line + "\n"
}

// slowJSON spells a string so that it reads back, with every control spelt out.
func slowJSON(t *rapid.T, s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	var back string
	if err := json.Unmarshal([]byte(`"`+b.String()+`"`), &back); err != nil || back != s {
		t.Fatalf("%q reads back as %q: %v", s, back, err)
	}
	return `"` + b.String() + `"`
}

// In whatever batches a table comes: the same text as cell by cell.
func TestTextIsSlowText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t, true)
		for _, f := range []Format{CSV, NDJSON} {
			var out bytes.Buffer
			w := NewWriter(&out, f)
			for from := 0; from == 0 || from < table.Rows(); {
				n := rapid.IntRange(1, 13).Draw(t, "batch")
				var part []int
				for ; len(part) < n && from < table.Rows(); from++ {
					part = append(part, from)
				}
				if err := w.Write(table.Take(part)); err != nil {
					t.Fatal(err)
				}
				if len(part) == 0 {
					break
				}
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(slowText(t, table, f), out.String()); d != "" {
				t.Fatalf("%s (-want +got):\n%s", f, d)
			}
		}
	})
}

// long is a table of n rows whose neighbours are sometimes the same.
func long(n int) *Table {
	number := Column{Name: "x", Kind: Number}
	whole := Column{Name: "n", Kind: Number}
	truth := Column{Name: "b", Kind: Boolean}
	at := Column{Name: "t", Kind: Time}
	band := Column{Name: "band", Kind: Category, Values: []string{"A", "B", `C "odd"`}}
	id := Column{Name: "id", Kind: Text}
	for i := range n {
		x := float64(i*7919%100003) / 7
		if i%10 == 3 {
			x = math.NaN()
		}
		number.Numbers = append(number.Numbers, x)
		whole.Numbers = append(whole.Numbers, float64(i/3%1000))
		truth.Numbers = append(truth.Numbers, float64(i/5%2))
		us := int64(i/4) * 1_000_000_007
		if i%13 == 5 {
			us = MissingTime
		}
		at.Times = append(at.Times, us)
		band.Codes = append(band.Codes, int32(i%4-1))
		id.Codes = append(id.Codes, int32(i))
		id.Values = append(id.Values, fmt.Sprintf("A-%06d", i))
	}
	return &Table{Columns: []Column{number, whole, truth, at, band, id}}
}

// More rows than are spelt at a time: in order, none lost.
func TestTextInParts(t *testing.T) {
	table := long(20_000)
	var csvOut, jsonOut bytes.Buffer
	for f, out := range map[Format]*bytes.Buffer{CSV: &csvOut, NDJSON: &jsonOut} {
		w := NewWriter(out, f)
		for _, err := range []error{w.Write(table), w.Write(table.Take([]int{19_999, 0})), w.Commit()} {
			if err != nil {
				t.Fatal(err)
			}
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if f == CSV {
			lines = lines[1:]
		}
		if len(lines) != 20_002 {
			t.Fatalf("%s: %d lines", f, len(lines))
		}
		for i, line := range lines {
			row := i
			if i >= 20_000 {
				row = []int{19_999, 0}[i-20_000]
			}
			if !strings.Contains(line, fmt.Sprintf("A-%06d", row)) {
				t.Fatalf("%s: line %d is %s", f, i, line)
			}
		}
	}
	back, err := ReadFrom(&csvOut, "x.csv", ReadOptions{Kinds: map[string]Kind{"id": Text}})
	if err != nil {
		t.Fatal(err)
	}
	back.Columns[0].Numbers = back.Columns[0].Numbers[:20_000]
	for i, x := range table.Columns[0].Numbers {
		if math.Float64bits(x) != math.Float64bits(back.Columns[0].Numbers[i]) && !math.IsNaN(x) {
			t.Fatalf("row %d: %v read back as %v", i, x, back.Columns[0].Numbers[i])
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	table := long(8192)
	for _, f := range []Format{CSV, NDJSON, Parquet, ArrowFile} {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := NewWriter(&nothing{}, f)
				for range 16 {
					if err := w.Write(table); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Commit(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(16*8192), "ns/row")
		})
	}
}

// nothing takes everything.
type nothing struct{}

func (*nothing) Write(b []byte) (int, error) { return len(b), nil }
