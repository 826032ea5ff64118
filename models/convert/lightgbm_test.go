package convert

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// reference is what a library says of a model and of rows.
type reference struct {
	Rows          [][]*float64
	Raw           []float64
	Exact         []float64 // XGBoost: the raw score summed as float64
	Probability   []float64
	Contributions [][]float64
	Leaf          [][]int // of each tree
}

func readReference(t *testing.T, name string) reference {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".rows.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) < 30 || len(r.Raw)+len(r.Leaf) != len(r.Rows) || len(r.Contributions) != len(r.Raw) {
		t.Fatalf("%s: %d rows, %d scores", name, len(r.Rows), len(r.Raw))
	}
	return r
}

// row is row i with NaN for a missing value.
func (r *reference) row(i int) []float64 {
	x := make([]float64, len(r.Rows[i]))
	for j, v := range r.Rows[i] {
		if x[j] = math.NaN(); v != nil {
			x[j] = *v
		}
	}
	return x
}

// readModel reads a model of testdata, by its ending.
func readModel(t *testing.T, name string) *Model {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read := ReadLightGBM
	if strings.HasSuffix(name, ".json") {
		read = ReadXGBoost
	}
	m, err := read(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// far is how far two numbers are apart, relative to what is above 1 of them.
func far(got, want float64) float64 { return math.Abs(got-want) / max(1, math.Abs(want)) }

func TestReadLightGBM(t *testing.T) {
	for _, name := range []string{"gbdt", "zero", "none", "dart", "forest", "sigmoid", "constant", "pandas", "gbdt3", "zero3"} {
		m, r := readModel(t, name+".txt"), readReference(t, name)
		scale := 1.0 // of log-odds and what LightGBM calls the raw score
		switch name {
		case "sigmoid":
			scale = 2.5
		case "forest":
			scale = 1 / float64(m.Ensemble.Trees())
		}
		worst, worstPhi := 0.0, 0.0
		for i := range r.Rows {
			x := r.row(i)
			raw := m.Ensemble.Raw(x)
			d := far(raw, r.Raw[i]*scale)
			worst = max(worst, d)
			if !(d <= 1e-12) {
				t.Errorf("%s, row %d, %v: raw %v, want %v", name, i, x, raw, r.Raw[i]*scale)
			}
			if p := 1 / (1 + math.Exp(-raw)); !(far(p, r.Probability[i]) <= 1e-12) {
				t.Errorf("%s, row %d: probability %v, want %v", name, i, p, r.Probability[i])
			}
			phi := make([]float64, len(x))
			base := m.Ensemble.Explain(phi, x)
			for j, want := range r.Contributions[i] {
				got := base
				if j < len(phi) {
					got = phi[j]
				}
				d := far(got, want*scale)
				worstPhi = max(worstPhi, d)
				if !(d <= 1e-9) {
					t.Errorf("%s, row %d: contribution %d is %v, want %v", name, i, j, got, want*scale)
				}
			}
		}
		t.Logf("%s: raw within %.2g, contributions within %.2g", name, worst, worstPhi)
	}
}

// The texts of the categories, as pandas had them, by code.
func TestCategories(t *testing.T) {
	for name, letter := range map[string]string{"pandas.txt": "é", "xgboost_pandas.json": "e"} {
		m := readModel(t, name)
		if want := []string{"c0", "c1", "c2", "c3", "c4", "c5"}; !slices.Equal(m.Features, want) {
			t.Errorf("%s: features %q", name, m.Features)
		}
		if got := m.Categories[4]; len(got) != 40 || got[0] != letter+" 0" || got[2] != letter+" 10" || !slices.IsSorted(got) {
			t.Errorf("%s: c4 has %q", name, got)
		}
		if want := []string{"10", "20", "30", "40"}; !slices.Equal(m.Categories[5], want) || m.Categories[0] != nil {
			t.Errorf("%s: c5 has %q, c0 %q", name, m.Categories[5], m.Categories[0])
		}
		if want := []int{0, 0, 0, 0, 40, 4}; !slices.Equal(m.Ensemble.Levels(), want) {
			t.Errorf("%s: levels %v", name, m.Ensemble.Levels())
		}
	}
	for _, name := range []string{"gbdt.txt", "xgboost.json"} { // made of numbers
		for j, texts := range readModel(t, name).Categories {
			if texts != nil {
				t.Errorf("%s: feature %d has the categories %q", name, j, texts)
			}
		}
	}
}

// Trees of one split, of every missing type, default side and threshold around
// zero, send every value where LightGBM sends it. The one exception is a threshold
// of 0 itself, which LightGBM never makes: see besideZero.
func TestDecisions(t *testing.T) {
	m, r := readModel(t, "decisions.txt"), readReference(t, "decisions")
	exceptions := 0
	for k := range m.Ensemble.Trees() {
		nodes := m.Ensemble.Tree(k)
		e := build(t, m.Ensemble.Levels(), 0, nodes)
		for i := range r.Rows {
			x := r.row(i)
			if nodes[0].Feature == 0 && nodes[0].Threshold == 0 && len(nodes) == 3 && x[0] > 0 && x[0] <= zeroBound {
				exceptions++
				continue
			}
			if got, want := e.Raw(x), float64(r.Leaf[i][k]); got != want {
				t.Errorf("tree %d, %+v: %v goes to leaf %v, want %v", k, nodes, x, got, want)
			}
		}
		// The leaves' covers are theirs, however many they have become.
		var covers [2]float64
		for _, n := range nodes {
			if n.Feature < 0 {
				covers[int(n.Value)] += n.Cover
			}
		}
		if covers != [2]float64{3, 5} {
			t.Errorf("tree %d: covers %v", k, covers)
		}
	}
	if m.Ensemble.Trees() != 72 || exceptions != 4*3 {
		t.Errorf("%d trees, %d exceptions", m.Ensemble.Trees(), exceptions)
	}
}

// LightGBM writes a split of missing against all numbers as the threshold inf.
func TestMissingAgainstAllNumbers(t *testing.T) {
	const text = `tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=0
objective=binary sigmoid:1
feature_names=x
feature_infos=[0:9]
tree_sizes=300

Tree=0
num_leaves=2
num_cat=0
split_feature=0
split_gain=1
threshold=inf
decision_type=8
left_child=-1
right_child=-2
leaf_value=0.25 -0.5
leaf_weight=1 1
leaf_count=30 20
internal_value=0
internal_weight=0
internal_count=50
is_linear=0
shrinkage=1

end of trees
`
	m, err := ReadLightGBM(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range map[float64]float64{-math.MaxFloat64: 0.25, 0: 0.25, math.MaxFloat64: 0.25} {
		if got := m.Ensemble.Raw([]float64{x}); got != want {
			t.Errorf("%v scores %v, want %v", x, got, want)
		}
	}
	if got := m.Ensemble.Raw([]float64{math.NaN()}); got != -0.5 {
		t.Errorf("missing scores %v, want -0.5", got)
	}
	if _, err := ReadLightGBM(strings.NewReader(strings.Replace(text, "=inf", "=-inf", 1))); !errors.Is(err, ErrFormat) {
		t.Errorf("a threshold of -inf: %v", err)
	}
}
