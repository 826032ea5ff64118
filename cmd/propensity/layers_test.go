package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The module, its folders in the order of the layers (train and serve side by
// side), and the libraries that one folder alone may import, tests included.
const module = "propensity"

func layerOf(folder string) int {
	return map[string]int{"datasets": 1, "features": 2, "models": 3, "train": 4, "serve": 4, "cmd": 5, "bench": 6}[folder]
}

func libraryOwners() map[string]string {
	return map[string]string{
		"github.com/apache/arrow":        "datasets",
		"github.com/gin-gonic":           "serve",
		"github.com/gin-contrib":         "serve",
		"github.com/prometheus":          "serve",
		"github.com/sjwhitworth/golearn": "train/golearn",
		"cel.dev":                        "features/expr",
		"gonum.org/v1/plot":              "models/report",
		"github.com/redis":               "features/online",
	}
}

// driverFolders are those that may open a database of each driver. A test may open
// one anywhere, to try what was written for it.
func driverFolders() map[string][]string {
	return map[string][]string{
		"modernc.org/sqlite":   {"datasets", "features/online", "serve"},
		"github.com/jackc/pgx": {"datasets", "features/online", "serve"},
	}
}

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath, Dir, Export            string
	Standard                           bool
	GoFiles, CgoFiles, IgnoredGoFiles  []string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// everything is each package of the module and all that they import, compiled.
var everything = sync.OnceValues(func() ([]listed, error) { return ask("-deps", "-export", "./...") })

// ours are the packages of the module among all.
func ours(t *testing.T) (packages, all []listed) {
	t.Helper()
	knowsPackages(t)
	all, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if within(p.ImportPath, module) {
			packages = append(packages, p)
		}
	}
	return packages, all
}

func knowsPackages(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go tool, which knows the packages, is not on the PATH")
	}
}

// list asks the go tool for packages.
func list(t *testing.T, arguments ...string) []listed {
	t.Helper()
	knowsPackages(t)
	packages, err := ask(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func ask(arguments ...string) ([]listed, error) {
	command := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Export,Standard,GoFiles,CgoFiles,IgnoredGoFiles,Imports,TestImports,XTestImports,Deps"}, arguments...)...)
	command.Dir = filepath.Join("..", "..")
	var failure bytes.Buffer
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", command, err, &failure)
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// folder is the path of a package inside the module, and the top of that path.
func folder(importPath string) (path, top string) {
	path = strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
	top, _, _ = strings.Cut(path, "/")
	return path, top
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// importFault says why a package may not import another; "" if it may. The
// layers are not for tests, which may build what they need from above.
func importFault(from, to string, test bool) string {
	path, top := folder(from)
	if within(to, module) {
		_, below := folder(to)
		switch {
		case layerOf(below) == 0:
			return "it is in no layer"
		case !test && layerOf(below) > layerOf(top):
			return "it is of a later layer"
		case !test && layerOf(below) == layerOf(top) && below != top:
			return "it is of the layer beside"
		}
		return ""
	}
	for library, owner := range libraryOwners() {
		if within(to, library) && !within(path, owner) {
			return "it is for " + owner + " alone"
		}
	}
	for driver, folders := range driverFolders() {
		if within(to, driver) && !test && !slices.ContainsFunc(folders, func(f string) bool { return within(path, f) }) {
			return "a driver is for " + strings.Join(folders, ", ") + " and tests"
		}
	}
	if to == "C" {
		return "there is no cgo"
	}
	return ""
}

// folderFault says what is wrong with a folder of the module.
func folderFault(path string) string {
	if top, _, _ := strings.Cut(path, "/"); layerOf(top) == 0 && top != "docs" {
		return "no such folder is designed"
	}
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "internal", "pkg", "util", "utils", "common", "helpers":
			return "a folder is named after what it holds, not " + name
		}
	}
	return ""
}

func TestLayers(t *testing.T) {
	packages, _ := ours(t)
	if len(packages) < 10 {
		t.Fatalf("only %d packages are listed", len(packages))
	}
	for _, p := range packages {
		for _, to := range p.Imports {
			if fault := importFault(p.ImportPath, to, false); fault != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, to, fault)
			}
		}
		for _, to := range slices.Concat(p.TestImports, p.XTestImports) {
			if fault := importFault(p.ImportPath, to, true); fault != "" {
				t.Errorf("tests of %s import %s: %s", p.ImportPath, to, fault)
			}
		}
		for _, to := range p.Deps {
			path, _ := folder(p.ImportPath)
			if within(path, "serve") && within(to, module+"/train") {
				t.Errorf("%s depends on %s", p.ImportPath, to)
			}
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s: cgo in %v", p.ImportPath, p.CgoFiles)
		}
	}
}

// TestFolders reads every folder itself, which also tells the go tool that the
// result of these tests depends on what is there.
func TestFolders(t *testing.T) {
	top := filepath.Join("..", "..")
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == top {
			return err
		}
		inside, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if inside = filepath.ToSlash(inside); strings.HasPrefix(inside, ".") || inside == "bin" || inside == "registry" || inside == "propensity-demo" {
			return filepath.SkipDir // not kept: what the commands leave where they are run
		}
		if fault := folderFault(inside); fault != "" {
			t.Errorf("%s: %s", inside, fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLayersAreTold(t *testing.T) {
	for _, c := range []struct {
		from, to string
		test, ok bool
	}{
		{"propensity/features", "propensity/datasets", false, true},
		{"propensity/datasets", "propensity/features", false, false},
		{"propensity/datasets", "propensity/features", true, true},
		{"propensity/datasets/sample", "propensity/datasets", false, true},
		{"propensity/train", "propensity/train/gbdt", false, true},
		{"propensity/serve", "propensity/train", false, false},
		{"propensity/train", "propensity/serve/ledger", false, false},
		{"propensity/cmd/propensity", "propensity/serve", false, true},
		{"propensity/bench", "propensity/cmd/propensity", false, true},
		{"propensity/cmd/propensity", "propensity/bench", false, false},
		{"propensity/train", "propensity/tools", false, false},
		{"propensity/datasets", "github.com/apache/arrow/go/v15/arrow", false, true},
		{"propensity/datasets/sample", "github.com/apache/arrow/go/v15/arrow", false, true},
		{"propensity/models", "github.com/apache/arrow/go/v15/arrow", true, false},
		{"propensity/cmd/propensity", "github.com/gin-gonic/gin", false, false},
		{"propensity/train", "github.com/sjwhitworth/golearn/trees", false, false},
		{"propensity/train/golearn", "github.com/sjwhitworth/golearn/trees", false, true},
		{"propensity/models/convert", "modernc.org/sqlite", false, false},
		{"propensity/models/convert", "modernc.org/sqlite", true, true},
		{"propensity/features/online", "github.com/jackc/pgx/v5", false, true},
		{"propensity/features/expr", "github.com/jackc/pgx/v5", false, false},
		{"propensity/models", "C", false, false},
		{"propensity/models", "math", false, true},
	} {
		if fault := importFault(c.from, c.to, c.test); (fault == "") != c.ok {
			t.Errorf("%s imports %s, test %v: %q", c.from, c.to, c.test, fault)
		}
	}
	for path, ok := range map[string]bool{
		"models/tree": true, "docs/decisions": true, "util": false, "models/internal": false, "tools": false,
	} {
		if fault := folderFault(path); (fault == "") != ok {
			t.Errorf("%s: %q", path, fault)
		}
	}
}

// exports is an importer of packages that the go tool has compiled.
func exports(set *token.FileSet, packages []listed) types.Importer {
	compiled := map[string]string{}
	for _, p := range packages {
		compiled[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) })
}

// foreign finds types of a library that the exported API of a package shows.
type foreign struct {
	library string
	seen    map[types.Type]bool
	found   []string
}

func (f *foreign) scope(p *types.Package) {
	for _, name := range p.Scope().Names() {
		if o := p.Scope().Lookup(name); o.Exported() {
			f.walk(o.Type(), p.Name()+"."+name)
		}
	}
}

func (f *foreign) walk(t types.Type, path string) {
	t = types.Unalias(t)
	if f.seen[t] {
		return
	}
	f.seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		if p := t.Obj().Pkg(); p != nil && within(p.Path(), f.library) {
			f.found = append(f.found, path+" shows "+t.String())
			return
		} else if p == nil || !within(p.Path(), module) {
			return
		}
		for m := range t.Methods() {
			if m.Exported() {
				f.walk(m.Type(), path+"."+m.Name())
			}
		}
		for a := range t.TypeArgs().Types() {
			f.walk(a, path)
		}
		f.walk(t.Underlying(), path)
	case *types.Signature:
		f.walk(t.Params(), path)
		f.walk(t.Results(), path)
	case *types.Tuple:
		for v := range t.Variables() {
			f.walk(v.Type(), path)
		}
	case *types.Struct:
		for v := range t.Fields() {
			if v.Exported() || v.Embedded() {
				f.walk(v.Type(), path+"."+v.Name())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				f.walk(m.Type(), path+"."+m.Name())
			}
		}
	case *types.Map:
		f.walk(t.Key(), path)
		f.walk(t.Elem(), path)
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		f.walk(t.Elem(), path)
	}
}

func TestLibrariesStayInside(t *testing.T) {
	packages, all := ours(t)
	load := exports(token.NewFileSet(), all)
	for _, p := range packages {
		path, _ := folder(p.ImportPath)
		for _, library := range []string{"github.com/apache/arrow", "github.com/sjwhitworth/golearn"} {
			if !within(path, libraryOwners()[library]) {
				continue
			}
			loaded, err := load.Import(p.ImportPath)
			if err != nil {
				t.Fatal(err)
			}
			f := foreign{library: library, seen: map[types.Type]bool{}}
			f.scope(loaded)
			for _, found := range f.found {
				t.Error(found)
			}
		}
	}
}

func TestShownTypesAreTold(t *testing.T) {
	packages := list(t, "-deps", "-export", "bytes")
	for text, shown := range map[string]bool{
		`func F(b bytes.Buffer) {}`:                                                        true,
		`func F() (map[string][]*bytes.Buffer, error) { return nil, nil }`:                 true,
		`type T struct { B chan bytes.Buffer }`:                                            true,
		`type T struct { bytes.Buffer }`:                                                   true,
		`type t struct{}; func (t) M(f func(*bytes.Buffer)) {}; func F() t { return t{} }`: true,
		`type I interface { M() [2]bytes.Buffer }`:                                         true,
		`var V = bytes.NewBuffer(nil)`:                                                     true,
		`type A = bytes.Buffer`:                                                            true,
		`type T struct { b bytes.Buffer }; func (*T) m(bytes.Buffer) {}`:                   false,
		`func f(b bytes.Buffer) {}; type T struct { Next *T }`:                             false,
	} {
		s := newSource()
		if err := s.parse("p.go", `package p; import "bytes"; var _ bytes.Buffer; `+text); err != nil {
			t.Fatal(err)
		}
		config := types.Config{Importer: exports(s.set, packages)}
		p, err := config.Check(module+"/p", s.set, s.files, s.info)
		if err != nil {
			t.Fatal(err)
		}
		f := foreign{library: "bytes", seen: map[types.Type]bool{}}
		f.scope(p)
		if (len(f.found) > 0) != shown {
			t.Errorf("%s: %v", text, f.found)
		}
	}
}
