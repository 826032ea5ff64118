package expr

import (
	"fmt"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// operation is an operator or function of the language.
type operation struct {
	name   string // CEL's
	op     Op
	spelt  string // as people write it
	member bool   // x.f(y)
	// sides lists what it takes and gives, with a letter a type: N number, B boolean,
	// S text, T time, D length of time; n, b, s, t lists of them; A anything.
	sides string
	takes string // the same in words
}

const conversion Op = 255 // timestamp("...") and duration("..."), which are constants

// operations are all there are. CEL's own library has more, without a place in the
// SQL of a warehouse.
var operations = [...]operation{
	{"_==_", OpEq, "==", false, "NN>B BB>B SS>B TT>B DD>B", "two values of one type"},
	{"_!=_", OpNe, "!=", false, "NN>B BB>B SS>B TT>B DD>B", "two values of one type"},
	{"_<_", OpLt, "<", false, "NN>B SS>B TT>B DD>B", "two numbers, texts, times or lengths of time"},
	{"_<=_", OpLe, "<=", false, "NN>B SS>B TT>B DD>B", "two numbers, texts, times or lengths of time"},
	{"_>_", OpGt, ">", false, "NN>B SS>B TT>B DD>B", "two numbers, texts, times or lengths of time"},
	{"_>=_", OpGe, ">=", false, "NN>B SS>B TT>B DD>B", "two numbers, texts, times or lengths of time"},
	{"_&&_", OpAnd, "&&", false, "BB>B", "two conditions"},
	{"_||_", OpOr, "||", false, "BB>B", "two conditions"},
	{"!_", OpNot, "!", false, "B>B", "a condition"},
	{"@in", OpIn, "in", false, "Nn>B Bb>B Ss>B Tt>B", "a value and a list of constants of its type, as in plan in [\"pro\", \"team\"]"},
	{"_+_", OpAdd, "+", false, "NN>N TD>T DT>T DD>D", "two numbers, or a time and a length of time; texts are not joined"},
	{"_-_", OpSub, "-", false, "NN>N TT>D TD>T DD>D", "two numbers or two times, or a length of time from a time"},
	{"_*_", OpMul, "*", false, "NN>N", "two numbers"},
	{"_/_", OpDiv, "/", false, "NN>N", "two numbers"},
	{"-_", OpNeg, "-", false, "N>N", "a number"},
	{"_?_:_", OpIf, "? :", false, "BNN>N BBB>B BSS>S BTT>T BDD>D", "a condition and two values of one type"},
	{"present", OpPresent, "present", false, "A>B", "the name of a column"},
	{"startsWith", OpStartsWith, "startsWith", true, "SS>B", "a text in quotes, of a text: url.startsWith(\"/docs\")"},
	{"endsWith", OpEndsWith, "endsWith", true, "SS>B", "a text in quotes, of a text: email.endsWith(\".edu\")"},
	{"contains", OpContains, "contains", true, "SS>B", "a text in quotes, of a text: subject.contains(\"invoice\")"},
	{"min", OpMin, "min", false, "NN>N NNN>N NNNN>N NNNNN>N NNNNNN>N", "two to six numbers"},
	{"max", OpMax, "max", false, "NN>N NNN>N NNNN>N NNNNN>N NNNNNN>N", "two to six numbers"},
	{"abs", OpAbs, "abs", false, "N>N", "a number"},
	{"log", OpLog, "log", false, "N>N", "a number"},
	{"log1p", OpLn1p, "log1p", false, "N>N", "a number"},
	{"floor", OpFloor, "floor", false, "N>N", "a number"},
	{"days", OpDays, "days", false, "D>N", "a length of time, as in days(ended - started)"},
	{"timestamp", conversion, "timestamp", false, "S>T", "a date or time in quotes, as in timestamp('2025-01-01') or timestamp('2025-01-01T09:30:00Z')"},
	{"duration", conversion, "duration", false, "S>D", "a length of time in quotes, as in duration(\"24h\")"},
}

// findOperation gives the index of an operation, -1 if there is none.
func findOperation(name string, member bool) int {
	for i := range operations {
		if operations[i].name == name && operations[i].member == member {
			return i
		}
	}
	return -1
}

// available names the functions, for messages.
func available() string {
	var names []string
	for i := range operations {
		o := operations[i]
		if o.member || o.spelt == o.name {
			names = append(names, o.name)
		}
	}
	return strings.Join(append(names, "column"), ", ")
}

func celType(t Type) *cel.Type {
	switch t {
	case Number:
		return cel.DoubleType
	case Boolean:
		return cel.BoolType
	case Text:
		return cel.StringType
	case Time:
		return cel.TimestampType
	case Duration:
		return cel.DurationType
	}
	return cel.DynType
}

func typeOfCEL(t *cel.Type) Type {
	switch t.Kind() {
	case types.DoubleKind:
		return Number
	case types.BoolKind:
		return Boolean
	case types.StringKind:
		return Text
	case types.TimestampKind:
		return Time
	case types.DurationKind:
		return Duration
	}
	return Any
}

// celTypes reads letters of operation.sides.
func celTypes(letters string) []*cel.Type {
	out := make([]*cel.Type, len(letters))
	for i, c := range letters {
		t := celType(Type(strings.IndexRune("ANBSTD", c)))
		if at := strings.IndexRune("anbstd", c); at >= 0 {
			t = cel.ListType(celType(Type(at)))
		}
		out[i] = t
	}
	return out
}

// language is CEL without its library: the operations above and no macros.
func language() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(maxLetters),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserErrorRecoveryLimit(4),
	}
	for i := range operations {
		o := operations[i]
		var sides []cel.FunctionOpt
		for k, side := range strings.Fields(o.sides) {
			takes, gives, _ := strings.Cut(side, ">")
			id := "f" + strconv.Itoa(i) + "_" + strconv.Itoa(k)
			if o.member {
				sides = append(sides, cel.MemberOverload(id, celTypes(takes), celTypes(gives)[0]))
			} else {
				sides = append(sides, cel.Overload(id, celTypes(takes), celTypes(gives)[0]))
			}
		}
		options = append(options, cel.Function(o.name, sides...))
	}
	env, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("the expression language: %w", err)
	}
	return env, nil
}
