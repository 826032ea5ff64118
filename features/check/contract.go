package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/expr"
)

// contract is something that the project file asks of a source.
type contract interface {
	begin(b *batch)
	record(b *batch, row int32)
	findings(all []*examination) []Finding
}

// contractsOf are the contracts of a source that look at its records, in the order
// of their kinds and columns.
func (c *checker) contractsOf(x *examination) (out []contract) {
	checks := &x.source.Checks
	for _, name := range checks.Unique {
		if name != x.source.ID { // that one is told apart by what repeats it
			out = append(out, &unique{c: c, name: name, repeats: newRepeats(c.o.keys)})
		}
	}
	for _, name := range checks.Required {
		out = append(out, &each{c: c, check: "required", name: name, detail: "records without it",
			fails: func(column *datasets.Column, row int32) bool { return column.At(int(row)).Missing() }})
	}
	for _, name := range slices.Sorted(maps.Keys(checks.Ranges)) {
		low, high := checks.Ranges[name][0], checks.Ranges[name][1]
		out = append(out, &each{c: c, check: "ranges", name: name, detail: "outside " + bounds(low, high),
			fails: func(column *datasets.Column, row int32) bool {
				return column.Numbers != nil && (column.Numbers[row] < low || column.Numbers[row] > high)
			}})
	}
	for _, name := range slices.Sorted(maps.Keys(checks.Values)) {
		allowed := checks.Values[name]
		out = append(out, &each{c: c, check: "values", name: name, detail: "not among " + shorten(allowed),
			fails: func(column *datasets.Column, row int32) bool {
				v := column.At(int(row))
				return !v.Missing() && !slices.Contains(allowed, v.String())
			}})
	}
	for _, name := range slices.Sorted(maps.Keys(checks.References)) {
		k := c.reference(checks.References[name])
		out = append(out, &joined{c: c, check: "references", name: name, other: k.source, lookup: c.lookups[k], of: checks.References[name]})
	}
	for _, a := range checks.After {
		k := c.after(a)
		stream, _, _ := strings.Cut(a, " by ")
		out = append(out, &joined{c: c, check: "after", name: k.column, other: k.source, lookup: c.lookups[k], of: strings.TrimSpace(stream)})
	}
	for _, name := range slices.Sorted(maps.Keys(checks.Agree)) {
		out = append(out, &agree{c: c, other: c.p.SourceIndex(name), expr: checks.Agree[name]})
	}
	return out
}

func bounds(low, high float64) string {
	spell := func(x float64) string {
		if math.IsNaN(x) {
			return "any"
		}
		return datasets.FormatNumber(x)
	}
	return spell(low) + " to " + spell(high)
}

func shorten(list []string) string {
	if len(list) > 6 {
		return strings.Join(list[:6], ", ") + " ..."
	}
	return strings.Join(list, ", ")
}

// each is a contract on every cell of a column.
type each struct {
	c                   *checker
	check, name, detail string
	fails               func(column *datasets.Column, row int32) bool
	column              *datasets.Column
	of                  int64
	t                   tally
}

func (e *each) begin(b *batch) { e.column = b.column(e.name) }

func (e *each) record(b *batch, row int32) {
	if e.column == nil {
		return
	}
	e.of++
	if e.fails(e.column, row) {
		e.t.add(func() Example { return b.example(e.c, row, e.column.At(int(row)).String()) })
	}
}

func (e *each) findings([]*examination) []Finding {
	return []Finding{e.t.finding(e.check, e.name, Error, e.of, e.detail)}
}

// unique is a contract that no value is on two records.
type unique struct {
	c       *checker
	name    string
	cells   *cells
	repeats *repeats
}

func (u *unique) begin(b *batch) {
	if u.cells = nil; b.column(u.name) != nil {
		u.cells = newCells(b.column(u.name))
	}
}

func (u *unique) record(b *batch, row int32) {
	if u.cells == nil {
		return
	}
	if h := u.cells.hash(row); h != 0 {
		u.repeats.add(h, 0, noAccount, func() Example { return b.example(u.c, row, u.cells.column.At(int(row)).String()) })
	}
}

func (u *unique) findings([]*examination) []Finding {
	all, _, _ := u.repeats.count()
	t := tally{all, u.repeats.examples}
	f := t.finding("unique", u.name, Error, int64(len(u.repeats.first)), "values on more than one record, of all values")
	f.OneIn = u.repeats.oneIn()
	return []Finding{f}
}

// joined is a contract with another source, through the values of a column: that it
// has the value, or that its record of it is no later.
type joined struct {
	c               *checker
	check, name, of string
	other           int // source
	lookup          *lookup
	cells           *cells
	asked           int64
	t               tally
}

func (j *joined) begin(b *batch) {
	if j.cells = nil; b.column(j.name) != nil && j.lookup != nil {
		j.cells = newCells(b.column(j.name))
	}
}

func (j *joined) record(b *batch, row int32) {
	if j.cells == nil {
		return
	}
	h := j.cells.hash(row)
	if h == 0 || !j.lookup.keeps(h) {
		return
	}
	at, known := j.lookup.values[h]
	spelt := func() string { return j.cells.column.At(int(row)).String() }
	if j.check == "references" {
		if j.asked++; !known {
			j.t.add(func() Example { return b.example(j.c, row, spelt()) })
		}
		return
	}
	if b.occurred == nil || b.occurred[row] == missing || at == missing || !known {
		return
	}
	if j.asked++; b.occurred[row] < at {
		j.t.add(func() Example {
			return b.example(j.c, row, fmt.Sprintf("%s, %s of %s %s", when(b.occurred[row]), j.of, spelt(), when(at)))
		})
	}
}

func (j *joined) findings(others []*examination) []Finding {
	if j.other < 0 || others[j.other].input.faults != nil {
		return nil // they are told
	}
	detail := "values that are not in " + j.of
	if j.check == "after" {
		detail = fmt.Sprintf("dated before %s of the same %s", j.of, j.name)
	}
	f := j.t.finding(j.check, j.name, Error, j.asked, detail)
	f.OneIn = j.lookup.oneIn()
	return []Finding{f}
}

// agree is a contract that the accounts for which a condition is true are those that
// have records in another source.
type agree struct {
	c     *checker
	other int
	expr  *expr.Expr
	mask  []bool
	truth []uint8 // of each account: 1 the condition was not true, 2 it was
}

func (a *agree) begin(b *batch) {
	a.mask = nil
	if slices.ContainsFunc(a.expr.Vars, func(name string) bool { return b.column(name) == nil }) {
		return // what is not there is told
	}
	bound, err := a.expr.Bind(b.columns)
	if err != nil {
		return // the kind of a column is not that of its expression, which is told
	}
	a.mask = make([]bool, len(b.account))
	bound.Mask(a.mask, 0)
}

func (a *agree) record(b *batch, row int32) {
	account := b.account[row]
	if a.mask == nil || account < 0 {
		return
	}
	for int(account) >= len(a.truth) {
		a.truth = append(a.truth, make([]uint8, max(64, len(a.truth)))...)
	}
	a.truth[account] |= 1
	if a.mask[row] {
		a.truth[account] |= 2
	}
}

// findings are the two ways in which the sources may differ; others are all
// examinations.
func (a *agree) findings(others []*examination) []Finding {
	other := others[a.other]
	if other.input.faults != nil {
		return nil // they are told
	}
	var with, without tally
	var of int64
	for account, t := range a.truth {
		if t == 0 {
			continue
		}
		of++
		has := account < len(other.has) && other.has[account]
		say := func() Example { return Example{Account: a.c.ids[account]} }
		switch {
		case has && t&2 == 0:
			with.add(say)
		case !has && t&2 != 0:
			without.add(say)
		}
	}
	name := other.source.Name
	return []Finding{
		with.finding("agree", name, Error, of, fmt.Sprintf("accounts that have %s although %s is not true", name, a.expr.Source)),
		without.finding("agree", name, Error, of, fmt.Sprintf("accounts without %s although %s is true", name, a.expr.Source)),
	}
}
