package train

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	regression "propensity/train/logistic"
)

// prepared is a table taken apart: what may be learnt from, and what is known
// about each row besides. All slices have one place per labelled row.
type prepared struct {
	source     Columns
	candidates []string  // columns that may be features, in the order of the table
	kinds      []string  // of the candidates, as name and kind; only without an id
	label      []float64 // 0 or 1
	value      []float64 // money at stake, NaN missing; nil if there is none
	weight     []float64 // nil: every row counts 1
	moments    []int64   // microseconds; nil if there is no time column
	keys       []uint64  // of the account; of the row's content if there is no id
	group      []int     // the account, numbered from 0 by first row
	places     []int     // rows of the file, from 0, that are labelled; nil: all
	positive   string
	accounts   int
	unlabelled int
	notes      []string
	byTime     bool               // the newest rows judge, by their moments
	horizon    int64              // microseconds
	cleared    map[string]string  // columns that the spec calls no leak
	left       []features.LeftOut // columns that are no candidates any more
}

// prepare reads the roles of the columns and checks them.
func prepare(source Columns, s Spec) (*prepared, error) {
	if source.Rows() == 0 {
		return nil, fmt.Errorf("%w: it has no rows", ErrTable)
	}
	names := source.Names()
	if err := hasColumns(names, s); err != nil {
		return nil, err
	}
	column, err := source.Column(s.Label)
	if err != nil {
		return nil, err
	}
	labelled, label, positive, err := readLabel(&column, s.Positive)
	if err != nil {
		return nil, err
	}
	p := &prepared{source: source, candidates: candidates(names, s), label: label, positive: positive, unlabelled: source.Rows() - len(label),
		byTime: s.Split == SplitTime, horizon: s.horizon().Microseconds(), cleared: s.Leaks}
	if p.unlabelled > 0 {
		p.places = labelled
		p.notes = append(p.notes, fmt.Sprintf("%d rows without a label were left out", p.unlabelled))
	}
	if s.Value != "" {
		c, err := p.column(s.Value)
		if err != nil {
			return nil, err
		}
		if c.Kind != datasets.Number {
			return nil, fmt.Errorf("%w: the value column %q is %s, not number", ErrTable, s.Value, c.Kind)
		}
		p.value = c.Numbers
	}
	if err := p.readWeights(s); err != nil {
		return nil, err
	}
	if err := p.readMoments(s); err != nil {
		return nil, err
	}
	return p, p.readAccounts(s)
}

func (p *prepared) readWeights(s Spec) error {
	if s.Weight == "" {
		return nil
	}
	c, err := p.column(s.Weight)
	if err != nil {
		return err
	}
	if c.Kind != datasets.Number {
		return fmt.Errorf("%w: the weight column %q is %s, not number", ErrTable, s.Weight, c.Kind)
	}
	for i, w := range c.Numbers {
		if !(w > 0) || math.IsInf(w, 0) {
			was := "is missing"
			if w == w {
				was = "is " + datasets.FormatNumber(w)
			}
			return fmt.Errorf("%w: the weight in column %q, row %d, %s: give it a number above 0, or leave the row out", ErrTable, s.Weight, p.place(i)+1, was)
		}
	}
	p.weight = c.Numbers
	return nil
}

// column is a column of the table, its labelled rows only.
func (p *prepared) column(name string) (datasets.Column, error) {
	c, err := p.source.Column(name)
	if err != nil || p.places == nil {
		return c, err
	}
	return pick(&c, p.places), nil
}

func hasColumns(names []string, s Spec) error {
	var absent []string
	for _, c := range append([]string{s.ID, s.Time, s.Label, s.Value, s.Weight}, s.Drop...) {
		if c != "" && !slices.Contains(names, c) {
			absent = append(absent, fmt.Sprintf("%q", c))
		}
	}
	for _, part := range []struct {
		name    string
		columns []string
	}{{"types", slices.Sorted(maps.Keys(s.Types))}, {"leaks", slices.Sorted(maps.Keys(s.Leaks))}, {"monotone", slices.Sorted(maps.Keys(s.Monotone))},
		{"together", slices.Concat(s.Together...)}, {"segments", s.Segments}, {"questions", s.asked()}} {
		for _, c := range part.columns {
			if !slices.Contains(names, c) {
				absent = append(absent, fmt.Sprintf("%q (of %s)", c, part.name))
			}
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf("%w: no column %s; it has %q", ErrTable, strings.Join(absent, ", "), names)
	}
	return nil
}

// candidates are the columns that have no other role. The value column, known at
// the moment, stays a feature.
func candidates(names []string, s Spec) (out []string) {
	for _, c := range names {
		if c != s.ID && c != s.Time && c != s.Label && c != s.Weight && !slices.Contains(s.Drop, c) {
			out = append(out, c)
		}
	}
	return out
}

// readLabel turns the label column into 0 and 1, with the rows that have one.
func readLabel(c *datasets.Column, positive string) (rows []int, label []float64, spelled string, err error) {
	number, first := c.Distinct()
	of := make([]int, len(first))
	for _, k := range number {
		if k >= 0 {
			of[k]++
		}
	}
	counts := map[string]int{}
	texts := make([]string, len(first))
	for k, i := range first {
		texts[k] = c.At(i).String()
		counts[texts[k]] = of[k]
	}
	order := slices.Clone(texts)
	slices.Sort(order)
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: column %q "+format, append([]any{ErrLabel, c.Name}, args...)...)
	}
	switch len(order) {
	case 0:
		return nil, nil, "", fault("is missing in every row")
	case 1:
		return nil, nil, "", fmt.Errorf("%w: %w", fault("has only the value %q: there is nothing to tell apart", order[0]), regression.ErrOneClass)
	case 2:
	default:
		return nil, nil, "", fault("has %s: a label has two values; leave rows out or merge values", listed(order, counts))
	}
	spelled = spellPositive(c.Kind, positive)
	if spelled == "" {
		for _, text := range order {
			if text == "1" || text == "true" {
				spelled = text
			}
		}
	}
	if spelled == "" {
		return nil, nil, "", fault("has %s: say which is positive (--label %s=%s)", listed(order, counts), c.Name, order[1])
	}
	if counts[spelled] == 0 {
		return nil, nil, "", fault("never has the positive value %q; it has %s", spelled, listed(order, counts))
	}
	one := int32(slices.Index(texts, spelled))
	label = make([]float64, 0, len(number))
	rows = make([]int, 0, len(number))
	for i, k := range number {
		if k < 0 {
			continue
		}
		y := 0.0
		if k == one {
			y = 1
		}
		rows, label = append(rows, i), append(label, y)
	}
	return rows, label, spelled, nil
}

// spellPositive spells the positive value as cells of that kind are spelled.
func spellPositive(k datasets.Kind, s string) string {
	switch k {
	case datasets.Number:
		if x, ok := datasets.ParseNumber(s); ok {
			return datasets.FormatNumber(x)
		}
	case datasets.Boolean:
		switch s {
		case "1":
			return "true"
		case "0":
			return "false"
		}
		return strings.ToLower(s)
	}
	return s
}

func listed(values []string, counts map[string]int) string {
	var parts []string
	for _, v := range values[:min(len(values), 5)] {
		parts = append(parts, fmt.Sprintf("%q (%d rows)", v, counts[v]))
	}
	if len(values) > 5 {
		return fmt.Sprintf("more than %d values: %s, ...", 5, strings.Join(parts, ", "))
	}
	return fmt.Sprintf("%d values: %s", len(values), strings.Join(parts, ", "))
}

func (p *prepared) readMoments(s Spec) error {
	if s.Time == "" {
		return nil
	}
	c, err := p.column(s.Time)
	if err != nil {
		return err
	}
	if c.Kind != datasets.Time {
		return fmt.Errorf("%w: the time column %q is %s, not time; give it one form, such as 2026-03-01", ErrTable, s.Time, c.Kind)
	}
	for i, m := range c.Times {
		if m == datasets.MissingTime {
			return fmt.Errorf("%w: row %d has no moment in %q: give it one or leave the row out", ErrTable, p.place(i)+1, s.Time)
		}
	}
	p.moments = c.Times
	return nil
}

// readAccounts numbers the accounts. Without an id, rows of the same content are
// taken for one account, so that copies of a row are never on both sides of a cut.
func (p *prepared) readAccounts(s Spec) error {
	if s.ID == "" {
		if err := p.contentKeys(s.Seed); err != nil {
			return err
		}
	} else {
		c, err := p.column(s.ID)
		if err != nil {
			return err
		}
		ids := make([]string, c.Len())
		for i := range ids {
			v := c.At(i)
			if v.Missing() {
				return fmt.Errorf("%w: row %d has no account in %q: give it one or leave the row out", ErrTable, p.place(i)+1, s.ID)
			}
			ids[i] = v.String()
		}
		if err := p.refuseDuplicates(ids, s); err != nil {
			return err
		}
		p.keys = datasets.RowKeys(s.Seed, ids)
	}
	p.group, p.accounts = datasets.NumberKeys(p.keys)
	return nil
}

// refuseDuplicates finds two rows of one account at one moment: one of them is a
// mistake, and which one cannot be told.
func (p *prepared) refuseDuplicates(ids []string, s Spec) error {
	if p.moments == nil {
		return nil
	}
	type key struct {
		id     string
		moment int64
	}
	first := make(map[key]int, len(ids))
	var faults []string
	n := 0
	for i, id := range ids {
		k := key{id, p.moments[i]}
		j, ok := first[k]
		if !ok {
			first[k] = i
			continue
		}
		if n++; n <= 5 {
			faults = append(faults, fmt.Sprintf("%q at %s in rows %d and %d", id, datasets.FormatTime(k.moment), p.place(j)+1, p.place(i)+1))
		}
	}
	if n > 0 {
		return fmt.Errorf("%w: %d rows repeat an account (%s) at a moment (%s): %s; keep one of each", ErrTable, n, s.ID, s.Time, strings.Join(faults, "; "))
	}
	return nil
}

// contentKeys hash what a row holds. The order of the columns does not count, so
// that a later export of the same table gives the same keys.
func (p *prepared) contentKeys(seed uint64) error {
	p.keys = make([]uint64, len(p.label))
	for i := range p.keys {
		p.keys[i] = datasets.Mix(seed)
	}
	for _, name := range slices.Sorted(slices.Values(p.candidates)) {
		c, err := p.source.Column(name)
		if err != nil {
			return err
		}
		p.kinds = append(p.kinds, c.Name+" "+c.Kind.String())
		texts := make([]uint64, len(c.Values)+1) // that of a missing text is 0
		for j, s := range c.Values {
			h := fnv.New64a()
			h.Write([]byte(s)) //nolint:errcheck // a hash never fails
			texts[j+1] = h.Sum64()
		}
		eachPart(len(p.keys), func(first, end int) { p.hashCells(&c, texts, first, end) })
	}
	return nil
}

// hashCells adds the cells of one column to the keys of rows from first to end.
func (p *prepared) hashCells(c *datasets.Column, texts []uint64, first, end int) {
	missing := math.Float64bits(math.NaN())
	for i := first; i < end; i++ {
		at := p.place(i)
		var cell uint64
		switch {
		case c.Numbers != nil:
			switch x := c.Numbers[at]; { // NaN and 0 have more than one spelling
			case x != x:
				cell = missing
			case x != 0:
				cell = math.Float64bits(x)
			}
		case c.Times != nil:
			cell = uint64(c.Times[at])
		default:
			cell = texts[c.Codes[at]+1]
		}
		p.keys[i] = datasets.Mix(p.keys[i] ^ cell)
	}
}

// eachPart runs f over parts of n rows, on all processors.
func eachPart(n int, f func(first, end int)) {
	const least = 1 << 14
	parts := max(1, n/least)
	_ = features.Parallel(parts, func(k int) error {
		f(n*k/parts, n*(k+1)/parts)
		return nil
	})
}

// copyValues is the most values (missing is one) that a copy of the label has.
const copyValues = 10

// copies says that a column gives the label away by itself: few different values,
// each seen with one outcome only.
func copies(c *datasets.Column, label []float64) bool {
	seen := make(map[datasets.Value]float64, copyValues)
	for i, y := range label {
		v := c.At(i) // the zero Value if it is missing
		if was, ok := seen[v]; ok {
			if was != y {
				return false
			}
			continue
		}
		if len(seen) == copyValues {
			return false
		}
		seen[v] = y
	}
	return len(seen) > 1
}

// data describes the table for the manifest.
func (p *prepared) data(fingerprint string) models.Data {
	return models.Data{Fingerprint: fingerprint, Rows: len(p.label), Positives: positives(p.label), Unlabelled: p.unlabelled, Accounts: p.accounts}
}
