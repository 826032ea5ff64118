package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v15/parquet/file"
)

// Several row groups out of batches that end elsewhere, with columns that get a
// dictionary, that never do, and that outgrow theirs in the second group: what was
// written reads back, and the statistics are those of the values.
func TestParquetGroups(t *testing.T) {
	const rows = 2*groupMost + 777
	table := long(rows)
	outgrown := Column{Name: "outgrown", Kind: Number}
	words := Column{Name: "words", Kind: Text}
	none := Column{Name: "none", Kind: Number}
	for i := range rows {
		x, word := float64(i%5)-2, int32(i%3)
		if i >= groupMost {
			x, word = float64(i)+0.5, int32(i)
		}
		if i%3 == 1 {
			x, word = math.NaN(), -1
		}
		outgrown.Numbers = append(outgrown.Numbers, x)
		words.Codes = append(words.Codes, word)
		words.Values = append(words.Values, fmt.Sprint("w", i))
		none.Numbers = append(none.Numbers, math.NaN())
	}
	outgrown.Numbers[0] = math.Copysign(0, -1)
	table.Columns = append(table.Columns, outgrown, words, none)
	var out bytes.Buffer
	w := NewWriter(&out, Parquet)
	rng := rand.New(rand.NewPCG(1, 1))
	for from := 0; from < rows; {
		var part []int
		for n := rng.IntN(30_000); n >= 0 && from < rows; n-- {
			part = append(part, from)
			from++
		}
		if err := w.Write(table.Take(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	back, err := ReadFrom(bytes.NewReader(out.Bytes()), "x.parquet", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if back.Rows() != rows {
		t.Fatalf("%d rows of %d", back.Rows(), rows)
	}
	for j := range table.Columns {
		for i := range rows {
			want, got := table.Columns[j].At(i), back.Columns[j].At(i)
			want.Number += 0
			if want != got || math.Signbit(got.Number) && got.Number == 0 {
				t.Fatalf("row %d, %s: %v read back as %v", i, table.Columns[j].Name, want, got)
			}
		}
	}
	r, err := file.NewParquetReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := r.NumRowGroups(); n != 3 || r.RowGroup(0).NumRows() != groupMost || r.RowGroup(2).NumRows() != 777 {
		t.Errorf("%d row groups, the first of %d rows, the third of %d", n, r.RowGroup(0).NumRows(), r.RowGroup(2).NumRows())
	}
	for name, want := range map[string]bool{"x": false, "n": true, "t": true, "band": true, "id": false, "outgrown": true, "words": true} {
		chunk, err := r.MetaData().RowGroup(0).ColumnChunk(columnIndex(table, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := chunk.HasDictionaryPage(); got != want {
			t.Errorf("%s: with a dictionary is %v", name, got)
		}
		stats, err := chunk.Statistics()
		if err != nil || stats == nil {
			t.Fatalf("%s: statistics %v, %v", name, stats, err)
		}
		least, most, missing := extremes(table.Column(name), groupMost)
		if !bytes.Equal(stats.EncodeMin(), least) || !bytes.Equal(stats.EncodeMax(), most) || stats.NullCount() != missing {
			t.Errorf("%s: statistics %x to %x, %d missing; want %x to %x, %d", name, stats.EncodeMin(), stats.EncodeMax(), stats.NullCount(), least, most, missing)
		}
	}
}

func columnIndex(t *Table, name string) int {
	for j := range t.Columns {
		if t.Columns[j].Name == name {
			return j
		}
	}
	return -1
}

// extremes of the first n rows as Parquet encodes them.
func extremes(c *Column, n int) (least, most []byte, missing int64) {
	first := true
	var low, high Value
	for i := range n {
		v := c.At(i)
		if v.Missing() {
			missing++
			continue
		}
		if first || v.Number < low.Number || v.Time < low.Time || v.Text < low.Text {
			low = v
		}
		if first || v.Number > high.Number || v.Time > high.Time || v.Text > high.Text {
			high = v
		}
		first = false
	}
	plain := func(v Value, sign float64) []byte {
		switch v.Kind {
		case Number:
			x := v.Number
			if x == 0 {
				x = math.Copysign(0, sign) // by the format: the least zero is -0, the greatest +0
			}
			return binary.LittleEndian.AppendUint64(nil, math.Float64bits(x))
		case Time:
			return binary.LittleEndian.AppendUint64(nil, uint64(v.Time))
		}
		return []byte(v.Text)
	}
	return plain(low, -1), plain(high, 1), missing
}

// The same table, the same bytes, although its columns are encoded at once.
func TestParquetIsSame(t *testing.T) {
	table := long(5000)
	var files [2]bytes.Buffer
	for k := range files {
		w := NewWriter(&files[k], Parquet)
		for _, err := range []error{w.Write(table), w.Commit()} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(files[0].Bytes(), files[1].Bytes()) {
		t.Error("the same table makes different files")
	}
}
