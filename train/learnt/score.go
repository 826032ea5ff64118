package learnt

import (
	"runtime"

	"golang.org/x/sync/errgroup"

	"propensity/models"
	"propensity/models/tree"
)

// rawAll fills dst with the log-odds of rows by columns, the bits of Raw.
func rawAll(m models.Model, dst []float64, columns [][]float64) {
	if e, ok := m.(*tree.Ensemble); ok {
		e.RawAll(dst, columns)
		return
	}
	rowByRow(len(dst), columns, func(i int, x []float64) { dst[i] = m.Raw(x) })
}

// explainAll fills phi with the Shapley values of n rows, row after row.
func explainAll(m models.Model, phi []float64, n int, columns [][]float64) {
	if e, ok := m.(*tree.Ensemble); ok {
		e.ExplainAll(phi, columns)
		return
	}
	width := len(columns)
	rowByRow(n, columns, func(i int, x []float64) { m.Explain(phi[i*width:(i+1)*width], x) })
}

// rowByRow calls do with every row, on as many goroutines as there are processors.
func rowByRow(n int, columns [][]float64, do func(i int, x []float64)) {
	parallel((n+1023)/1024, func(part int) {
		x := make([]float64, len(columns))
		for i := part * 1024; i < min(n, (part+1)*1024); i++ {
			for j, col := range columns {
				x[j] = col[i]
			}
			do(i, x)
		}
	})
}

// parallel calls do with 0 to n-1, as many at once as there are processors.
func parallel(n int, do func(i int)) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = g.Wait() // nothing fails
}
