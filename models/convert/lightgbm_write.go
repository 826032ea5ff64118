package convert

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"

	"propensity/models/tree"
)

// WriteLightGBM writes a model as LightGBM text, version v4, of the objective
// binary: its raw score is Raw, to the bit, in LightGBM and read back. Feature j is
// LightGBM's column j; a category is its code; where all categories have texts,
// LightGBM's Python package maps pandas columns of type category by them.
//
// The base is a first tree of one leaf. A categorical split that sends missing and
// unseen values to different sides takes a split for the missing ones besides, and
// a copy of a side. Covers are leaf_count: as they are where they are whole numbers
// of at most 31 bits, else multiplied by a power of two, tree by tree, to fill them,
// and rounded, so that LightGBM's contributions agree with Explain as far.
//
// Two things only differ: LightGBM takes numbers within 1e-35 of zero for zero, and
// cuts a fraction in a category down to a code. White space and the characters
// ",:[]{} in a name become _, as in LightGBM. A model that LightGBM cannot hold, such as one
// without features or with two names that become one, is an error that wraps ErrUnsupported.
func WriteLightGBM(w io.Writer, m *Model) error {
	e := m.Ensemble
	names, err := lightgbmNames(m)
	if err != nil {
		return err
	}
	var trees bytes.Buffer
	sizes := make([]string, 1+e.Trees())
	for i := range sizes {
		nodes := []tree.Node{{Feature: -1, Value: e.Base(), Cover: 1}}
		if i > 0 {
			nodes = e.Tree(i - 1)
		}
		t := textTree{source: nodes, levels: e.Levels(), bounds: []int{0}}
		if _, err := t.place(0, 1); err != nil {
			return fmt.Errorf("%w: tree %d takes more than %d splits there", err, i-1, maxTree)
		}
		t.count()
		start := trees.Len()
		fmt.Fprintf(&trees, "Tree=%d\n", i)
		t.write(&trees)
		sizes[i] = strconv.Itoa(trees.Len() - start)
	}
	texts, err := json.Marshal(pandasTexts(m))
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	b.WriteString("tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n")
	fmt.Fprintf(b, "max_feature_idx=%d\nobjective=binary sigmoid:1\n", len(names)-1)
	fmt.Fprintf(b, "feature_names=%s\n", strings.Join(names, " "))
	b.WriteString("feature_infos=")
	writeInfos(b, e.Levels())
	fmt.Fprintf(b, "\ntree_sizes=%s\n\n", strings.Join(sizes, " "))
	b.Write(trees.Bytes())
	fmt.Fprintf(b, "%s\n\n%s%s\n", endOfTrees, pandasCategories, texts)
	return b.Flush() // the first error of all writing
}

// lightgbmNames are the names of the features as LightGBM spells them.
func lightgbmNames(m *Model) ([]string, error) {
	width := m.Ensemble.Features()
	switch {
	case width == 0 || width > maxFeatures:
		return nil, fmt.Errorf("%w: %d features, want 1 to %d", ErrUnsupported, width, maxFeatures)
	case len(m.Features) != width:
		return nil, fmt.Errorf("%w: %d names of %d features", ErrUnsupported, len(m.Features), width)
	}
	codes := 0
	names, first := make([]string, width), make(map[string]string, width)
	for j, name := range m.Features {
		if codes += m.Ensemble.Levels()[j]; codes > maxCodes {
			return nil, fmt.Errorf("%w: more than %d categories in all", ErrUnsupported, maxCodes)
		}
		names[j] = strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`",:[]{}`, r) {
				return '_'
			}
			return r
		}, name)
		if names[j] == "" {
			names[j] = "Column_" + strconv.Itoa(j)
		}
		if other, ok := first[names[j]]; ok {
			return nil, fmt.Errorf("%w: features %q and %q are both %s to LightGBM: rename one", ErrUnsupported, other, name, names[j])
		}
		first[names[j]] = name
	}
	return names, nil
}

// pandasTexts are the categories' texts in the order of the features; nil, which is
// null, if one is not known.
func pandasTexts(m *Model) [][]string {
	var texts [][]string
	for j, n := range m.Ensemble.Levels() {
		if n == 0 {
			continue
		}
		if j >= len(m.Categories) || len(m.Categories[j]) != n {
			return nil
		}
		texts = append(texts, m.Categories[j])
	}
	return texts
}

// writeInfos writes the range of each number, of which nothing is known, and the
// codes of each category.
func writeInfos(b *bufio.Writer, levels []int) {
	for j, n := range levels {
		if j > 0 {
			b.WriteByte(' ')
		}
		if n == 0 {
			fmt.Fprintf(b, "[%v:%v]", -math.MaxFloat64, math.MaxFloat64)
		}
		for code := range n {
			if code > 0 {
				b.WriteByte(':')
			}
			b.WriteString(strconv.Itoa(code))
		}
	}
}

// textTree is one tree in the terms of the file: splits from 0, parents first, and
// leaf k as ^k.
type textTree struct {
	source []tree.Node
	levels []int

	features, decisions, left, right []int
	thresholds                       []float64
	bounds                           []int
	words                            []uint32
	values, covers                   []float64 // of leaves
	means, sums, gains               []float64 // of splits: by cover, of covers, and what they explain
	leafCounts, splitCounts          []int
}

// place writes a node and what is below it, with its share of the cover, and
// returns its place. The error is a bare ErrUnsupported: the tree is too large.
func (t *textTree) place(at int, share float64) (int, error) {
	n := &t.source[at]
	if n.Feature < 0 {
		t.values, t.covers = append(t.values, n.Value), append(t.covers, n.Cover*share)
		return ^(len(t.values) - 1), nil
	}
	if t.levels[n.Feature] == 0 {
		return t.split(n.Feature, n.Threshold, numericSplit(n.MissingYes), t.side(n.Yes, share), t.side(n.No, share))
	}
	// What a split of codes does not name goes right, and what is missing too.
	named, left, right := n.Set, n.Yes, n.No
	if n.UnseenYes {
		named, left, right = t.others(n), n.No, n.Yes
	}
	codes := func(left, right side) side {
		return func() (int, error) {
			t.addSet(named)
			return t.split(n.Feature, float64(len(t.bounds)-2), categoricalBit, left, right)
		}
	}
	if n.MissingYes == n.UnseenYes {
		return codes(t.side(left, share), t.side(right, share))()
	}
	// No number is above the threshold: only what is missing goes right.
	present := numericSplit(false)
	if len(named) == 0 {
		return t.split(n.Feature, math.MaxFloat64, present, t.side(right, share), t.side(left, share))
	}
	return t.split(n.Feature, math.MaxFloat64, present, codes(t.side(left, share/2), t.side(right, share)), t.side(left, share/2))
}

// side places one side of a split.
type side func() (int, error)

func (t *textTree) side(at int, share float64) side {
	return func() (int, error) { return t.place(at, share) }
}

func numericSplit(missingLeft bool) int {
	decision := missingNaN << missingShift
	if missingLeft {
		decision |= defaultLeftBit
	}
	return decision
}

func (t *textTree) split(feature int, threshold float64, decision int, left, right side) (int, error) {
	i := len(t.features)
	if i >= maxTree {
		return 0, ErrUnsupported
	}
	t.features, t.thresholds, t.decisions = append(t.features, feature), append(t.thresholds, threshold), append(t.decisions, decision)
	t.left, t.right = append(t.left, 0), append(t.right, 0)
	l, err := left()
	if err != nil {
		return 0, err
	}
	r, err := right()
	t.left[i], t.right[i] = l, r
	return i, err
}

// others are the codes that a split does not send to its yes side.
func (t *textTree) others(n *tree.Node) []int32 {
	var out []int32
	set := n.Set
	for code := range int32(t.levels[n.Feature]) {
		if len(set) > 0 && set[0] == code {
			set = set[1:]
			continue
		}
		out = append(out, code)
	}
	return out
}

func (t *textTree) addSet(codes []int32) {
	start := len(t.words)
	t.words = append(t.words, make([]uint32, codes[len(codes)-1]/32+1)...)
	for _, code := range codes {
		t.words[start+int(code/32)] |= 1 << (code % 32)
	}
	t.bounds = append(t.bounds, len(t.words))
}

// maxCount leaves room in 31 bits for what rounding up adds.
const maxCount = math.MaxInt32 - maxTree

// count makes counts of the covers, and what a split's are. A split's gain is the
// sum of squares that it explains of the tree's own values by cover, from which
// LightGBM tells the importance of a feature.
func (t *textTree) count() {
	sum := 0.0
	for _, c := range t.covers {
		sum += c
	}
	scale := 1.0
	for !t.whole(scale) && 2*scale*sum <= maxCount {
		scale *= 2
	}
	for scale*sum > maxCount {
		scale /= 2
	}
	t.leafCounts = make([]int, len(t.covers))
	for k, c := range t.covers {
		t.leafCounts[k] = max(1, int(math.Round(c*scale)))
	}
	splits := len(t.features)
	t.splitCounts = make([]int, splits)
	t.means, t.sums, t.gains = make([]float64, splits), make([]float64, splits), make([]float64, splits)
	of := func(place int) (count int, mean, sum float64) {
		if place < 0 {
			return t.leafCounts[^place], t.values[^place], t.covers[^place]
		}
		return t.splitCounts[place], t.means[place], t.sums[place]
	}
	for i := splits - 1; i >= 0; i-- { // children come after their parent
		leftCount, leftMean, left := of(t.left[i])
		rightCount, rightMean, right := of(t.right[i])
		t.splitCounts[i], t.sums[i] = leftCount+rightCount, left+right
		t.means[i] = float64(left/(left+right)*leftMean) + float64(right/(left+right)*rightMean) // never fused: the same file anywhere
		t.gains[i] = left / (left + right) * right * (leftMean - rightMean) * (leftMean - rightMean)
	}
}

func (t *textTree) whole(scale float64) bool {
	for _, c := range t.covers {
		if c*scale != math.Trunc(c*scale) {
			return false
		}
	}
	return true
}

func (t *textTree) write(b *bytes.Buffer) {
	writeField(b, "num_leaves", len(t.values))
	writeField(b, "num_cat", len(t.bounds)-1)
	writeField(b, "split_feature", t.features...)
	writeField(b, "split_gain", t.gains...)
	writeField(b, "threshold", t.thresholds...)
	writeField(b, "decision_type", t.decisions...)
	writeField(b, "left_child", t.left...)
	writeField(b, "right_child", t.right...)
	writeField(b, "leaf_value", t.values...)
	writeField(b, "leaf_weight", t.covers...)
	writeField(b, "leaf_count", t.leafCounts...)
	writeField(b, "internal_value", t.means...)
	writeField(b, "internal_weight", t.sums...)
	writeField(b, "internal_count", t.splitCounts...)
	if len(t.bounds) > 1 {
		writeField(b, "cat_boundaries", t.bounds...)
		writeField(b, "cat_threshold", t.words...)
	}
	b.WriteString("is_linear=0\nshrinkage=1\n\n\n")
}

// writeField writes a line; a float64 in as many digits as tell it from any other.
func writeField[T int | uint32 | float64](b *bytes.Buffer, name string, values ...T) {
	b.WriteString(name)
	for k, v := range values {
		b.WriteByte("= "[min(k, 1)])
		switch v := any(v).(type) {
		case float64:
			b.Write(strconv.AppendFloat(b.AvailableBuffer(), v, 'g', -1, 64))
		case int:
			b.Write(strconv.AppendInt(b.AvailableBuffer(), int64(v), 10))
		case uint32:
			b.Write(strconv.AppendUint(b.AvailableBuffer(), uint64(v), 10))
		}
	}
	if len(values) == 0 {
		b.WriteByte('=')
	}
	b.WriteByte('\n')
}
