package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/models/tree"
)

var update = flag.Bool("update", false, "write the golden file anew")

func leaf(value, cover float64) tree.Node { return tree.Node{Feature: -1, Value: value, Cover: cover} }

func build(t interface{ Fatal(...any) }, levels []int, base float64, trees ...[]tree.Node) *tree.Ensemble {
	b := tree.NewBuilder(levels, base)
	for _, nodes := range trees {
		if err := b.Add(nodes); err != nil {
			t.Fatal(err)
		}
	}
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// churn is a model with all that a split can do.
func churn(t *testing.T) *Model {
	return &Model{
		Features:   []string{"Days active", "plan", "seats", "region"},
		Categories: [][]string{nil, {"basic", "é \"pro\"", ""}, nil, {"eu", "us"}},
		Ensemble: build(t, []int{0, 3, 0, 2}, -1.25,
			[]tree.Node{
				{Feature: 0, Threshold: 2.5, MissingYes: true, Yes: 1, No: 2, Cover: 100},
				{Feature: 1, Set: []int32{0, 2}, Yes: 3, No: 4, Cover: 60},
				{Feature: 2, Threshold: 1e-3, Yes: 5, No: 6, Cover: 40},
				leaf(0.5, 20), leaf(-0.1, 40), leaf(math.Pi, 30), leaf(-1e-20, 10),
			},
			[]tree.Node{ // missing and unseen apart, whether or not the codes are
				{Feature: 1, Set: []int32{1}, MissingYes: true, Yes: 1, No: 2, Cover: 100},
				{Feature: 3, UnseenYes: true, Yes: 3, No: 4, Cover: 41},
				{Feature: 3, MissingYes: true, Yes: 5, No: 6, Cover: 59},
				leaf(1, 1), leaf(2, 40), leaf(3, 29), leaf(4, 30),
			},
			[]tree.Node{leaf(0.125, 100)},
			[]tree.Node{ // both on the side of codes, and a number against nothing
				{Feature: 3, Set: []int32{1}, MissingYes: true, UnseenYes: true, Yes: 1, No: 2, Cover: 100},
				{Feature: 0, Threshold: math.MaxFloat64, Yes: 3, No: 4, Cover: 50},
				leaf(-2, 50), leaf(-3, 49), leaf(-4, 1),
			},
		),
	}
}

// values of a feature with so many levels, of all states.
func values(levels int) []float64 {
	if levels == 0 {
		return []float64{math.NaN(), 0, -1, 1, 2.5, 1e-3, 2, -1e300, 1e300, math.Inf(-1)}
	}
	out := []float64{math.NaN(), -1, float64(levels)}
	for code := range levels {
		out = append(out, float64(code))
	}
	return out
}

// rows are all combinations of the values of each feature.
func rows(levels []int) [][]float64 {
	out := [][]float64{{}}
	for _, n := range levels {
		var next [][]float64
		for _, x := range out {
			for _, v := range values(n) {
				next = append(next, append(slices.Clone(x), v))
			}
		}
		out = next
	}
	return out
}

func written(t interface{ Fatal(...any) }, m *Model) []byte {
	var b bytes.Buffer
	if err := WriteLightGBM(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteLightGBMGolden(t *testing.T) {
	got := written(t, churn(t))
	const path = "testdata/written.txt"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it differs from %s:\n%s", path, got)
	}
}

// same checks that two ensembles give the same scores, to the bit, and the same
// explanations: but for the rounding of covers, if those were no counts. got has the
// counts, each off by half of one at most, and so each share of a parent's.
func same(t interface {
	Errorf(string, ...any)
}, name string, got, want *tree.Ensemble, x []float64, counts bool) {
	bound := 1e-12
	for i := 0; i < got.Trees() && !counts; i++ {
		size, least := 0.0, math.Inf(1)
		nodes := got.Tree(i)
		for _, n := range nodes {
			if n.Feature < 0 {
				size, least = max(size, math.Abs(n.Value)), min(least, n.Cover)
			}
		}
		bound += 2 * size * float64(min(10, len(nodes)/2)) / least // over the 10 splits of a path at most
	}
	if g, w := got.Raw(x), want.Raw(x); math.Float64bits(g) != math.Float64bits(w) {
		t.Errorf("%s: raw of %v is %v, was %v", name, x, g, w)
	}
	g, w := make([]float64, len(x)), make([]float64, len(x))
	if gotBase, wantBase := got.Explain(g, x), want.Explain(w, x); !(far(gotBase, wantBase) <= bound) {
		t.Errorf("%s: base %v, was %v", name, gotBase, wantBase)
	}
	for j := range g {
		if !(far(g[j], w[j]) <= bound) {
			t.Errorf("%s: contribution %d of %v is %v, was %v", name, j, x, g[j], w[j])
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	m := churn(t)
	again, err := ReadLightGBM(bytes.NewReader(written(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Days_active", "plan", "seats", "region"}; !slices.Equal(again.Features, want) {
		t.Errorf("features %q", again.Features)
	}
	if !reflect.DeepEqual(again.Categories, m.Categories) {
		t.Errorf("categories %q", again.Categories)
	}
	for _, x := range rows(m.Ensemble.Levels()) {
		same(t, "churn", again.Ensemble, m.Ensemble, x, true)
	}
}

// Models of others go through as well.
func TestWriteWhatWasRead(t *testing.T) {
	for _, name := range []string{"gbdt.txt", "zero.txt", "constant.txt", "sigmoid.txt", "pandas.txt", "xgboost.json", "xgboost_dart.json", "xgboost_constant.json", "xgboost_pandas.json"} {
		m := readModel(t, name)
		again, err := ReadLightGBM(bytes.NewReader(written(t, m)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		base, _, _ := strings.Cut(name, ".")
		r := readReference(t, base)
		for i := range r.Rows {
			same(t, name, again.Ensemble, m.Ensemble, withoutTiny(r.row(i)), strings.HasSuffix(name, ".txt"))
		}
	}
}

// drawTree draws a tree; with only whole covers and splits that LightGBM has, it
// comes back as it was.
func drawTree(t *rapid.T, levels []int, plain bool) []tree.Node {
	var nodes []tree.Node
	var grow func(depth int) int
	grow = func(depth int) int {
		k := len(nodes)
		n := tree.Node{Feature: -1}
		if depth < 5 && rapid.IntRange(0, 3).Draw(t, "split") > 0 {
			n.Feature = rapid.IntRange(0, len(levels)-1).Draw(t, "feature")
			n.MissingYes = rapid.Bool().Draw(t, "missing")
			if levels[n.Feature] == 0 {
				n.Threshold = rapid.SampledFrom([]float64{-1e300, -1, 0, 1e-3, 1, 2, 1e300, math.MaxFloat64}).Draw(t, "threshold")
			} else {
				n.Set = []int32{}
				for code := range int32(levels[n.Feature]) {
					if rapid.Bool().Draw(t, "code") {
						n.Set = append(n.Set, code)
					}
				}
				n.UnseenYes = rapid.Bool().Draw(t, "unseen")
				if plain {
					n.MissingYes, n.UnseenYes = false, false
				}
				if len(n.Set) == 0 && !n.MissingYes && !n.UnseenYes {
					n.Set = []int32{0}
				}
				if len(n.Set) == levels[n.Feature] && n.MissingYes && n.UnseenYes {
					n.MissingYes = false
				}
			}
		}
		nodes = append(nodes, n)
		if n.Feature < 0 {
			nodes[k].Value = rapid.Float64Range(-10, 10).Draw(t, "value")
			if nodes[k].Cover = float64(rapid.IntRange(1, 1000).Draw(t, "cover")); !plain {
				nodes[k].Cover /= 7
			}
			return k
		}
		yes := grow(depth + 1)
		no := grow(depth + 1)
		nodes[k].Yes, nodes[k].No, nodes[k].Cover = yes, no, nodes[yes].Cover+nodes[no].Cover
		return k
	}
	grow(0)
	return nodes
}

func TestRoundTrip(t *testing.T) {
	levels := []int{0, 3, 0, 40}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.Bool().Draw(t, "plain")
		trees := make([][]tree.Node, rapid.IntRange(0, 3).Draw(t, "trees"))
		for i := range trees {
			trees[i] = drawTree(t, levels, plain)
		}
		e := build(t, levels, rapid.Float64Range(-5, 5).Draw(t, "base"), trees...)
		m, err := ReadLightGBM(bytes.NewReader(written(t, &Model{Features: []string{"a", "b", "c", "d"}, Ensemble: e})))
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			x := make([]float64, len(levels))
			for j, n := range levels {
				x[j] = rapid.SampledFrom(values(n)).Draw(t, "x")
			}
			same(t, "drawn", m.Ensemble, e, x, plain)
		}
		if m.Ensemble.Trees() != e.Trees() {
			t.Fatalf("%d trees, were %d", m.Ensemble.Trees(), e.Trees())
		}
		if !slices.Equal(m.Ensemble.Levels(), levels) {
			t.Fatalf("levels %v", m.Ensemble.Levels())
		}
		for i := range trees {
			if got, want := m.Ensemble.Tree(i), e.Tree(i); plain && len(want) > 1 && !reflect.DeepEqual(got, want) {
				t.Errorf("tree %d is\n%v, was\n%v", i, got, want)
			}
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	var many []tree.Node // each split doubles what is below its yes side
	for i := range 40 {
		many = append(many, tree.Node{Feature: 0, Set: []int32{0}, MissingYes: true, Yes: 2*i + 2, No: 2*i + 1, Cover: float64(41 - i)}, leaf(1, 1))
	}
	many = append(many, leaf(0, 1))
	for name, c := range map[string]struct {
		m    *Model
		want string
	}{
		"no features": {&Model{Ensemble: build(t, nil, 0)}, "0 features"},
		"names":       {&Model{Features: []string{"a"}, Ensemble: build(t, []int{0, 0}, 0)}, "1 names of 2"},
		"same names":  {&Model{Features: []string{"a b", "a_b"}, Ensemble: build(t, []int{0, 0}, 0)}, `"a b" and "a_b" are both a_b`},
		"categories":  {&Model{Features: []string{"a"}, Ensemble: build(t, []int{1 << 29}, 0)}, "categories in all"},
		"copies":      {&Model{Features: []string{"a"}, Ensemble: build(t, []int{2}, 0, many)}, "more than 262144 splits"},
	} {
		var b bytes.Buffer
		if err := WriteLightGBM(&b, c.m); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if b.Len() > 0 {
			t.Errorf("%s: %d bytes are written", name, b.Len())
		}
	}
	if err := WriteLightGBM(failing{}, churn(t)); !errors.Is(err, errFull) {
		t.Errorf("a full disk: error %v", err)
	}
}

var errFull = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

// LightGBM itself loads what is written, and agrees.
func TestLightGBMAgrees(t *testing.T) {
	python := os.Getenv("PROPENSITY_PYTHON")
	if python == "" {
		t.Skip("PROPENSITY_PYTHON names no Python with lightgbm: files are not given to LightGBM itself")
	}
	type checked struct {
		model *Model
		rows  [][]float64
		exact bool // the covers are counts
	}
	all := map[string]checked{}
	add := func(name string, m *Model, exact bool) {
		c := checked{m, nil, exact}
		for i, x := range rows(m.Ensemble.Levels()) {
			if i%13 == 0 {
				c.rows = append(c.rows, x)
			}
		}
		all[name] = c
	}
	add("churn", churn(t), true)
	for i := range 20 {
		levels, plain := []int{0, 3, 0, 40}, i%2 == 0
		e := rapid.Custom(func(t *rapid.T) *tree.Ensemble {
			return build(t, levels, 0.3, drawTree(t, levels, plain), drawTree(t, levels, true), drawTree(t, levels, plain))
		}).Example(i)
		add(fmt.Sprint("drawn", i), &Model{Features: []string{"a", "b", "c", "d"}, Ensemble: e}, plain)
	}
	for _, name := range []string{"gbdt.txt", "zero.txt", "pandas.txt", "xgboost.json", "xgboost_dart.json"} {
		base, ending, _ := strings.Cut(name, ".")
		c := checked{model: readModel(t, name), exact: ending == "txt"}
		r := readReference(t, base)
		for i := range r.Rows {
			c.rows = append(c.rows, withoutTiny(r.row(i)))
		}
		all[base] = c
	}
	folder := t.TempDir()
	for name, c := range all {
		var r reference
		for _, x := range c.rows {
			r.add(x)
		}
		in, err := json.Marshal(r.Rows)
		if err != nil {
			t.Fatal(err)
		}
		for ending, content := range map[string][]byte{".txt": written(t, c.model), ".json": in} {
			if err := os.WriteFile(filepath.Join(folder, name+ending), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	command := exec.Command(python, "testdata/predict.py", folder)
	var failure bytes.Buffer
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, &failure)
	}
	answers := map[string]reference{}
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	for name, c := range all {
		r := answers[name]
		if len(r.Raw) != len(c.rows) || len(r.Contributions) != len(c.rows) {
			t.Errorf("%s: %d scores of %d rows", name, len(r.Raw), len(c.rows))
			continue
		}
		worst, worstPhi, bound := 0.0, 0.0, 1e-6
		if c.exact {
			bound = 1e-12
		}
		for i, x := range c.rows {
			worst = max(worst, far(c.model.Ensemble.Raw(x), r.Raw[i]))
			phi := make([]float64, len(x)+1)
			phi[len(x)] = c.model.Ensemble.Explain(phi[:len(x)], x)
			for j := range phi {
				worstPhi = max(worstPhi, far(phi[j], r.Contributions[i][j]))
			}
		}
		if !(worst <= 1e-12) || !(worstPhi <= bound) {
			t.Errorf("%s: raw within %.2g, contributions within %.2g", name, worst, worstPhi)
		}
		t.Logf("%s: %d rows, raw within %.2g, contributions within %.2g", name, len(c.rows), worst, worstPhi)
	}
}

// withoutTiny makes zeros of what LightGBM takes for zero.
func withoutTiny(x []float64) []float64 {
	for j, v := range x {
		if math.Abs(v) <= zeroBound {
			x[j] = 0
		}
	}
	return x
}

// add adds a row; JSON has no infinities.
func (r *reference) add(x []float64) {
	row := make([]*float64, len(x))
	for j, v := range x {
		if v == v {
			v = max(-math.MaxFloat64, min(math.MaxFloat64, v))
			row[j] = &v
		}
	}
	r.Rows = append(r.Rows, row)
}
