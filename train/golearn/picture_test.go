package golearn

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"propensity/models"
	"propensity/models/tree"
)

func near() cmp.Option { return cmpopts.EquateApprox(0, 1e-12) }

// The tree of TestDescribeByHand. The mean log-odds by rows are 2/3 up to 1.5
// logins, -5/8 above, and so 0.15 of all.
func TestPictureByHand(t *testing.T) {
	b := tree.NewBuilder([]int{0, 3, 15}, -0.5)
	err := b.Add([]tree.Node{
		{Feature: 0, Threshold: 1.5, MissingYes: true, Yes: 1, No: 2, Cover: 100},
		{Feature: 1, Set: []int32{0, 2}, UnseenYes: true, Yes: 3, No: 4, Cover: 60},
		{Feature: 2, Set: []int32{14}, MissingYes: true, Yes: 5, No: 6, Cover: 40},
		{Feature: -1, Value: 0.5, Cover: 20}, {Feature: -1, Value: 1.5, Cover: 40},
		{Feature: -1, Value: -0.5, Cover: 10}, {Feature: -1, Value: 0, Cover: 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	same := func(raw float64) float64 { return raw }
	names, levels := []string{"logins", "plan"}, [][]string{nil, {"free", "gold", "pro"}}
	want := models.Surrogate{Fidelity: 0.75, Nodes: []models.SurrogateNode{
		{Text: "logins <= 1.5 or missing", Yes: 1, No: 2, Probability: 0.6*2/3 - 0.4*5/8, Share: 1},
		{Text: `plan is "free", "pro" or unseen`, Yes: 3, No: 4, Probability: 2. / 3, Share: 0.6},
		{Text: "feature 2 is 14 or missing", Yes: 5, No: 6, Probability: -5. / 8, Share: 0.4},
		{Probability: 0, Share: 0.2}, {Probability: 1, Share: 0.4},
		{Probability: -1, Share: 0.1}, {Probability: -0.5, Share: 0.3},
	}}
	if diff := cmp.Diff(want, Picture(e, 0.75, names, levels, same), near()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range want.Nodes {
		want.Nodes[i].Probability = 1 / (1 + math.Exp(-want.Nodes[i].Probability))
	}
	if diff := cmp.Diff(want, Picture(e, 0.75, names, levels, nil), near()); diff != "" {
		t.Errorf("without a function (-want +got):\n%s", diff)
	}
	empty, err := tree.NewBuilder(nil, 0).Build()
	if err != nil {
		t.Fatal(err)
	}
	leaf := models.Surrogate{Fidelity: 1, Nodes: []models.SurrogateNode{{Probability: 0.5, Share: 1}}}
	if diff := cmp.Diff(leaf, Picture(empty, 1, nil, nil, nil)); diff != "" {
		t.Errorf("no tree (-want +got):\n%s", diff)
	}
}

// A picture of a grown tree leads every row to the probability that the tree gives
// it, and its leaves share all rows.
func TestPictureOfASurrogate(t *testing.T) {
	m := planted(3000, 4)
	e, fidelity, err := Surrogate(context.Background(), m, plantedRaw(m), Options{Depth: 3, Rows: 600, LeafRows: 5, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	s := Picture(e, fidelity, []string{"a", "b", "c"}, nil, nil)
	nodes := e.Tree(0)
	leaves := 0.0
	for i, n := range s.Nodes {
		if n.Text == "" {
			leaves += n.Share
			if want := 1 / (1 + math.Exp(-e.Base()-nodes[i].Value)); n.Probability != want || n.Yes != 0 || n.No != 0 {
				t.Errorf("leaf %d: %+v, want a probability of %v", i, n, want)
			}
			continue
		}
		yes, no := s.Nodes[n.Yes], s.Nodes[n.No]
		if n.Yes <= i || n.No <= i || math.Abs(yes.Share+no.Share-n.Share) > 1e-12 ||
			n.Probability < min(yes.Probability, no.Probability) || n.Probability > max(yes.Probability, no.Probability) {
			t.Errorf("node %d: %+v, its children %+v and %+v", i, n, yes, no)
		}
		if name := "abc"[nodes[i].Feature : nodes[i].Feature+1]; !strings.HasPrefix(n.Text, name+" ") {
			t.Errorf("node %d asks %q of feature %s", i, n.Text, name)
		}
	}
	if s.Fidelity != fidelity || len(s.Nodes) < 5 || math.Abs(leaves-1) > 1e-12 {
		t.Errorf("fidelity %v, %d nodes, the leaves share %v", s.Fidelity, len(s.Nodes), leaves)
	}
}
