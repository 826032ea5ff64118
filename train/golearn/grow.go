package golearn

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"
)

// split is one question of golearn's tree: codes up to and with last go left.
type split struct {
	feature, last int
	left, right   int // places of the children, 0 is a leaf
}

// grow lets golearn grow a regression tree of at most this depth on codes, one
// slice per feature, and gives its splits, the root first; none, if no split
// lowers the squared error.
func grow(codes [][]float64, y []float64, depth int) (splits []split, err error) {
	// golearn's errors are often panics.
	defer func() {
		if r := recover(); r != nil {
			splits, err = nil, fmt.Errorf("%w: %v", ErrGolearn, r)
		}
	}()
	data, err := instances(codes, y)
	if err != nil {
		return nil, err
	}
	// On a 0/1 target the squared error is the Gini impurity up to a factor.
	// golearn's classifier would grow the same tree and keep only the majority
	// label of a leaf.
	t := trees.NewDecisionTreeRegressor(trees.MSE, int64(depth))
	if err := t.Fit(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGolearn, err)
	}
	// A split lies between two codes, so above 0; a root that golearn did not
	// split is left at 0.
	if t.RootNode == nil || t.RootNode.Threshold == 0 {
		return nil, nil
	}
	queue := listOf(t.RootNode)
	for k := 0; k < len(queue); k++ {
		n := queue[k]
		if n.Feature < 0 || n.Feature >= int64(len(codes)) || !(n.Threshold > 0 && n.Threshold < maxCodes) {
			return nil, fmt.Errorf("%w: it split feature %d of %d at code %v", ErrGolearn, n.Feature, len(codes), n.Threshold)
		}
		// golearn sends codes below the threshold left, and the threshold itself right.
		s := split{feature: int(n.Feature), last: int(math.Ceil(n.Threshold)) - 1}
		if n.Left != nil {
			s.left, queue = len(queue), append(queue, n.Left)
		}
		if n.Right != nil {
			s.right, queue = len(queue), append(queue, n.Right)
		}
		splits = append(splits, s)
	}
	return splits, nil
}

// listOf makes a slice of a type that golearn does not export.
func listOf[T any](x T) []T { return []T{x} }

// instances copies columns and target into golearn's dense table, under names
// of its own: golearn tells attributes apart by their names.
func instances(columns [][]float64, y []float64) (*base.DenseInstances, error) {
	data := base.NewDenseInstances()
	specs := make([]base.AttributeSpec, len(columns))
	for j := range columns {
		specs[j] = data.AddAttribute(base.NewFloatAttribute("x" + strconv.Itoa(j)))
	}
	class := base.NewFloatAttribute("y")
	target := data.AddAttribute(class)
	if err := errors.Join(data.AddClassAttribute(class), data.Extend(len(y))); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGolearn, err)
	}
	for j, column := range columns {
		for i, x := range column {
			data.Set(specs[j], i, base.PackFloatToBytes(x))
		}
	}
	for i, t := range y {
		data.Set(target, i, base.PackFloatToBytes(t))
	}
	return data, nil
}
