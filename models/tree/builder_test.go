package tree

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestBuilderRefuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	levels := []int{0, 3}
	numeric := func(change func(nodes []Node)) []Node {
		nodes := []Node{
			{Feature: 0, Threshold: 1, Yes: 1, No: 2, Cover: 10},
			{Feature: 0, Threshold: 0, Yes: 3, No: 4, Cover: 6}, leaf(1, 4), leaf(2, 5), leaf(3, 1),
		}
		change(nodes)
		return nodes
	}
	categorical := func(n Node) []Node {
		n.Feature, n.Yes, n.No, n.Cover = 1, 1, 2, 2
		return []Node{n, leaf(1, 1), leaf(2, 1)}
	}
	if err := NewBuilder(levels, 0).Add(numeric(func([]Node) {})); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		nodes []Node
		want  string
	}{
		"empty":              {nil, "tree 1 has no nodes"},
		"child before":       {numeric(func(n []Node) { n[1].Yes = 0 }), "node 1: child 0"},
		"child itself":       {numeric(func(n []Node) { n[1].No = 1 }), "node 1: child 1"},
		"child beyond":       {numeric(func(n []Node) { n[1].No = 5 }), "node 1: child 5"},
		"child negative":     {numeric(func(n []Node) { n[0].Yes = -1 }), "node 0: child -1"},
		"child twice":        {numeric(func(n []Node) { n[1].No = 3 }), "node 1: child 3 has a parent"},
		"child of two":       {numeric(func(n []Node) { n[1].Yes = 2 }), "node 1: child 2 has a parent"},
		"child of none":      {append(numeric(func([]Node) {}), leaf(1, 1)), "node 5: no node before it"},
		"feature":            {numeric(func(n []Node) { n[0].Feature = 2 }), "node 0: feature 2 of 2"},
		"threshold nan":      {numeric(func(n []Node) { n[0].Threshold = nan }), "node 0: threshold NaN"},
		"threshold inf":      {numeric(func(n []Node) { n[0].Threshold = -inf }), "node 0: threshold -Inf"},
		"value nan":          {numeric(func(n []Node) { n[2].Value = nan }), "node 2: value NaN"},
		"value inf":          {numeric(func(n []Node) { n[4].Value = inf }), "node 4: value +Inf"},
		"value huge":         {numeric(func(n []Node) { n[4].Value = 1e101 }), "node 4: value 1e+101"},
		"value of a split":   {numeric(func(n []Node) { n[1].Value = 1 }), "node 1: a split has no value"},
		"cover zero":         {numeric(func(n []Node) { n[4].Cover, n[3].Cover = 0, 6 }), "node 4: cover 0"},
		"cover negative":     {numeric(func(n []Node) { n[4].Cover, n[3].Cover = -1, 7 }), "node 4: cover -1"},
		"cover nan":          {numeric(func(n []Node) { n[4].Cover, n[1].Cover, n[0].Cover = nan, nan, nan }), "node 0: cover NaN"},
		"cover inf":          {numeric(func(n []Node) { n[4].Cover, n[1].Cover, n[0].Cover = inf, inf, inf }), "node 0: cover +Inf"},
		"cover does not sum": {numeric(func(n []Node) { n[0].Cover = 10.00002 }), "node 0: cover 10.00002"},
		"leaf threshold":     {numeric(func(n []Node) { n[2].Threshold = 1 }), "node 2: a leaf has fields"},
		"leaf set":           {numeric(func(n []Node) { n[2].Set = []int32{1} }), "node 2: a leaf has fields"},
		"leaf missing":       {numeric(func(n []Node) { n[2].MissingYes = true }), "node 2: a leaf has fields"},
		"leaf unseen":        {numeric(func(n []Node) { n[2].UnseenYes = true }), "node 2: a leaf has fields"},
		"leaf yes":           {numeric(func(n []Node) { n[2].Yes = 3 }), "node 2: a leaf has fields"},
		"leaf no":            {numeric(func(n []Node) { n[2].No = 3 }), "node 2: a leaf has fields"},
		"set of a number":    {numeric(func(n []Node) { n[1].Set = []int32{1} }), "node 1: a set of categories"},
		"unseen of a number": {numeric(func(n []Node) { n[1].UnseenYes = true }), "node 1: a side for unseen"},
		"set unsorted":       {categorical(Node{Set: []int32{1, 0}}), "node 0: category 0 after 1"},
		"set repeats":        {categorical(Node{Set: []int32{1, 1}}), "node 0: category 1 after 1"},
		"set negative":       {categorical(Node{Set: []int32{-1}}), "node 0: category -1"},
		"set beyond":         {categorical(Node{Set: []int32{3}}), "node 0: category 3"},
		"nothing to yes":     {categorical(Node{}), "node 0: nothing goes to its yes"},
		"nothing to no":      {categorical(Node{Set: []int32{0, 1, 2}, MissingYes: true, UnseenYes: true}), "node 0: nothing goes to its no"},
		"category threshold": {categorical(Node{Set: []int32{1}, Threshold: 1}), "node 0: threshold 1"},
	} {
		b := NewBuilder(levels, 0)
		if err := b.Add(numeric(func([]Node) {})); err != nil {
			t.Fatal(err)
		}
		err := b.Add(c.nodes)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tree 1") {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
			continue
		}
		if _, again := b.Build(); again == nil || again.Error() != err.Error() {
			t.Errorf("%s: Build gives %v after Add gave %v", name, again, err)
		}
		if again := b.Add(numeric(func([]Node) {})); again == nil {
			t.Errorf("%s: the next tree is taken", name)
		}
	}
}

func TestBuilderRefusesBadFeaturesAndBase(t *testing.T) {
	for name, b := range map[string]*Builder{
		"levels":      NewBuilder([]int{0, -1}, 0),
		"many levels": NewBuilder([]int{math.MaxInt}, 0),
		"base nan":    NewBuilder(nil, math.NaN()),
		"base inf":    NewBuilder(nil, math.Inf(-1)),
		"base huge":   NewBuilder(nil, 1e101),
	} {
		if _, err := b.Build(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
		if err := b.Add([]Node{leaf(1, 1)}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Add gives %v", name, err)
		}
	}
}

func TestBuilderLimitsSets(t *testing.T) {
	levels := []int{64 * maxSetWords / 4}
	split := []Node{{Feature: 0, Set: []int32{1}, Yes: 1, No: 2, Cover: 2}, leaf(1, 1), leaf(2, 1)}
	b := NewBuilder(levels, 0)
	var err error
	trees := 0
	for ; err == nil && trees < 10; trees++ {
		err = b.Add(split)
	}
	if !errors.Is(err, ErrInvalid) || trees != 4 { // each set takes a word more than a quarter
		t.Errorf("tree %d: error %v", trees, err)
	}
}

// What looks odd but is a split still.
func TestBuilderTakes(t *testing.T) {
	levels := []int{0, 2}
	children := []Node{leaf(1, 1), leaf(2, 1)}
	for name, n := range map[string]Node{
		"only missing":          {Feature: 1, MissingYes: true},
		"only unseen":           {Feature: 1, UnseenYes: true},
		"all but missing":       {Feature: 1, Set: []int32{0, 1}, UnseenYes: true},
		"all but unseen":        {Feature: 1, Set: []int32{0, 1}, MissingYes: true},
		"all codes":             {Feature: 1, Set: []int32{0, 1}},
		"any number or missing": {Feature: 0, Threshold: math.MaxFloat64},
	} {
		n.Yes, n.No, n.Cover = 2, 1, 2*(1+0.9*coverTolerance)
		if err := NewBuilder(levels, 0).Add(append([]Node{n}, children...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuilderIsUsedUpByBuild(t *testing.T) {
	b := NewBuilder(nil, 0)
	if _, err := b.Build(); err != nil {
		t.Fatal(err)
	}
	if err := b.Add([]Node{leaf(1, 1)}); err == nil {
		t.Error("a tree is added to a built ensemble")
	}
	if _, err := b.Build(); err == nil {
		t.Error("it is built twice")
	}
}

func TestBuilderKeepsNothingOfTheCaller(t *testing.T) {
	levels := []int{3}
	nodes := []Node{{Feature: 0, Set: []int32{1}, Yes: 1, No: 2, Cover: 2}, leaf(1, 1), leaf(2, 1)}
	e := build(t, levels, 0, nodes)
	levels[0], nodes[0].Set[0], nodes[1].Value = 0, 2, 9
	if got := e.Raw([]float64{1}); got != 1 {
		t.Errorf("raw %v, want 1", got)
	}
}

func TestBuilderDropsTheSignOfZero(t *testing.T) {
	zero := math.Copysign(0, -1)
	e := build(t, []int{0}, zero, []Node{
		{Feature: 0, Threshold: zero, Yes: 1, No: 2, Cover: 2}, leaf(zero, 1), leaf(1, 1),
	})
	for name, x := range map[string]float64{
		"base": e.Base(), "threshold": e.Tree(0)[0].Threshold, "value": e.Tree(0)[1].Value,
	} {
		if x != 0 || math.Signbit(x) {
			t.Errorf("%s is %v", name, x)
		}
	}
}
