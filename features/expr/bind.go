package expr

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"propensity/datasets"
)

// ErrColumns says that an expression was given columns that it was not checked for.
var ErrColumns = errors.New("the columns do not fit the expression")

// Bound is an expression ready to be evaluated over columns. It has buffers of its
// own, so that nothing is allocated for a row; it is not for several goroutines at
// once, of which each binds for itself.
type Bound struct {
	typ    Type
	truths func(from, to int) []truth
	number func(from, to int) []float64
	time   func(from, to int) []int64
	text   texts
}

// truth is a value of a three-valued logic.
type truth = uint8

const (
	no truth = iota
	yes
	unknown
)

// texts are a column of them: codes into values, -1 is missing.
type texts struct {
	codes  func(from, to int) []int32
	values []string
}

// block is how many rows are evaluated at a time, so that what is between stays in
// the nearest cache.
const block = 1024

// Bind finds the variables of e among the columns, by name. A comparison of a
// category with a constant becomes a table over the codes of the category. It is
// ErrColumns if a column is not there or not of the type that e was checked for.
// Variables whose types were unknown get them from the columns, which compiles e
// anew and may give Faults: compile with types what is bound often.
func (e *Expr) Bind(columns []datasets.Column) (*Bound, error) {
	b := &binder{columns: columns}
	open := false
	for _, name := range e.Vars {
		c := b.column(name)
		if c == nil {
			return nil, fmt.Errorf("%s: %w: there is no %q", e.Source, ErrColumns, name)
		}
		open = open || e.typeOf(name) == Any
	}
	if open {
		compile := Compile
		if e.condition {
			compile = CompileCondition
		}
		typed, err := compile(e.Source, Vars(columns))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Source, err)
		}
		e = typed
	}
	for _, name := range e.Vars {
		if c := b.column(name); TypeOf(c.Kind) != e.typeOf(name) {
			return nil, fmt.Errorf("%s: %w: %q is a %s, not a %s", e.Source, ErrColumns, name, TypeOf(c.Kind), e.typeOf(name))
		}
	}
	b.size = block
	if len(columns) > 0 {
		b.size = min(block, columns[0].Len())
	}
	out := &Bound{typ: e.Root.Type}
	switch e.Root.Type {
	case Number:
		out.number = b.numbers(e.Root)
	case Boolean:
		out.truths = b.truths(e.Root)
	case Time:
		out.time = b.times(e.Root)
	case Text:
		out.text = b.texts(e.Root)
	default:
		return nil, fmt.Errorf("%s: %w: its value is a %s", e.Source, ErrColumns, e.Root.Type)
	}
	return out, nil
}

// typeOf is the type of a variable of e.
func (e *Expr) typeOf(name string) Type {
	var find func(n *Node) (Type, bool)
	find = func(n *Node) (Type, bool) {
		if n.Op == OpVar && n.Name == name {
			return n.Type, true
		}
		for _, a := range n.Args {
			if t, ok := find(a); ok {
				return t, ok
			}
		}
		return Any, false
	}
	t, _ := find(e.Root)
	return t
}

// Mask sets mask[i] to whether a condition holds in row from+i; unknown does not, nor
// does what is neither true nor false.
func (b *Bound) Mask(mask []bool, from int) {
	if b.typ != Boolean {
		clear(mask)
		return
	}
	for done := 0; done < len(mask); done += block {
		part := mask[done:min(done+block, len(mask))]
		for i, t := range b.truths(from+done, from+done+len(part)) {
			part[i] = t == yes
		}
	}
}

// Column is the values of rows from to to, those that are unknown or infinite
// missing, as a column of kind Type.Kind of the expression.
func (b *Bound) Column(name string, from, to int) datasets.Column {
	out := datasets.Column{Name: name, Kind: b.typ.Kind()}
	n := to - from
	switch b.typ {
	case Number, Boolean:
		out.Numbers = make([]float64, 0, n)
	case Time:
		out.Times = make([]int64, 0, n)
	case Text:
		out.Codes = make([]int32, 0, n)
	}
	for ; from < to; from += block {
		end := min(from+block, to)
		switch b.typ {
		case Number:
			for _, x := range b.number(from, end) {
				if math.IsInf(x, 0) {
					x = math.NaN()
				}
				out.Numbers = append(out.Numbers, x)
			}
		case Boolean:
			for _, t := range b.truths(from, end) {
				out.Numbers = append(out.Numbers, [...]float64{0, 1, math.NaN(), math.NaN()}[t&3])
			}
		case Time:
			out.Times = append(out.Times, b.time(from, end)...)
		case Text:
			out.Codes = append(out.Codes, b.text.codes(from, end)...)
		}
	}
	if b.typ == Text {
		out.Values = firstMet(out.Codes, b.text.values)
	}
	return out
}

// firstMet numbers the codes anew in the order in which they are first met, as a
// column has them, and gives their values. Values that are equal get one number.
func firstMet(codes []int32, values []string) []string {
	var out []string
	number := make([]int32, len(values))
	known := map[string]int32{}
	for i, k := range codes {
		if k < 0 {
			continue
		}
		if number[k] == 0 {
			v := values[k]
			n, ok := known[v]
			if !ok {
				out = append(out, v)
				n = int32(len(out))
				known[v] = n
			}
			number[k] = n
		}
		codes[i] = number[k] - 1
	}
	return out
}

// binder makes functions of nodes: each gives the values of rows from to to (at
// most size), which stand until its next call.
type binder struct {
	columns []datasets.Column
	size    int
}

func (b *binder) column(name string) *datasets.Column {
	for i := range b.columns {
		if b.columns[i].Name == name {
			return &b.columns[i]
		}
	}
	return nil
}

// numbers of a node of type Number; NaN is unknown.
func (b *binder) numbers(n *Node) func(from, to int) []float64 {
	switch n.Op {
	case OpConst:
		return constantOf(n.Number, b.size)
	case OpVar:
		values := b.column(n.Name).Numbers
		return func(from, to int) []float64 { return values[from:to] }
	case OpIf:
		return choose(b.truths(n.Args[0]), b.numbers(n.Args[1]), b.numbers(n.Args[2]), b.size, math.NaN())
	case OpDays:
		x, out := b.times(n.Args[0]), make([]float64, b.size)
		return func(from, to int) []float64 { return daysOf(out, x(from, to)) }
	case OpMin, OpMax:
		x := b.numbers(n.Args[0])
		for _, a := range n.Args[1:] {
			x = b.arithmetic(n.Op, x, b.numbers(a))
		}
		return x
	case OpAdd, OpSub, OpMul, OpDiv:
		return b.arithmetic(n.Op, b.numbers(n.Args[0]), b.numbers(n.Args[1]))
	}
	op, x, out := n.Op, b.numbers(n.Args[0]), make([]float64, b.size)
	return func(from, to int) []float64 { return function(op, out, x(from, to)) }
}

func (b *binder) arithmetic(op Op, x, y func(from, to int) []float64) func(from, to int) []float64 {
	out := make([]float64, b.size)
	return func(from, to int) []float64 { return arithmetic(op, out, x(from, to), y(from, to)) }
}

// times of a node of type Time or Duration, microseconds; MissingTime is unknown.
func (b *binder) times(n *Node) func(from, to int) []int64 {
	switch n.Op {
	case OpConst:
		return constantOf(n.Micros, b.size)
	case OpVar:
		values := b.column(n.Name).Times
		return func(from, to int) []int64 { return values[from:to] }
	case OpIf:
		return choose(b.truths(n.Args[0]), b.times(n.Args[1]), b.times(n.Args[2]), b.size, datasets.MissingTime)
	}
	op, x, y, out := n.Op, b.times(n.Args[0]), b.times(n.Args[1]), make([]int64, b.size)
	least, most := int64(earliest), int64(latest)
	if n.Type == Duration {
		least, most = -mostMicros, mostMicros
	}
	return func(from, to int) []int64 { return shift(op, out, x(from, to), y(from, to), least, most) }
}

// texts of a node of type Text.
func (b *binder) texts(n *Node) texts {
	switch n.Op {
	case OpConst:
		return texts{constantOf(int32(0), b.size), []string{n.Text}}
	case OpVar:
		c := b.column(n.Name)
		return texts{func(from, to int) []int32 { return c.Codes[from:to] }, c.Values}
	}
	x, y := b.texts(n.Args[1]), b.texts(n.Args[2]) // OpIf: there is no other
	behind, out := y.codes, make([]int32, b.size)
	base := int32(len(x.values))
	y.codes = func(from, to int) []int32 {
		codes := out[:to-from]
		for i, k := range behind(from, to) {
			if codes[i] = k; k >= 0 {
				codes[i] = k + base
			}
		}
		return codes
	}
	return texts{choose(b.truths(n.Args[0]), x.codes, y.codes, b.size, -1), slices.Concat(x.values, y.values)}
}

// truths of a node of type Boolean.
func (b *binder) truths(n *Node) func(from, to int) []truth {
	switch n.Op {
	case OpConst:
		return constantOf(truth(n.Number), b.size)
	case OpVar:
		values, out := b.column(n.Name).Numbers, make([]truth, b.size)
		return func(from, to int) []truth { return truthsOf(out, values[from:to]) }
	case OpIf:
		return choose(b.truths(n.Args[0]), b.truths(n.Args[1]), b.truths(n.Args[2]), b.size, unknown)
	case OpAnd, OpOr:
		table := andTable()
		if n.Op == OpOr {
			table = orTable()
		}
		return b.both(n, table)
	case OpNot:
		x, out := b.truths(n.Args[0]), make([]truth, b.size)
		return func(from, to int) []truth { return negate(out, x(from, to)) }
	case OpPresent:
		return b.present(n.Args[0])
	case OpIn:
		return b.in(n)
	case OpStartsWith, OpEndsWith, OpContains:
		part := n.Args[1].Text
		test := map[Op]func(s, part string) bool{OpStartsWith: strings.HasPrefix, OpEndsWith: strings.HasSuffix, OpContains: strings.Contains}[n.Op]
		return b.byText(n.Args[0], func(s string) bool { return test(s, part) })
	}
	return b.comparison(n)
}

func (b *binder) comparison(n *Node) func(from, to int) []truth {
	x, y := n.Args[0], n.Args[1]
	op, out := n.Op, make([]truth, b.size)
	switch x.Type {
	case Number:
		left, right := b.numbers(x), b.numbers(y)
		return func(from, to int) []truth { return compareNumbers(op, out, left(from, to), right(from, to)) }
	case Time, Duration:
		left, right := b.times(x), b.times(y)
		return func(from, to int) []truth { return compareTimes(op, out, left(from, to), right(from, to)) }
	case Boolean:
		table := equalTable()
		if op == OpNe {
			table = unequalTable()
		}
		return b.both(n, table)
	}
	if y.Op == OpConst {
		return b.byText(x, func(s string) bool { return holds(op, strings.Compare(s, y.Text)) })
	}
	if x.Op == OpConst {
		return b.byText(y, func(s string) bool { return holds(op, strings.Compare(x.Text, s)) })
	}
	left, right := b.texts(x), b.texts(y)
	return func(from, to int) []truth { return compareTexts(op, out, left, right, from, to) }
}

// both looks two truths up in a table of four by four.
func (b *binder) both(n *Node, table [16]truth) func(from, to int) []truth {
	x, y, out := b.truths(n.Args[0]), b.truths(n.Args[1]), make([]truth, b.size)
	return func(from, to int) []truth {
		out, x := out[:to-from], x(from, to)
		for i, v := range y(from, to) {
			out[i] = table[(x[i]<<2|v)&15]
		}
		return out
	}
}

// byText asks once of each value of a text, and then looks the answer up by code.
func (b *binder) byText(n *Node, test func(s string) bool) func(from, to int) []truth {
	x, out := b.texts(n), make([]truth, b.size)
	table := make([]truth, len(x.values)+1) // the first is that of missing
	table[0] = unknown
	for i, v := range x.values {
		if test(v) {
			table[i+1] = yes
		}
	}
	return func(from, to int) []truth {
		out := out[:to-from]
		for i, k := range x.codes(from, to) {
			out[i] = table[k+1]
		}
		return out
	}
}

func (b *binder) in(n *Node) func(from, to int) []truth {
	x, among := n.Args[0], n.Args[1:]
	out := make([]truth, b.size)
	switch x.Type {
	case Text:
		known := map[string]bool{}
		for _, a := range among {
			known[a.Text] = true
		}
		return b.byText(x, func(s string) bool { return known[s] })
	case Number:
		values, left := sortedOf(among, func(a *Node) float64 { return a.Number }), b.numbers(x)
		return func(from, to int) []truth { return amongNumbers(out, left(from, to), values) }
	case Boolean:
		var table [4]truth
		for _, a := range among {
			table[int(a.Number)] = yes
		}
		table[unknown] = unknown
		left := b.truths(x)
		return func(from, to int) []truth {
			out := out[:to-from]
			for i, v := range left(from, to) {
				out[i] = table[v&3]
			}
			return out
		}
	}
	values, left := sortedOf(among, func(a *Node) int64 { return a.Micros }), b.times(x)
	return func(from, to int) []truth { return amongTimes(out, left(from, to), values) }
}

func (b *binder) present(n *Node) func(from, to int) []truth {
	c, out := b.column(n.Name), make([]truth, b.size)
	return func(from, to int) []truth {
		out := out[:to-from]
		for i := range out {
			out[i] = no
			if !c.At(from + i).Missing() {
				out[i] = yes
			}
		}
		return out
	}
}
