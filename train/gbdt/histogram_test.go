package gbdt

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// tableOf lays out columns of the given sizes.
func tableOf(sizes []int, rows [][]uint8) *table {
	t := &table{}
	for k, size := range sizes {
		t.columns = append(t.columns, column{feature: k, size: size, binner: &binner{values: size - 1, missing: uint8(size - 1)}, rows: rows[k]})
	}
	t.pack()
	return t
}

// A leaf's histograms hold, for each bin, the sum over the rows of that bin,
// whatever shares a byte, however many goroutines count, and whatever was in the
// buffers before.
func TestCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		n := rapid.SampledFrom([]int{1, 50, 3000, 40000}).Draw(t, "rows")
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{2, 3, 7, 40, 256}), 1, 30).Draw(t, "sizes")
		columns := make([][]uint8, len(sizes))
		for k, size := range sizes {
			columns[k] = make([]uint8, n)
			for i := range columns[k] {
				if r.IntN(2) == 0 { // half of the rows in one bin
					columns[k][i] = uint8(r.IntN(size))
				}
			}
		}
		wide := rapid.Bool().Draw(t, "wide")
		pack, most := word, gradientUnits
		if wide {
			pack, most = wideWord, wider*gradientUnits
		}
		sign := 1 - 2*r.IntN(2)
		words, of := make([]uint64, n), make([]sums, n)
		for i := range words {
			g, h := int64(r.IntN(2*most+1)-most), int64(r.IntN(most+1))
			if r.IntN(3) > 0 {
				g, h = int64(sign*most), int64(most) // the most, so that sums reach as far as they can
			}
			words[i], of[i] = pack(g, h), sums{g, h, 1}
		}
		o := Defaults()
		g := &grower{Options: &o, table: tableOf(sizes, columns), nearby: nearby{words: words, wide: wide}, sample: numbers(0, n)}
		g.counters = make([]counter, rapid.IntRange(1, 4).Draw(t, "goroutines"))
		for k := range sizes {
			if k == 0 || r.IntN(3) > 0 {
				g.used = append(g.used, k)
			}
		}
		g.reset()
		var rows, rest []int32
		for i := range int32(n) {
			if r.IntN(3) == 0 {
				rows = append(rows, i)
			} else {
				rest = append(rest, i)
			}
		}
		all, part, other := g.take(), g.take(), g.take()
		for i := range all {
			all[i], part[i], other[i] = sums{9, 9, 9}, sums{9, 9, 9}, sums{9, 9, 9}
		}
		seen := make([]int, len(sizes))
		count := func(dst []sums, rows []int32) {
			clear(seen)
			g.count(dst, rows, func(columns []int) {
				for _, k := range columns {
					seen[k]++
				}
			})
			for _, k := range g.used {
				if seen[k] != 1 {
					t.Fatalf("column %d was handed on %d times", k, seen[k])
				}
			}
		}
		count(all, numbers(0, n))
		count(part, rows)
		count(other, rest)
		for _, k := range g.used {
			from, to := g.columns[k].start, g.columns[k].start+g.columns[k].size
			want := make([]sums, sizes[k])
			for _, i := range rows {
				want[columns[k][i]] = want[columns[k][i]].plus(of[i])
			}
			if !slices.Equal(part[from:to], want) {
				t.Fatalf("column %d: %v, want %v", k, part[from:to], want)
			}
			if subtract(all[from:to], part[from:to]); !slices.Equal(all[from:to], other[from:to]) {
				t.Fatalf("column %d: a leaf less one child is not the other", k)
			}
		}
	})
}

// Small columns share bytes, and every one is read back.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	sizes := []int{2, 2, 200, 5, 3, 60, 2, 17, 256, 4}
	rows := make([][]uint8, len(sizes))
	for k, size := range sizes {
		rows[k] = append(rows[k], uint8(size-1))
		for range 500 {
			rows[k] = append(rows[k], uint8(r.IntN(size)))
		}
	}
	table := tableOf(sizes, rows)
	if len(table.fields) != 5 { // 256, 200, 60 x 4, 17 x 5 x 3, 2 x 2 x 2
		t.Errorf("%d bytes a row, want 5", len(table.fields))
	}
	for k := range sizes {
		c := &table.columns[k]
		for i, want := range rows[k] {
			got := table.fields[c.field].rows[i]
			if c.bins != nil {
				got = c.bins[got]
			}
			if got != want {
				t.Fatalf("column %d, row %d: bin %d, want %d", k, i, got, want)
			}
		}
	}
}

// The bytes that are gathered are those of the sample's rows, of every column that
// is used, whatever shares a byte.
func TestGatherTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		n := rapid.SampledFrom([]int{1, 30, 9000}).Draw(t, "rows")
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{2, 3, 40, 256}), 1, 30).Draw(t, "sizes")
		columns := make([][]uint8, len(sizes))
		for k, size := range sizes {
			for range n {
				columns[k] = append(columns[k], uint8(r.IntN(size)))
			}
		}
		o := Defaults()
		g := &grower{Options: &o, table: tableOf(sizes, columns)}
		for i := range int32(n) {
			if i == 0 || r.IntN(2) == 0 {
				g.sample = append(g.sample, i)
			}
		}
		for k := range sizes {
			if k == 0 || r.IntN(2) == 0 {
				g.used = append(g.used, k)
			}
		}
		g.reset()
		for _, k := range g.used {
			bytes, width := g.near(k)
			for at, row := range g.sample {
				got := bytes[at*width]
				if bins := g.columns[k].bins; bins != nil {
					got = bins[got]
				}
				if got != columns[k][row] {
					t.Fatalf("column %d, row %d: bin %d, want %d", k, row, got, columns[k][row])
				}
			}
		}
	})
}
