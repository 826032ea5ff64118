package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"propensity/models/tree"
)

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// change replaces the first match of a pattern, which must be there.
func change(t *testing.T, text, pattern, with string) string {
	t.Helper()
	p := regexp.MustCompile(pattern)
	at := p.FindStringSubmatchIndex(text)
	if at == nil {
		t.Fatalf("%q is not there", pattern)
	}
	return text[:at[0]] + string(p.ExpandString(nil, with, text, at)) + text[at[1]:]
}

func TestLightGBMRefuses(t *testing.T) {
	whole := testdata(t, "gbdt.txt")
	for _, c := range []struct {
		pattern, with string
		kind          error
		want          string
	}{
		{`(?s)^.*`, ``, ErrFormat, `the first line is ""`},
		{`^tree`, `PK`, ErrFormat, `line 1: the first line is "PK"`},
		{`version=v4`, `version=v2`, ErrUnsupported, `line 2: version: "v2"`},
		{`version=v4\n`, ``, ErrFormat, `version is not given`},
		{`num_class=1`, `num_class=3`, ErrUnsupported, `line 3: num_class: "3"`},
		{`num_tree_per_iteration=1`, `num_tree_per_iteration=2`, ErrUnsupported, `line 4: num_tree_per_iteration`},
		{`max_feature_idx=5`, `max_feature_idx=4`, ErrFormat, `feature_names: 6 values, want 5`},
		{`max_feature_idx=5`, `max_feature_idx=-1`, ErrFormat, `line 6: max_feature_idx: -1`},
		{`max_feature_idx=5`, `max_feature_idx=9999999`, ErrFormat, `line 6: max_feature_idx`},
		{`objective=binary sigmoid:1`, `objective=regression`, ErrUnsupported, `line 7: objective: "regression"`},
		{`objective=binary sigmoid:1`, `objective=multiclass num_class:3`, ErrUnsupported, `line 7: objective`},
		{`objective=binary sigmoid:1`, `objective=binary sigmoid:0`, ErrFormat, `line 7: objective`},
		{`objective=binary sigmoid:1`, `objective=binary sigmoid:nan`, ErrFormat, `line 7: objective`},
		{`objective=binary sigmoid:1\n`, ``, ErrUnsupported, `objective: there is none`},
		{`feature_infos=\[`, `feature_infos=x[`, ErrFormat, `line 9: feature_infos: "x[`},
		{` -1:\d+:`, ` -1:2147483646:`, ErrUnsupported, `feature_infos: feature "Column_4" brings the codes`},
		{` -1:\d+:`, ` -1:2147483648:`, ErrFormat, `line 9: feature_infos`},
		{`tree_sizes=\d+ `, `tree_sizes=`, ErrFormat, `the file has 6 trees, but tree_sizes has 5`},
		{`Tree=0`, `Tree=1`, ErrFormat, `line 12: "Tree=1", want "Tree=0"`},
		{`num_leaves=8`, `num_leaves=7`, ErrFormat, `leaf_value: 8 values, want 7`},
		{`num_leaves=8`, `num_leaves=0`, ErrFormat, `line 13: num_leaves: 0`},
		{`num_leaves=8`, `num_leaves=99999999`, ErrFormat, `line 13: num_leaves`},
		{`num_leaves=8`, "num_leaves=8\nnum_leaves=8", ErrFormat, `line 14: num_leaves: line 13 gave it already`},
		{`num_cat=\d`, `num_cat=-1`, ErrFormat, `line 14: num_cat`},
		{`num_cat=\d`, `num_cat=x`, ErrFormat, `line 14: num_cat: "x" is no whole number`},
		{`num_cat=\d`, `num_cat=9`, ErrFormat, `line 27: cat_boundaries: 3 values, want 10`},
		{`split_feature=\d`, `split_feature=6`, ErrFormat, `line 15: split_feature: 6 of split 0, want 0 to 5`},
		{`split_feature=\d`, `split_feature=-1`, ErrFormat, `line 15: split_feature: -1`},
		{`threshold=\S+`, `threshold=x`, ErrFormat, `line 17: threshold: "x" is no number`},
		{`threshold=0 \S+`, `threshold=0 nan`, ErrFormat, `line 17: threshold: NaN of split 1`},
		{`threshold=\S+ `, `threshold=`, ErrFormat, `line 17: threshold: 6 values, want 7`},
		{`decision_type=\d+`, `decision_type=12`, ErrFormat, `line 18: decision_type: 12 of split 0`},
		{`decision_type=\d+`, `decision_type=-2`, ErrFormat, `line 18: decision_type: -2 of split 0`},
		{`threshold=0`, `threshold=7`, ErrFormat, `line 17: threshold: 7 of split 0: there are 2 sets of codes`},
		{`threshold=0`, `threshold=0.5`, ErrFormat, `0.5 of split 0: there are 2 sets`},
		{`threshold=0`, `threshold=1`, ErrFormat, `line 17: threshold: 1 of split 4: two splits share a set of codes`},
		{`left_child=\S+`, `left_child=0`, ErrFormat, `line 19: left_child: node 0 has a parent`},
		{`left_child=\S+`, `left_child=7`, ErrFormat, `line 19: left_child: 7 of split 0`},
		{`left_child=\S+`, `left_child=-9`, ErrFormat, `line 19: left_child: -9 of split 0`},
		{`right_child=\S+`, `right_child=-9223372036854775808`, ErrFormat, `line 20: right_child`},
		{`right_child=\S+`, `right_child=-1`, ErrFormat, `has a parent besides`},
		{`leaf_value=\S+`, `leaf_value=inf`, ErrFormat, `line 12: invalid tree ensemble: tree 0, node`},
		{`leaf_value=.*\n`, ``, ErrFormat, `leaf_value is not given`},
		{`leaf_count=\S+`, `leaf_count=-5`, ErrFormat, `line 23: leaf_count: -5 of leaf 0`},
		{`cat_boundaries=0 `, `cat_boundaries=1 `, ErrFormat, `cat_boundaries: they do not cut`},
		{`cat_threshold=\S+`, `cat_threshold=4294967296`, ErrFormat, `cat_threshold: 4294967296`},
		{`cat_threshold=.*`, `cat_threshold=0 0 1 1`, ErrFormat, `cat_threshold: set 0 has no codes`},
		{`is_linear=0`, `is_linear=1`, ErrUnsupported, `is_linear: leaves with linear models`},
		{`(?s)Tree=5.*`, ``, ErrFormat, `the file ends before "end of trees": it is cut short`},
		{`(?s)end of trees.*`, ``, ErrFormat, `it is cut short`},
		{`pandas_categorical:null`, `pandas_categorical:[1`, ErrFormat, `pandas_categorical: unexpected end`},
		{`Column_0`, strings.Repeat("x", maxLine), ErrFormat, `line 8 is longer than 64 MiB`},
	} {
		_, err := ReadLightGBM(strings.NewReader(change(t, whole, c.pattern, c.with)))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error %v, want %q", clip(c.with), c.pattern, err, c.want)
		}
	}
	broken := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(whole)))
	if _, err := ReadLightGBM(broken); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a failing reader: error %v", err)
	}
}

func TestXGBoostRefuses(t *testing.T) {
	whole := testdata(t, "xgboost.json")
	for _, c := range []struct {
		pattern, with string
		kind          error
		want          string
	}{
		{`(?s)^.*`, ``, ErrFormat, `it is no JSON`},
		{`^{`, `{L`, ErrFormat, `it is no JSON`},
		{`(?s).{9}$`, ``, ErrFormat, `cut short`},
		{`(?s)^.*`, `{}`, ErrFormat, `gradient_booster.name is absent`},
		{`"name":"gbtree"`, `"name":"gblinear"`, ErrUnsupported, `gradient_booster.name "gblinear"`},
		{`"name":"gbtree"`, `"name":"dart","weight_drop":[1]`, ErrFormat, `weight_drop: 1 weights of 0 trees`},
		{`binary:logistic`, `reg:squarederror`, ErrUnsupported, `objective.name "reg:squarederror"`},
		{`"num_class":"0"`, `"num_class":"3"`, ErrUnsupported, `num_class "3"`},
		{`"num_target":"1"`, `"num_target":"2"`, ErrUnsupported, `num_target "2"`},
		{`"num_feature":"6","num_target`, `"num_feature":"-6","num_target`, ErrFormat, `num_feature "-6"`},
		{`"num_feature":"6","num_target`, `"num_feature":"999999999","num_target`, ErrFormat, `num_feature`},
		{`"feature_names":\[\]`, `"feature_names":["a"]`, ErrFormat, `1 names of 6 features`},
		{`"base_score":"[^"]*"`, `"base_score":"[1E0]"`, ErrFormat, `base_score "[1E0]"`},
		{`"base_score":"[^"]*"`, `"base_score":"[5E-1,5E-1]"`, ErrUnsupported, `base_score`},
		{`"base_score":"[^"]*"`, `"base_score":5`, ErrFormat, `base_score: number at byte`},
		{`"left_children":\[`, `"left_children":[-1,`, ErrFormat, `trees[0]: not a model file that can be read: right_children: 15 values, but left_children has 16`},
		{`"left_children":\[[^\]]*`, `"left_children":["x"`, ErrFormat, `left_children: string at byte`},
		{`"left_children":\[1`, `"left_children":[-2`, ErrFormat, `node 0 has the child -2`},
		{`"left_children":\[1`, `"left_children":[0`, ErrFormat, `node 0 has a parent besides node 0`},
		{`"left_children":\[1`, `"left_children":[99`, ErrFormat, `node 0 has the child 99`},
		{`"split_indices":\[\d`, `"split_indices":[6`, ErrFormat, `split_indices[0] 6, want 0 to 5`},
		{`"split_conditions":\[[^,]*`, `"split_conditions":[1e99`, ErrFormat, `split_conditions: number 1e99`},
		{`"sum_hessian":\[[^\]]*`, `"sum_hessian":[1`, ErrFormat, `sum_hessian: 1 values`},
		{`("sum_hessian":\[.*),\S*?\],"tree_param`, `$1,-1],"tree_param`, ErrFormat, `is negative`},
		{`"default_left":\[[^\]]*`, `"default_left":[1`, ErrFormat, `default_left: 1 values`},
		{`"default_left":\[[^\]]*`, `"default_left":[{}`, ErrFormat, `default_left`},
		{`"split_type":\[\d`, `"split_type":[0,0`, ErrFormat, `split_type: 16 values`},
		{`"split_type":\[1,0`, `"split_type":[1,1`, ErrFormat, `categories: node 1 splits categories, but has none`},
		{`"categories_sizes":\[\d`, `"categories_sizes":[99999`, ErrFormat, `categories_segments[0]`},
		{`"categories_segments":\[`, `"categories_segments":[0,`, ErrFormat, `but categories_nodes has`},
		{`"categories":\[\d+`, `"categories":[-1`, ErrFormat, `has a code that is not from 0`},
		{`"size_leaf_vector":"1"`, `"size_leaf_vector":"3"`, ErrUnsupported, `size_leaf_vector "3"`},
		{`"enc":\[\]`, `"enc":[{}]`, ErrFormat, `cats.enc: 1 columns of 6`},
	} {
		_, err := ReadXGBoost(strings.NewReader(change(t, whole, c.pattern, c.with)))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: error %v, want %q", c.with, c.pattern, err, c.want)
		}
	}
	if _, err := ReadXGBoost(iotest.ErrReader(iotest.ErrTimeout)); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a failing reader: error %v", err)
	}
}

// A feature is a number or a category, in all trees.
func TestKindsDoNotMix(t *testing.T) {
	text := change(t, testdata(t, "decisions.txt"), `split_feature=1`, `split_feature=0`)
	if _, err := ReadLightGBM(strings.NewReader(text)); !errors.Is(err, ErrUnsupported) ||
		!strings.Contains(err.Error(), `feature "number" is a category in the tree of line`) {
		t.Errorf("LightGBM: error %v", err)
	}
	text = change(t, testdata(t, "xgboost.json"), `"split_indices":\[4,0`, `"split_indices":[4,4`)
	if _, err := ReadXGBoost(strings.NewReader(text)); !errors.Is(err, ErrUnsupported) ||
		!strings.Contains(err.Error(), `feature "f4" is split as a number and as a category`) {
		t.Errorf("XGBoost: error %v", err)
	}
}

// Models of XGBoost before 1.6: the base score and the flags as they were, no categories.
func TestOldXGBoost(t *testing.T) {
	text := `{"learner":{"feature_names":["a"],"gradient_booster":{"name":"gbtree","model":{"trees":[
		{"left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],"split_conditions":[0.1,1,-1],
		 "default_left":[true,false,false],"sum_hessian":[3,0,3]}]}},
		"learner_model_param":{"base_score":"5E-1","num_class":"0","num_feature":"1"},"objective":{"name":"binary:logistic"}}}`
	m, err := ReadXGBoost(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	tenth := float64(float32(0.1)) // above 0.1
	for x, want := range map[float64]float64{0.1: -1, tenth: -1, math.Nextafter(tenth, 0): -1, below(0.1): 1, math.Inf(-1): 1, 0.09: 1} {
		if got := m.Ensemble.Raw([]float64{x}); got != want {
			t.Errorf("raw of %v is %v, want %v", x, got, want)
		}
	}
	if got := m.Ensemble.Raw([]float64{math.NaN()}); got != 1 {
		t.Errorf("raw of a missing value is %v", got)
	}
	// A leaf that no row reached has next to no cover.
	if nodes := m.Ensemble.Tree(0); !(nodes[1].Cover > 0 && nodes[1].Cover < 1e-11) || nodes[2].Cover != 3 {
		t.Errorf("%+v", nodes)
	}
}

// XGBoost 3.2 cuts categories with letters of several bytes wrongly: they are
// counted, not named.
func TestXGBoostTexts(t *testing.T) {
	text := testdata(t, "xgboost_pandas.json")
	m, err := ReadXGBoost(strings.NewReader(change(t, text, `"values":\[101,`, `"values":[-61,`)))
	if err != nil {
		t.Fatal(err)
	}
	if m.Categories[4] != nil || m.Categories[5] == nil || m.Ensemble.Levels()[4] != 40 {
		t.Errorf("%q, %v", m.Categories, m.Ensemble.Levels())
	}
	for _, c := range []struct{ pattern, with, want string }{
		{`"offsets":\[0,\d+`, `"offsets":[0,9999`, `cats.enc[4]: offsets: 0 to 9999`},
		{`"values":\[101,`, `"values":[256,`, `cats.enc[4]: values: 256 is no byte`},
		{`"values":\[10,20,30,40\]`, `"values":[10]`, `cats.enc[5]: a split has the code`},
	} {
		if _, err := ReadXGBoost(strings.NewReader(change(t, text, c.pattern, c.with))); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

// A split of zero-as-missing copies both its sides: forty in a row cannot be held.
func TestUnfoldLimits(t *testing.T) {
	chain := func(splits int, zero bool) error {
		nodes := make([]tree.Node, 2*splits+1)
		for i := range splits {
			nodes[i] = tree.Node{Threshold: 5, Yes: splits + i, No: i + 1}
			if i == splits-1 {
				nodes[i].No = 2 * splits
			}
			nodes[splits+i] = leaf(1, 1)
		}
		nodes[2*splits] = leaf(2, 1)
		if zero {
			for i := range splits {
				nodes = zeroMissing(nodes, i, 0, 5, false, nodes[i].Yes, nodes[i].No)
			}
		}
		_, err := new(unfolder).unfold(nodes)
		return err
	}
	for _, c := range []struct {
		splits int
		zero   bool
		want   string
	}{{1000, false, ""}, {1001, false, "deeper than 1000"}, {10, true, ""}, {40, true, "more than 262144 nodes"}} {
		err := chain(c.splits, c.zero)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d splits: error %v, want %q", c.splits, err, c.want)
		}
	}
}

// serve is what any model that was read must stand.
func serve(t *testing.T, m *Model, err error) {
	if err != nil {
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
			t.Fatalf("error %v is of no kind", err)
		}
		return
	}
	x := make([]float64, m.Ensemble.Features())
	for _, v := range []float64{math.NaN(), -1, 0, 3, 1e300} {
		for j := range x {
			x[j] = v
		}
		if raw := m.Ensemble.Raw(x); raw-raw != 0 {
			t.Fatalf("raw of %v is %v", v, raw)
		}
	}
	if len(m.Features) != len(x) || len(m.Categories) != len(x) {
		t.Fatalf("%d names, %d categories of %d features", len(m.Features), len(m.Categories), len(x))
	}
	for j, texts := range m.Categories {
		if texts != nil && len(texts) != m.Ensemble.Levels()[j] {
			t.Fatalf("feature %d: %d texts of %d levels", j, len(texts), m.Ensemble.Levels()[j])
		}
	}
	var b bytes.Buffer
	if err := WriteLightGBM(&b, m); err != nil {
		if !errors.Is(err, ErrUnsupported) {
			t.Fatal(err)
		}
		return
	}
	if _, err := ReadLightGBM(&b); err != nil {
		t.Fatalf("what is written cannot be read: %v", err)
	}
}

func FuzzReadLightGBM(f *testing.F) {
	for _, name := range []string{"gbdt.txt", "zero3.txt", "forest.txt", "constant.txt", "pandas.txt", "written.txt"} {
		text, _, _ := strings.Cut(testdata(f, name), "\nparameters:")
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ReadLightGBM(strings.NewReader(text))
		serve(t, m, err)
	})
}

func FuzzReadXGBoost(f *testing.F) {
	for _, name := range []string{"xgboost.json", "xgboost_dart.json", "xgboost_constant.json", "xgboost_pandas.json"} {
		text := testdata(f, name)
		if !json.Valid([]byte(text)) {
			f.Fatal(name)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ReadXGBoost(strings.NewReader(text))
		serve(t, m, err)
	})
}
