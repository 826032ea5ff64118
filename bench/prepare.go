package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peersDir holds the peers' scripts and what they need.
const peersDir = "bench/peers"

// tableSource is what decides the rows of the table.
//
//go:embed table.go
var tableSource string

// prepare builds the program and, with peers, their environment.
func (b *benchmark) prepare(ctx context.Context) (err error) {
	cache, err := os.UserCacheDir()
	if err != nil && b.work == "" {
		return fmt.Errorf("%w: give a directory with --work", err)
	}
	cache = filepath.Join(cache, "propensity")
	if b.work == "" {
		b.work = filepath.Join(cache, "bench")
	}
	if b.work, err = filepath.Abs(b.work); err != nil {
		return err
	}
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.scratch, err = os.MkdirTemp(b.work, "run"); err != nil {
		return err
	}
	b.program = filepath.Join(b.scratch, "propensity")
	if err := build(ctx, b.program); err != nil {
		return fmt.Errorf("go build ./cmd/propensity: %w", err)
	}
	if b.peers {
		b.python, err = b.pythonOf(ctx, cache, filepath.Join(peersDir, "requirements.txt"))
	}
	return err
}

// pythonOf is the Python of peers, whose libraries are installed the first time.
func (b *benchmark) pythonOf(ctx context.Context, cache, requirements string) (python string, err error) {
	hash, err := hashOf("", requirements)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "peers-"+hash)
	python = filepath.Join(dir, "bin", "python")
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return python, nil
	}
	fmt.Fprintf(b.log, "installing the peers of %s into %s\n", requirements, dir)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	for _, argv := range [][]string{
		{"python3", "-m", "venv", dir},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements},
	} {
		c := exec.CommandContext(ctx, argv[0], argv[1:]...)
		c.Stdout, c.Stderr = b.log, b.log
		if err := c.Run(); err != nil {
			return "", fmt.Errorf("%s: %w: the peers want Python 3.11 or later and its package index", strings.Join(argv, " "), err)
		}
	}
	return python, os.WriteFile(ready, nil, 0o644)
}

// pinned are the peers and their versions.
func pinned() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(peersDir, "requirements.txt"))
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if name, version, ok := strings.Cut(strings.TrimSpace(line), "=="); ok {
			out = append(out, name+" "+version)
		}
	}
	return out, nil
}

// hashOf is a short hash of a text and of files.
func hashOf(text string, paths ...string) (string, error) {
	h := sha256.New()
	h.Write([]byte(text))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// table is the file with so many rows; it is made unless it is there.
func (b *benchmark) table(ctx context.Context, rows int, format string) (string, error) {
	hash, err := hashOf(tableSource)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.work, "tables-"+hash)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("t_%d.%s", rows, format))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	fmt.Fprintf(b.log, "making %s\n", b.shown(path))
	if _, err := b.ours("", "table", fmt.Sprint(rows), path).measure(ctx); err != nil {
		return "", fmt.Errorf("make the table: %w", err)
	}
	return path, nil
}

// ours is our side of a comparison within a process.
func (b *benchmark) ours(name, what string, args ...string) contender {
	return contender{name: name, ours: true, argv: append([]string{b.self, "measure", what}, args...), parse: lastObject}
}

// peer is a script of the peers; none without their environment.
func (b *benchmark) peer(name, script string, args ...string) []contender {
	if b.python == "" {
		return nil
	}
	return []contender{{name: name, argv: append([]string{b.python, filepath.Join(peersDir, script)}, args...), parse: lastObject}}
}

// made is what the sections about scoring start from.
type made struct {
	dir                      string
	model, rows              string // the model that ours scores with, and rows to score
	raw, contributions, what string // what the model's library says of the rows, if it is not ours
}

// models makes those of the peers' models that are not there yet; they are learnt
// from the largest table. Without peers there is one of our own. A peer's model
// that cannot be made is told here, and missed by those who want it.
func (b *benchmark) models(ctx context.Context, names ...string) (made, error) {
	data, err := b.table(ctx, b.most(), "parquet")
	if err != nil {
		return made{}, err
	}
	if b.python == "" {
		m := made{dir: b.scratch, model: filepath.Join(b.scratch, "model.arrow"), what: "our own model of 200 trees of 31 leaves"}
		m.rows = filepath.Join(m.dir, "rows.f64")
		return m, b.once(m.model, func() error {
			_, err := b.ours("", "model", data, m.dir).measure(ctx)
			return err
		})
	}
	hash, err := hashOf(tableSource, filepath.Join(peersDir, "models.py"), filepath.Join(peersDir, "common.py"), filepath.Join(peersDir, "requirements.txt"))
	if err != nil {
		return made{}, err
	}
	m := made{dir: filepath.Join(b.work, fmt.Sprintf("models-%s-%d", hash, b.most())), what: "a LightGBM model of 200 trees of 31 leaves, imported"}
	at := func(name string) string { return filepath.Join(m.dir, name) }
	m.model, m.rows, m.raw, m.contributions = at("lightgbm.txt"), at("rows.f64"), at("raw.f64"), at("contributions.f64")
	files := map[string]string{"lightgbm": m.model, "tl2cgen": at("tl2cgen.so"), "xgboost": at("xgboost.json"), "catboost": at("catboost.cbm"), "ydf": at("ydf")}
	for _, name := range names {
		err := b.once(files[name], func() error {
			fmt.Fprintf(b.log, "making %s\n", b.shown(files[name]))
			_, err := contender{argv: []string{b.python, filepath.Join(peersDir, "models.py"), name, data, m.dir}}.measure(ctx)
			return err
		})
		if ctx.Err() != nil {
			return made{}, ctx.Err()
		}
		if err != nil {
			fmt.Fprintf(b.log, "the model %s: %v\n", name, err)
		}
	}
	return m, nil
}

// once makes a file unless it is there.
func (b *benchmark) once(path string, make func() error) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return make()
}

// compileRow is the program of row.c, empty without a C compiler.
func (b *benchmark) compileRow(ctx context.Context) string {
	return b.tool(ctx, "row", "gcc", "-O2", filepath.Join(peersDir, "row.c"), "-ldl", "-o")
}

// buildLeaves is the program of the Go peer, empty if its module cannot be had.
func (b *benchmark) buildLeaves(ctx context.Context) string {
	return b.tool(ctx, "leaves", "go", "build", "-C", filepath.Join(peersDir, "leaves"), "-o")
}

// tool builds a program once a sitting. Without it some peers are missing from
// the tables, which is said.
func (b *benchmark) tool(ctx context.Context, name string, argv ...string) string {
	path := filepath.Join(b.scratch, name)
	if _, tried := b.built[name]; tried {
		return b.built[name]
	}
	c := command(ctx, append(argv, path), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		fmt.Fprintf(b.log, "without %s, which cannot be built: %v: %s\n", name, err, lastLine(out))
		path = ""
	}
	b.built[name] = path
	return path
}

// lightgbmLibrary is LightGBM's library for C programs.
func (b *benchmark) lightgbmLibrary(ctx context.Context) string {
	out, err := command(ctx, []string{b.python, "-c", "import lightgbm.libpath as l; print((getattr(l, 'find_lib_path', None) or l._find_lib_path)()[0])"}).Output()
	if err != nil {
		fmt.Fprintf(b.log, "LightGBM's library: %v\n", err)
	}
	return strings.TrimSpace(string(out))
}
