package features

import (
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Parallel runs f for 0 to n-1, such as the features of a matrix, as many at once
// as there are processors, and returns the error of the lowest index, so that it is
// the same one every time.
func Parallel(n int, f func(i int) error) error {
	faults := make([]error, n)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error {
			faults[i] = f(i)
			return nil
		})
	}
	_ = g.Wait() // faults hold the errors
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}
