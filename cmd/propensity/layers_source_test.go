package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const maxLines = 600 // of a file that is no test; the aim is 500

// source is one package with its types.
type source struct {
	set   *token.FileSet
	files []*ast.File
	info  *types.Info
}

func newSource() *source { return sourceIn(token.NewFileSet()) }

func sourceIn(set *token.FileSet) *source {
	return &source{set: set, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
	}}
}

func (s *source) parse(name string, text any) error {
	file, err := parser.ParseFile(s.set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err == nil {
		s.files = append(s.files, file)
	}
	return err
}

// faults are the breaches of the rules for source text, with their places.
func (s *source) faults() (out []string) {
	fault := func(at token.Pos, format string, a ...any) {
		position := s.set.Position(at)
		out = append(out, fmt.Sprintf("%s:%d: %s", position.Filename, position.Line, fmt.Sprintf(format, a...)))
	}
	for _, file := range s.files {
		if lines := s.set.File(file.Pos()).LineCount(); lines > maxLines {
			fault(file.Pos(), "%d lines, at most %d", lines, maxLines)
		}
		for _, i := range file.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); i.Name != nil && i.Name.Name == "_" && path != "embed" && path != "time/tzdata" {
				fault(i.Pos(), "blank import of %s", path)
			}
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					fault(d.Pos(), "an init function")
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR && !embedded(d, v) && v.Names[0].Name != "_" && !s.fixed(v) {
						fault(v.Pos(), "package variable %s is not a fixed value", v.Names[0].Name)
					}
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, target := range changed(n) {
				if name := s.root(target); name != nil && s.packageVariable(name) {
					fault(target.Pos(), "package variable %s is changed or lent out", name.Name)
				}
			}
			return true
		})
	}
	return out
}

func embedded(d *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, group := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if group != nil && slices.ContainsFunc(group.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }) {
			return true
		}
	}
	return false
}

// fixed says that every variable starts as an error, a pattern, or a list or
// record of constants, errors and patterns.
func (s *source) fixed(v *ast.ValueSpec) bool {
	if len(v.Values) != len(v.Names) {
		return false
	}
	return !slices.ContainsFunc(v.Values, func(e ast.Expr) bool { return !s.unchanging(e) })
}

func (s *source) sentinel(e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	o, ok := s.info.Uses[f.Sel].(*types.Func)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}, o.FullName())
}

func (s *source) unchanging(e ast.Expr) bool {
	if s.info.Types[e].Value != nil || s.sentinel(e) {
		return true
	}
	literal, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	switch s.info.TypeOf(literal).Underlying().(type) {
	case *types.Array, *types.Slice, *types.Struct:
	default: // a map, or a pointer whose & is left out
		return false
	}
	return !slices.ContainsFunc(literal.Elts, func(element ast.Expr) bool {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			element = pair.Value
		}
		return !s.unchanging(element)
	})
}

// changed are the expressions that a node assigns to or takes the address of.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	}
	return nil
}

// root is the variable that an expression is a part of.
func (s *source) root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SelectorExpr:
			if left, ok := x.X.(*ast.Ident); ok {
				if _, ok := s.info.Uses[left].(*types.PkgName); ok {
					return x.Sel
				}
			}
			e = x.X
		default:
			return nil
		}
	}
}

func (s *source) packageVariable(name *ast.Ident) bool {
	v, ok := s.info.Uses[name].(*types.Var)
	return ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

func TestSourceRules(t *testing.T) {
	packages, all := ours(t)
	set := token.NewFileSet()
	config := types.Config{Importer: exports(set, all)} // which reads a package once, whoever imports it
	for _, p := range packages {
		s := sourceIn(set)
		for _, name := range p.GoFiles {
			if err := s.parse(filepath.Join(p.Dir, name), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := config.Check(p.ImportPath, s.set, s.files, s.info); err != nil {
			t.Fatal(err)
		}
		for _, fault := range s.faults() {
			t.Error(fault)
		}
		for _, name := range p.IgnoredGoFiles { // of other systems: no types, so the rest of the rules alone
			other := newSource()
			if err := other.parse(filepath.Join(p.Dir, name), nil); err != nil {
				t.Fatal(err)
			}
			for _, fault := range other.faults() {
				if !strings.Contains(fault, "package variable") {
					t.Error(fault)
				}
			}
		}
	}
}

func TestSourceRulesAreTold(t *testing.T) {
	packages := list(t, "-deps", "-export", "errors", "fmt", "regexp", "embed", "os", "image/png")
	set := token.NewFileSet()
	load := exports(set, packages)
	check := func(text, want string) { t.Helper(); checkText(t, set, load, text, want) }
	const head = `package p; import ("errors"; "fmt"; "os"; "regexp"); var _ = []any{errors.New, fmt.Errorf, os.Args, regexp.MustCompile};`
	for text, want := range map[string]string{
		`var e = errors.New("e"); var f, g = fmt.Errorf("f"), regexp.MustCompile("g")`:                 "",
		`var names = [...]string{"a", "b"}; const n = 3; var sums = [][]float64{{1, n}, {-2, 1 << 3}}`: "",
		`var rules = [...]struct{ name string; at int }{{"a", 1}, {name: "b"}}`:                        "",
		`var patterns = []*regexp.Regexp{regexp.MustCompile("a")}`:                                     "",
		`var _ fmt.Stringer = (*regexp.Regexp)(nil)`:                                                   "",
		`var a = [2]int{}; func f() (x int) { a := [2]int{}; a[0] = 1; x = a[0]; return }`:             "",
		`var seen = map[string]int{}`:                                                                  "seen is not a fixed value",
		`var seen = map[string]int{"a": 1}`:                                                            "seen is not a fixed value",
		`var made = make([]int, 3)`:                                                                    "made is not a fixed value",
		`var count int`:                                                                                "count is not a fixed value",
		`var p = &[...]int{1}`:                                                                         "p is not a fixed value",
		`var f = func() {}`:                                                                            "f is not a fixed value",
		`type l struct{ *l }; var a = [...]*l{{}}`:                                                     "a is not a fixed value",
		`var args = os.Args`:                                                                           "args is not a fixed value",
		`var a = [2]int{}; func f() { a[0] = 1 }`:                                                      "a is changed",
		`var a = [2]int{}; func f() { a[1]++ }`:                                                        "a is changed",
		`var a = []int{}; func f() { a = append(a, 1) }`:                                               "a is changed",
		`var a = 1; func f() { for a = range 3 { } }`:                                                  "a is changed",
		`var a = 1; func f() *int { return &a }`:                                                       "a is changed or lent",
		`var a = [2]struct{ n int }{}; func f() { (a[1]).n += 2 }`:                                     "a is changed",
		`func f() { os.Args = nil }`:                                                                   "Args is changed",
		`func init() {}`:                                                                               "an init function",
		"// " + strings.Repeat("\n// ", maxLines):                                                      "lines, at most",
	} {
		check(head+text, want)
	}
	check(`package p; import _ "image/png"`, "blank import of image/png")
	check("package p\n\nimport _ \"embed\"\n\n//go:embed a.txt\nvar text string", "")
}

func checkText(t *testing.T, set *token.FileSet, load types.Importer, text, want string) {
	t.Helper()
	s := sourceIn(set)
	if err := s.parse("p.go", text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	config := types.Config{Importer: load}
	if _, err := config.Check("p", s.set, s.files, s.info); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	faults := s.faults()
	if want == "" && len(faults) > 0 || want != "" && (len(faults) != 1 || !strings.Contains(faults[0], want)) {
		t.Errorf("%s: faults %q, want %q", text, faults, want)
	}
}
