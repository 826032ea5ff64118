package datasets

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func small() *Table {
	return &Table{Columns: []Column{
		{Name: "n", Kind: Number, Numbers: []float64{1, math.NaN(), 2.5}},
		{Name: "c", Kind: Category, Codes: []int32{0, 1, -1}, Values: []string{"x", `a "quoted", one`}},
	}}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// All extensions, compressed or not: written, named, read back.
func TestWriteFiles(t *testing.T) {
	for _, name := range []string{"t.csv", "t.tsv", "t.parquet", "t.arrow", "t.feather", "t.ipc", "t.arrows", "t.ndjson", "t.jsonl",
		"t.csv.gz", "t.csv.zst", "t.tsv.zst", "t.ndjson.gz", "t.parquet.gz", "t.arrow.zst", "t.arrows.gz"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := Write(path, small(), WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{name}, list(t, dir)); d != "" {
			t.Error(d)
		}
		var told, total int64
		back, err := Read(path, ReadOptions{Progress: func(r, n int64) { told, total = r, n }})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(spell(small()), spell(back)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if info, err := os.Stat(path); err != nil || total != info.Size() || told == 0 || told > total {
			t.Errorf("%s: told of %d of %d bytes", name, told, total)
		}
		// The content alone tells the format, but for tabs in CSV nothing else is needed.
		plain := filepath.Join(dir, "plain")
		if err := os.Rename(path, plain); err != nil {
			t.Fatal(err)
		}
		if back, err = Read(plain, ReadOptions{}); err != nil || back.Fingerprint() != small().Fingerprint() {
			t.Errorf("%s by its content: %v", name, err)
		}
	}
}

func TestWriteText(t *testing.T) {
	for format, want := range map[Format]string{
		CSV:    "n,c\n1,x\n,\"a \"\"quoted\"\", one\"\n2.5,\n",
		NDJSON: "{\"n\":1,\"c\":\"x\"}\n{\"n\":null,\"c\":\"a \\\"quoted\\\", one\"}\n{\"n\":2.5,\"c\":null}\n",
	} {
		var out strings.Builder
		w := NewWriter(&out, format)
		if err := w.Write(small()); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, out.String()); d != "" {
			t.Error(d)
		}
	}
}

func TestEmptyTextInCSV(t *testing.T) {
	table := &Table{Columns: []Column{{Name: "c", Kind: Category, Codes: []int32{0, -1, 0}, Values: []string{""}}}}
	var out strings.Builder
	w := NewWriter(&out, CSV)
	if err := w.Write(table); err != nil {
		t.Fatal(err)
	}
	if len(w.Notes()) != 1 || !strings.HasPrefix(w.Notes()[0], "2 empty texts") {
		t.Errorf("notes %q", w.Notes())
	}
	if err := w.Commit(); err != nil || out.String() != "c\n\"\"\n\"\"\n\"\"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// Until Commit the name holds what it held before; afterwards no trace is left.
func TestWriteIsAtomic(t *testing.T) {
	for _, name := range []string{"t.csv", "t.parquet", "t.arrow", "t.arrows", "t.ndjson", "t.csv.gz", "t.csv.zst"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("before"), 0o640); err != nil {
			t.Fatal(err)
		}
		before := func() bool { b, err := os.ReadFile(path); return err == nil && string(b) == "before" }
		start := func() *Writer {
			w, err := Create(path, WriteOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(small()); err != nil {
				t.Fatal(err)
			}
			return w
		}

		w := start()
		w.Abort()
		if !before() || len(list(t, dir)) != 1 {
			t.Errorf("%s: aborted, left %q", name, list(t, dir))
		}
		if w.Write(small()) == nil || w.Commit() == nil {
			t.Errorf("%s: an aborted writer goes on", name)
		}

		w = start()
		bad := small()
		bad.Columns[0].Numbers[0] = math.Inf(1)
		if err := w.Write(bad); !errors.Is(err, ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
		if w.Commit() == nil || !before() || len(list(t, dir)) != 1 {
			t.Errorf("%s: failed, left %q", name, list(t, dir))
		}

		w = start()
		w.file.File.Close() // whatever the system does to it
		if w.Commit() == nil || !before() || len(list(t, dir)) != 1 {
			t.Errorf("%s: closed under the writer, left %q", name, list(t, dir))
		}

		w = start()
		if !before() {
			t.Errorf("%s: changed before Commit", name)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		w.Abort() // without effect now
		info, err := os.Stat(path)
		if before() || err != nil || info.Mode().Perm() != 0o640 || len(list(t, dir)) != 1 {
			t.Errorf("%s: after Commit %v, %q", name, info.Mode(), list(t, dir))
		}
	}
}

func TestWriteThroughLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target.csv"), filepath.Join(dir, "link.csv")
	if err := os.WriteFile(target, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := Write(link, small(), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if _, err := Read(target, ReadOptions{}); err != nil {
		t.Error(err)
	}
}

// fullDisk fails after so many bytes.
type fullDisk struct{ left int }

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(b []byte) (int, error) {
	if len(b) > d.left {
		n := d.left
		d.left = 0
		return n, errFull
	}
	d.left -= len(b)
	return len(b), nil
}

func TestDiskFull(t *testing.T) {
	for f := CSV; f <= NDJSON; f++ {
		w := NewWriter(&fullDisk{20}, f)
		err := w.Write(small())
		if err == nil {
			err = w.Commit()
		}
		if err == nil || (f != Parquet && !errors.Is(err, errFull)) || !strings.Contains(err.Error(), "no space") {
			t.Errorf("%s: %v", f, err)
		}
		if w.Commit() == nil {
			t.Errorf("%s: committed all the same", f)
		}
	}
	if _, err := os.Stat("/dev/full"); err == nil {
		if err := Write("/dev/full", small(), WriteOptions{Format: CSV}); err == nil {
			t.Error("/dev/full took it")
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	column := func(c Column) *Table { return &Table{Columns: []Column{c}} }
	for name, c := range map[string]struct {
		table *Table
		err   error
	}{
		"no columns":    {&Table{}, ErrEmpty},
		"no name":       {column(Column{Kind: Number}), ErrHeader},
		"twice a name":  {&Table{Columns: []Column{{Name: "a", Kind: Number}, {Name: "a", Kind: Number}}}, ErrHeader},
		"no kind":       {column(Column{Name: "a"}), ErrValue},
		"ragged":        {&Table{Columns: []Column{{Name: "a", Kind: Number}, {Name: "b", Kind: Number, Numbers: []float64{1}}}}, ErrRagged},
		"infinite":      {column(Column{Name: "a", Kind: Number, Numbers: []float64{math.Inf(-1)}}), ErrValue},
		"half true":     {column(Column{Name: "a", Kind: Boolean, Numbers: []float64{0.5}}), ErrValue},
		"year 10000":    {column(Column{Name: "a", Kind: Time, Times: []int64{latestTime + 1}}), ErrValue},
		"no such code":  {column(Column{Name: "a", Kind: Text, Codes: []int32{0}}), ErrValue},
		"invalid UTF-8": {column(Column{Name: "a", Kind: Text, Codes: []int32{0}, Values: []string{"\xff"}}), ErrValue},
	} {
		for f := CSV; f <= NDJSON; f++ {
			if err := NewWriter(io.Discard, f).Write(c.table); !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %v", name, f, err)
			}
		}
	}
	w := NewWriter(io.Discard, CSV)
	if err := w.Commit(); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing written: %v", err)
	}
	w = NewWriter(io.Discard, CSV)
	if err := w.Write(small()); err != nil {
		t.Fatal(err)
	}
	other := small()
	other.Columns = other.Columns[:1]
	if err := w.Write(other); !errors.Is(err, ErrColumn) {
		t.Errorf("other columns: %v", err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none", "t.csv"), filepath.Join(t.TempDir(), "t.xlsx"), t.TempDir()} {
		if _, err := Create(path, WriteOptions{}); err == nil || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A compressed file that is cut off is not taken for a shorter one.
func TestTruncatedCompression(t *testing.T) {
	dir := t.TempDir()
	table := &Table{Columns: []Column{{Name: "n", Kind: Number}}}
	for i := range 50000 {
		table.Columns[0].Numbers = append(table.Columns[0].Numbers, float64(i*7919%104729))
	}
	for _, name := range []string{"t.csv.gz", "t.csv.zst", "t.ndjson.gz", "t.parquet.gz"} {
		path := filepath.Join(dir, name)
		if err := Write(path, table, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{len(whole) / 3, len(whole) - 1} {
			if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path, ReadOptions{}); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s cut off at %d: %v", name, n, err)
			}
			r, err := Open(path, ReadOptions{})
			for err == nil {
				_, err = r.Next()
			}
			if !errors.Is(err, ErrTruncated) {
				t.Errorf("%s cut off at %d, as a stream: %v", name, n, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "no.csv.gz"), []byte("a\n1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(filepath.Join(dir, "no.csv.gz"), ReadOptions{}); !errors.Is(err, ErrEncoding) {
		t.Error(err)
	}
}

func TestFormats(t *testing.T) {
	for f := CSV; f <= NDJSON; f++ {
		if got, err := ParseFormat(f.String()); err != nil || got != f {
			t.Errorf("%s: %s, %v", f, got, err)
		}
	}
	for name, want := range map[string]Format{"tsv": CSV, "feather": ArrowFile, "jsonl": NDJSON, "arrows": ArrowStream} {
		if got, err := ParseFormat(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := ParseFormat("xlsx"); err == nil {
		t.Error("xlsx is a format")
	}
}
