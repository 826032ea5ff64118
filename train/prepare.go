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
)

// ErrOneClass, in logistic.go, is also the error of a label with one class.

// prepared is a table taken apart: what may be learnt from, and what is known
// about each row besides. All slices have one place per labelled row.
type prepared struct {
	all        *datasets.Table // every column
	candidates *datasets.Table // columns that may be features
	label      []float64       // 0 or 1
	value      []float64       // money at stake, NaN missing; nil if there is none
	moments    []int64         // microseconds; nil if there is no time column
	keys       []uint64        // of the account; of the row's content if there is no id
	group      []int           // the account, numbered from 0 by first row
	places     []int           // of the labelled rows in the file
	positive   string
	accounts   int
	unlabelled int
	notes      []string
}

// prepare reads the roles of the columns and checks them.
func prepare(t *datasets.Table, s Spec) (*prepared, error) {
	if t.Rows() == 0 {
		return nil, fmt.Errorf("%w: it has no rows", ErrTable)
	}
	if err := hasColumns(t, s); err != nil {
		return nil, err
	}
	labelled, label, positive, err := readLabel(t.Column(s.Label), s.Positive)
	if err != nil {
		return nil, err
	}
	p := &prepared{label: label, positive: positive, places: labelled, unlabelled: t.Rows() - len(labelled)}
	if p.unlabelled > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%d rows without a label were left out", p.unlabelled))
		t = t.Take(labelled)
	}
	p.all, p.candidates = t, candidates(t, s)
	if s.Value != "" {
		if c := t.Column(s.Value); c.Kind == datasets.Number {
			p.value = c.Numbers
		} else {
			return nil, fmt.Errorf("%w: the value column %q is %s, not number", ErrTable, s.Value, c.Kind)
		}
	}
	if err := p.readMoments(t, s); err != nil {
		return nil, err
	}
	return p, p.readAccounts(t, s)
}

func hasColumns(t *datasets.Table, s Spec) error {
	var absent []string
	for _, c := range append([]string{s.ID, s.Time, s.Label, s.Value}, s.Drop...) {
		if c != "" && t.Column(c) == nil {
			absent = append(absent, fmt.Sprintf("%q", c))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(s.Types)) {
		if t.Column(c) == nil {
			absent = append(absent, fmt.Sprintf("%q (of types)", c))
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf("%w: no column %s; it has %q", ErrTable, strings.Join(absent, ", "), t.Names())
	}
	return nil
}

// candidates are the columns that have no other role. The value column, known at
// the moment, stays a feature.
func candidates(t *datasets.Table, s Spec) *datasets.Table {
	out := &datasets.Table{}
	for _, c := range t.Columns {
		if c.Name == s.ID || c.Name == s.Time || c.Name == s.Label || slices.Contains(s.Drop, c.Name) {
			continue
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

// readLabel turns the label column into 0 and 1, with the rows that have one.
func readLabel(c *datasets.Column, positive string) (rows []int, label []float64, spelled string, err error) {
	counts := map[string]int{}
	var order []string
	for i := range c.Len() {
		v := c.At(i)
		if v.Missing() {
			continue
		}
		text := v.String()
		if counts[text] == 0 {
			order = append(order, text)
		}
		counts[text]++
	}
	slices.Sort(order)
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%w: column %q "+format, append([]any{ErrLabel, c.Name}, args...)...)
	}
	switch len(order) {
	case 0:
		return nil, nil, "", fault("is missing in every row")
	case 1:
		return nil, nil, "", fmt.Errorf("%w: %w", fault("has only the value %q: there is nothing to tell apart", order[0]), ErrOneClass)
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
	for i := range c.Len() {
		if v := c.At(i); !v.Missing() {
			y := 0.0
			if v.String() == spelled {
				y = 1
			}
			rows, label = append(rows, i), append(label, y)
		}
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

func (p *prepared) readMoments(t *datasets.Table, s Spec) error {
	if s.Time == "" {
		return nil
	}
	c := t.Column(s.Time)
	if c.Kind != datasets.Time {
		return fmt.Errorf("%w: the time column %q is %s, not time; give it one form, such as 2026-03-01", ErrTable, s.Time, c.Kind)
	}
	for i, m := range c.Times {
		if m == datasets.MissingTime {
			return fmt.Errorf("%w: row %d has no moment in %q: give it one or leave the row out", ErrTable, p.places[i]+1, s.Time)
		}
	}
	p.moments = c.Times
	return nil
}

// readAccounts numbers the accounts. Without an id, rows of the same content are
// taken for one account, so that copies of a row are never on both sides of a cut.
func (p *prepared) readAccounts(t *datasets.Table, s Spec) error {
	if s.ID == "" {
		p.keys = contentKeys(p.candidates, s.Seed)
	} else {
		c := t.Column(s.ID)
		ids := make([]string, c.Len())
		for i := range ids {
			v := c.At(i)
			if v.Missing() {
				return fmt.Errorf("%w: row %d has no account in %q: give it one or leave the row out", ErrTable, p.places[i]+1, s.ID)
			}
			ids[i] = v.String()
		}
		if err := p.refuseDuplicates(ids, s); err != nil {
			return err
		}
		p.keys = datasets.RowKeys(s.Seed, ids)
	}
	number := make(map[uint64]int)
	p.group = make([]int, len(p.keys))
	for i, k := range p.keys {
		g, ok := number[k]
		if !ok {
			g = len(number)
			number[k] = g
		}
		p.group[i] = g
	}
	p.accounts = len(number)
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
			faults = append(faults, fmt.Sprintf("%q at %s in rows %d and %d", id, datasets.FormatTime(k.moment), p.places[j]+1, p.places[i]+1))
		}
	}
	if n > 0 {
		return fmt.Errorf("%w: %d rows repeat an account (%s) at a moment (%s): %s; keep one of each", ErrTable, n, s.ID, s.Time, strings.Join(faults, "; "))
	}
	return nil
}

// contentKeys hash what a row holds. The order of the columns does not count, so
// that a later export of the same table gives the same keys.
func contentKeys(t *datasets.Table, seed uint64) []uint64 {
	keys := make([]uint64, t.Rows())
	for i := range keys {
		keys[i] = datasets.Mix(seed)
	}
	columns := slices.Clone(t.Columns)
	slices.SortFunc(columns, func(a, b datasets.Column) int { return strings.Compare(a.Name, b.Name) })
	for k := range columns {
		c := &columns[k]
		texts := make([]uint64, len(c.Values))
		for j, s := range c.Values {
			h := fnv.New64a()
			h.Write([]byte(s)) //nolint:errcheck // a hash never fails
			texts[j] = h.Sum64()
		}
		for i := range keys {
			var cell uint64
			switch {
			case c.Numbers != nil:
				switch x := c.Numbers[i]; { // NaN and 0 have more than one spelling
				case math.IsNaN(x):
					cell = math.Float64bits(math.NaN())
				case x != 0:
					cell = math.Float64bits(x)
				}
			case c.Times != nil:
				cell = uint64(c.Times[i])
			case c.Codes[i] >= 0:
				cell = texts[c.Codes[i]]
			}
			keys[i] = datasets.Mix(keys[i] ^ cell)
		}
	}
	return keys
}

// leaveOutCopies removes columns that give the label away by themselves: few
// different values, each seen with one outcome only.
func leaveOutCopies(t *datasets.Table, label []float64) (*datasets.Table, []features.LeftOut) {
	out := &datasets.Table{Notes: t.Notes}
	var left []features.LeftOut
	for i := range t.Columns {
		if copies(&t.Columns[i], label) {
			left = append(left, features.LeftOut{Column: t.Columns[i].Name, Reason: "each of its values goes with one outcome only: it is a copy of the label"})
			continue
		}
		out.Columns = append(out.Columns, t.Columns[i])
	}
	return out, left
}

// copyValues is the most values (missing is one) that a copy of the label has.
const copyValues = 10

func copies(c *datasets.Column, label []float64) bool {
	seen := make(map[string]float64, copyValues)
	for i, y := range label {
		v := c.At(i)
		text := v.String()
		if v.Missing() {
			text = "\x00missing"
		}
		if was, ok := seen[text]; ok {
			if was != y {
				return false
			}
			continue
		}
		if len(seen) == copyValues {
			return false
		}
		seen[text] = y
	}
	return len(seen) > 1
}

// data describes the table for the manifest.
func (p *prepared) data(fingerprint string) models.Data {
	return models.Data{Fingerprint: fingerprint, Rows: len(p.label), Positives: positives(p.label), Unlabelled: p.unlabelled, Accounts: p.accounts}
}
