// Package check holds the sources of a project against what is asked of every
// source, and against the contracts that the project file writes down for them. It
// reads each source once or twice, batch by batch, and changes nothing.
package check

import (
	"context"
	"os"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Severity of a finding.
type Severity string

// The severities. An error is a contract that is broken, a source that cannot be
// read as the project says, or a fault of all its records. A warning is records that
// are left out when features are built, or that contradict others; a note is what is
// worth knowing and may well be meant.
const (
	OK      Severity = "ok"
	Note    Severity = "note"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Report is what was found, source by source.
type Report struct {
	Now      string   `json:"now"` // after it is the future
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
	Notes    int      `json:"notes"`
	Sources  []Source `json:"sources"` // in the order of the project file
}

// Source is what was found in a source. Records that its where leaves out are not
// looked at further.
type Source struct {
	Name     string    `json:"name"`
	Kind     spec.Kind `json:"kind"`
	Files    int       `json:"files"` // 0: a database
	Records  int64     `json:"records"`
	Filtered int64     `json:"filtered,omitempty"` // by where
	Accounts int       `json:"accounts"`
	First    string    `json:"first,omitempty"` // the oldest and the newest time
	Last     string    `json:"last,omitempty"`
	Findings []Finding `json:"findings"` // one a check, the worst first
}

// Finding is the answer to one question.
type Finding struct {
	Check    string   `json:"check"`
	Column   string   `json:"column,omitempty"`
	Severity Severity `json:"severity"`
	// Count is how many are at fault, Of how many were asked; records, unless Detail
	// says otherwise.
	Count int64   `json:"count"`
	Of    int64   `json:"of"`
	Share float64 `json:"share"`
	// OneIn is above 1 where there are too many values to remember, and one in so
	// many was looked at: Count and Of are of those.
	OneIn    int64     `json:"one_in,omitempty"`
	Detail   string    `json:"detail"`
	Examples []Example `json:"examples,omitempty"` // the first three
}

// Example is a record at fault, or an account.
type Example struct {
	File    string `json:"file,omitempty"`
	Record  int64  `json:"record,omitempty"` // of the file, from 1, a header apart
	Account string `json:"account,omitempty"`
	Value   string `json:"value,omitempty"`
}

// Options say how to check.
type Options struct {
	Dir string // what the paths of sources are relative to
	Now int64  // microseconds since 1970 UTC
	// Progress, if not nil, is told of the bytes read.
	Progress func(done, total int64)

	keys int // values remembered at most, of a column; 0: mostKeys
}

// mostKeys are remembered of a column: beyond it, of one in two, four, eight ...
const mostKeys = 1 << 21

const (
	earliest   int64 = 631_152_000_000_000 // 1990: what is older is a clock that was never set
	missing          = datasets.MissingTime
	noAccount  int32 = -1
	examplesOf       = 3
)

// Run checks all sources. It finds the kinds of their columns first, as facts.Resolve
// does. A source that cannot be read is an error in the report; an error of Run is a
// fault of the project (spec.Faults), or that ctx is done.
func Run(ctx context.Context, p *spec.Project, o Options) (*Report, error) {
	if o.keys == 0 {
		o.keys = mostKeys
	}
	c := &checker{p: p, o: o, number: map[string]int32{}, users: map[string]int32{}, lookups: map[key]*lookup{}}
	for i := range p.Sources {
		one := *p
		one.Sources = p.Sources[i : i+1]
		in := &input{source: &p.Sources[i], unusable: facts.Resolve(ctx, &one, o.Dir)}
		in.find(o.Dir)
		if in.unusable != nil {
			in.guess(ctx)
		}
		c.inputs = append(c.inputs, in)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	c.plan()
	if err := c.index(ctx); err != nil {
		return nil, err
	}
	var all []*examination
	for i := range p.Sources {
		x, err := c.examine(ctx, i)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	r := &Report{Now: when(o.Now)}
	for _, x := range all {
		r.Sources = append(r.Sources, x.result(all))
		for _, f := range r.Sources[len(r.Sources)-1].Findings {
			switch f.Severity {
			case Error:
				r.Errors++
			case Warning:
				r.Warnings++
			case Note:
				r.Notes++
			}
		}
	}
	return r, nil
}

// checker is a Run that is under way.
type checker struct {
	p      *spec.Project
	o      Options
	inputs []*input

	number map[string]int32 // of each account met,
	ids    []string         // and back
	signup []int64          // of each account: its first dated attributes; missing
	listed []bool           // a source of attributes has it

	users   map[string]int32 // the account of each user
	lookups map[key]*lookup

	done, total int64
}

// key names the values of a column of a source, each with a date of its records.
type key struct {
	source int
	column string
	date   string // "start", "end", or "" for none
}

// account numbers an account, in the order in which they are met.
func (c *checker) account(id string) int32 {
	n, ok := c.number[id]
	if !ok {
		n = int32(len(c.ids))
		id = strings.Clone(id)
		c.number[id] = n
		c.ids = append(c.ids, id)
		c.signup = append(c.signup, missing)
		c.listed = append(c.listed, false)
	}
	return n
}

// plan finds out which values of which sources others ask for, and how much there
// is to read.
func (c *checker) plan() {
	want := func(k key) {
		if k.source >= 0 && c.lookups[k] == nil {
			c.lookups[k] = &lookup{sample: sample{most: c.o.keys}, values: map[uint64]int64{}}
		}
	}
	for i := range c.p.Sources {
		for _, of := range c.p.Sources[i].Checks.References {
			want(c.reference(of))
		}
		for _, a := range c.p.Sources[i].Checks.After {
			want(c.after(a))
		}
	}
	for i, in := range c.inputs {
		for _, f := range in.files {
			info, err := os.Stat(f)
			if err != nil {
				continue
			}
			if c.total += info.Size(); c.indexed(i) {
				c.total += info.Size()
			}
		}
	}
}

// reference reads "source.column", after reads "source.start by column".
func (c *checker) reference(s string) key {
	name, column, _ := strings.Cut(s, ".")
	return key{source: c.p.SourceIndex(name), column: column}
}

func (c *checker) after(s string) key {
	stream, column, _ := strings.Cut(s, " by ")
	name, part, _ := strings.Cut(strings.TrimSpace(stream), ".")
	if part != "end" {
		part = "start"
	}
	return key{source: c.p.SourceIndex(name), column: strings.TrimSpace(column), date: part}
}

// indexed says whether a source has to be known before the others are looked at.
func (c *checker) indexed(i int) bool {
	if k := c.p.Sources[i].Kind; k == spec.Attributes || k == spec.Users {
		return true
	}
	for k := range c.lookups {
		if k.source == i {
			return true
		}
	}
	return false
}

// index reads what others ask for: accounts and when they signed up, whose users are
// whose, and the values of lookups.
func (c *checker) index(ctx context.Context) error {
	newest := map[string]int64{} // of each user's record
	for _, users := range [...]bool{true, false} {
		for i := range c.p.Sources {
			s := &c.p.Sources[i]
			if (s.Kind == spec.Users) != users || !c.indexed(i) {
				continue
			}
			err := c.read(ctx, i, func(b *batch) error {
				for _, row := range b.kept {
					a := b.account[row]
					if a < 0 {
						continue
					}
					at := missing
					if b.occurred != nil {
						at = b.occurred[row]
					}
					switch user := b.user; {
					case s.Kind == spec.Users && user != nil && user.Codes[row] >= 0:
						name := user.Values[user.Codes[row]]
						if old, ok := newest[name]; !ok || old <= at {
							newest[name] = at
							c.users[strings.Clone(name)] = a
						}
					case s.Kind == spec.Attributes:
						c.listed[a] = true
						if old := c.signup[a]; at != missing && (old == missing || at < old) {
							c.signup[a] = at
						}
					}
				}
				for k, l := range c.lookups {
					if k.source == i {
						l.take(b, k)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// lookup is the values of a column: the hash of each, with its earliest date.
type lookup struct {
	sample
	values map[uint64]int64
}

func (l *lookup) take(b *batch, k key) {
	dates := b.occurred
	if k.date == "end" {
		dates = b.end
	}
	column := b.column(k.column)
	if column == nil {
		return
	}
	cells := newCells(column)
	for _, row := range b.kept {
		h := cells.hash(row)
		if h == 0 || !l.keeps(h) {
			continue
		}
		at := missing
		if dates != nil {
			at = dates[row]
		}
		if old, ok := l.values[h]; !ok || old == missing || at != missing && at < old {
			l.values[h] = at
		}
		if l.full(len(l.values)) {
			for h := range l.values {
				if !l.keeps(h) {
					delete(l.values, h)
				}
			}
		}
	}
}

// worst orders findings: errors first, then in the order of asking.
func worst(list []Finding) {
	rank := func(f Finding) int { return slices.Index([]Severity{Error, Warning, Note, OK}, f.Severity) }
	slices.SortStableFunc(list, func(a, b Finding) int { return rank(a) - rank(b) })
}
