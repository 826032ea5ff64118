package facts

import (
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features/spec"
)

// Gather takes facts one by one, in any order, into columns of their sources, of which
// a Part is made. It is for one goroutine, and for one Part.
type Gather struct {
	project  *spec.Project
	accounts dictionary
	sources  []gathered
}

// gathered are the facts of one source.
type gathered struct {
	source                 *spec.Source
	columns                []gatheredColumn // those of the source, then of users and of merged accounts
	users, from            int              // the latter; -1: none
	account                []int32          // -1: none
	occurred, arrived, end []int64
	ids                    dictionary
	id                     []int32 // -1: none
	faults                 []misfit
}

// gatheredColumn is a column that grows. Until its kind is known it has no cells.
type gatheredColumn struct {
	datasets.Column
	texts dictionary
}

// misfit is a value that is not of the kind of its column.
type misfit struct {
	row, column int
	value       datasets.Value
}

// NewGather begins a Part of a project.
func NewGather(p *spec.Project) *Gather {
	g := &Gather{project: p, sources: make([]gathered, len(p.Sources))}
	for s := range p.Sources {
		source := &p.Sources[s]
		t := &g.sources[s]
		*t = gathered{source: source, users: -1, from: -1, columns: make([]gatheredColumn, 0, len(source.Columns)+2)}
		if source.Kind == spec.Intervals {
			t.end = []int64{} // nil is of none
		}
		for _, c := range source.Columns {
			t.columns = append(t.columns, gatheredColumn{Column: datasets.Column{Name: c.Name, Kind: c.Kind}})
		}
		role := func(name string) int {
			if name == "" {
				return -1
			}
			t.columns = append(t.columns, gatheredColumn{Column: datasets.Column{Name: name, Kind: datasets.Text}})
			return len(t.columns) - 1
		}
		t.users = role(source.User)
		if source.Kind == spec.Merges {
			t.from = role(source.FromAccount)
		}
	}
	return g
}

// Grow makes room for so many more facts of a source.
func (g *Gather) Grow(source, facts int) {
	t := &g.sources[source]
	t.account, t.id = slices.Grow(t.account, facts), slices.Grow(t.id, facts)
	t.occurred, t.arrived = slices.Grow(t.occurred, facts), slices.Grow(t.arrived, facts)
	if t.end != nil {
		t.end = slices.Grow(t.end, facts)
	}
	for k := range t.columns {
		switch c := &t.columns[k]; c.Kind {
		case 0:
		case datasets.Number, datasets.Boolean:
			c.Numbers = slices.Grow(c.Numbers, facts)
		case datasets.Time:
			c.Times = slices.Grow(c.Times, facts)
		default:
			c.Codes = slices.Grow(c.Codes, facts)
		}
	}
}

// Add adds a fact of a source, by its number in the project, without values. An account
// or id of "" is none, an instant that is not known datasets.MissingTime.
func (g *Gather) Add(source int, account, id string, occurred, arrived, end int64) {
	t := &g.sources[source]
	number, code := int32(-1), int32(-1)
	if account != "" {
		number = codeOf(&g.accounts, account)
	}
	if id != "" {
		code = codeOf(&t.ids, id)
	}
	t.account, t.id = append(t.account, number), append(t.id, code)
	t.occurred, t.arrived = append(t.occurred, occurred), append(t.arrived, arrived)
	if t.end != nil {
		t.end = append(t.end, end)
	}
	for k := range t.columns {
		t.columns[k].skip(1)
	}
}

// Columns are the numbers of the columns of that name of a source, with their kinds (0:
// that of the first value): one of the source, one of the role it has.
func (g *Gather) Columns(source int, name []byte) func(yield func(column int, kind datasets.Kind) bool) {
	return func(yield func(int, datasets.Kind) bool) {
		columns := g.sources[source].columns
		for k := range columns {
			if columns[k].Name == string(name) && !yield(k, columns[k].Kind) {
				return
			}
		}
	}
}

// Set gives the fact that was added last to a source a value in a column. One that does
// not fit is an error of Part, if that fact is in it.
func (g *Gather) Set(source, column int, v datasets.Value) {
	t := &g.sources[source]
	c, row := &t.columns[column], len(t.account)-1
	if c.Kind == 0 && !v.Missing() {
		c.Kind = v.Kind
		c.skip(row + 1)
	}
	switch {
	case v.Missing():
	case !fits(c.Kind, v.Kind):
		if column < len(t.source.Columns) { // what names a user or an account is text, or nothing
			t.faults = append(t.faults, misfit{row, column, v})
		}
	case c.Kind == datasets.Number || c.Kind == datasets.Boolean:
		c.Numbers[row] = v.Number
	case c.Kind == datasets.Time:
		c.Times[row] = v.Time
	default:
		c.Codes[row] = codeOf(&c.texts, v.Text)
	}
}

// SetText is Set of a text in a column of categories or texts. It keeps no bytes of it.
func (g *Gather) SetText(source, column int, text []byte) {
	c := &g.sources[source].columns[column]
	c.Codes[len(c.Codes)-1] = codeOf(&c.texts, text)
}

// fits says whether a value of a kind can stand in a column of a kind.
func fits(column, value datasets.Kind) bool {
	if column == datasets.Text || column == datasets.Category {
		return value == datasets.Text || value == datasets.Category
	}
	return column == value
}

// skip appends missing cells.
func (c *gatheredColumn) skip(rows int) {
	for range rows {
		switch c.Kind {
		case 0:
			return
		case datasets.Number, datasets.Boolean:
			c.Numbers = append(c.Numbers, math.NaN())
		case datasets.Time:
			c.Times = append(c.Times, datasets.MissingTime)
		default:
			c.Codes = append(c.Codes, -1)
		}
	}
}

// column is it as it stands, of so many rows.
func (c *gatheredColumn) column(rows int) datasets.Column {
	if c.Kind == 0 {
		c.Kind = datasets.Category // of no values
		c.skip(rows)
	}
	out := c.Column
	out.Values = c.texts.values
	return out
}

// dictionary gives texts numbers in the order in which they come. It is the quicker for
// texts that come in order, as a store's ids do, and for few: neither takes a map.
type dictionary struct {
	values []string
	mixed  bool // they did not come in order
	codes  map[string]int32
}

func codeOf[T string | []byte](d *dictionary, text T) int32 {
	const few = 8
	n := len(d.values)
	inOrder := !d.mixed && (n == 0 || d.values[n-1] < string(text))
	if !inOrder {
		if d.values[n-1] == string(text) {
			return int32(n - 1)
		}
		if n > few && d.codes == nil {
			d.codes = make(map[string]int32, 2*n)
			for code, v := range d.values {
				d.codes[v] = int32(code)
			}
		}
		if d.codes != nil {
			if code, ok := d.codes[string(text)]; ok {
				return code
			}
		} else if code := slices.IndexFunc(d.values, func(v string) bool { return v == string(text) }); code >= 0 {
			return int32(code)
		}
		d.mixed = true
	}
	d.values = append(d.values, string(text))
	if d.codes != nil {
		d.codes[d.values[n]] = int32(n)
	}
	return int32(n)
}
