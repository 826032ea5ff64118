package tree

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Two trees of x and one of a plan, by hand. The means are 2, 1 and 3.
func TestShapesByHand(t *testing.T) {
	e := build(t, []int{0, 3, 0}, 0.5,
		[]Node{{Feature: 0, Threshold: 5, Yes: 1, No: 2, MissingYes: true, Cover: 4}, leaf(1, 2), leaf(3, 2)},
		[]Node{{Feature: 1, Set: []int32{1}, UnseenYes: true, Yes: 1, No: 2, Cover: 4}, leaf(9, 1), leaf(1, 3)},
		[]Node{{Feature: 0, Threshold: math.MaxFloat64, Yes: 1, No: 2, Cover: 4}, {Feature: 0, Threshold: 2, Yes: 3, No: 4, Cover: 3},
			leaf(4, 1), leaf(0, 2), leaf(0, 1)},
		[]Node{leaf(10, 4)})
	base, shapes, err := e.Shapes()
	if err != nil {
		t.Fatal(err)
	}
	if want := 0.5 + 2 + 3 + 1 + 10; base != want {
		t.Errorf("base %v, want %v", base, want)
	}
	x, plan, none := shapes[0], shapes[1], shapes[2]
	if !slices.Equal(x.Cuts, []float64{2, 5}) || !slices.Equal(x.Values, []float64{-2, -2, 0}) || x.Missing != 2 {
		t.Errorf("x: %+v", x)
	}
	if plan.Cuts != nil || !slices.Equal(plan.Values, []float64{-2, 6, -2}) || plan.Missing != -2 || plan.Unseen != 6 {
		t.Errorf("plan: %+v", plan)
	}
	if none.Cuts != nil || !slices.Equal(none.Values, []float64{0}) || none.Missing != 0 {
		t.Errorf("a feature without a split: %+v", none)
	}
	for _, c := range []struct {
		s       *Shape
		x, want float64
	}{{&x, 5, -2}, {&x, 5.1, 0}, {&x, math.NaN(), 2}, {&plan, 1, 6}, {&plan, 1.5, 6}, {&plan, 3, 6}, {&plan, -1, 6}, {&plan, 0, -2}, {&none, 7, 0}} {
		if got := c.s.At(c.x); got != c.want {
			t.Errorf("%v adds %v, want %v", c.x, got, c.want)
		}
	}
}

// Base plus shapes is Raw, and a shape the Shapley value of its feature.
func TestShapesSumToRaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := fromRapid(t)
		levels := randomLevels(draw, 4)
		var trees [][]Node
		for range draw(12) {
			j := draw(len(levels))
			nodes := randomTree(draw, levels[j:j+1], 1+draw(6))
			for i := range nodes {
				if nodes[i].Feature == 0 {
					nodes[i].Feature = j
				}
			}
			trees = append(trees, nodes)
		}
		e := build(t, levels, 0.25, trees...)
		base, shapes, err := e.Shapes()
		if err != nil {
			t.Fatal(err)
		}
		phi := make([]float64, len(levels))
		for range 10 {
			x := randomRow(draw, levels)
			for j := range x {
				if math.IsInf(x[j], 1) {
					x[j] = math.MaxFloat64
				}
			}
			if from := e.Explain(phi, x); from != base {
				t.Fatalf("base %v, explanations start from %v", base, from)
			}
			sum := base
			for j := range shapes {
				adds := shapes[j].At(x[j])
				if sum += adds; math.Abs(adds-phi[j]) > 1e-9 {
					t.Fatalf("feature %d at %v adds %v, its Shapley value is %v", j, x[j], adds, phi[j])
				}
			}
			if math.Abs(sum-e.Raw(x)) > 1e-9 {
				t.Fatalf("%v: base and shapes sum to %v, Raw is %v", x, sum, e.Raw(x))
			}
		}
	})
}

func TestShapesOfTreesOfTwoFeatures(t *testing.T) {
	e := build(t, []int{0, 0}, 0,
		[]Node{{Feature: 1, Yes: 1, No: 2, Cover: 2}, leaf(1, 1), leaf(3, 1)},
		[]Node{{Feature: 1, Yes: 1, No: 2, Cover: 3}, leaf(1, 1), {Feature: 0, Yes: 3, No: 4, Cover: 2}, leaf(3, 1), leaf(4, 1)})
	if _, _, err := e.Shapes(); !errors.Is(err, ErrNotAdditive) || err.Error() != ErrNotAdditive.Error()+": tree 1 splits on features 1 and 0" {
		t.Errorf("%v", err)
	}
	if _, _, err := e.Truncate(1).Shapes(); err != nil {
		t.Errorf("the first tree alone: %v", err)
	}
}
