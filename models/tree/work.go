package tree

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// work is what one goroutine scores and explains with; all but asked is made
// when it is first needed.
type work struct {
	asked    []uint8 // the answers of one row or more, and room for one more
	steps    steps
	masks    *masks
	patterns *patterns
	walker   *walker
	rows     []float64
}

func (e *Ensemble) worker() *work {
	if w, ok := e.pool.Get().(*work); ok {
		return w
	}
	return &work{asked: make([]uint8, len(answers{}))}
}

// answers is the place of a single row's.
func (w *work) answers() *answers { return (*answers)(w.asked) }

// answersOf gives the places of many rows' answers to so many conditions; they
// overlap beyond these and the 64 that an answer of categories may write too many.
func (w *work) answersOf(rows, conditions int) func(i int) *answers {
	stride := conditions + 64
	size := rows*stride + len(answers{})
	w.asked = slices.Grow(w.asked[:0], size)[:size]
	return func(i int) *answers { return (*answers)(w.asked[i*stride:]) }
}

// rowsOf copies rows out of columns.
func (w *work) rowsOf(columns [][]float64, start, rows int) func(i int) []float64 {
	width := len(columns)
	w.rows = slices.Grow(w.rows[:0], rows*width)[:rows*width]
	for j, column := range columns {
		for i, v := range column[start : start+rows] {
			w.rows[i*width+j] = v
		}
	}
	return func(i int) []float64 { return w.rows[i*width : (i+1)*width] }
}

// whole gives the columns of an ensemble's features, all with so many rows. It
// panics otherwise, in the caller's goroutine.
func (e *Ensemble) whole(columns [][]float64, rows int) [][]float64 {
	columns = columns[:len(e.levels)]
	for _, column := range columns {
		_ = column[:rows]
	}
	return columns
}

// inBlocks calls do for all rows, a block at a time, on as many goroutines as
// there are blocks and CPUs to use.
func inBlocks(rows, block int, do func(start, rows int)) {
	var next atomic.Int64
	run := func() {
		for {
			start := int(next.Add(1)-1) * block
			if start >= rows {
				return
			}
			do(start, min(block, rows-start))
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (rows+block-1)/block) - 1 {
		wg.Go(run)
	}
	run()
	wg.Wait()
}
