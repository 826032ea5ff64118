package tree

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"propensity/datasets"
)

// The columns of an ensemble's table, in order. A cell that a row has no use for
// is missing.
var columns = [...]struct {
	name string
	kind datasets.Kind
}{
	{"tree", datasets.Number},      // from 0; -1 in the first row, whose value is the base
	{"feature", datasets.Number},   // missing in a leaf
	{"threshold", datasets.Number}, // of a numeric split
	{"categories", datasets.Text},  // of a categorical split: the codes of the yes side, "0 2 5"
	{"missing_yes", datasets.Boolean},
	{"unseen_yes", datasets.Boolean}, // of a categorical split
	{"yes", datasets.Number},         // the child's place in its tree, from 0
	{"no", datasets.Number},
	{"value", datasets.Number}, // of a leaf
	{"cover", datasets.Number},
}

// The places of the columns.
const (
	treeColumn = iota
	featureColumn
	thresholdColumn
	categoriesColumn
	missingColumn
	unseenColumn
	yesColumn
	noColumn
	valueColumn
	coverColumn
)

// Table is the ensemble as a table: a first row with the base, then one row per
// node, tree after tree. With the levels, FromTable makes the same ensemble of
// it, to the bit.
func (e *Ensemble) Table() *datasets.Table {
	w := newTableWriter(1 + len(e.nodes))
	w.set(treeColumn, -1)
	w.set(valueColumn, e.base)
	w.endRow()
	for i := range e.roots {
		for _, n := range e.Tree(i) {
			w.set(treeColumn, float64(i))
			w.set(coverColumn, n.Cover)
			if n.Feature < 0 {
				w.set(valueColumn, n.Value)
				w.endRow()
				continue
			}
			w.set(featureColumn, float64(n.Feature))
			w.set(missingColumn, truth(n.MissingYes))
			w.set(yesColumn, float64(n.Yes))
			w.set(noColumn, float64(n.No))
			if e.levels[n.Feature] > 0 {
				w.setText(categoriesColumn, formatSet(n.Set))
				w.set(unseenColumn, truth(n.UnseenYes))
			} else {
				w.set(thresholdColumn, n.Threshold)
			}
			w.endRow()
		}
	}
	return w.table
}

type tableWriter struct {
	table *datasets.Table
	row   int
	codes map[string]int32
}

// newTableWriter starts a table of missing cells.
func newTableWriter(rows int) *tableWriter {
	w := &tableWriter{table: &datasets.Table{}, codes: make(map[string]int32)}
	for _, c := range columns {
		column := datasets.Column{Name: c.name, Kind: c.kind}
		if c.kind == datasets.Text {
			column.Codes = make([]int32, rows)
			for i := range column.Codes {
				column.Codes[i] = -1
			}
		} else {
			column.Numbers = make([]float64, rows)
			for i := range column.Numbers {
				column.Numbers[i] = math.NaN()
			}
		}
		w.table.Columns = append(w.table.Columns, column)
	}
	return w
}

func (w *tableWriter) set(column int, x float64) { w.table.Columns[column].Numbers[w.row] = x }

func (w *tableWriter) setText(column int, text string) {
	c := &w.table.Columns[column]
	code, ok := w.codes[text]
	if !ok {
		code = int32(len(c.Values))
		c.Values = append(c.Values, text)
		w.codes[text] = code
	}
	c.Codes[w.row] = code
}

func (w *tableWriter) endRow() { w.row++ }

// FromTable reads a table that Table wrote, for features with these levels.
// Any damage is an error that wraps ErrInvalid and names
// the column and row, or the tree and node, counted from 0.
func FromTable(t *datasets.Table, levels []int) (*Ensemble, error) {
	if err := checkColumns(t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r := tableReader{columns: t.Columns, levels: levels}
	rows := t.Rows()
	if rows == 0 || r.number(treeColumn, 0) != -1 {
		return nil, fmt.Errorf("%w: no first row with the base", ErrInvalid)
	}
	if err := r.only(0, treeColumn, valueColumn); err != nil {
		return nil, fmt.Errorf("%w: row 0: %w", ErrInvalid, err)
	}
	b := NewBuilder(levels, r.number(valueColumn, 0))
	var nodes []Node
	for i := 1; i < rows; i++ {
		n, err := r.node(i)
		if err != nil {
			return nil, fmt.Errorf("%w: row %d: %w", ErrInvalid, i, err)
		}
		tree := len(b.e.roots)
		switch x := r.number(treeColumn, i); {
		case x == float64(tree):
		case x == float64(tree+1) && len(nodes) > 0:
			if err := b.Add(nodes); err != nil {
				return nil, err
			}
			nodes = nodes[:0]
		default:
			return nil, fmt.Errorf("%w: row %d: tree %v after tree %d", ErrInvalid, i, x, tree)
		}
		nodes = append(nodes, n)
	}
	if len(nodes) > 0 {
		if err := b.Add(nodes); err != nil {
			return nil, err
		}
	}
	return b.Build()
}

func checkColumns(t *datasets.Table) error {
	if len(t.Columns) != len(columns) {
		return fmt.Errorf("%d columns, want %d", len(t.Columns), len(columns))
	}
	for k := range columns {
		c := &t.Columns[k]
		if c.Name != columns[k].name || c.Kind != columns[k].kind {
			return fmt.Errorf("column %d is %q, %s; want %q, %s", k, c.Name, c.Kind, columns[k].name, columns[k].kind)
		}
		if c.Len() != t.Rows() {
			return fmt.Errorf("column %q has %d rows of %d", c.Name, c.Len(), t.Rows())
		}
		for i, code := range c.Codes {
			if int(code) >= len(c.Values) {
				return fmt.Errorf("column %q, row %d: value %d of %d", c.Name, i, code, len(c.Values))
			}
		}
	}
	return nil
}

type tableReader struct {
	columns []datasets.Column
	levels  []int
}

func (r *tableReader) number(column, row int) float64 { return r.columns[column].Numbers[row] }

// only checks that of all columns just the given ones have a value in a row.
func (r *tableReader) only(row int, want ...int) error {
	var wanted [len(columns)]bool
	for _, k := range want {
		wanted[k] = true
	}
	for k := range r.columns {
		switch has := !r.columns[k].At(row).Missing(); {
		case has && !wanted[k]:
			return fmt.Errorf("%s is %s, want nothing", r.columns[k].Name, r.columns[k].At(row))
		case !has && wanted[k]:
			return fmt.Errorf("%s is missing", r.columns[k].Name)
		}
	}
	return nil
}

// whole reads a number of 0 or more that is an index.
func (r *tableReader) whole(column, row int) (int, error) {
	x := r.number(column, row)
	if !(x >= 0 && x <= maxNodes && x == math.Trunc(x)) {
		return 0, fmt.Errorf("%s is %v, want a whole number from 0 to %d", r.columns[column].Name, x, maxNodes)
	}
	return int(x), nil
}

func (r *tableReader) truth(column, row int) (bool, error) {
	x := r.number(column, row)
	if x != 0 && x != 1 {
		return false, fmt.Errorf("%s is %v, want 0 or 1", r.columns[column].Name, x)
	}
	return x == 1, nil
}

func (r *tableReader) node(row int) (n Node, err error) {
	n.Cover = r.number(coverColumn, row)
	if math.IsNaN(r.number(featureColumn, row)) {
		n.Feature, n.Value = -1, r.number(valueColumn, row)
		return n, r.only(row, treeColumn, valueColumn, coverColumn)
	}
	if n.Feature, err = r.whole(featureColumn, row); err != nil {
		return n, err
	}
	if n.Feature >= len(r.levels) {
		return n, fmt.Errorf("feature %d of %d", n.Feature, len(r.levels))
	}
	if r.levels[n.Feature] > 0 {
		err = r.only(row, treeColumn, featureColumn, categoriesColumn, missingColumn, unseenColumn, yesColumn, noColumn, coverColumn)
	} else {
		err = r.only(row, treeColumn, featureColumn, thresholdColumn, missingColumn, yesColumn, noColumn, coverColumn)
	}
	if err != nil {
		return n, err
	}
	if n.MissingYes, err = r.truth(missingColumn, row); err != nil {
		return n, err
	}
	if n.Yes, err = r.whole(yesColumn, row); err != nil {
		return n, err
	}
	if n.No, err = r.whole(noColumn, row); err != nil {
		return n, err
	}
	if r.levels[n.Feature] == 0 {
		n.Threshold = r.number(thresholdColumn, row)
		return n, nil
	}
	if n.UnseenYes, err = r.truth(unseenColumn, row); err != nil {
		return n, err
	}
	n.Set, err = parseSet(r.columns[categoriesColumn].At(row).Text)
	return n, err
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func formatSet(set []int32) string {
	var b []byte
	for k, code := range set {
		if k > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(code), 10)
	}
	return string(b)
}

func parseSet(text string) ([]int32, error) {
	if text == "" {
		return nil, nil
	}
	var set []int32
	for word := range strings.SplitSeq(text, " ") {
		code, err := strconv.ParseInt(word, 10, 32)
		if err != nil || strconv.FormatInt(code, 10) != word {
			return nil, fmt.Errorf("categories: %q is no code", word)
		}
		set = append(set, int32(code))
	}
	return set, nil
}
