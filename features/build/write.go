package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// table is the tables of one model while they are written.
type table struct {
	name    string
	account string
	dir     string
	outputs []spec.Output // the columns of the model,
	places  []int         // and where they are among those of the project
	spec    *spec.Project // of this model alone
	old     *manifest     // what was built before and stands; nil: nothing
	next    *manifest
	from    int64 // rows are made of moments after it

	rows, labels *datasets.Writer
	words        *dictionary
	outside      int
	rebuilt      bool
	before       int // moments of earlier builds, as they are known now
}

// newTable prepares the tables of a model.
func newTable(p *spec.Project, m *spec.Model, o *Options, asOf int64) (*table, error) {
	dir, err := directory(o.Out, m.Name)
	if err != nil {
		return nil, err
	}
	of := p.Of(m.Name)
	t := &table{name: m.Name, account: p.AccountColumn(), dir: dir, spec: of, from: firstMoment - 1}
	all, own := p.Outputs(), of.Outputs()
	t.places = taken(all, m)
	for _, k := range t.places {
		name := all[k].Name
		t.outputs = append(t.outputs, own[slices.IndexFunc(own, func(o spec.Output) bool { return o.Name == name })])
	}
	if err := t.begin(o, asOf); err != nil {
		return nil, err
	}
	t.words = newDictionary(t)
	return t, nil
}

// taken are the outputs that the rows of a model have.
func taken(outputs []spec.Output, m *spec.Model) (places []int) {
	for k, o := range outputs {
		if m.Features == nil || slices.Contains(m.Features, o.Name) || o.Name == m.Value {
			places = append(places, k)
		}
	}
	return places
}

// population makes a table of those rows, of all outputs at some moments, that are of the
// model's population: the account, the moment, and the outputs in the given places.
func (p *Plan) population(model, account string, places []int, part *facts.Part, at []Moment, columns []datasets.Column) (*datasets.Table, error) {
	keep, err := p.Keep(model, columns)
	if err != nil {
		return nil, err
	}
	inside := make([]int, 0, len(at))
	for i, k := range keep {
		if k {
			inside = append(inside, i)
		}
	}
	t := keys(account, part, at, inside)
	for _, k := range places {
		c := columns[k]
		if len(inside) < len(at) {
			c.Numbers, c.Times, c.Codes = datasets.Take(c.Numbers, inside), datasets.Take(c.Times, inside), datasets.Take(c.Codes, inside)
		}
		t.Columns = append(t.Columns, c)
	}
	return t, nil
}

// keys begins a table of some moments: the account, in a column of that name, and the
// moment.
func keys(name string, part *facts.Part, at []Moment, rows []int) *datasets.Table {
	account := datasets.Column{Name: name, Kind: datasets.Text, Codes: make([]int32, len(rows))}
	moment := datasets.Column{Name: spec.MomentColumn, Kind: datasets.Time, Times: make([]int64, len(rows))}
	last := -1
	for k, i := range rows {
		if m := at[i]; m.Account != last {
			last = m.Account
			account.Values = append(account.Values, part.Accounts[last])
		}
		account.Codes[k] = int32(len(account.Values) - 1)
		moment.Times[k] = at[i].At
	}
	return &datasets.Table{Columns: []datasets.Column{account, moment}}
}

// write appends the rows and labels of a part.
func (t *table) write(rows, labels *datasets.Table, n *counts) (err error) {
	if t.labels == nil {
		if t.labels, err = datasets.Create(filepath.Join(t.dir, t.next.Labels.Name), datasets.WriteOptions{}); err != nil {
			return err
		}
	}
	if err := t.labels.Write(labels); err != nil {
		return err
	}
	l := &t.next.Counts
	l.Yes, l.No, l.Open, l.Unanswered = l.Yes+n.labels.Yes, l.No+n.labels.No, l.Open+n.labels.Open, l.Unanswered+n.labels.Unanswered
	t.outside += n.outside
	t.before += n.before
	t.rowsFile().Moments += n.moments
	if t.rows == nil {
		if t.rows, err = datasets.Create(filepath.Join(t.dir, t.rowsFile().Name), datasets.WriteOptions{}); err != nil {
			return err
		}
	}
	t.rowsFile().Rows += rows.Rows()
	t.words.add(rows.Columns[2:])
	return t.rows.Write(rows)
}

// rowsFile is the file of this run.
func (t *table) rowsFile() *rowsFile { return &t.next.Rows[len(t.next.Rows)-1] }

func (t *table) abort() {
	for _, w := range []*datasets.Writer{t.rows, t.labels} {
		if w != nil {
			w.Abort()
		}
	}
}

// commit puts the files in place, the manifest last.
func (t *table) commit(sum *Summary) error {
	if t.rowsFile().Moments == 0 && len(t.next.Rows) > 1 {
		t.rows.Abort() // nothing new
		t.next.Rows = t.next.Rows[:len(t.next.Rows)-1]
	} else if err := t.finish(t.rows, &t.rowsFile().file); err != nil {
		return err
	}
	if err := t.finish(t.labels, &t.next.Labels); err != nil {
		return err
	}
	t.next.Excluded = sum.Excluded
	t.next.Columns = t.words.entries
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(t.next); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(t.dir, manifestFile), b.Bytes()); err != nil {
		return err
	}
	t.tidy()
	return t.words.write(t)
}

// finish commits a table and notes its hash.
func (t *table) finish(w *datasets.Writer, f *file) error {
	if err := w.Commit(); err != nil {
		return err
	}
	in, err := os.Open(filepath.Join(t.dir, f.Name))
	if err != nil {
		return err
	}
	defer in.Close()
	h := sha256.New()
	if f.Size, err = io.Copy(h, in); err != nil {
		return err
	}
	f.Hash = hex.EncodeToString(h.Sum(nil))
	return nil
}

func (t *table) summary() ModelSummary {
	out := ModelSummary{Name: t.name, Columns: len(t.outputs), Outside: t.outside, Rebuilt: t.rebuilt, Labels: t.next.Counts}
	for _, f := range t.next.Rows {
		out.Rows += f.Rows
	}
	out.Added = out.Rows
	if t.old != nil {
		for _, f := range t.old.Rows {
			out.Added -= f.Rows
			out.Late -= f.Moments
		}
		out.Late = max(0, out.Late+t.before)
	}
	return out
}

// replaceFile writes a file that is whole under its name or not there at all.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
