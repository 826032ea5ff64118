package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// The files of a model's tables, beside those that are numbered.
const (
	manifestFile   = "manifest.json"
	dictionaryFile = "features.json"
	pageFile       = "features.md"
)

// manifestFormat is raised when files are no longer what they were.
const manifestFormat = 1

// manifest says what the tables of a model are. Rows files are final: a later build
// adds another and leaves them alone.
type manifest struct {
	Format   int               `json:"format"`
	Model    string            `json:"model"`
	Account  string            `json:"account"` // column of the account
	Spec     string            `json:"spec"`    // hash of the features, in their resolved form
	AsOf     int64             `json:"as_of"`   // microseconds since 1970 UTC
	Rows     []rowsFile        `json:"rows"`
	Labels   file              `json:"labels"`
	Counts   Labels            `json:"counts"`
	Excluded []facts.Exclusion `json:"excluded"`
	Columns  []entry           `json:"columns"` // the data dictionary
}

// file is one with the hash of its bytes, SHA-256.
type file struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Hash string `json:"sha256"`
}

// rowsFile holds the rows of moments after that of the file before, up to and with
// AsOf.
type rowsFile struct {
	file
	AsOf    int64 `json:"as_of"`
	Moments int   `json:"moments"`
	Rows    int   `json:"rows"` // of those moments that are of the population
}

// begin finds what was built before, and what is to be made now.
func (t *table) begin(o *Options, asOf int64) error {
	rebuild := o.Rebuild
	canonical, err := t.spec.YAML()
	if err != nil {
		return err
	}
	h := sha256.Sum256(canonical)
	hash := hex.EncodeToString(h[:])
	old, err := readManifest(t.dir)
	if err != nil && !rebuild {
		return err
	}
	number := 1
	if old != nil {
		n, err := old.number()
		if err != nil && !rebuild {
			return fmt.Errorf("%s: %w: build the tables again with --rebuild", filepath.Join(t.dir, manifestFile), err)
		}
		number = n + 1
	}
	if old != nil && old.Spec != hash && o.RebuildChanged {
		rebuild, t.rebuilt = true, true
	}
	t.next = &manifest{Format: manifestFormat, Model: t.name, Account: t.account, Spec: hash, AsOf: asOf}
	if old != nil && !rebuild {
		switch {
		case old.Spec != hash:
			return fmt.Errorf("%w: the rows of model %s in %s were made by others than the project file has now: build them again with --rebuild, or into another directory", ErrChanged, t.name, t.dir)
		case asOf < old.AsOf:
			return fmt.Errorf("%w: model %s was built as of %s, after %s: rows are final; build as of then or later, with --rebuild, or into another directory",
				ErrEarlier, t.name, datasets.FormatTime(old.AsOf), datasets.FormatTime(asOf))
		}
		t.old, t.from = old, old.AsOf
		t.next.Rows = append(t.next.Rows, old.Rows...)
	}
	t.next.Rows = append(t.next.Rows, rowsFile{file: file{Name: fmt.Sprintf("rows-%04d.parquet", number)}, AsOf: asOf})
	t.next.Labels.Name = fmt.Sprintf("labels-%04d.parquet", number)
	return nil
}

// number is that of the last build.
func (m *manifest) number() (n int, err error) {
	_, err = fmt.Sscanf(m.Labels.Name, "labels-%d.parquet", &n)
	return n, err
}

// readManifest is nil where nothing was built.
func readManifest(dir string) (*manifest, error) {
	path := filepath.Join(dir, manifestFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %w: build the tables again with --rebuild", path, err)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("%s: format %d is not the one that is read, %d: build the tables again with --rebuild", path, m.Format, manifestFormat)
	}
	return &m, nil
}

// tidy removes tables that no longer count, and what a build left that was ended in
// the middle.
func (t *table) tidy() {
	keep := map[string]bool{t.next.Labels.Name: true}
	for _, f := range t.next.Rows {
		keep[f.Name] = true
	}
	entries, _ := os.ReadDir(t.dir)
	for _, e := range entries {
		name := e.Name()
		numbered := strings.HasSuffix(name, ".parquet") && (strings.HasPrefix(name, "rows-") || strings.HasPrefix(name, "labels-"))
		half := strings.HasSuffix(name, ".tmp") && strings.HasPrefix(name, ".")
		if numbered && !keep[name] || half {
			os.Remove(filepath.Join(t.dir, name)) // what cannot be removed does no harm
		}
	}
}

// Table is the rows of a model with their labels, as training takes them.
type Table struct {
	*datasets.Table
	Account string // name of the column of accounts; that of moments is moment,
	Label   string // that of labels the model's
	AsOf    int64
	Spec    string // hash of the features that made the rows
	Open    int    // rows left out because their label is open, or has no answer
}

// Open reads the tables that Run made of a model in the directory out and joins
// them: a row for each row that has a label. A file that is not as the manifest says
// is an error.
func Open(out, model string) (*Table, error) {
	dir := filepath.Join(out, model)
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("there are no tables of model %s in %s: make them with propensity features build", model, out)
	}
	labels, err := m.read(dir, m.Labels)
	if err != nil {
		return nil, err
	}
	t := &Table{Account: m.Account, Label: m.Model, AsOf: m.AsOf, Spec: m.Spec}
	answers := answersOf(labels, m)
	var parts []*datasets.Table
	var label []float64
	for _, f := range m.Rows {
		rows, err := m.read(dir, f.file)
		if err != nil {
			return nil, err
		}
		keep, own := answers.of(rows, m)
		t.Open += rows.Rows() - len(keep)
		label = append(label, own...)
		parts = append(parts, rows.Take(keep))
	}
	t.Table = joinTables(parts)
	t.Columns = append(t.Columns, datasets.Column{Name: m.Model, Kind: datasets.Boolean, Numbers: label})
	return t, nil
}

// IsMade tells a directory of the tables of a model, as Run makes it, from files.
func IsMade(path string) bool {
	_, err := os.Stat(filepath.Join(path, manifestFile))
	return err == nil
}

// read reads a file whose bytes are those of the manifest.
func (m *manifest) read(dir string, f file) (*datasets.Table, error) {
	path := filepath.Join(dir, f.Name)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: build the tables again with --rebuild", err)
	}
	if h := sha256.Sum256(b); hex.EncodeToString(h[:]) != f.Hash {
		return nil, fmt.Errorf("%s is not the file that was built: build the tables again with --rebuild", path)
	}
	return datasets.ReadFrom(strings.NewReader(string(b)), path, datasets.ReadOptions{})
}

// answers are labels by account and moment.
type answers struct {
	number map[string]int32
	label  map[key]float64
}

type key struct {
	account int32
	moment  int64
}

func answersOf(labels *datasets.Table, m *manifest) answers {
	account, moment, label := labels.Column(m.Account), labels.Column(spec.MomentColumn), labels.Column(m.Model)
	a := answers{number: make(map[string]int32, len(account.Values)), label: make(map[key]float64, labels.Rows())}
	for k, s := range account.Values {
		a.number[s] = int32(k)
	}
	for i, k := range account.Codes {
		a.label[key{k, moment.Times[i]}] = label.Numbers[i]
	}
	return a
}

// of gives the rows that have a label, and these.
func (a *answers) of(rows *datasets.Table, m *manifest) (keep []int, label []float64) {
	account, moment := rows.Column(m.Account), rows.Column(spec.MomentColumn)
	number := make([]int32, len(account.Values))
	for k, s := range account.Values {
		n, ok := a.number[s]
		if !ok {
			n = -1
		}
		number[k] = n
	}
	for i, k := range account.Codes {
		if y, ok := a.label[key{number[k], moment.Times[i]}]; ok {
			keep, label = append(keep, i), append(label, y)
		}
	}
	return keep, label
}

// joinTables puts tables of the same columns under one another.
func joinTables(parts []*datasets.Table) *datasets.Table {
	out := &datasets.Table{}
	for j := range parts[0].Columns {
		c := datasets.Column{Name: parts[0].Columns[j].Name, Kind: parts[0].Columns[j].Kind}
		codes := map[string]int32{}
		for _, t := range parts {
			p := &t.Columns[j]
			c.Numbers, c.Times = append(c.Numbers, p.Numbers...), append(c.Times, p.Times...)
			// Only values of rows that are there, in the order of their first rows.
			number := make([]int32, len(p.Values))
			for i := range number {
				number[i] = -1
			}
			for _, k := range p.Codes {
				if k < 0 {
					c.Codes = append(c.Codes, -1)
					continue
				}
				if number[k] < 0 {
					code, ok := codes[p.Values[k]]
					if !ok {
						code = int32(len(c.Values))
						codes[p.Values[k]], c.Values = code, append(c.Values, p.Values[k])
					}
					number[k] = code
				}
				c.Codes = append(c.Codes, number[k])
			}
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}
