package tree_test

import (
	"fmt"
	"math"

	"propensity/models/tree"
)

// Four of ten accounts logged in at most twice and mostly left; of the others
// those on plan 1 stayed.
func Example() {
	b := tree.NewBuilder([]int{0, 2}, -1) // logins: a number; plan: two categories
	err := b.Add([]tree.Node{
		{Feature: 0, Threshold: 2, MissingYes: true, Yes: 1, No: 2, Cover: 10},
		{Feature: -1, Value: 2, Cover: 4},
		{Feature: 1, Set: []int32{1}, Yes: 3, No: 4, Cover: 6},
		{Feature: -1, Value: -1, Cover: 3},
		{Feature: -1, Value: 0, Cover: 3},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	x := []float64{math.NaN(), 1} // logins are missing
	phi := make([]float64, e.Features())
	base := e.Explain(phi, x)
	fmt.Printf("raw %.2f = base %.2f, logins %+.2f, plan %+.2f\n", e.Raw(x), base, phi[0], phi[1])
	// Output: raw 1.00 = base -0.50, logins +1.65, plan -0.15
}
