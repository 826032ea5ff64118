package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"

	"propensity/datasets"
)

// Expr is a checked expression.
type Expr struct {
	Source string // as written
	Root   *Node
	Vars   []string // that it names, in the order of first mention

	condition bool // it has to be true or false
}

// What an expression may have at most, so that a hostile one costs nothing.
const (
	maxLetters = 20_000
	maxNesting = 100  // of brackets and calls
	maxDepth   = 250  // of the tree: a + b + c is two deep
	maxNodes   = 4000 // of the tree, the entries of lists among them
)

// Fault is what is wrong at a place of an expression.
type Fault struct {
	Line, Column int // from 1; columns count letters
	Detail       string
}

// Faults are what is wrong with an expression, in the order of their places.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = fmt.Sprintf("%d:%d: %s", x.Line, x.Column, x.Detail)
	}
	return strings.Join(lines, "\n")
}

// Compile parses an expression and checks it against the variables. Whole numbers
// are numbers like all others: seats > 5 compares with 5.0. A variable whose name
// is no word is written column("Plan (old)"); a name with dots stands for itself.
// With nil variables every name is allowed and its type is Any; what can be
// checked without types is.
//
// An error is of type Faults. The expression has no length of time for its value:
// days(...) makes one a number.
func Compile(source string, vars []Var) (*Expr, error) {
	if len(source) > 4*maxLetters || utf8.RuneCountInString(source) > maxLetters {
		return nil, Faults{{1, 1, fmt.Sprintf("an expression has at most %d letters", maxLetters)}}
	}
	if !utf8.ValidString(source) {
		return nil, Faults{{1, 1, "the expression is not UTF-8"}}
	}
	if strings.TrimSpace(source) == "" {
		return nil, Faults{{1, 1, "the expression is empty"}}
	}
	env, err := language()
	if err != nil {
		return nil, err
	}
	parsed, issues := env.Parse(source)
	if err := issues.Err(); err != nil {
		return nil, syntaxFaults(issues.Errors())
	}
	r := &reader{tree: parsed.NativeRep(), known: vars, any: vars == nil}
	r.settle(r.tree.Expr(), 0)
	if len(r.faults) == 0 && r.nodes > maxNodes {
		r.faults = Faults{{1, 1, fmt.Sprintf("an expression has at most %d parts, this has %d: give it in pieces, as derived features", maxNodes, r.nodes)}}
	}
	if len(r.faults) > 0 {
		return nil, r.sorted()
	}
	if env, err = env.Extend(r.declarations()...); err != nil {
		return nil, err
	}
	checked, issues := env.Check(parsed)
	if err := issues.Err(); err != nil {
		r.typeFaults(issues.Errors())
		return nil, r.sorted()
	}
	r.tree = checked.NativeRep()
	root := r.node(r.tree.Expr())
	if len(r.faults) == 0 && root.Type == Duration {
		r.fault(r.tree.Expr(), "its value is a length of time: write days(...) for a number of days")
	}
	if len(r.faults) > 0 {
		return nil, r.sorted()
	}
	return &Expr{Source: source, Root: root, Vars: r.vars}, nil
}

// CompileCondition is Compile of an expression that is true or false.
func CompileCondition(source string, vars []Var) (*Expr, error) {
	e, err := Compile(source, vars)
	if err == nil && e.Root.Type != Boolean && e.Root.Type != Any {
		return nil, Faults{{1, 1, fmt.Sprintf("its value is a %s, but a condition is true or false: compare it, as in %s", e.Root.Type, example(e.Root.Type))}}
	}
	if err != nil {
		return nil, err
	}
	e.condition = true
	return e, nil
}

func example(t Type) string {
	switch t {
	case Text:
		return `plan == "pro"`
	case Time:
		return "at < timestamp('2025-01-01')"
	}
	return "seats > 5"
}

// String is the name of the type in messages.
func (t Type) String() string {
	switch t {
	case Number:
		return "number"
	case Boolean:
		return "boolean"
	case Text:
		return "text"
	case Time:
		return "time"
	case Duration:
		return "length of time"
	}
	return "value of unknown type"
}

// Kind is that of a column of such values; 0 of Any and Duration.
func (t Type) Kind() datasets.Kind {
	switch t {
	case Number:
		return datasets.Number
	case Boolean:
		return datasets.Boolean
	case Text:
		return datasets.Category
	case Time:
		return datasets.Time
	}
	return 0
}

// TypeOf is the type of a variable that is a column of that kind; Any of kind 0.
func TypeOf(k datasets.Kind) Type {
	switch k {
	case datasets.Number:
		return Number
	case datasets.Boolean:
		return Boolean
	case datasets.Category, datasets.Text:
		return Text
	case datasets.Time:
		return Time
	}
	return Any
}

// Vars are the variables that columns are.
func Vars(columns []datasets.Column) []Var {
	out := make([]Var, len(columns))
	for i := range columns {
		out[i] = Var{columns[i].Name, TypeOf(columns[i].Kind)}
	}
	return out
}

// reader makes a tree of ours from one of CEL.
type reader struct {
	tree   *ast.AST
	known  []Var
	any    bool     // every name is allowed
	vars   []string // met so far; the one at i is called v<i> in CEL's tree
	nodes  int
	faults Faults
}

func (r *reader) fault(e ast.Expr, format string, a ...any) {
	at := r.tree.SourceInfo().GetStartLocation(e.ID())
	r.faults = append(r.faults, Fault{at.Line(), at.Column() + 1, fmt.Sprintf(format, a...)})
}

func (r *reader) sorted() Faults {
	for i := range r.faults { // an end of line is no place of its own
		r.faults[i].Line, r.faults[i].Column = max(1, r.faults[i].Line), max(1, r.faults[i].Column)
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return slices.Compact(r.faults)
}

// variable numbers a name in the order of first mention.
func (r *reader) variable(name string) int {
	if i := slices.Index(r.vars, name); i >= 0 {
		return i
	}
	r.vars = append(r.vars, name)
	return len(r.vars) - 1
}

func (r *reader) typeOf(name string) (Type, bool) {
	for _, v := range r.known {
		if v.Name == name {
			return v.Type, true
		}
	}
	return Any, r.any
}

// declarations of the variables met. They go by their numbers, because a column
// may be called like a type or a keyword of CEL.
func (r *reader) declarations() []cel.EnvOption {
	out := make([]cel.EnvOption, len(r.vars))
	for i, name := range r.vars {
		t, _ := r.typeOf(name)
		out[i] = cel.Variable("v"+strconv.Itoa(i), celType(t))
	}
	return out
}

// nearest is the known name that takes the fewest changes of a letter, "" if none
// is like it.
func nearest(name string, names []string) string {
	best, most := "", 1+utf8.RuneCountInString(name)/3
	for _, k := range names {
		if d := distance([]rune(strings.ToLower(name)), []rune(strings.ToLower(k)), most); d <= most && (best == "" || d < most) {
			best, most = k, d
		}
	}
	return best
}

// distance of Levenshtein; beyond most, something above it.
func distance(a, b []rune, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		left := row[0]
		row[0] = i + 1
		for j, y := range b {
			change := left
			if x != y {
				change++
			}
			left = row[j+1]
			row[j+1] = min(change, left+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// syntaxFaults are those of CEL's parser, without its lists of what may follow.
func syntaxFaults(errs []*common.Error) Faults {
	var out Faults
	for _, e := range errs {
		detail := strings.TrimPrefix(e.Message, "Syntax error: ")
		detail, _, _ = strings.Cut(detail, " expecting ")
		detail = strings.ReplaceAll(detail, "<EOF>", "end of the expression")
		if at, found := strings.CutPrefix(detail, "token recognition error at: '"); found {
			switch at = strings.TrimSuffix(at, "'"); {
			case strings.HasPrefix(at, "="):
				detail = "compare with =="
			case strings.HasPrefix(at, "&"), strings.HasPrefix(at, "|"):
				detail = "conditions are joined by && and ||"
			case strings.HasPrefix(at, "'"), strings.HasPrefix(at, `"`):
				detail = "a quote that is never closed"
			default:
				detail = fmt.Sprintf("%q means nothing here", at)
			}
		}
		if word, found := strings.CutPrefix(detail, "reserved identifier: "); found {
			detail = fmt.Sprintf("%s is a word of the language: write column(%q)", word, word)
		}
		out = append(out, Fault{max(1, e.Location.Line()), max(1, e.Location.Column()+1), detail})
	}
	return out[:1] // what follows the first comes of it
}
