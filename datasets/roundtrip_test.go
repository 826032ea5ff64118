package datasets

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawTable makes a table of all kinds with missing values and awkward texts.
func drawTable(t *rapid.T, emptyText bool) *Table {
	rows := rapid.IntRange(0, 12).Draw(t, "rows")
	texts := []string{"x", "1", "28.0", "001", "true", "NA", " ", `say "hi"`, "two\nlines", "r\r\n", "a,b;c|d\te", "é😀", "\ufeff", "2024-01-01", "null", "'", "\\u0041", "\x01\x7f", strings.Repeat("long ", 50)}
	if emptyText {
		texts = append(texts, "")
	}
	table := &Table{}
	for j := range rapid.IntRange(1, 5).Draw(t, "columns") {
		kind := rapid.SampledFrom([]Kind{Number, Boolean, Category, Time, Text}).Draw(t, "kind")
		name := fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"c", "na\"me", "a,b", "é", "x\ny", " "}).Draw(t, "name"), j)
		b := newBuilder(name, kind, &ReadOptions{})
		for range rows {
			var ok bool
			if rapid.IntRange(0, 3).Draw(t, "missing") == 0 {
				b.null()
				continue
			}
			switch kind {
			case Number:
				x := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-20, 20), func(i int) float64 { return float64(i) / 4 }),
					rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1e15, 123456789012345678, 1e21, 1e-7, math.MaxFloat64, 5e-324})).Draw(t, "x")
				if math.IsInf(x, 0) {
					x = 1
				}
				ok = b.float(x)
			case Boolean:
				ok = b.boolean(rapid.Bool().Draw(t, "x"))
			case Time:
				ok = b.instant(rapid.Int64Range(earliestTime, latestTime).Draw(t, "x"))
			default:
				ok = b.intern(rapid.SampledFrom(texts).Draw(t, "x"))
			}
			if !ok {
				t.Fatalf("a %s does not take its own value", kind)
			}
		}
		table.Columns = append(table.Columns, b.column())
	}
	return table
}

func kindsOf(t *Table) map[string]Kind {
	out := make(map[string]Kind)
	for _, c := range t.Columns {
		out[c.Name] = c.Kind
	}
	return out
}

// textKinds leaves numbers, booleans and times to be inferred where a text file
// shows them, and sets what it cannot show.
func textKinds(t *Table) map[string]Kind {
	out := kindsOf(t)
	for _, c := range t.Columns {
		some := false
		for i := range c.Len() {
			some = some || !c.At(i).Missing()
		}
		if some && (c.Kind == Number || c.Kind == Boolean || c.Kind == Time) {
			delete(out, c.Name)
		}
	}
	return out
}

func encode(t *rapid.T, table *Table, f Format) []byte {
	var out bytes.Buffer
	w := NewWriter(&out, f)
	for from := 0; from == 0 || from < table.Rows(); from += 5 { // several batches
		var rows []int
		for i := from; i < min(from+5, table.Rows()); i++ {
			rows = append(rows, i)
		}
		if err := w.Write(table.Take(rows)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Every format gives back the table that it was given, with the same fingerprint.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t, false)
		want, sum := spell(table), table.Fingerprint()
		for f := CSV; f <= NDJSON; f++ {
			if f == NDJSON && table.Rows() == 0 {
				continue // a file without rows names no columns
			}
			o := ReadOptions{Format: f, Comma: ','}
			if f == CSV || f == NDJSON {
				o.Kinds = textKinds(table)
				for name, k := range o.Kinds {
					if k == Category {
						o.Kinds[name] = Text // a category set by hand may be spelt anew
					}
				}
			}
			back, err := ReadFrom(bytes.NewReader(encode(t, table, f)), "t", o)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			for j := range back.Columns {
				if c := &back.Columns[j]; c.Kind == Text {
					c.Kind = table.Columns[j].Kind
				}
			}
			if d := cmp.Diff(want, spell(back)); d != "" {
				t.Fatalf("%s: %s", f, d)
			}
			if got := back.Fingerprint(); got != sum {
				t.Fatalf("%s: fingerprint %s, want %s", f, got, sum)
			}
		}
	})
}

// Set by hand to category, columns are spelt the same whatever the format.
func TestCategoryByHand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := &Table{Columns: []Column{newBuilder("x", Number, &ReadOptions{}).col}}
		table.Columns[0].Numbers = rapid.SliceOfN(rapid.Map(rapid.IntRange(-99, 99), func(i int) float64 { return float64(i) / 2 }), 1, 9).Draw(t, "x")
		var want string
		for f := CSV; f <= NDJSON; f++ {
			back, err := ReadFrom(bytes.NewReader(encode(t, table, f)), "t", ReadOptions{Format: f, Kinds: map[string]Kind{"x": Category}})
			if err != nil {
				t.Fatal(err)
			}
			if got := spell(back); f > CSV && got != want {
				t.Fatalf("%s: %s, want %s", f, got, want)
			} else {
				want = got
			}
		}
	})
}

// A stream gives the cells of the whole, in batches, from every format.
func TestStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t, false)
		batch := rapid.IntRange(1, 7).Draw(t, "batch")
		for f := CSV; f <= NDJSON; f++ {
			if f == NDJSON && table.Rows() == 0 {
				continue
			}
			r, err := OpenFrom(bytes.NewReader(encode(t, table, f)), "t", ReadOptions{Format: f, Comma: ',', Kinds: kindsOf(table), Batch: batch})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(table.Names(), r.Columns()); d != "" {
				t.Fatal(d)
			}
			rows := 0
			for {
				part, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", f, err)
				}
				if part.Rows() < 1 || part.Rows() > batch {
					t.Fatalf("%s: a batch of %d rows", f, part.Rows())
				}
				if f != CSV && f != NDJSON && r.Line() != rows+1 {
					t.Fatalf("%s: row %d said to be %d", f, rows+1, r.Line())
				}
				for j := range part.Columns {
					for i := range part.Rows() {
						if got, want := part.Columns[j].At(i), table.Columns[j].At(rows+i); got != want {
							t.Fatalf("%s: row %d: %v, want %v", f, rows+i, got, want)
						}
					}
				}
				rows += part.Rows()
			}
			if rows != table.Rows() {
				t.Fatalf("%s: %d rows, want %d", f, rows, table.Rows())
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestMarshalIPC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t, true)
		b, err := MarshalIPC(table)
		if err != nil {
			t.Fatal(err)
		}
		again, err := MarshalIPC(table)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatal("other bytes the second time", err)
		}
		back, err := UnmarshalIPC(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(spell(table), spell(back)); d != "" {
			t.Fatal(d)
		}
		if table.Fingerprint() != back.Fingerprint() {
			t.Fatal("another fingerprint")
		}
	})
}

func TestMarshalIPCInfinite(t *testing.T) {
	table := &Table{Columns: []Column{{Name: "x", Kind: Number, Numbers: []float64{math.Inf(-1), math.NaN(), 1, math.Inf(1)}}}}
	b, err := MarshalIPC(table)
	if err != nil {
		t.Fatal(err)
	}
	back, err := UnmarshalIPC(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(spell(table), spell(back)); d != "" {
		t.Error(d)
	}
	if _, err := ReadFrom(bytes.NewReader(b), "t.arrow", ReadOptions{}); err == nil {
		t.Error("an infinite number was read from a file")
	}
}

// What distinguishes tables distinguishes fingerprints, and nothing else does.
func TestFingerprint(t *testing.T) {
	base := func() *Table {
		return &Table{Columns: []Column{
			{Name: "n", Kind: Number, Numbers: []float64{0, math.NaN(), 2}},
			{Name: "c", Kind: Category, Codes: []int32{1, -1, 0}, Values: []string{"b", "a"}},
			{Name: "t", Kind: Time, Times: []int64{0, MissingTime, 5}},
		}}
	}
	want := base().Fingerprint()
	same := map[string]func(*Table){
		"codes renumbered": func(t *Table) {
			t.Columns[1].Codes, t.Columns[1].Values = []int32{0, -1, 2}, []string{"a", "unused", "b"}
		},
		"minus zero":  func(t *Table) { t.Columns[0].Numbers[0] = math.Copysign(0, -1) },
		"other NaN":   func(t *Table) { t.Columns[0].Numbers[1] = math.Float64frombits(0x7ff8000000000123) },
		"other notes": func(t *Table) { t.Notes = []string{"x"} },
	}
	for name, change := range same {
		table := base()
		change(table)
		if table.Fingerprint() != want {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	other := map[string]func(*Table){
		"name":      func(t *Table) { t.Columns[0].Name = "m" },
		"kind":      func(t *Table) { t.Columns[1].Kind = Text },
		"number":    func(t *Table) { t.Columns[0].Numbers[2] = 3 },
		"missing":   func(t *Table) { t.Columns[0].Numbers[0] = math.NaN() },
		"code":      func(t *Table) { t.Columns[1].Codes[2] = 1 },
		"text":      func(t *Table) { t.Columns[1].Values[0] = "c" },
		"time":      func(t *Table) { t.Columns[2].Times[0] = MissingTime },
		"order":     func(t *Table) { t.Columns[0], t.Columns[1] = t.Columns[1], t.Columns[0] },
		"row order": func(t *Table) { *t = *t.Take([]int{2, 1, 0}) },
		"fewer":     func(t *Table) { t.Columns = t.Columns[:2] },
	}
	for name, change := range other {
		table := base()
		change(table)
		if table.Fingerprint() == want {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
}

// FuzzCSV: what is read, written and read again is the same.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,x\n", "a;b\r\n\"x\"\"y\";2\r\n", "a\n\"\"\n", "a,b\n\"1,2\"\n", "\ufeffa\r2024-01-01\r", "a|b\n6\" | true\n", "a\n\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := ReadFrom(strings.NewReader(text), "t.csv", ReadOptions{})
		if err != nil {
			return
		}
		var out bytes.Buffer
		w := NewWriter(&out, CSV)
		if err := w.Write(table); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		kinds := kindsOf(table)
		for name, k := range kinds {
			if k == Category {
				kinds[name] = Text // verbatim
			}
		}
		back, err := ReadFrom(&out, "t.csv", ReadOptions{Comma: ',', Kinds: kinds, Missing: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		for j := range back.Columns {
			back.Columns[j].Kind = table.Columns[j].Kind
		}
		if back.Fingerprint() != table.Fingerprint() {
			t.Fatalf("got\n%swant\n%s", spell(back), spell(table))
		}
	})
}
