package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"propensity/models/tree"
)

// maxJSON is the size of an XGBoost file in bytes.
const maxJSON = 1 << 29

// ReadXGBoost reads a model of the objective binary:logistic that XGBoost saved as
// JSON (Booster.save_model("m.json")): the boosters gbtree and dart, with numeric
// and categorical splits. All trees count, also those after a best iteration.
//
// XGBoost compares float32(x) < float32 threshold; the thresholds here are the
// largest float64 that it still sends left, so every row reaches XGBoost's leaf.
// XGBoost adds the leaves' float32 values as float32; Raw adds the same values, to
// the same float32 base, as float64, so that the two differ by the rounding of
// XGBoost alone. A missing value goes to the default side. In a category codes that
// the split does not name and negative values go left; only a fraction differs:
// XGBoost cuts 1.7 down to the code 1, here it is no code, so unseen.
//
// Covers are the leaves' sums of Hessians, summed upwards, so that explanations
// agree with XGBoost's to the precision of a float32.
//
// A file that is damaged or holds what cannot be held here is an error that names
// the field and wraps ErrFormat or ErrUnsupported.
func ReadXGBoost(r io.Reader) (*Model, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxJSON {
		return nil, fmt.Errorf("%w: more than %d MiB", ErrUnsupported, maxJSON>>20)
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		return nil, fmt.Errorf("%w: it is no JSON, or cut short; save an XGBoost model with the ending .json", ErrFormat)
	}
	var f xgboostFile
	if err := decode(data, &f); err != nil {
		return nil, err
	}
	x, err := f.check()
	if err != nil {
		return nil, err
	}
	return x.model()
}

// xgboostFile is what is read of a file. Trees are decoded one by one.
type xgboostFile struct {
	Learner struct {
		Names   []string `json:"feature_names"`
		Types   []string `json:"feature_types"`
		Booster struct {
			Name   string       `json:"name"`
			Model  xgboostTrees `json:"model"`
			GBTree struct {
				Model xgboostTrees `json:"model"`
			} `json:"gbtree"`
			Weights []float32 `json:"weight_drop"`
		} `json:"gradient_booster"`
		Param struct {
			Base     string `json:"base_score"`
			Classes  string `json:"num_class"`
			Features string `json:"num_feature"`
			Targets  string `json:"num_target"`
		} `json:"learner_model_param"`
		Objective struct {
			Name string `json:"name"`
		} `json:"objective"`
	} `json:"learner"`
}

type xgboostTrees struct {
	Trees []json.RawMessage `json:"trees"`
	Cats  xgboostCategories `json:"cats"`
}

type xgboostTree struct {
	Left       []int32   `json:"left_children"`
	Right      []int32   `json:"right_children"`
	Features   []int32   `json:"split_indices"`
	Conditions []float32 `json:"split_conditions"` // of a leaf: its value
	Types      []int8    `json:"split_type"`       // 1: categorical; absent before 1.3
	Default    flags     `json:"default_left"`
	Hessians   []float32 `json:"sum_hessian"`
	Categories []int32   `json:"categories"` // of all splits
	Nodes      []int32   `json:"categories_nodes"`
	Segments   []int32   `json:"categories_segments"` // where each split's begin
	Sizes      []int32   `json:"categories_sizes"`
	Param      struct {
		Leaf string `json:"size_leaf_vector"`
	} `json:"tree_param"`
}

// flags are 0 and 1, or false and true before XGBoost 1.6.
type flags []bool

func (f *flags) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, (*[]bool)(f)) == nil {
		return nil
	}
	var numbers []int8
	err := json.Unmarshal(b, &numbers)
	*f = make(flags, len(numbers))
	for i, n := range numbers {
		(*f)[i] = n != 0
	}
	return err
}

// decode names the field and the place of what cannot be decoded.
func decode(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%w: %s: %s at byte %d, want %s", ErrFormat, wrong.Field, clip(wrong.Value), wrong.Offset, wrong.Type)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// xgboost is a model while it is read.
type xgboost struct {
	names      []string
	base       float64
	trees      []json.RawMessage
	weights    []float32 // per tree, of dart
	cats       xgboostCategories
	categories []int // per feature: the largest code of a split and one
	numeric    []bool
	nodes      int
	codes      int
	unfolder   unfolder
}

func (f *xgboostFile) check() (*xgboost, error) {
	l := &f.Learner
	x := &xgboost{}
	switch l.Booster.Name {
	case "gbtree":
		x.trees, x.cats = l.Booster.Model.Trees, l.Booster.Model.Cats
	case "dart":
		x.trees, x.cats, x.weights = l.Booster.GBTree.Model.Trees, l.Booster.GBTree.Model.Cats, l.Booster.Weights
		if len(x.weights) != len(x.trees) {
			return nil, fmt.Errorf("%w: gradient_booster.weight_drop: %d weights of %d trees", ErrFormat, len(x.weights), len(x.trees))
		}
	case "":
		return nil, fmt.Errorf("%w: learner.gradient_booster.name is absent: is it an XGBoost model?", ErrFormat)
	default:
		return nil, fmt.Errorf("%w: gradient_booster.name %q: only trees can be read (gbtree, dart)", ErrUnsupported, clip(l.Booster.Name))
	}
	if l.Objective.Name != "binary:logistic" {
		return nil, fmt.Errorf("%w: objective.name %q: only binary:logistic can be read", ErrUnsupported, clip(l.Objective.Name))
	}
	for _, p := range [...]struct{ name, value string }{{"num_class", l.Param.Classes}, {"num_target", l.Param.Targets}} {
		if p.value != "" && p.value != "0" && p.value != "1" {
			return nil, fmt.Errorf("%w: learner_model_param.%s %q: a model of several outcomes", ErrUnsupported, p.name, clip(p.value))
		}
	}
	features, err := strconv.Atoi(l.Param.Features)
	if err != nil || features < 0 || features > maxFeatures {
		return nil, fmt.Errorf("%w: learner_model_param.num_feature %q, want 0 to %d", ErrFormat, clip(l.Param.Features), maxFeatures)
	}
	if x.names = l.Names; len(x.names) == 0 {
		for j := range features {
			x.names = append(x.names, "f"+strconv.Itoa(j))
		}
	}
	if len(x.names) != features {
		return nil, fmt.Errorf("%w: learner.feature_names: %d names of %d features", ErrFormat, len(x.names), features)
	}
	x.categories, x.numeric = make([]int, features), make([]bool, features)
	x.base, err = baseMargin(l.Param.Base)
	return x, err
}

// baseMargin is the log-odds of a base score, "5E-1" or since XGBoost 3.1 "[5E-1]",
// as XGBoost makes it: a float32.
func baseMargin(text string) (float64, error) {
	number := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if strings.Contains(number, ",") {
		return 0, fmt.Errorf("%w: learner_model_param.base_score %q: a model of several outcomes", ErrUnsupported, clip(text))
	}
	wide, err := strconv.ParseFloat(number, 32)
	p := float32(wide)
	if err != nil || !(p > 0 && p < 1) {
		return 0, fmt.Errorf("%w: learner_model_param.base_score %q, want a probability between 0 and 1", ErrFormat, clip(text))
	}
	return float64(float32(-math.Log(float64(1/p - 1)))), nil
}

// model builds what has been read. Which features are categories is known only
// when all trees are.
func (x *xgboost) model() (*Model, error) {
	trees := make([][]tree.Node, len(x.trees))
	for i, raw := range x.trees {
		var t xgboostTree
		err := decode(raw, &t)
		if err == nil {
			trees[i], err = x.readTree(&t)
		}
		if err != nil {
			return nil, fmt.Errorf("trees[%d]: %w", i, err)
		}
		if x.weights != nil {
			for k := range trees[i] {
				trees[i][k].Value *= float64(x.weights[i])
			}
		}
		x.trees[i] = nil
	}
	m := &Model{Features: x.names, Categories: make([][]string, len(x.names))}
	levels := x.categories
	if err := x.cats.name(m, levels); err != nil {
		return nil, err
	}
	for j, numeric := range x.numeric {
		if numeric && levels[j] > 0 {
			return nil, fmt.Errorf("%w: feature %q is split as a number and as a category", ErrUnsupported, clip(x.names[j]))
		}
	}
	b := tree.NewBuilder(levels, x.base)
	for i := range trees {
		if err := b.Add(trees[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		trees[i] = nil
	}
	var err error
	if m.Ensemble, err = b.Build(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return m, nil
}

// readTree gives the nodes of one tree, unfolded.
func (x *xgboost) readTree(t *xgboostTree) ([]tree.Node, error) {
	n := len(t.Left)
	for _, f := range [...]struct {
		name   string
		length int
	}{
		{"right_children", len(t.Right)}, {"split_indices", len(t.Features)}, {"split_conditions", len(t.Conditions)},
		{"default_left", len(t.Default)}, {"sum_hessian", len(t.Hessians)},
	} {
		if f.length != n {
			return nil, fmt.Errorf("%w: %s: %d values, but left_children has %d", ErrFormat, f.name, f.length, n)
		}
	}
	switch {
	case t.Param.Leaf != "" && t.Param.Leaf != "0" && t.Param.Leaf != "1":
		return nil, fmt.Errorf("%w: tree_param.size_leaf_vector %q: a model of several outcomes", ErrUnsupported, clip(t.Param.Leaf))
	case n == 0:
		return nil, fmt.Errorf("%w: left_children: there are no nodes", ErrFormat)
	case len(t.Types) != n && len(t.Types) != 0:
		return nil, fmt.Errorf("%w: split_type: %d values, but left_children has %d", ErrFormat, len(t.Types), n)
	}
	if x.nodes += n; x.nodes > maxNodes {
		return nil, fmt.Errorf("%w: more than %d nodes in all", ErrUnsupported, maxNodes)
	}
	sets, err := x.readSets(t)
	if err != nil {
		return nil, err
	}
	nodes := make([]tree.Node, n)
	for i := range nodes {
		if nodes[i], err = x.readNode(t, i, sets[int32(i)]); err != nil {
			return nil, err
		}
	}
	if err := onlyTree(nodes); err != nil {
		return nil, fmt.Errorf("%w: left_children: %w", ErrFormat, err)
	}
	return x.unfolder.unfold(nodes)
}

func (x *xgboost) readNode(t *xgboostTree, i int, set []int32) (tree.Node, error) {
	if t.Left[i] == -1 {
		cover := float64(t.Hessians[i])
		if !(cover >= 0) {
			return tree.Node{}, fmt.Errorf("%w: sum_hessian[%d] %v is negative", ErrFormat, i, cover)
		}
		return tree.Node{Feature: -1, Value: float64(t.Conditions[i]), Cover: cover}, nil
	}
	feature := int(t.Features[i])
	if feature < 0 || feature >= len(x.names) {
		return tree.Node{}, fmt.Errorf("%w: split_indices[%d] %d, want 0 to %d", ErrFormat, i, feature, len(x.names)-1)
	}
	if len(t.Types) == 0 || t.Types[i] == 0 {
		x.numeric[feature] = true
		return tree.Node{
			Feature: feature, Threshold: below(t.Conditions[i]), MissingYes: t.Default[i],
			Yes: int(t.Left[i]), No: int(t.Right[i]),
		}, nil
	}
	if len(set) == 0 {
		return tree.Node{}, fmt.Errorf("%w: categories: node %d splits categories, but has none", ErrFormat, i)
	}
	// The named categories go right, so right is yes.
	x.categories[feature] = max(x.categories[feature], int(set[len(set)-1])+1)
	return tree.Node{
		Feature: feature, Set: set, MissingYes: !t.Default[i],
		Yes: int(t.Right[i]), No: int(t.Left[i]),
	}, nil
}

// maxCategory is the first value that XGBoost takes for no category.
const maxCategory = 1 << 24

// readSets gives the codes of each categorical split, by node.
func (x *xgboost) readSets(t *xgboostTree) (map[int32][]int32, error) {
	if len(t.Segments) != len(t.Nodes) || len(t.Sizes) != len(t.Nodes) {
		return nil, fmt.Errorf("%w: categories_segments and categories_sizes: %d and %d values, but categories_nodes has %d",
			ErrFormat, len(t.Segments), len(t.Sizes), len(t.Nodes))
	}
	sets := make(map[int32][]int32, len(t.Nodes))
	for k, node := range t.Nodes {
		start, size := int(t.Segments[k]), int(t.Sizes[k])
		if start < 0 || size < 0 || start+size > len(t.Categories) {
			return nil, fmt.Errorf("%w: categories_segments[%d]: %d and %d more, but categories has %d", ErrFormat, k, start, size, len(t.Categories))
		}
		if x.codes += size; x.codes > maxCodes {
			return nil, fmt.Errorf("%w: categories: more than %d codes in all", ErrUnsupported, maxCodes)
		}
		set := slices.Clone(t.Categories[start : start+size])
		slices.Sort(set)
		set = slices.Compact(set)
		if size > 0 && (set[0] < 0 || set[len(set)-1] >= maxCategory) {
			return nil, fmt.Errorf("%w: categories: node %d has a code that is not from 0 to %d", ErrFormat, node, maxCategory-1)
		}
		sets[node] = set
	}
	return sets, nil
}

// below is the largest number that is below t once rounded to a float32.
func below(t float32) float64 {
	next := float64(math.Nextafter32(t, float32(math.Inf(-1))))
	if math.IsInf(next, -1) {
		next = -0x1p128 // what would follow: numbers from half-way there round to -Inf
	}
	half := (next + float64(t)) / 2 // exact; it rounds to the even of the two
	if float32(half) < t {
		return half
	}
	return math.Nextafter(half, math.Inf(-1))
}

// xgboostCategories are the categories of the columns of a data frame, which
// XGBoost keeps since version 3.1.
type xgboostCategories struct {
	Columns  []xgboostTexts `json:"enc"`
	Segments []int          `json:"feature_segments"`
}

// xgboostTexts are the categories of one column: numbers, or the bytes of texts
// one after another and where each begins.
type xgboostTexts struct {
	Offsets []int             `json:"offsets"`
	Values  []json.RawMessage `json:"values"`
}

// name gives the features their categories.
func (c *xgboostCategories) name(m *Model, levels []int) error {
	if len(c.Columns) == 0 {
		return nil
	}
	if len(c.Columns) != len(m.Features) {
		return fmt.Errorf("%w: cats.enc: %d columns of %d features", ErrFormat, len(c.Columns), len(m.Features))
	}
	for j := range c.Columns {
		texts, err := c.Columns[j].texts()
		if err != nil {
			return fmt.Errorf("%w: cats.enc[%d]: %w", ErrFormat, j, err)
		}
		if len(texts) == 0 {
			continue
		}
		if levels[j] > len(texts) {
			return fmt.Errorf("%w: cats.enc[%d]: a split has the code %d of %d", ErrFormat, j, levels[j]-1, len(texts))
		}
		levels[j] = len(texts)
		if !strings.ContainsFunc(strings.Join(texts, ""), func(r rune) bool { return r >= utf8.RuneSelf }) {
			m.Categories[j] = texts
		} // else XGBoost 3.2 has cut them wrongly: it counts letters of several bytes as one
	}
	return nil
}

func (c *xgboostTexts) texts() ([]string, error) {
	if c.Offsets == nil {
		texts := make([]string, len(c.Values))
		for k, v := range c.Values {
			texts[k] = categoryText(v)
		}
		return texts, nil
	}
	letters := make([]byte, len(c.Values)) // UTF-8
	for k, v := range c.Values {
		x, err := strconv.ParseInt(string(v), 10, 16)
		if err != nil || x < -128 || x > 255 {
			return nil, fmt.Errorf("values: %s is no byte", clip(string(v)))
		}
		letters[k] = byte(x)
	}
	var texts []string
	for k := 1; k < len(c.Offsets); k++ {
		start, end := c.Offsets[k-1], c.Offsets[k]
		if start < 0 || end < start || end > len(letters) {
			return nil, fmt.Errorf("offsets: %d to %d of %d bytes", start, end, len(letters))
		}
		texts = append(texts, string(letters[start:end]))
	}
	return texts, nil
}
