package sql

import (
	"fmt"
	"strconv"
	"strings"

	"propensity/features/expr"
)

// The times that four-digit years can spell.
const (
	earliest = -62_167_219_200_000_000
	latest   = 253_402_300_799_999_999
)

// scope says what a variable of an expression is in SQL.
type scope func(name string) (string, error)

// expression writes an expression: numbers as float64, times and lengths of time as
// microseconds, truths as booleans. NULL is unknown.
func (d Dialect) expression(n *expr.Node, vars scope) (string, error) {
	if n.Op == expr.OpVar {
		return vars(n.Name)
	}
	if n.Op == expr.OpConst {
		return d.constant(n)
	}
	args := make([]string, len(n.Args))
	for i, a := range n.Args {
		var err error
		if args[i], err = d.expression(a, vars); err != nil {
			return "", err
		}
	}
	infix := func(op string) (string, error) { return "(" + strings.Join(args, " "+op+" ") + ")", nil }
	switch n.Op {
	case expr.OpEq:
		return infix("=")
	case expr.OpNe:
		return infix("<>")
	case expr.OpLt:
		return infix("<")
	case expr.OpLe:
		return infix("<=")
	case expr.OpGt:
		return infix(">")
	case expr.OpGe:
		return infix(">=")
	case expr.OpAnd:
		return infix("AND")
	case expr.OpOr:
		return infix("OR")
	case expr.OpAdd, expr.OpSub:
		op := map[expr.Op]string{expr.OpAdd: "+", expr.OpSub: "-"}[n.Op]
		x, _ := infix(op)
		switch n.Type { // what is beyond the years 0 to 9999 is unknown
		case expr.Time:
			x = fmt.Sprintf("(CASE WHEN %s BETWEEN %d AND %d THEN %s END)", x, earliest, latest, x)
		case expr.Duration:
			x = fmt.Sprintf("(CASE WHEN %s BETWEEN %d AND %d THEN %s END)", x, earliest-latest, latest-earliest, x)
		}
		return x, nil
	case expr.OpMul:
		return infix("*")
	case expr.OpDiv:
		return "(" + args[0] + " / nullif(" + args[1] + ", " + d.number(0) + "))", nil
	case expr.OpNot:
		return "(NOT " + args[0] + ")", nil
	case expr.OpNeg:
		return "(- " + args[0] + ")", nil
	case expr.OpIn:
		return "(" + args[0] + " IN (" + strings.Join(args[1:], ", ") + "))", nil
	case expr.OpIf:
		return "(CASE WHEN " + args[0] + " THEN " + args[1] + " WHEN NOT " + args[0] + " THEN " + args[2] + " END)", nil
	case expr.OpPresent:
		return "(" + args[0] + " IS NOT NULL)", nil
	case expr.OpStartsWith, expr.OpEndsWith, expr.OpContains:
		return d.partOf(n.Op, args[0], args[1], n.Args[1].Text), nil
	case expr.OpMin, expr.OpMax:
		known := make([]string, len(args))
		for i, a := range args {
			known[i] = a + " IS NOT NULL"
		}
		function := map[expr.Op]string{expr.OpMin: "least", expr.OpMax: "greatest"}[n.Op]
		return "(CASE WHEN " + strings.Join(known, " AND ") + " THEN " + function + "(" + strings.Join(args, ", ") + ") END)", nil
	case expr.OpAbs:
		return "abs(" + args[0] + ")", nil
	case expr.OpFloor:
		return d.double("floor(" + args[0] + ")"), nil
	case expr.OpLog:
		return "(CASE WHEN " + args[0] + " > 0 THEN ln(" + args[0] + ") END)", nil
	case expr.OpLn1p:
		return d.log1p(args[0]), nil
	case expr.OpDays:
		return "(" + d.double(args[0]) + " / " + d.number(microsDay) + ")", nil
	}
	return "", fmt.Errorf("%w: operation %d of an expression", ErrUnavailable, n.Op)
}

func (d Dialect) constant(n *expr.Node) (string, error) {
	switch n.Type {
	case expr.Number:
		return d.number(n.Number), nil
	case expr.Boolean:
		return strings.ToUpper(strconv.FormatBool(n.Number != 0)), nil
	case expr.Text:
		return d.text(n.Text)
	case expr.Time, expr.Duration:
		if n.Micros < 0 {
			return fmt.Sprintf("(%d)", n.Micros), nil
		}
		return strconv.FormatInt(n.Micros, 10), nil
	}
	return "", fmt.Errorf("%w: a constant of unknown type", ErrUnavailable)
}

// partOf asks whether a text begins with, ends with or contains another.
func (d Dialect) partOf(op expr.Op, x, part, letters string) string {
	if d == Postgres {
		switch op {
		case expr.OpStartsWith:
			return "starts_with(" + x + ", " + part + ")"
		case expr.OpEndsWith:
			return "(right(" + x + ", " + strconv.Itoa(len([]rune(letters))) + ") = " + part + ")"
		}
		return "(strpos(" + x + ", " + part + ") > 0)"
	}
	function := "contains"
	switch {
	case op == expr.OpStartsWith && d == Spark:
		function = "startswith"
	case op == expr.OpStartsWith:
		function = "starts_with"
	case op == expr.OpEndsWith && d == Spark:
		function = "endswith"
	case op == expr.OpEndsWith:
		function = "ends_with"
	}
	return function + "(" + x + ", " + part + ")"
}

// log1p by Kahan's correction of ln(1 + x), which keeps its digits near 0 (Hewlett-
// Packard 15C Advanced Functions Handbook, 1982, appendix).
func (d Dialect) log1p(x string) string {
	if d == Spark {
		return "(CASE WHEN " + x + " > -1 THEN log1p(" + x + ") END)"
	}
	one := d.number(1)
	sum := "(" + one + " + " + x + ")"
	return "(CASE WHEN " + x + " <= -1 THEN NULL WHEN " + sum + " = 1 THEN " + x +
		" ELSE " + x + " * ln(" + sum + ") / (" + sum + " - " + one + ") END)"
}
