package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// readBlocks reads text in blocks of about size bytes, every record the slow way
// if slowly; the table spelt out, its values and notes, or the error.
func readBlocks(text string, o ReadOptions, size int, slowly bool) string {
	if err := o.check(); err != nil {
		return err.Error()
	}
	r := &csvReader{file: textIn(text), name: "t.csv", opts: &o, slowly: slowly}
	t, err := r.read(size)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	b.WriteString(spell(t))
	for j := range t.Columns {
		fmt.Fprintf(&b, "%q", t.Columns[j].Values)
	}
	fmt.Fprintf(&b, "%q", t.Notes)
	return b.String()
}

// Files that put a boundary into every odd place.
var nasty = map[string]string{
	"quoted line ends":  "a,b\n1,\"x\ny\n\n\"\n2,\"\r\n\"\n3,\"\"\"\n\"\"\"\n",
	"quotes in fields":  "a,b\n1,x\"\n2,\"y\"\n3,z\"\"\n\"4\",\"\"\n",
	"line ends":         "a,b\r\n1,2\r\n\r\n\n3,4\n5,6\r7,8\r\r9,10",
	"only returns":      "a,b\r1,x\r2,y\r\r3,z\r",
	"changing classes":  "a,b,c,d,e\n,,,,\n1,true,2024-01-01,,x\n2,FALSE,2024-01-02,3,y\n,,,,\n-3.5,true,2024-01-03 10:00:00,,z\nx,1,2024-01-04,true,NA\n",
	"tokens":            "a,b,c\nNA,null,\n1,NA,  \n ,true, \n2,false,\n",
	"broken late":       "a,b\n" + strings.Repeat("1,2024-01-01\n", 20) + "x,2024-01-01T00:00:00Z\n" + strings.Repeat("2,2024-01-01\n", 20),
	"mixed times":       "a\n2024-01-01\n2024-01-01 00:00:00\n2024-01-01T00:00:00Z\n",
	"words after times": "a\n2024-01-01\n2024-01-01 00:00:00\nx\n",
	"as a whole":        "a,b\n\"1,\"\"x\ny\"\"\"\n2,z\n\"3,\"\"\"\"\"\"\"\"\"\"\"\n",
	"one column":        "a\n1\n\n2\n\n\n\"\n\"\n3\n",
	"multi-byte":        "å,b\né,ü\n😀,\u2028\n",
	"ragged":            "a,b\n1,2\n3,4\n5\n6,7\n\"8\n",
	"long record":       "a,b\n1,2\n" + strings.Repeat("x", 200) + ",3\n4,5\n",
	"unclosed":          "a,b\n1,2\n3,\"4\n5,6\n7,8\n",
	"after a quote":     "a,b\n1,2\n3,\"4\"5\n6,7\n",
	"no text":           "a,b\n1,2\n3,\xff\n4\n\x00\n",
	"zero byte":         "a,b\n1,2\n3,\x00\n\"",
	"wide":              "a" + strings.Repeat(",a", 0) + ",b,c,d,e,f,g,h,i,j\n" + strings.Repeat("1,,,,,,,,,0.25\n,,3,,,,,,,\n", 5),
	"no end":            "a,b\n1,2\n3,4",
	"numbers":           "a\n1\n-0\n12345678\n123456789\n0.1234567\n1e5\n-12.5\n.5\n5.\n99999999999999999.5\n0.12345678901234567\n",
	"not quite numbers": "a,b,c,d\n1,1,1,1\n001,+1,-,1e400\n",
	"long texts":        "a\neight888\nnine99999\neight889\nnine99998\nseven77\n",
}

// The table is the same, and so is the error, whatever the blocks and the workers
// are, and whether a record is read the quick way or the slow one.
func TestCSVBlocks(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, text := range nasty {
		for _, o := range []ReadOptions{{}, {MaxLine: 100}, {Missing: []string{"2", "x"}},
			{Kinds: map[string]Kind{"a": Number, "b": Text}}, {Kinds: map[string]Kind{"a": Category, "b": Boolean}, Columns: []string{"b", "a"}}} {
			if len(o.Columns) > 0 && (!strings.Contains(text, "b") || name == "multi-byte") {
				continue
			}
			want := readBlocks(text, o, 1<<20, true)
			for size := 1; size <= len(text)+1; size++ {
				runtime.GOMAXPROCS(1 + size%3)
				if d := cmp.Diff(want, readBlocks(text, o, size, false)); d != "" {
					t.Fatalf("%s, %+v, blocks of %d: %s", name, o, size, d)
				}
			}
		}
	}
}

func TestCSVBlocksDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawCSV(t)
		o := ReadOptions{Missing: rapid.SampledFrom([][]string{nil, nil, {}, {"x", "1"}}).Draw(t, "missing")}
		if rapid.Bool().Draw(t, "set") {
			o.Kinds = map[string]Kind{"a": Kind(rapid.IntRange(int(Number), int(Text)).Draw(t, "kind"))}
		}
		want := readBlocks(text, o, 1<<20, true)
		for _, size := range []int{rapid.IntRange(1, 200).Draw(t, "size"), 1 << 20} {
			if got := readBlocks(text, o, size, false); got != want {
				t.Fatalf("blocks of %d give\n%s\nnot\n%s", size, got, want)
			}
		}
	})
}

// Any bytes are read the same way in blocks of any size, or refused for the same
// reason.
func FuzzCSVBlocks(f *testing.F) {
	for _, text := range nasty {
		f.Add(text, 5)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = 1 + max(size, -size, 0)%300
		want := readBlocks(text, ReadOptions{MaxLine: 200}, 1<<20, true)
		if got := readBlocks(text, ReadOptions{MaxLine: 200}, size, false); got != want {
			t.Fatalf("blocks of %d give\n%s\nnot\n%s", size, got, want)
		}
	})
}

// A large table is the same in many blocks as in one, and as it was written.
func TestCSVLarge(t *testing.T) {
	want := wideTable(20_000)
	path := filepath.Join(t.TempDir(), "t.csv")
	if err := Write(path, want, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	told := int64(0)
	o := ReadOptions{Kinds: map[string]Kind{"active": Boolean, "id": Text}, Progress: func(read, total int64) {
		if read < told || read > total {
			t.Errorf("%d bytes of %d after %d", read, total, told)
		}
		told = read
	}}
	got, err := Read(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Fingerprint() != want.Fingerprint() {
		t.Error("it is not what was written")
	}
	for j, c := range got.Columns {
		if d := cmp.Diff(want.Columns[j].Values, c.Values); d != "" {
			t.Errorf("%s: %s", c.Name, d)
		}
	}
}

func TestMatchesTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte(",-+\n\x00\x01\x80\xac\xff.")), 8, 8).Draw(t, "bytes")
		c := rapid.SampledFrom([]byte(",\n.\x00")).Draw(t, "byte")
		var want [8]byte
		for i := range b {
			if b[i] == c {
				want[i] = 0x80
			}
		}
		if got := matches(binary.LittleEndian.Uint64(b), c); got != binary.LittleEndian.Uint64(want[:]) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}

func csvBytes(b *testing.B, rows int) []byte {
	var out bytes.Buffer
	w := NewWriter(&out, CSV)
	err := w.Write(wideTable(rows))
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func BenchmarkReadCSV(b *testing.B) {
	path := filepath.Join(b.TempDir(), "t.csv")
	if err := Write(path, wideTable(100_000), WriteOptions{}); err != nil {
		b.Fatal(err)
	}
	benchRead(b, path)
}

// One block that is in the cache: marking the fields, then reading the columns.
func BenchmarkParseCSV(b *testing.B) {
	data := csvBytes(b, 2000)
	for _, slowly := range []bool{false, true} {
		b.Run(map[bool]string{false: "quick", true: "slow"}[slowly], func(b *testing.B) {
			o := ReadOptions{}
			if err := o.check(); err != nil {
				b.Fatal(err)
			}
			r := &csvReader{file: textIn(string(data)), name: "t.csv", opts: &o}
			start, err := r.header()
			if err != nil {
				b.Fatal(err)
			}
			if r.blocks, err = r.layout.survey(r.file, start, 1<<30); err != nil {
				b.Fatal(err)
			}
			r.total = r.blocks[0].rows
			plans, err := r.look()
			if err != nil {
				b.Fatal(err)
			}
			w := newCSVWorker(r.layout, plans)
			w.slowly = slowly
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if rows, _, fault := w.parse(data[start:], 0, r.total); fault != nil || rows != r.total {
					b.Fatal(rows, fault)
				}
			}
		})
	}
}

func BenchmarkIndexCSV(b *testing.B) {
	data := csvBytes(b, 400)
	l := &csvLayout{comma: ',', header: make([]string, bytes.Count(data[:bytes.IndexByte(data, '\n')], []byte(","))+1), opts: &ReadOptions{}}
	w := newCSVWorker(l, nil)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for pos := 0; ; {
			n, end := w.index(data, pos, false)
			if n == 0 {
				break
			}
			pos = end
		}
	}
}

func BenchmarkStreamCSV(b *testing.B) {
	data := csvBytes(b, 50_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := OpenFrom(bytes.NewReader(data), "t.csv", ReadOptions{})
		for err == nil {
			_, err = r.Next()
		}
		if err.Error() != "EOF" {
			b.Fatal(err)
		}
	}
}
