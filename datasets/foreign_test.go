package datasets

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The values that testdata/foreign.py writes, as this package has them.
const foreign = `"i8" number: "1" - "-3"
"u16" number: "1" "65535" "3"
"i64" number: "1" - "999999999999999"
"ids" category: "1" "12345678901234567" -
"u64" category: "18446744073709551615" "2" -
"f32" number: "0.5" - -
"f64" number: "0.1" - "1e+300"
"yes" boolean: "true" "false" -
"text" category: "a" - "é"
"large" category: "5" "28.0" -
"words" category: "x" "y" -
"day" time: "2024-02-29T00:00:00Z" - "1960-01-01T00:00:00Z"
"s" time: "2024-01-02T03:04:05Z" - "1969-12-31T23:59:59Z"
"ms" time: "2024-01-02T03:04:05.006Z" - -
"ns" time: "2023-11-14T22:13:20.123456Z" "1969-12-31T23:59:59.999999Z" -
"zone" time: "2024-01-02T03:04:05Z" - -
"dec" number: "12.5" "-0.05" -
"bigdec" category: "12345678901234567" "1" -
"nothing" category: - - -
`

func TestForeignTypes(t *testing.T) {
	for _, name := range []string{"typed.parquet", "typed.arrow", "typed.arrows", "typed_lz4.arrow", "typed_old.parquet"} {
		t.Run(name, func(t *testing.T) {
			table, err := Read(filepath.Join("testdata", name), ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(foreign, spell(table)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestForeignViews(t *testing.T) {
	table, err := Read("testdata/views.arrows", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := `"v" category: "short" - "a text that is too long to be held inline"` + "\n"
	if d := cmp.Diff(want, spell(table)); d != "" {
		t.Error(d)
	}
}

func TestForeignKindsByHand(t *testing.T) {
	kinds := map[string]Kind{"ids": Text, "i8": Boolean, "large": Category, "text": Text, "day": Text, "f64": Category, "yes": Category, "dec": Text, "words": Text}
	columns := []string{"ids", "large", "text", "day", "f64", "yes", "dec", "words"}
	want := `"ids" text: "1" "12345678901234567" -
"f64" category: "0.1" - "1e+300"
"yes" category: "true" "false" -
"text" text: "a" - "é"
"large" category: "5" "28" -
"words" text: "x" "y" -
"day" text: "2024-02-29T00:00:00Z" - "1960-01-01T00:00:00Z"
"dec" text: "12.5" "-0.05" -
`
	for _, name := range []string{"typed.parquet", "typed.arrow"} {
		path := filepath.Join("testdata", name)
		table, err := Read(path, ReadOptions{Kinds: kinds, Columns: columns})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, spell(table)); d != "" {
			t.Error(name, d)
		}
		for column, kind := range map[string]Kind{"i8": Boolean, "ids": Number, "text": Number, "day": Number, "s": Boolean, "yes": Number, "f64": Time} {
			_, err := Read(path, ReadOptions{Kinds: map[string]Kind{column: kind}, Columns: []string{column}})
			var parse *ParseError
			if !errors.Is(err, ErrValue) || !errors.As(err, &parse) || parse.Column != column || parse.Row == 0 || parse.Value == "" {
				t.Errorf("%s: %s as a %s: %v", name, column, kind, err)
			}
		}
		r, err := Open(path, ReadOptions{Columns: []string{"ids"}})
		if err == nil {
			_, err = r.Next()
			r.Close()
		}
		var parse *ParseError
		if !errors.As(err, &parse) || parse.Row != 2 || parse.Value != "12345678901234567" {
			t.Errorf("%s: a long id in a stream: %v", name, err)
		}
	}
}

func TestForeignOdd(t *testing.T) {
	for _, name := range []string{"odd.parquet", "odd.arrow"} {
		path := filepath.Join("testdata", name)
		for _, column := range []string{"list", "struct", "bytes", "hour", "inf"} {
			_, err := Read(path, ReadOptions{Columns: []string{"ok", column}})
			var parse *ParseError
			if !errors.Is(err, ErrValue) || !errors.As(err, &parse) || parse.Column != column || parse.Hint == "" {
				t.Errorf("%s: %s: %v", name, column, err)
			}
		}
		if _, err := Read(path, ReadOptions{}); !errors.Is(err, ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Read(path, ReadOptions{Columns: []string{"bytes"}, Kinds: map[string]Kind{"bytes": Text}}); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: bytes that are no text: %v", name, err)
		}
		table, err := Read(path, ReadOptions{Columns: []string{"ok"}})
		if err != nil || spell(table) != `"ok" number: "1" "2"`+"\n" {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Read(path, ReadOptions{Columns: []string{"ok", "none"}}); !errors.Is(err, ErrColumn) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var foreignFiles = []string{"typed.parquet", "typed_old.parquet", "odd.parquet", "mixed.parquet", "mixed_v2.parquet", "mixed_delta.parquet", "typed.arrow", "typed.arrows", "typed_lz4.arrow", "odd.arrow", "views.arrows"}

func bytesOf(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A file cut off anywhere is an error; only an Arrow stream may end between two
// messages.
func TestCutOff(t *testing.T) {
	for _, name := range foreignFiles {
		whole := bytesOf(t, name)
		for n := 0; n < len(whole); n += max(1, len(whole)/200) {
			_, err := ReadFrom(bytes.NewReader(whole[:n]), name, ReadOptions{})
			if err == nil && filepath.Ext(name) != ".arrows" {
				t.Errorf("%s: read though cut off at %d of %d", name, n, len(whole))
			}
			if n > 16 && err != nil && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrEncoding) && !errors.Is(err, ErrValue) {
				t.Errorf("%s: cut off at %d: %v", name, n, err)
			}
		}
	}
}

// damage changes a few bytes of b.
func damage(r *rand.Rand, b []byte) {
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b[at] = byte(r.Uint32())
		case 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] = 0xff
		case 3:
			from := r.IntN(len(b))
			n := min(1+r.IntN(16), len(b)-at, len(b)-from)
			copy(b[at:at+n], b[from:from+n])
		}
	}
}

// Whatever bytes are turned over, the answer is an error or a sound table.
func TestDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		name := foreignFiles[r.IntN(len(foreignFiles))]
		b := bytesOf(t, name)
		damage(r, b)
		checkSound(t, name, b)
	}
}

func FuzzParquet(f *testing.F) {
	fuzzBinary(f, Parquet, "typed.parquet", "odd.parquet", "mixed_delta.parquet")
}

func FuzzIPC(f *testing.F) {
	fuzzBinary(f, ArrowFile, "typed.arrow", "typed.arrows", "typed_lz4.arrow", "odd.arrow", "views.arrows")
}

func fuzzBinary(f *testing.F, format Format, names ...string) {
	for _, name := range names {
		f.Add(bytesOf(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkSound(t, "t."+format.String(), b) })
}

// checkSound reads a file that may be damaged: a table that comes of it could be
// written again.
func checkSound(t *testing.T, name string, b []byte) {
	if table, err := ReadFrom(bytes.NewReader(b), name, ReadOptions{}); err == nil {
		for j := range table.Columns {
			if table.Columns[j].Len() != table.Rows() {
				t.Fatalf("%s: columns of different length", name)
			}
			if value, ok := table.Columns[j].writable(Parquet); !ok {
				t.Fatalf("%s: %q cannot be written again", name, value)
			}
		}
		_ = spell(table)
	}
	if table, err := UnmarshalIPC(b); err == nil {
		_ = spell(table)
	}
}
