package datasets

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// openTest opens a Parquet file below the API.
func openTest(t testing.TB, path string) *parquetReader {
	t.Helper()
	o := ReadOptions{}
	src, err := openSource(path, nil, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.close() })
	p, err := openParquet(src, &o, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What the quick way reads is what the library reads, in steps of any size.
func TestParquetTwin(t *testing.T) {
	for _, name := range []string{"typed.parquet", "typed_old.parquet", "mixed.parquet", "mixed_v2.parquet"} {
		path := filepath.Join("testdata", name)
		for k, c := range openTest(t, path).cols {
			library := openTest(t, path).column(k)
			slow := library.quick == nil
			library.quick = nil
			want, err := library.take(library.p.total, true)
			if err != nil {
				t.Fatal(err)
			}
			quick := openTest(t, path).column(k)
			got, err := quick.take(quick.p.total, true)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(spell(tableOf([]*builder{want}, true)), spell(tableOf([]*builder{got}, true))); d != "" {
				t.Errorf("%s: %s: %s", name, c.name, d)
			}
			if odd := quick.quick == nil; odd != (slow || c.name == "id" || c.name == "ids" || c.name == "u64") {
				t.Errorf("%s: %s is read by the library: %v", name, c.name, odd)
			}
			for _, step := range []int64{1, 7, 1000, 1500} {
				steps := openTest(t, path).column(k)
				column := want.column()
				for from := int64(0); from < steps.p.total; from += step {
					part, err := steps.take(min(step, steps.p.total-from), false)
					if column.Kind == Category && c.kind == Number {
						break // of whole numbers of which one is too long: an error in a stream
					}
					if err != nil {
						t.Fatalf("%s: %s, %d rows from row %d: %v", name, c.name, step, from, err)
					}
					for i := range part.col.Len() {
						p := part.column()
						if got, want := p.At(i), column.At(int(from)+i); got != want {
							t.Fatalf("%s: %s, row %d: got %v, want %v", name, c.name, int(from)+i, got, want)
						}
					}
				}
			}
		}
	}
}

// The same table in other encodings is the same. The library does not read all of
// them, and loses its place in delta pages that it reads in steps.
func TestParquetEncodings(t *testing.T) {
	want, err := Read(filepath.Join("testdata", "mixed.parquet"), ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mixed_v2.parquet", "mixed_delta.parquet"} {
		path := filepath.Join("testdata", name)
		o := ReadOptions{Kinds: map[string]Kind{"id": Category}}
		got, err := Read(path, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(spell(want), spell(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for _, c := range want.Columns {
			if c.Name == "id" {
				continue // of which one is too long for a stream of numbers
			}
			r, err := Open(path, ReadOptions{Columns: []string{c.Name}, Batch: 7})
			for row := 0; err == nil; {
				var part *Table
				if part, err = r.Next(); err != nil {
					break
				}
				for i := range part.Rows() {
					if got, want := part.Columns[0].At(i), c.At(row+i); got != want {
						t.Fatalf("%s: %s, row %d: got %v, want %v", name, c.Name, row+i, got, want)
					}
				}
				row += part.Rows()
			}
			if err != io.EOF {
				t.Errorf("%s: %s: %v", name, c.Name, err)
			}
		}
	}
}

// The columns that a quick way exists for are read that way.
func TestParquetQuick(t *testing.T) {
	for _, name := range []string{"mixed.parquet", "mixed_v2.parquet", "mixed_delta.parquet"} {
		p := openTest(t, filepath.Join("testdata", name))
		for k, c := range p.cols {
			if p.quick(k) == nil {
				t.Errorf("%s: %s is left to the library", name, c.name)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "own.parquet")
	if err := Write(path, wideTable(5000), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	p := openTest(t, path)
	for k, c := range p.cols {
		column := p.column(k)
		if _, err := column.take(p.total, true); err != nil || column.quick == nil {
			t.Errorf("our own %s is left to the library (%v)", c.name, err)
		}
	}
}

// slowRuns writes runs as hybrid reads them.
func slowRuns(values []uint32, width uint, packed []bool) []byte {
	var out []byte
	for i := 0; i < len(values); {
		if packed[i%len(packed)] {
			group := make([]byte, width)
			for j := range 8 {
				if i+j < len(values) {
					for b := range width {
						at := uint(j)*width + b
						group[at/8] |= byte(values[i+j]>>b&1) << (at % 8)
					}
				}
			}
			out = append(append(out, 1<<1|1), group...)
			i += 8
			continue
		}
		n := 1
		for i+n < len(values) && values[i+n] == values[i] && n < 60 {
			n++
		}
		out = append(out, byte(n<<1))
		for b := uint(0); b < width; b += 8 {
			out = append(out, byte(values[i]>>b))
		}
		i += n
	}
	return out
}

func TestHybridTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.UintRange(0, 32).Draw(t, "width")
		most := uint32(uint64(1)<<width - 1)
		values := rapid.SliceOf(rapid.Map(rapid.Uint32(), func(v uint32) uint32 { return v & most })).Draw(t, "values")
		data := slowRuns(values, width, rapid.SliceOfN(rapid.Bool(), 1, 5).Draw(t, "packed"))
		h, flags := hybrid{data: data, width: width}, hybrid{data: data, width: width}
		for rest := values; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			out := make([]uint32, n)
			if !h.read(out) || !cmp.Equal(out, rest[:n]) {
				t.Fatalf("%v, want %v", out, rest[:n])
			}
			if width == 1 {
				bits, ones := make([]byte, n), 0
				for _, v := range rest[:n] {
					ones += int(v)
				}
				if got := flags.flags(bits); got != ones {
					t.Fatalf("%d of %v", got, rest[:n])
				}
				for i, v := range bits {
					if uint32(v) != rest[i] {
						t.Fatalf("%v, want %v", bits, rest[:n])
					}
				}
			}
			rest = rest[n:]
		}
		// Cut off anywhere, it ends and does not read on.
		for cut := range data {
			short := hybrid{data: data[:cut:cut], width: width}
			if short.read(make([]uint32, len(values)+8)) {
				t.Fatalf("%d values in %d bytes", len(values)+8, cut)
			}
		}
	})
}

func BenchmarkReadParquet(b *testing.B) {
	path := filepath.Join(b.TempDir(), "t.parquet")
	if err := Write(path, wideTable(100_000), WriteOptions{}); err != nil {
		b.Fatal(err)
	}
	benchRead(b, path)
}

func benchRead(b *testing.B, path string) {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(path, ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
