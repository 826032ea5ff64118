package datasets

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// streamOf writes tables as the record batches of one stream, each as soon as it is there.
func streamOf(t testing.TB, out io.Writer, tables ...*Table) {
	t.Helper()
	w := NewWriter(out, ArrowStream)
	for _, table := range tables {
		if err := errors.Join(w.Write(table), w.Flush()); err != nil {
			t.Error(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Error(err)
	}
}

// Batches come as they were sent, or in parts of so many rows.
func TestRecords(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		table := drawTable(r, true)
		var cut []*Table
		var want []int
		most := rapid.IntRange(1, 6).Draw(r, "most")
		for from := 0; from < table.Rows(); {
			n := rapid.IntRange(0, table.Rows()-from).Draw(r, "rows")
			part := make([]int, n)
			for i := range part {
				part[i] = from + i
			}
			cut, from = append(cut, table.Take(part)), from+n
			for ; n > 0; n -= most {
				want = append(want, min(n, most))
			}
		}
		if len(cut) == 0 {
			cut = append(cut, table)
		}
		var b bytes.Buffer
		streamOf(t, &b, cut...)
		kinds := kindsOf(table)
		whole, err := OpenFrom(bytes.NewReader(b.Bytes()), "s.arrows", ReadOptions{Kinds: kinds})
		if err != nil {
			r.Fatal(err)
		}
		var expected []string
		for {
			part, err := whole.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				r.Fatal(err)
			}
			expected = append(expected, rowsOf(part)...)
		}
		records, err := OpenRecords(&b, "s", RecordOptions{Kinds: kinds, MaxRows: most})
		if err != nil {
			r.Fatal(err)
		}
		if !slices.Equal(records.Columns(), table.Names()) {
			r.Errorf("columns %q", records.Columns())
		}
		var got []int
		var lines []string
		for {
			part, err := records.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				r.Fatal(err)
			}
			got = append(got, part.Rows())
			lines = append(lines, rowsOf(part)...)
		}
		if !slices.Equal(got, want) {
			r.Errorf("batches of %d rows, want %d", got, want)
		}
		if d := cmp.Diff(expected, lines); d != "" {
			r.Error(d)
		}
	})
}

func rowsOf(t *Table) (out []string) {
	for i := range t.Rows() {
		var b strings.Builder
		for j := range t.Columns {
			v := t.Columns[j].At(i)
			b.WriteString(v.Kind.String() + " " + v.String() + "|")
		}
		out = append(out, b.String())
	}
	return out
}

// What others wrote is read, of columns of a kind that is not read nothing but the name.
func TestRecordsForeign(t *testing.T) {
	kinds := map[string]Kind{"i8": Number, "words": Category, "ids": Text, "nobody": Number}
	records, err := OpenRecords(insideOf(t, "typed.arrow"), "s", RecordOptions{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	var got string
	for {
		part, err := records.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += spell(part)
	}
	want := `"i8" number: "1" -
"ids" text: "1" "12345678901234567"
"words" category: "x" "y"
"i8" number: "-3"
"ids" text: -
"words" category: -
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(records.Columns()) != 19 {
		t.Errorf("columns %q", records.Columns())
	}
}

// insideOf is the stream in an Arrow file.
func insideOf(t testing.TB, name string) io.Reader {
	t.Helper()
	file := bytesOf(t, name)
	body, err := ipcBody(bytes.NewReader(file), int64(len(file)), name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// No more is read than the batch that is asked for.
func TestRecordsAsTheyCome(t *testing.T) {
	in, out := io.Pipe()
	written := make(chan int)
	table := &Table{Columns: []Column{{Name: "x", Kind: Number, Numbers: []float64{1, 2}}}}
	go func() {
		w := NewWriter(out, ArrowStream)
		for i := range 3 {
			if err := errors.Join(w.Write(table), w.Flush()); err != nil {
				t.Error(err)
			}
			written <- i // not before the reader has it all
		}
		if err := errors.Join(w.Commit(), out.Close()); err != nil {
			t.Error(err)
		}
	}()
	records, err := OpenRecords(in, "s", RecordOptions{Kinds: map[string]Kind{"x": Number}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if part, err := records.Next(); err != nil || part.Rows() != 2 {
			t.Fatal(part, err)
		}
		if n := <-written; n != i {
			t.Fatalf("batch %d, written %d", i, n)
		}
	}
	if _, err := records.Next(); err != io.EOF {
		t.Error(err)
	}
}

func TestRecordsRefused(t *testing.T) {
	var b bytes.Buffer
	table := &Table{Columns: []Column{{Name: "x", Kind: Number, Numbers: make([]float64, 1000)}, {Name: "y", Kind: Text, Codes: make([]int32, 1000), Values: []string{"a"}}}}
	streamOf(t, &b, table)
	kinds := map[string]Kind{"x": Number, "i8": Number}
	for _, c := range []struct {
		what string
		r    io.Reader
		o    RecordOptions
		is   error
		says string
	}{
		{"compressed", insideOf(t, "typed_lz4.arrow"), RecordOptions{Kinds: kinds}, ErrEncoding, "without compression"},
		{"a large message", bytes.NewReader(b.Bytes()), RecordOptions{Kinds: kinds, MaxBytes: 4000}, ErrTooLong, "a message may have 4000 bytes"},
		{"no column", bytes.NewReader(b.Bytes()), RecordOptions{Kinds: map[string]Kind{"z": Number}}, ErrColumn, "of its 2 columns none is wanted"},
		{"another kind", bytes.NewReader(b.Bytes()), RecordOptions{Kinds: map[string]Kind{"y": Number}}, ErrValue, `row 1, column "y"`},
		{"nothing", strings.NewReader(""), RecordOptions{Kinds: kinds}, ErrEncoding, "no Arrow"},
		{"text", strings.NewReader("x,y\n1,2\n"), RecordOptions{Kinds: kinds}, ErrEncoding, "does not begin as an Arrow stream"},
		{"cut off", bytes.NewReader(b.Bytes()[:b.Len()-100]), RecordOptions{Kinds: kinds}, ErrTruncated, "ends in the middle"},
		{"gzip", strings.NewReader("\x1f\x8b\x08\x00\x00\x00\x00\x00"), RecordOptions{Kinds: kinds}, ErrEncoding, "does not begin as an Arrow stream"},
	} {
		records, err := OpenRecords(c.r, "s", c.o)
		for err == nil {
			_, err = records.Next()
		}
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.what, err, c.says)
		}
		if records == nil {
			continue
		}
		if _, again := records.Next(); again != err {
			t.Errorf("%s: %v after %v", c.what, again, err)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for _, name := range []string{"typed.arrow", "odd.arrow"} {
		b, err := io.ReadAll(insideOf(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(bytesOf(f, "views.arrows"))
	kinds := map[string]Kind{"i8": Number, "f32": Number, "yes": Boolean, "text": Category, "words": Category, "large": Text, "day": Time, "v": Category, "nothing": Number}
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := OpenRecords(bytes.NewReader(b), "s", RecordOptions{Kinds: kinds, MaxBytes: 1 << 20, MaxRows: 100})
		for err == nil {
			var table *Table
			if table, err = records.Next(); err != nil {
				return
			}
			if table.Rows() == 0 || table.Rows() > 100 {
				t.Fatalf("%d rows", table.Rows())
			}
			for j := range table.Columns {
				if c := &table.Columns[j]; c.Len() != table.Rows() || c.Kind != kinds[c.Name] {
					t.Fatalf("%s: %d rows of %d, %s", c.Name, c.Len(), table.Rows(), c.Kind)
				}
			}
		}
	})
}
