package datasets

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// wide is a table of all kinds, with missing cells, of several row groups.
func wide(rows int) *Table {
	t := &Table{Columns: []Column{{Name: "n", Kind: Number}, {Name: "b", Kind: Boolean}, {Name: "c", Kind: Category}, {Name: "t", Kind: Time}, {Name: "x", Kind: Text}}}
	for i := range rows {
		n, at, code := float64(i)/4, int64(i)*1_000_003, int32(i%7)
		if i%5 == 0 {
			n, at, code = math.NaN(), MissingTime, -1
		}
		t.Columns[0].Numbers = append(t.Columns[0].Numbers, n)
		t.Columns[1].Numbers = append(t.Columns[1].Numbers, float64(i%3/2))
		t.Columns[2].Codes = append(t.Columns[2].Codes, code)
		t.Columns[3].Times = append(t.Columns[3].Times, at)
		t.Columns[4].Codes = append(t.Columns[4].Codes, int32(i))
		t.Columns[4].Values = append(t.Columns[4].Values, fmt.Sprintf("id-%d", i))
	}
	for k := range 7 {
		t.Columns[2].Values = append(t.Columns[2].Values, string(rune('a'+k)))
	}
	return t
}

// cells spells a row.
func cells(t *Table, i int) string {
	var b strings.Builder
	for k := range t.Columns {
		b.WriteString(t.Columns[k].At(i).String() + "|")
	}
	return b.String()
}

// The pieces of a file, read by several goroutines in batches that are lent, hold its
// rows, each under its number; where codes are kept they mean the same throughout.
func TestPiecesAreTheFile(t *testing.T) {
	const rows = groupMost + groupMost/2 + 11
	table := wide(rows)
	for _, format := range []string{"parquet", "csv", "ndjson", "arrow"} {
		table := table
		if format != "parquet" {
			table = wide(5000)
		}
		path := filepath.Join(t.TempDir(), "t."+format)
		if err := Write(path, table, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		p, err := OpenPieces(path, ReadOptions{Batch: 1000, Kinds: map[string]Kind{"n": Number, "b": Boolean, "c": Category, "t": Time, "x": Text}})
		if err != nil {
			t.Fatal(err)
		}
		if pieces := p.Len(); (pieces > 1) != (format == "parquet") || p.Keeps() != (format == "parquet") || p.Typed() != (format == "parquet" || format == "arrow") {
			t.Errorf("%s: %d pieces, keeps %v, typed %v", format, pieces, p.Keeps(), p.Typed())
		}
		seen := make([]bool, table.Rows())
		var wg sync.WaitGroup
		for i := range p.Len() {
			wg.Go(func() {
				var values []string
				err := p.Read(i, func(b *Table, row int) error {
					if c := b.Column("x"); p.Keeps() {
						if !slices.Equal(c.Values[:min(len(values), len(c.Values))], values) {
							t.Errorf("%s: codes have changed", format)
						}
						values = c.Values
					}
					for k := range b.Rows() {
						if got, want := cells(b, k), cells(table, row-1+k); got != want {
							return fmt.Errorf("row %d is %s, not %s", row+k, got, want)
						}
						seen[row-1+k] = true
					}
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", format, err)
				}
			})
		}
		wg.Wait()
		if slices.Contains(seen, false) {
			t.Errorf("%s: a row is missing", format)
		}
		stop := errors.New("enough")
		if format == "parquet" {
			if err := p.Read(0, func(*Table, int) error { return stop }); err != stop {
				t.Errorf("an error of each became %v", err)
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is no time is missing where that was asked for, in every format.
func TestLooseTimes(t *testing.T) {
	for name, text := range map[string]string{
		"t.csv":    "at,other\n2024-01-01,1\nsoon,2\n,3\n" + `"2024-13-01",4` + "\n",
		"t.ndjson": `{"at": "2024-01-01", "other": 1}` + "\n" + `{"at": "soon", "other": 2}` + "\n" + `{"at": null, "other": 3}` + "\n" + `{"at": 17, "other": 4}` + "\n",
	} {
		o := ReadOptions{Kinds: map[string]Kind{"at": Time, "other": Number}}
		if _, err := ReadFrom(strings.NewReader(text), name, o); !errors.Is(err, ErrValue) {
			t.Errorf("%s: %v", name, err)
		}
		o.LooseTimes = []string{"at"}
		r, err := OpenFrom(strings.NewReader(text), name, o)
		if err != nil {
			t.Fatal(err)
		}
		table, err := r.Next()
		if err != nil {
			t.Fatal(name, err)
		}
		want := []int64{1704067200000000, MissingTime, MissingTime, MissingTime}
		if got := table.Column("at").Times; !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		if got := table.Column("other").Numbers; !slices.Equal(got, []float64{1, 2, 3, 4}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, x := range []struct {
		values  string
		missing []string
		want    Kind
	}{{"1 2.5", nil, Number}, {"true false", nil, Boolean}, {"2024-01-01 2024-02-01", nil, Time}, {"x 1", nil, Category}, {"NA 1", nil, Number}, {"NA", nil, 0}, {"- 1", []string{"-"}, Number}, {"", nil, 0}} {
		if got := KindOf(strings.Fields(x.values), ReadOptions{Missing: x.missing}); got != x.want {
			t.Errorf("%q is a %s", x.values, got)
		}
	}
}
