package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Options of a Run.
type Options struct {
	Dir string // what the paths of sources are relative to
	Out string // directory of the tables, one directory a model
	// AsOf is when the tables are made, microseconds since 1970 UTC: what arrived later
	// is left out, and labels that are not settled by then are open. 0: the newest
	// arrival that is not after Now, or that of the tables that are there, if it is later.
	AsOf, Now int64
	Models    []string // nil: all
	Rebuild   bool     // makes all rows again, also of moments that have been built
	// RebuildChanged makes those again of models whose features have changed, which
	// otherwise is ErrChanged.
	RebuildChanged bool
	Memory         int64 // bytes of facts kept in memory; 0: facts.DefaultMemory
	Threads        int   // 0: as many as there are processors
	// Progress, if not nil, is told how far a stage is; by one goroutine at a time.
	Progress func(stage string, done, total int)
}

// Summary is what a Run did.
type Summary struct {
	AsOf     int64             `json:"as_of"` // microseconds since 1970 UTC
	Sources  []SourceSummary   `json:"sources"`
	Excluded []facts.Exclusion `json:"excluded"`
	Models   []ModelSummary    `json:"models"`
}

// SourceSummary counts the records of a source.
type SourceSummary struct {
	Name     string `json:"name"`
	Records  int64  `json:"records"`
	Filtered int64  `json:"filtered"` // left out by the source's where
}

// ModelSummary is what there now is of a model.
type ModelSummary struct {
	Name    string `json:"name"`
	Added   int    `json:"added"`             // rows of this run
	Rebuilt bool   `json:"rebuilt,omitempty"` // all of them, because the features had changed
	Rows    int    `json:"rows"`              // in all
	Columns int    `json:"columns"`           // made by features
	Outside int    `json:"outside"`           // moments of this run that are not of the population
	// Late are moments of before that have come to be known since the last build, of
	// facts that arrived late: rows are final, so that only a rebuild makes theirs.
	Late   int    `json:"late"`
	Labels Labels `json:"labels"`
}

// Labels counts the labels of a model's moments, whatever its population.
type Labels struct {
	Yes        int `json:"yes"`
	No         int `json:"no"`
	Open       int `json:"open"`       // the horizon was not over
	Unanswered int `json:"unanswered"` // a change of nothing
}

// Run reads the facts of a project and makes the feature tables of its models: for
// each OUT/MODEL/rows-NNNN.parquet (the account, the moment, a column a feature),
// labels-NNNN.parquet (account, moment and, under the model's name, whether it came
// true), features.json and features.md, a dictionary of the columns, and
// manifest.json, which names the files with their hashes and comes last: until it is
// there, what was there before is what counts.
//
// Where a table was built before, by the same features, only rows of moments after
// the AsOf of then are made, into a file of their own; the labels of all moments are
// made anew. If the features changed it is ErrChanged.
//
// The tables depend on the facts and AsOf alone: on neither the number of threads nor
// on memory.
func Run(ctx context.Context, p *spec.Project, o Options) (*Summary, error) {
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	models, err := chosen(p, o.Models)
	if err != nil {
		return nil, err
	}
	c, err := readFacts(ctx, p, &o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	sum := &Summary{AsOf: o.AsOf, Excluded: c.Excluded()}
	for s := range p.Sources {
		kept, filtered := c.Records(s)
		sum.Sources = append(sum.Sources, SourceSummary{p.Sources[s].Name, kept, filtered})
	}
	if sum.AsOf == 0 {
		if sum.AsOf = c.Newest(); sum.AsOf == 0 {
			return nil, fmt.Errorf("%w: no record of its sources is dated, or all are left out: %v", ErrProject, sum.Excluded)
		}
		for _, m := range models {
			// Nothing has come since: the tables are as of then all the same.
			if old, err := readManifest(filepath.Join(o.Out, m.Name)); err == nil && old != nil && !o.Rebuild && old.AsOf <= o.Now {
				sum.AsOf = max(sum.AsOf, old.AsOf)
			}
		}
	}
	plan, err := compileTyped(p)
	if err != nil {
		return nil, err
	}
	b := &builder{plan: plan, facts: c, o: &o, sum: sum}
	for _, m := range models {
		t, err := newTable(p, m, &o, sum.AsOf)
		if err != nil {
			b.abort()
			return nil, err
		}
		b.tables = append(b.tables, t)
	}
	if err := b.run(ctx); err != nil {
		b.abort()
		return nil, err
	}
	for _, t := range b.tables {
		if err := t.commit(sum); err != nil {
			b.abort()
			return nil, err
		}
		sum.Models = append(sum.Models, t.summary())
	}
	return sum, nil
}

// readFacts reads the facts of a project, telling progress, which there is then.
func readFacts(ctx context.Context, p *spec.Project, o *Options) (*facts.Collection, error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	if o.AsOf > o.Now {
		return nil, fmt.Errorf("%w: as of %s is in the future: what is to come is not known yet", ErrProject, datasets.FormatTime(o.AsOf))
	}
	const stage, parts = "read", 1000
	c, err := facts.Read(ctx, p, facts.ReadOptions{Dir: o.Dir, AsOf: o.AsOf, Now: o.Now, Memory: o.Memory, Threads: o.Threads,
		Progress: func(done, total int64) { o.Progress(stage, int(done*parts/total), parts) }})
	if err == nil {
		o.Progress(stage, parts, parts)
	}
	return c, err
}

// compileTyped makes the plan of a project whose sources have been looked at: by now the
// kinds of all columns are known, and expressions are held to them.
func compileTyped(p *spec.Project) (*Plan, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return Compile(p)
}

// chosen are the models to build.
func chosen(p *spec.Project, names []string) (out []*spec.Model, err error) {
	var known []string
	for i := range p.Models {
		known = append(known, p.Models[i].Name)
		if names == nil || slices.Contains(names, p.Models[i].Name) {
			out = append(out, &p.Models[i])
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w: there is no model %q made from facts; there are %q", ErrProject, name, known)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no model of it has moments: say when its accounts are looked at (moments: {every: 1mo})", ErrProject)
	}
	return out, nil
}

// builder makes the tables of all models, a part of the facts at a time.
type builder struct {
	plan   *Plan
	facts  *facts.Collection
	o      *Options
	sum    *Summary
	tables []*table
}

// batch is what comes of one part: for each table its rows and labels.
type batch struct {
	rows, labels []*datasets.Table
	counts       []counts
	err          error
}

// counts are those of a model in a part.
type counts struct {
	before  int // moments of earlier builds
	moments int // of this one,
	outside int // of which so many are not of the population
	labels  Labels
}

// run makes parts in parallel and writes them in order.
func (b *builder) run(ctx context.Context) error {
	n := b.facts.Parts()
	g, ctx := errgroup.WithContext(ctx)
	// A batch comes back on its own channel; the channels are queued in order.
	queue := make(chan chan batch, b.o.Threads)
	slots := make(chan struct{}, b.o.Threads)
	g.Go(func() error {
		defer close(queue)
		for i := range n {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			done := make(chan batch, 1)
			g.Go(func() error {
				defer func() { <-slots }()
				made := b.part(i)
				done <- made
				return made.err
			})
			select {
			case queue <- done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	g.Go(func() error {
		i := 0
		for done := range queue {
			select {
			case made := <-done:
				if made.err != nil {
					return made.err
				}
				for k, t := range b.tables {
					if err := t.write(made.rows[k], made.labels[k], &made.counts[k]); err != nil {
						return err
					}
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			i++
			b.o.Progress("build", i, n)
		}
		return nil
	})
	return g.Wait()
}

// part makes the rows and labels of one part of the facts.
func (b *builder) part(i int) (out batch) {
	part, err := b.facts.Part(i)
	if err != nil {
		return batch{err: err}
	}
	var last looked
	for _, t := range b.tables {
		rows, labels, n, err := b.model(t, part, &last)
		if err != nil {
			return batch{err: err}
		}
		out.rows, out.labels, out.counts = append(out.rows, rows), append(out.labels, labels), append(out.counts, n)
	}
	return out
}

// looked are the rows made last: models often look at the same moments.
type looked struct {
	at      []Moment
	columns []datasets.Column
}

// model makes those of one model.
func (b *builder) model(t *table, part *facts.Part, last *looked) (rows, labels *datasets.Table, n counts, err error) {
	at, err := b.plan.Moments(t.name, part, b.sum.AsOf)
	if err != nil {
		return nil, nil, n, err
	}
	label, open, err := b.plan.Labels(t.name, part, at, b.sum.AsOf)
	if err != nil {
		return nil, nil, n, err
	}
	answered := make([]int, 0, len(at))
	for i, x := range label {
		switch {
		case open[i]:
			n.labels.Open++
			continue
		case x != x:
			n.labels.Unanswered++
			continue
		case x == 1:
			n.labels.Yes++
		default:
			n.labels.No++
		}
		answered = append(answered, i)
	}
	labels = keys(t.account, part, at, answered)
	labels.Columns = append(labels.Columns, datasets.Column{Name: t.name, Kind: datasets.Boolean, Numbers: datasets.Take(label, answered)})
	if t.from > firstMoment {
		fresh := make([]Moment, 0, len(at))
		for _, m := range at {
			if m.At > t.from {
				fresh = append(fresh, m)
			}
		}
		n.before = len(at) - len(fresh)
		at = fresh
	}
	n.moments = len(at)
	if last.columns == nil || !slices.Equal(last.at, at) {
		columns, err := b.plan.Rows(part, at)
		if err != nil {
			return nil, nil, n, err
		}
		*last = looked{at, columns}
	}
	rows, err = b.plan.population(t.name, t.account, t.places, part, at, last.columns)
	if err != nil {
		return nil, nil, n, err
	}
	n.outside = len(at) - rows.Rows()
	return rows, labels, n, nil
}

func (b *builder) abort() {
	for _, t := range b.tables {
		t.abort()
	}
}

// ErrChanged says that a table was built by other features than the project has now.
var ErrChanged = errors.New("the features have changed")

// ErrEarlier says that a table was built as of later than is asked for now.
var ErrEarlier = errors.New("built as of later")

// directory is that of a model's tables, made if it is not there.
func directory(out, model string) (string, error) {
	dir := filepath.Join(out, model)
	return dir, os.MkdirAll(dir, 0o777)
}
