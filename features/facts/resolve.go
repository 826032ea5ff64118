package facts

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

// ErrSource is wrapped by errors about a source that cannot be read as the project
// says.
var ErrSource = errors.New("unusable source")

// sampleRows are looked at to find the kinds of the columns of a text file.
const sampleRows = 20_000

// Resolve looks at the sources of a project, whose paths are relative to dir: it
// finds the files of each and fills in the kinds of the columns that have none. A
// column of a text file has the kind that all values of its first 20,000 rows have;
// what follows is held to it. An error wraps ErrSource and names every source that
// is at fault, and what to do.
func Resolve(ctx context.Context, p *spec.Project, dir string) error {
	var errs []error
	for i := range p.Sources {
		if _, err := resolve(ctx, &p.Sources[i], dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// layout is where the things of a source are in the files of it.
type layout struct {
	source *spec.Source
	files  []string // none: a database
	sql    datasets.SQLSource
	names  []string // of the columns to read
	kinds  map[string]datasets.Kind
	loose  []string // times that may be none
}

func (l *layout) fault(format string, a ...any) error {
	return fmt.Errorf("source %s: %w: %w", l.source.Name, ErrSource, fmt.Errorf(format, a...))
}

// resolve finds the files, columns and kinds of a source, and fills in the latter.
func resolve(ctx context.Context, s *spec.Source, dir string) (*layout, error) {
	l := &layout{source: s, kinds: map[string]datasets.Kind{}}
	if s.From != "" {
		l.sql = datasets.SQLSource{URL: s.From, Query: s.Query, Table: s.Table, Dir: dir}
	} else if err := l.find(dir); err != nil {
		return nil, err
	}
	l.roles()
	for i := range s.Columns {
		c := &s.Columns[i]
		l.want(c.Name)
		if c.Kind != 0 {
			l.kinds[c.Name] = c.Kind
		}
	}
	if s.Where != nil {
		for _, name := range s.Where.Vars {
			l.want(name)
		}
	}
	if err := l.look(ctx); err != nil {
		return nil, err
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		if c.Kind = l.kinds[c.Name]; l.dates(c.Name) {
			c.Kind = datasets.Time
		}
	}
	return l, nil
}

// find settles the files that the path stands for, sorted.
func (l *layout) find(dir string) error {
	path := l.source.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if _, err := os.Stat(path); err == nil {
		l.files = []string{path}
		return nil
	}
	files, err := filepath.Glob(path)
	if err != nil {
		return l.fault("path %q is no pattern: %v", l.source.Path, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			l.files = append(l.files, f)
		}
	}
	if len(l.files) == 0 {
		return l.fault("there is no file %s: put it there, or correct the path in the project file", path)
	}
	slices.Sort(l.files)
	return nil
}

func (l *layout) want(name string) {
	if name != "" && !slices.Contains(l.names, name) {
		l.names = append(l.names, name)
	}
}

// account is the column of the account's id.
func (l *layout) account() string {
	if l.source.Kind == spec.Merges {
		return l.source.Into
	}
	return l.source.Account
}

// roles takes the columns with a role, each with the kind that it is read as.
func (l *layout) roles() {
	s := l.source
	for _, name := range []string{l.account(), s.User, s.ID, s.FromAccount} {
		if l.want(name); name != "" {
			l.kinds[name] = datasets.Text
		}
	}
	for _, name := range l.times() {
		if l.want(name); name != "" {
			l.loose = append(l.loose, name) // what is no time is counted, and leaves its record out
		}
	}
	if l.want(s.Currency); s.Currency != "" {
		l.kinds[s.Currency] = datasets.Category
	}
}

// times are the columns with a role that hold instants.
func (l *layout) times() []string {
	s := l.source
	return []string{s.Time, s.Arrived, s.Start, s.End, s.Renews}
}

func (l *layout) dates(name string) bool { return slices.Contains(l.times(), name) }

// read makes times of the numbers in columns that hold instants.
func (l *layout) read(t *datasets.Table) {
	for k := range t.Columns {
		c := &t.Columns[k]
		if c.Kind != datasets.Number || !l.dates(c.Name) {
			continue
		}
		times := make([]int64, len(c.Numbers))
		for i, x := range c.Numbers {
			times[i] = microsOf(x)
		}
		*c = datasets.Column{Name: c.Name, Kind: datasets.Time, Times: times}
	}
}

// open opens a file of the source, or its database, to read the wanted columns.
func (l *layout) open(ctx context.Context, file int, o datasets.ReadOptions) (*datasets.Pieces, error) {
	o.Columns, o.Kinds, o.Missing, o.LooseTimes = l.names, l.kinds, l.source.Missing, l.loose
	if l.files == nil {
		return datasets.OpenSQLPieces(ctx, l.sql, o)
	}
	return datasets.OpenPieces(l.files[file], o)
}

// look finds the kinds that are open, each in the first file that has a value of it.
func (l *layout) look(ctx context.Context) error {
	for i := range max(1, len(l.files)) {
		err := l.sample(ctx, i)
		if errors.Is(err, datasets.ErrColumn) {
			return l.fault("%w: correct the name in the project file", err)
		}
		if err != nil {
			return l.fault("%w", err)
		}
		if len(l.kinds) == len(l.names) {
			break
		}
	}
	for _, name := range l.names {
		kind, known := l.kinds[name]
		switch {
		case !l.dates(name):
			if !known {
				l.kinds[name] = datasets.Category // of no values
			}
		case !known || kind == datasets.Category || kind == datasets.Text:
			l.kinds[name] = datasets.Time
		case kind == datasets.Boolean:
			return l.fault("column %q is to hold times, and holds true and false: name another column", name)
		}
	}
	return nil
}

// sample finds kinds from the first rows of a file.
func (l *layout) sample(ctx context.Context, file int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, err := l.open(ctx, file, datasets.ReadOptions{Batch: sampleRows})
	if err != nil {
		return err
	}
	defer p.Close()
	if p.Len() == 0 {
		return nil
	}
	err = p.Read(0, func(t *datasets.Table, _ int) error {
		for k := range t.Columns {
			c := &t.Columns[k]
			if _, known := l.kinds[c.Name]; known {
				continue
			}
			kind := c.Kind
			if !p.Typed() {
				kind = datasets.KindOf(c.Values, datasets.ReadOptions{Missing: l.source.Missing})
			} else if kind == datasets.Text {
				kind = datasets.Category
			}
			if kind != 0 {
				l.kinds[c.Name] = kind
			}
		}
		return io.EOF
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// where names the source in messages about its records.
func (l *layout) where(file int) string {
	if l.files == nil {
		return l.sql.String()
	}
	return strings.TrimPrefix(l.files[file], "./")
}
