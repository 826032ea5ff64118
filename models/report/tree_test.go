package report

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/models"
)

func TestSurrogateText(t *testing.T) {
	_, e, _ := rich()
	want := `logins in 28 days above 11?
  yes: seats invited above 3?
    yes: 31 % (10 % of rows)
    no: 4.1 % (24 % of rows)
  no: industry is one of fintech, healthcare, logistics, insurance?
    yes: 3.3 % (14 % of rows)
    no: 0.80 % (52 % of rows)
`
	if got := surrogateText(e.Surrogate); got != want {
		t.Errorf("%s", got)
	}
	root, leaves, depth, err := grown(e.Surrogate.Nodes)
	if err != nil || leaves != 4 || depth != 2 {
		t.Fatal(leaves, depth, err)
	}
	next := 0
	root.place(&next)
	if root.line != 1.5 || root.yes.line != 0.5 || root.no.no.line != 3 {
		t.Error(root.line, root.yes.line, root.no.no.line)
	}
	way := &table{Left: 1}
	ways(root, nil, way)
	if way.Rows[1][0] != "logins in 28 days above 11: yes; seats invited above 3: no" || way.Rows[1][1] != "4.1 %" {
		t.Error(way.Rows)
	}
}

// A surrogate that is no tree is an error and never an endless walk.
func TestSurrogateIsATree(t *testing.T) {
	question := func(yes, no int) models.SurrogateNode { return models.SurrogateNode{Text: "q", Yes: yes, No: no} }
	for name, nodes := range map[string][]models.SurrogateNode{
		"none":    {},
		"itself":  {question(0, 0)},
		"back":    {question(1, 2), question(0, 2), {}},
		"beyond":  {question(1, 2), {}},
		"shared":  {question(1, 1), {}},
		"below 0": {question(-1, 1), {}},
	} {
		m, e, c := rich()
		e.Surrogate.Nodes = nodes
		if _, err := HTML(m, e, c); !errors.Is(err, errSurrogate) {
			t.Errorf("%s: %v", name, err)
		}
		if s := surrogateText(e.Surrogate); s != "" {
			t.Errorf("%s: %s", name, s)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		node := rapid.Custom(func(r *rapid.T) models.SurrogateNode {
			n := models.SurrogateNode{Yes: rapid.IntRange(-1, 9).Draw(r, "yes"), No: rapid.IntRange(-1, 9).Draw(r, "no")}
			if rapid.Bool().Draw(r, "question") {
				n.Text = rapid.String().Draw(r, "text")
			}
			return n
		})
		nodes := rapid.SliceOfN(node, 1, 9).Draw(r, "nodes")
		root, leaves, depth, err := grown(nodes)
		if err != nil {
			return
		}
		next, met := 0, 0
		root.place(&next)
		root.walk(func(*placed) { met++ })
		if next > leaves || depth > 8 || met > len(nodes) {
			r.Fatalf("%d lines of %d leaves, depth %d, %d of %d nodes", next, leaves, depth, met, len(nodes))
		}
		if _, err := treePicture(root, leaves, depth, ""); err != nil {
			r.Fatal(err)
		}
	})
}

// A tree that no picture has room for is told by its ways.
func TestWideSurrogate(t *testing.T) {
	m, e, c := rich()
	var nodes []models.SurrogateNode
	for i := range 10 { // questions at 0, 2, 4 ...; each yes is a leaf
		nodes = append(nodes, models.SurrogateNode{Text: "q", Yes: 2*i + 1, No: 2*i + 2}, models.SurrogateNode{Probability: 0.5})
	}
	nodes = append(nodes, models.SurrogateNode{Probability: 0.25})
	e.Surrogate.Nodes = nodes
	p := rendered(t, m, e, c)
	if strings.Contains(p, "Surrogate tree.") || !strings.Contains(p, "q: no; q: no; q: no; q: no; q: no; q: no; q: no; q: no; q: no; q: no") {
		t.Error("a tree ten questions deep")
	}
}

func TestFolded(t *testing.T) {
	for text, want := range map[string][]string{
		"tenure above 12": {"tenure above 12"},
		"industry is one of fintech, healthcare, logistics": {"industry is one of", "fintech, healthcare, l…"},
		strings.Repeat("x", 30):                             {strings.Repeat("x", 23), "xxxxxxx"},
	} {
		if got := folded(text, 23); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	}
}
