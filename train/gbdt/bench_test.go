package gbdt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// wide is a grower of so many rows and columns of 256 bins: even, mostly low, or
// mostly in one bin.
func wide(n, width int) *grower {
	r := rand.New(rand.NewPCG(1, 1))
	sizes, rows := make([]int, width), make([][]uint8, width)
	for k := range sizes {
		sizes[k], rows[k] = 256, make([]uint8, n)
		for i := range rows[k] {
			switch k % 3 {
			case 0:
				rows[k][i] = uint8(r.IntN(256))
			case 1:
				rows[k][i] = uint8(min(255, r.ExpFloat64()*5))
			default:
				rows[k][i] = uint8(r.IntN(2) * r.IntN(256))
			}
		}
	}
	o := Defaults()
	g := &grower{Options: &o, table: tableOf(sizes, rows), nearby: nearby{words: make([]uint64, n)}, sample: numbers(0, n)}
	for i := range g.words {
		g.words[i] = word(int64(r.IntN(2047)-1023), int64(r.IntN(1024)))
	}
	for k := range sizes {
		g.used = append(g.used, k)
	}
	g.reset()
	return g
}

// perCell reports the time for each of so many cells.
func perCell(b *testing.B, cells int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(cells), "ns/cell")
}

func BenchmarkCount(b *testing.B) {
	const n, width = 1 << 18, 32
	g := wide(n, width)
	r := rand.New(rand.NewPCG(2, 2))
	h := g.take()
	for _, every := range []int{1, 4, 30} {
		var leaf []int32
		for i := 0; i < n; i += 1 + r.IntN(2*every-1) {
			leaf = append(leaf, int32(i))
		}
		b.Run(fmt.Sprintf("one row of %d", every), func(b *testing.B) {
			for b.Loop() {
				g.count(h, leaf, func([]int) {})
			}
			perCell(b, len(leaf)*width)
		})
	}
}

func BenchmarkGather(b *testing.B) {
	const n, width = 1 << 18, 16
	g := wide(n, width)
	for b.Loop() {
		g.gather(nil, g.table, g.sample)
	}
	perCell(b, n*width)
}

func BenchmarkPartition(b *testing.B) {
	const n = 1 << 18
	g := wide(n, 16)
	s := split{column: 0}
	for bin := range 100 {
		s.yes.add(bin)
	}
	for b.Loop() {
		g.partition(span{0, n}, &s)
	}
	perCell(b, n)
}

func BenchmarkFindSplit(b *testing.B) {
	g := wide(1<<16, 3)
	var root leaf
	g.nodes = append(g.nodes, closed(-1, unbounded()))
	root.rows, root.histogram = span{0, 1 << 16}, g.take()
	g.searchRoot(&root)
	s := newSearch(g.Options, root.total)
	i := 0
	for b.Loop() {
		g.find(&s, i%3, root.histogram)
		i++
	}
	perCell(b, 256)
}

func BenchmarkFillWords(b *testing.B) {
	const n = 1 << 18
	r := rand.New(rand.NewPCG(1, 1))
	raw, label, words := make([]float64, n), make([]float64, n), make([]uint64, n)
	for i := range raw {
		raw[i], label[i] = r.NormFloat64()-2, float64(r.IntN(2))
	}
	sample, table := numbers(0, n), newSigmoid()
	for b.Loop() {
		fillWords(nil, words, sample, raw, label, table, 1)
	}
	perCell(b, n)
}

func BenchmarkBin(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	column := make([]float64, 1<<18)
	for i := range column {
		if column[i] = math.Exp(r.NormFloat64()); i%10 == 0 {
			column[i] = math.NaN()
		}
	}
	binner, dst := fitBinner(column, 0, 255), make([]uint8, len(column))
	for b.Loop() {
		binner.binAll(dst, column)
	}
	perCell(b, len(column))
}
