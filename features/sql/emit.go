// Package sql writes the features of a project as one SQL query of a warehouse, for
// those whose history does not leave it: the same rows as those of the engine in
// features/build. Counts, dates and texts are the same, sums and means to 1e-9 of each
// (a warehouse adds in an order of its own). What cannot be said with that result is an
// error that wraps ErrUnavailable and names it.
package sql

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"propensity/features/spec"
)

// Options say what is written.
type Options struct {
	Dialect Dialect
	// Model is the one whose moments, and population, the rows are of. "" is the only
	// one of the project.
	Model string
	// Labels writes the table of labels instead of the rows.
	Labels bool
	// Tables are those of the sources, by name; a source that is not there is a table of
	// its own name. A name may have others before its dots (raw.events); a part with a
	// dot of its own stands in double quotes.
	Tables map[string]string
	// AsOf is when history ends, microseconds since 1970 UTC; 0: with the newest arrival
	// that the tables hold.
	AsOf int64
}

// Emit writes the query. Its columns are those of the tables that features/build
// writes: the account, by its name in the project, the moment, and the columns of the
// row that the model takes; with Labels the account, the moment, and the label, by the
// name of the model, of those moments that have an answer. Numbers are float64, times
// instants, NULL is missing; rows are in the order of account and moment.
func Emit(p *spec.Project, o Options) (string, error) {
	e, err := newEmitter(p, o)
	if err != nil {
		return "", err
	}
	if o.Labels {
		err = e.labels()
	} else {
		err = e.rows()
	}
	if err != nil {
		return "", err
	}
	return e.text(), nil
}

// emitter collects the steps of a query.
type emitter struct {
	d       Dialect
	project *spec.Project
	model   *spec.Model
	row     *spec.Project // what the rows of the model need
	hash    string        // of that
	options Options
	zone    string
	tables  []string // quoted, by source
	taken   []string // names of steps and of tables that a step would hide, in lower case
	steps   []step
	facts   []string // the step with the facts of a source, "" if it is not written yet
	readers []string // that with its records
	members string   // that with the account of each user
	asOf    string   // that with the end of history
	last    string   // the SELECT after the steps
}

// step is a common table expression.
type step struct {
	name    string // quoted
	comment string
	body    string
}

func newEmitter(p *spec.Project, o Options) (*emitter, error) {
	e := &emitter{d: o.Dialect, project: p, options: o, zone: p.Timezone, facts: make([]string, len(p.Sources)), readers: make([]string, len(p.Sources))}
	if _, err := ParseDialect(string(o.Dialect)); err != nil {
		return nil, err
	}
	if e.zone == "" {
		e.zone = "UTC"
	}
	for i := range p.Models {
		if p.Models[i].Name == o.Model || o.Model == "" && len(p.Models) == 1 {
			e.model = &p.Models[i]
		}
	}
	var names []string
	for i := range p.Models {
		names = append(names, p.Models[i].Name)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("the project has no model with moments, at which its rows would be")
	case e.model == nil && o.Model == "":
		return nil, fmt.Errorf("the project has several models: name one of %s", strings.Join(names, ", "))
	case e.model == nil:
		return nil, fmt.Errorf("the project has no model %q with moments: it has %s", o.Model, strings.Join(names, ", "))
	}
	e.row = p.Of(e.model.Name)
	text, err := e.row.YAML()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	e.hash = hex.EncodeToString(sum[:8])
	for name := range o.Tables {
		if !slices.ContainsFunc(p.Sources, func(s spec.Source) bool { return s.Name == name }) {
			return nil, fmt.Errorf("table %s: the project has no source of that name", name)
		}
	}
	for i := range p.Sources {
		s := &p.Sources[i]
		if s.Kind == spec.Merges {
			return nil, fmt.Errorf("%w: source %s joins accounts, and what was known of one before the other is for the engine alone", ErrUnavailable, s.Name)
		}
		table := o.Tables[s.Name]
		if table == "" {
			table = s.Name
		}
		quoted, err := e.d.table(table)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		e.tables = append(e.tables, quoted)
		e.taken = append(e.taken, strings.ToLower(strings.Trim(quoted, "\"`")))
	}
	return e, nil
}

// account is the name of the column of the account.
func (e *emitter) account() string { return e.project.AccountColumn() }

// step adds one and gives its name, which is that of no other and of no table.
func (e *emitter) step(name, comment, body string) (string, error) {
	for slices.Contains(e.taken, strings.ToLower(name)) {
		name += "_"
	}
	quoted, err := e.d.name(name)
	if err != nil {
		return "", err
	}
	e.taken = append(e.taken, strings.ToLower(name))
	e.steps = append(e.steps, step{quoted, comment, body})
	return quoted, nil
}

// text is the whole query.
func (e *emitter) text() string {
	var b strings.Builder
	what := "The rows"
	if e.options.Labels {
		what = "The labels"
	}
	fmt.Fprintf(&b, "-- %s of model %s, by propensity for %s.\n", what, comment(e.model.Name), e.d)
	fmt.Fprintf(&b, "-- Project %s, timezone %s.\n", e.hash, comment(e.zone))
	if e.d == Spark {
		b.WriteString("-- Run it with the session's timezone UTC: SET TIME ZONE 'UTC';\n")
	}
	b.WriteString("-- Times within are microseconds since 1970 UTC.\n")
	for i, s := range e.steps {
		b.WriteString("\n")
		for line := range strings.SplitSeq(s.comment, "\n") {
			b.WriteString("-- " + comment(line) + "\n")
		}
		if i == 0 {
			b.WriteString("WITH ")
		}
		b.WriteString(s.name + " AS (\n" + indent(s.body) + "\n)")
		if i < len(e.steps)-1 {
			b.WriteString(",")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + e.last + ";\n")
	return b.String()
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

// comment keeps a text within its line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == '$' {
			return ' '
		}
		return r
	}, s)
}
