package expr

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"propensity/datasets"
)

// settle goes through CEL's tree before its types are checked: it refuses what is
// not of the language, turns whole numbers into numbers, and names into v0, v1 ...
func (r *reader) settle(e ast.Expr, depth int) {
	if r.nodes++; r.nodes > maxNodes {
		return // Compile says so
	}
	if depth == maxDepth {
		r.fault(e, "the expression is more than %d parts deep: give it in pieces, as derived features", maxDepth)
		return
	}
	switch e.Kind() {
	case ast.LiteralKind:
		r.settleLiteral(e)
	case ast.IdentKind, ast.SelectKind:
		name, ok := dotted(e)
		if !ok {
			r.fault(e, "a value has no fields; a column whose name has dots is written column(\"a.b\")")
			return
		}
		r.settleName(e, name)
	case ast.CallKind:
		r.settleCall(e, depth)
	case ast.ListKind:
		r.fault(e, "a list stands only after in: plan in [\"pro\", \"team\"]")
	default:
		r.fault(e, "maps, structures and macros are not available")
	}
}

func (r *reader) settleLiteral(e ast.Expr) {
	switch v := e.AsLiteral().(type) {
	case types.Int:
		if x := int64(v); x > 1<<53 || x < -1<<53 {
			r.fault(e, "%d has more digits than a number holds exactly: at most 2^53", x)
		}
		e.SetKindCase(ast.NewExprFactory().NewLiteral(e.ID(), types.Double(v)))
	case types.Double:
		if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
			r.fault(e, "the number is too large")
		}
	case types.String, types.Bool:
	case types.Uint:
		r.fault(e, "write %d without the u", uint64(v))
	case types.Null:
		r.fault(e, "null is not available: present(x) says whether x is there")
	default:
		r.fault(e, "texts are written \"so\" or 'so'; bytes are not available")
	}
}

// dotted is the name that a.b.c spells.
func dotted(e ast.Expr) (string, bool) {
	if e.Kind() == ast.IdentKind {
		return e.AsIdent(), true
	}
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() {
		return "", false
	}
	of, ok := dotted(e.AsSelect().Operand())
	return of + "." + e.AsSelect().FieldName(), ok
}

func (r *reader) settleName(e ast.Expr, name string) {
	if _, ok := r.typeOf(name); !ok {
		r.unknown(e, name)
		return
	}
	e.SetKindCase(ast.NewExprFactory().NewIdent(e.ID(), "v"+strconv.Itoa(r.variable(name))))
}

func (r *reader) unknown(e ast.Expr, name string) {
	names := make([]string, len(r.known))
	for i, v := range r.known {
		names[i] = v.Name
	}
	slices.Sort(names)
	switch near := nearest(name, names); {
	case near != "":
		r.fault(e, "unknown name %q: did you mean %q?", name, near)
	case len(names) == 0:
		r.fault(e, "unknown name %q: there are no columns here", name)
	default:
		more := ""
		if len(names) > 12 {
			names, more = names[:12], " ..."
		}
		r.fault(e, "unknown name %q: there are %s%s (texts stand in quotes)", name, strings.Join(names, ", "), more)
	}
}

func (r *reader) settleCall(e ast.Expr, depth int) {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	if name == "column" && !call.IsMemberFunction() {
		if text, ok := literalText(args, 0); ok && len(args) == 1 {
			r.settleName(e, text)
		} else {
			r.fault(e, "column takes the name of a column in quotes: column(\"Plan (old)\")")
		}
		return
	}
	i := findOperation(name, call.IsMemberFunction())
	if i < 0 {
		r.unavailable(e, name, call.IsMemberFunction())
		return
	}
	o := operations[i]
	if call.IsMemberFunction() {
		r.settle(call.Target(), depth+1)
	}
	if o.op == OpIn {
		r.settle(args[0], depth+1)
		r.settleList(e, args[1], depth+1)
		return
	}
	for _, a := range args {
		r.settle(a, depth+1)
	}
	switch _, text := literalText(args, 0); {
	case (o.member || o.op == conversion) && (!text || len(args) != 1):
		r.fault(e, "%s takes %s", o.spelt, o.takes)
	case o.op == OpPresent && (len(args) != 1 || args[0].Kind() != ast.IdentKind):
		if len(args) == 1 && len(r.faults) > 0 {
			return // the name is at fault, and said to be
		}
		r.fault(e, "%s takes %s", o.spelt, o.takes)
	}
}

func literalText(args []ast.Expr, i int) (string, bool) {
	if i >= len(args) || args[i].Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := args[i].AsLiteral().(types.String)
	return string(s), ok
}

func (r *reader) settleList(e, list ast.Expr, depth int) {
	if list.Kind() != ast.ListKind {
		r.fault(e, "in takes %s", operations[findOperation("@in", false)].takes)
		return
	}
	elements := list.AsList().Elements()
	if len(elements) == 0 {
		r.fault(list, "nothing is in an empty list")
	}
	r.nodes++
	for _, x := range elements {
		before := len(r.faults)
		r.settle(x, depth)
		if !constant(x) && len(r.faults) == before {
			r.fault(x, "a list holds constants only: compare with ==, joined by ||")
		}
	}
}

// constant says whether e is a literal or a time in quotes.
func constant(e ast.Expr) bool {
	if e.Kind() == ast.CallKind {
		i := findOperation(e.AsCall().FunctionName(), e.AsCall().IsMemberFunction())
		return i >= 0 && operations[i].op == conversion
	}
	return e.Kind() == ast.LiteralKind
}

func (r *reader) unavailable(e ast.Expr, name string, member bool) {
	switch {
	case name == "_%_":
		r.fault(e, "%% is not available: x - n * floor(x / n) is the rest")
	case strings.HasPrefix(name, "_["), strings.HasPrefix(name, "_?."):
		r.fault(e, "a value has no entries: [ ] stands only after in")
	case name == "has" && !member:
		r.fault(e, "has is not available: present(x) says whether x is there")
	case name == "size" || name == "matches":
		r.fault(e, "%s is not available; there are startsWith, endsWith and contains", name)
	case findOperation(name, !member) >= 0 && member:
		r.fault(e, "%s is written %s(x)", name, name)
	case findOperation(name, !member) >= 0:
		r.fault(e, "%s is written x.%s(\"text\")", name, name)
	default:
		if near := nearest(name, strings.Split(available(), ", ")); near != "" {
			r.fault(e, "unknown function %s: did you mean %s?", name, near)
			return
		}
		r.fault(e, "unknown function %s: there are %s", name, available())
	}
}

// typeFaults says CEL's faults of types in our words.
func (r *reader) typeFaults(errs []*common.Error) {
	words := strings.NewReplacer("list(double)", "numbers", "list(string)", "texts", "list(bool)", "booleans", "list(dyn)", "values of several types",
		"list(timestamp)", "times", "google.protobuf.Timestamp", Time.String(), "google.protobuf.Duration", Duration.String(),
		"double", Number.String(), "string", Text.String(), "bool", Boolean.String(), "timestamp", Time.String(), "duration", Duration.String(), "dyn", Any.String(),
		".(", " and ", ", ", " and ", "(", "", ")", "")
	for _, e := range errs {
		detail := e.Message
		if head, sides, ok := strings.Cut(strings.TrimSuffix(e.Message, "'"), "' applied to '"); ok {
			name := strings.TrimPrefix(head, "found no matching overload for '")
			for i := range operations {
				if o := operations[i]; o.name == name {
					detail = o.spelt + " takes " + o.takes + "; here it has " + words.Replace(sides)
				}
			}
		}
		if want, have, ok := strings.Cut(strings.TrimPrefix(e.Message, "expected type '"), "' but found '"); ok {
			detail = "a " + words.Replace(want) + " is needed here, not a " + words.Replace(strings.TrimSuffix(have, "'"))
		}
		r.faults = append(r.faults, Fault{e.Location.Line(), e.Location.Column() + 1, detail})
	}
}

// node is our tree of CEL's checked one.
func (r *reader) node(e ast.Expr) *Node {
	switch e.Kind() {
	case ast.LiteralKind:
		switch v := e.AsLiteral().(type) {
		case types.Double:
			return &Node{Op: OpConst, Type: Number, Number: float64(v)}
		case types.Bool:
			n := &Node{Op: OpConst, Type: Boolean}
			if v {
				n.Number = 1
			}
			return n
		case types.String:
			return &Node{Op: OpConst, Type: Text, Text: string(v)}
		}
	case ast.IdentKind:
		if i, err := strconv.Atoi(strings.TrimLeft(e.AsIdent(), ".v")); err == nil && i < len(r.vars) {
			t, _ := r.typeOf(r.vars[i])
			return &Node{Op: OpVar, Type: t, Name: r.vars[i]}
		}
	case ast.CallKind:
		return r.callNode(e)
	}
	r.fault(e, "not available here")
	return &Node{Op: OpConst}
}

func (r *reader) callNode(e ast.Expr) *Node {
	call := e.AsCall()
	i := findOperation(call.FunctionName(), call.IsMemberFunction())
	if i < 0 {
		r.unavailable(e, call.FunctionName(), call.IsMemberFunction())
		return &Node{Op: OpConst}
	}
	o := operations[i]
	if o.op == conversion {
		return r.conversion(e, o)
	}
	n := &Node{Op: o.op, Type: typeOfCEL(r.tree.GetType(e.ID()))}
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	if o.op == OpIn {
		args = append([]ast.Expr{args[0]}, args[1].AsList().Elements()...)
	}
	for _, a := range args {
		n.Args = append(n.Args, r.node(a))
	}
	switch o.op {
	case OpIn: // CEL lets values of several types into a list
		of := n.Args[0].Type
		for k, a := range n.Args[1:] {
			if of == Any {
				of = a.Type
			}
			if a.Type != of {
				r.fault(args[k+1], "the list holds a %s, but is asked for a %s", a.Type, of)
			}
		}
	case OpIf:
		if n.Type = n.Args[1].Type; n.Type == Any {
			n.Type = n.Args[2].Type
		}
	}
	return n
}

// conversion reads the constant of a time or of a length of time.
func (r *reader) conversion(e ast.Expr, o operation) *Node {
	text, _ := literalText(e.AsCall().Args(), 0)
	if o.name == "timestamp" {
		us, err := datasets.ParseTime(text)
		if err != nil {
			r.fault(e, "%q is no time: write 2025-01-01 or 2025-01-01T09:30:00Z", text)
		}
		return &Node{Op: OpConst, Type: Time, Micros: us}
	}
	us, ok := parseDuration(text)
	if !ok {
		r.fault(e, "%q is no length of time: write 7d, 24h, 90m or 30s, whole microseconds", text)
	}
	return &Node{Op: OpConst, Type: Duration, Micros: us}
}

// parseDuration reads what Go calls a duration, and whole days.
func parseDuration(s string) (us int64, ok bool) {
	if days, found := strings.CutSuffix(s, "d"); found {
		n, err := strconv.ParseInt(days, 10, 64)
		return n * microsADay, err == nil && max(n, -n) <= mostMicros/microsADay
	}
	d, err := time.ParseDuration(s)
	return d.Microseconds(), err == nil && d%time.Microsecond == 0
}
