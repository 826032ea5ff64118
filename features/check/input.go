package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/spec"
)

// input is where the records of a source are, and what was wrong with that.
type input struct {
	source   *spec.Source
	unusable error    // what facts.Resolve says
	files    []string // none: a database, or nothing
	sql      datasets.SQLSource
	faults   []Finding
	headers  [][]string // columns of each file
}

// find looks for the files of a source.
func (in *input) find(dir string) {
	s := in.source
	if s.From != "" {
		in.sql = datasets.SQLSource{URL: s.From, Query: s.Query, Table: s.Table, Dir: dir}
		return
	}
	path := s.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if _, err := os.Stat(path); err == nil {
		in.files = []string{path}
		return
	}
	files, err := filepath.Glob(path)
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			in.files = append(in.files, f)
		}
	}
	if err != nil || len(in.files) == 0 {
		in.faults = append(in.faults, Finding{Check: "source", Severity: Error, Count: 1, Of: 1, Share: 1, Detail: "there is no file " + s.Path})
	}
	slices.Sort(in.files)
}

// guess finds the kinds that are open as facts.Resolve does, of a source that this
// stumbles over.
func (in *input) guess(ctx context.Context) {
	for _, place := range in.places() {
		r, err := in.open(ctx, place, datasets.ReadOptions{Batch: 20_000})
		if err != nil {
			continue
		}
		t, err := r.Next()
		r.Close()
		if err != nil {
			continue
		}
		for i := range in.source.Columns {
			c := &in.source.Columns[i]
			found := t.Column(c.Name)
			if c.Kind != 0 || found == nil {
				continue
			}
			if c.Kind = found.Kind; textual(c.Kind) {
				c.Kind = datasets.KindOf(found.Values, datasets.ReadOptions{Missing: in.source.Missing})
			}
		}
	}
}

// places are the files, or the one answer of the database.
func (in *input) places() []string {
	if in.source.From != "" {
		return []string{in.sql.String()}
	}
	return in.files
}

// open opens a file, or the database, to read some columns, nil for all.
func (in *input) open(ctx context.Context, place string, o datasets.ReadOptions) (*datasets.Reader, error) {
	o.Missing = in.source.Missing
	if in.source.From != "" {
		return datasets.OpenSQL(ctx, in.sql, o)
	}
	return datasets.Open(place, o)
}

// columns are those that a check looks at: with a role or used by the project.
func (in *input) columns() []string {
	s := in.source
	account := s.Account
	var out []string
	for _, name := range []string{account, s.User, s.ID, s.Time, s.Arrived, s.Start, s.End, s.Currency, s.Into, s.FromAccount} {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, c := range s.Columns {
		if !slices.Contains(out, c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

// fault notes that a file cannot be read.
func (in *input) fault(err error) {
	detail := err.Error()
	if slices.ContainsFunc(in.faults, func(f Finding) bool { return f.Detail == detail }) {
		return // it was read before
	}
	files := len(in.places())
	in.faults = append(in.faults, Finding{Check: "source", Severity: Error, Count: 1, Of: int64(files), Share: 1 / float64(files), Detail: detail})
}

// header is the columns of a file.
func (in *input) header(ctx context.Context, place string) ([]string, error) {
	r, err := in.open(ctx, place, datasets.ReadOptions{Batch: 1})
	if err != nil {
		return nil, err
	}
	return r.Columns(), r.Close()
}

// read gives the batches of a source to each. What cannot be read becomes a fault of
// the input; the error is that of each, or that ctx is done.
func (c *checker) read(ctx context.Context, i int, each func(*batch) error) error {
	in := c.inputs[i]
	for k, place := range in.places() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(in.headers) <= k {
			header, err := in.header(ctx, place)
			if err != nil {
				in.fault(err)
			}
			in.headers = append(in.headers, header)
		}
		if in.headers[k] == nil {
			continue
		}
		if err := c.readFile(ctx, i, k, place, each); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *checker) readFile(ctx context.Context, i, k int, place string, each func(*batch) error) error {
	in := c.inputs[i]
	var have []string
	for _, name := range in.columns() {
		if slices.Contains(in.headers[k], name) {
			have = append(have, name)
		}
	}
	if len(have) == 0 {
		return nil // the columns it lacks are told
	}
	o := datasets.ReadOptions{Columns: have, Batch: batchRows}
	if c.o.Progress != nil {
		before := c.done
		o.Progress = func(read, _ int64) {
			c.done = before + read
			c.o.Progress(min(c.done, c.total), c.total)
		}
	}
	r, err := in.open(ctx, place, o)
	if err != nil {
		in.fault(err)
		return nil
	}
	defer r.Close()
	name := place
	if in.source.From == "" {
		name = filepath.Base(place)
	}
	first := int64(1)
	for {
		t, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			in.fault(err)
			return nil
		}
		b, err := c.batch(in, t, name, first)
		if err != nil {
			in.fault(fmt.Errorf("where: %w", err))
			return nil
		}
		if err := each(b); err != nil {
			return err
		}
		first += int64(t.Rows())
	}
}

// columnFindings say how the files of a source differ, and what they lack.
func (in *input) columnFindings() (out []Finding) {
	used := in.columns()
	first := -1
	var lacks, differs tally
	var names []string
	for k, header := range in.headers {
		if header == nil {
			continue
		}
		file := filepath.Base(in.places()[k])
		if in.source.From != "" {
			file = in.places()[k]
		}
		var missing []string
		for _, name := range used {
			if !slices.Contains(header, name) {
				missing = append(missing, name)
			}
		}
		if missing != nil {
			lacks.add(func() Example { return Example{File: file, Value: strings.Join(missing, ", ")} })
			names = append(names, missing...)
		}
		if first < 0 {
			first = k
			continue
		}
		if d := difference(in.headers[first], header); d != "" && missing == nil {
			differs.add(func() Example { return Example{File: file, Value: d} })
		}
	}
	of := int64(len(in.headers))
	detail := "files that lack a column that is used"
	if slices.Sort(names); names != nil {
		detail += ": " + strings.Join(slices.Compact(names), ", ")
	}
	out = append(out, lacks.finding("columns", "", Error, of, detail))
	if of > 1 {
		out = append(out, differs.finding("files", "", Warning, of, "files with other columns than the first"))
	}
	return out
}

// difference of two headers, "" if they have the same names.
func difference(a, b []string) string {
	var out []string
	for _, name := range a {
		if !slices.Contains(b, name) {
			out = append(out, "no "+name)
		}
	}
	for _, name := range b {
		if !slices.Contains(a, name) {
			out = append(out, "also "+name)
		}
	}
	return strings.Join(out, ", ")
}
