package tree

import "testing"

func BenchmarkRaw(b *testing.B) {
	e, rows := big(b, 200, 31)
	i := 0
	for b.Loop() {
		e.Raw(rows[i%len(rows)])
		i++
	}
}

func BenchmarkRawAll(b *testing.B) {
	e, rows := big(b, 200, 31)
	columns := transpose(rows, e.Features())
	dst := make([]float64, len(rows))
	for b.Loop() {
		e.RawAll(dst, columns)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

func BenchmarkExplain(b *testing.B) {
	e, rows := big(b, 200, 31)
	phi := make([]float64, e.Features())
	i := 0
	for b.Loop() {
		e.Explain(phi, rows[i%len(rows)])
		i++
	}
}
