package tree

import (
	"math"
	"math/rand/v2"
	"testing"
)

// grown is an ensemble as boosting leaves it, and rows: 40 features (a third
// counts with many zeros, a third with heavy tails and missing values, some
// categories), trees split leaf by leaf, the largest more often, on few features
// more often than on others, at values that rows have.
func grown(t testing.TB, trees, leaves int) (*Ensemble, [][]float64) {
	r := rand.New(rand.NewPCG(uint64(trees), uint64(leaves)))
	levels := make([]int, 40)
	for j := 28; j < 36; j++ {
		levels[j] = 3 << (j - 28)
	}
	rows := make([][]float64, 4000)
	for i := range rows {
		rows[i] = make([]float64, 40)
		for j := range rows[i] {
			x := r.NormFloat64()
			switch {
			case levels[j] > 0:
				x = float64(int(float64(levels[j]) * r.Float64() * r.Float64()))
			case j >= 36:
				x = float64(r.IntN(2))
			case j%3 == 0:
				x = math.Floor(max(0, 4*x))
			case j%3 == 1 && r.IntN(10) == 0:
				x = math.NaN()
			case j%3 == 1:
				x = math.Round(50*math.Exp(x)) / 10
			default:
				x = math.Round(100*x) / 100
			}
			rows[i][j] = x
		}
	}
	all := make([][]Node, trees)
	for i := range all {
		all[i] = grow(r, levels, rows, leaves)
	}
	return build(t, levels, -2, all...), rows
}

func grow(r *rand.Rand, levels []int, rows [][]float64, leaves int) []Node {
	nodes := []Node{{Feature: -1}}
	in := [][][]float64{rows}
	for made := 1; made < leaves; {
		i := r.IntN(len(nodes))
		if k := r.IntN(len(nodes)); len(in[k]) > len(in[i]) {
			i = k
		}
		if nodes[i].Feature >= 0 || len(in[i]) < 20 {
			continue
		}
		n := Node{Feature: int(40 * r.Float64() * r.Float64()), MissingYes: r.IntN(2) == 0, Yes: len(nodes), No: len(nodes) + 1}
		if count := levels[n.Feature]; count > 0 {
			for code := range count {
				if r.IntN(2) == 0 {
					n.Set = append(n.Set, int32(code))
				}
			}
		} else if n.Threshold = in[i][r.IntN(len(in[i]))][n.Feature]; n.Threshold != n.Threshold {
			continue
		}
		var yes, no [][]float64
		for _, x := range in[i] {
			if slowYes(n, levels, x[n.Feature]) {
				yes = append(yes, x)
			} else {
				no = append(no, x)
			}
		}
		if len(yes) < 5 || len(no) < 5 {
			continue
		}
		nodes[i] = n
		nodes = append(nodes, Node{Feature: -1}, Node{Feature: -1})
		in = append(in, yes, no)
		made++
	}
	for i := range nodes {
		nodes[i].Cover = float64(len(in[i]))
		if nodes[i].Feature < 0 {
			nodes[i].Value = r.NormFloat64() / 10
		}
	}
	return nodes
}

func BenchmarkRaw(b *testing.B) {
	e, rows := grown(b, 200, 31)
	i := 0
	for b.Loop() {
		e.Raw(rows[i%len(rows)])
		i++
	}
}

// BenchmarkRawNodeByNode is the slow twin of BenchmarkRaw.
func BenchmarkRawNodeByNode(b *testing.B) {
	e, rows := grown(b, 200, 31)
	i := 0
	for b.Loop() {
		x := rows[i%len(rows)]
		for _, root := range e.roots {
			e.leaf(root, x)
		}
		i++
	}
}

func BenchmarkRawAll(b *testing.B) {
	e, rows := grown(b, 200, 31)
	columns := columnsOf(rows, e.Features())
	dst := make([]float64, len(rows))
	for b.Loop() {
		e.RawAll(dst, columns)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

func BenchmarkAnswer(b *testing.B) {
	e, rows := grown(b, 200, 31)
	p, w := &e.cut()[0], e.worker()
	i := 0
	for b.Loop() {
		p.answer(w.answers(), rows[i%len(rows)])
		i++
	}
}

func BenchmarkAnswer64(b *testing.B) {
	e, rows := grown(b, 200, 31)
	p, w := &e.cut()[0], &work{masks: new(masks)}
	columns := columnsOf(rows, e.Features())
	i := 0
	for b.Loop() {
		p.answer64(w.masks, columns, i%3936, 64)
		i += 64
	}
}

func BenchmarkExplain(b *testing.B) {
	e, rows := grown(b, 200, 31)
	phi := make([]float64, e.Features())
	e.Explain(phi, rows[0])
	i := 0
	for b.Loop() {
		e.Explain(phi, rows[i%len(rows)])
		i++
	}
}

// BenchmarkExplainWalk is Explain without tables.
func BenchmarkExplainWalk(b *testing.B) {
	e, rows := grown(b, 200, 31)
	e.explainOnce.Do(func() { e.explain = e.newExplainer(limits{tableBits: -1, leafBits: -1, pointCost: math.Inf(1)}) })
	phi := make([]float64, e.Features())
	i := 0
	for b.Loop() {
		e.Explain(phi, rows[i%len(rows)])
		i++
	}
}

func BenchmarkExplainAll(b *testing.B) {
	e, rows := grown(b, 200, 31)
	columns := columnsOf(rows, e.Features())
	phi := make([]float64, len(rows)*e.Features())
	e.Explain(phi, rows[0])
	for b.Loop() {
		e.ExplainAll(phi, columns)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

// BenchmarkReady is what the first row of all waits for: conditions and tables.
func BenchmarkReady(b *testing.B) {
	e, rows := grown(b, 200, 31)
	phi := make([]float64, e.Features())
	for b.Loop() {
		e.Truncate(e.Trees()).Explain(phi, rows[0])
	}
}

func BenchmarkReadyToScore(b *testing.B) {
	e, rows := grown(b, 200, 31)
	for b.Loop() {
		e.Truncate(e.Trees()).Raw(rows[0])
	}
}
