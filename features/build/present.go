package build

import (
	"context"
	"errors"
	"fmt"
	"io"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Present gives the rows of the accounts that a model is asked about at one instant, a
// batch at a time: the accounts that are in the state its moments ask for (while) and
// whose question is open: with moments every so long all of those, else those with a
// moment whose horizon is not over.
type Present struct {
	ctx     context.Context
	plan    *Plan
	model   *spec.Model
	facts   *facts.Collection
	places  []int // of the model's columns among the outputs
	names   []string
	account string
	at      int64
	next    int
}

// OpenPresent reads the facts of a project, of which the model is one, up to o.AsOf (0:
// the newest arrival), and makes their rows as of then. Of the options it takes Dir,
// AsOf, Now, Memory, Threads and Progress.
func OpenPresent(ctx context.Context, p *spec.Project, model string, o Options) (*Present, error) {
	c, err := readFacts(ctx, p, &o)
	if err != nil {
		return nil, err
	}
	r := &Present{ctx: ctx, facts: c, account: p.AccountColumn(), at: o.AsOf}
	if r.at == 0 {
		r.at = c.Newest()
	}
	if r.plan, err = compileTyped(p); err == nil {
		r.model, err = r.plan.model(model)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	r.places = taken(r.plan.outputs, r.model)
	r.names = []string{r.account, spec.MomentColumn}
	for _, k := range r.places {
		r.names = append(r.names, r.plan.outputs[k].Name)
	}
	return r, nil
}

// At is the instant.
func (r *Present) At() int64 { return r.at }

// Excluded are the records that were left out.
func (r *Present) Excluded() []facts.Exclusion { return r.facts.Excluded() }

// Columns are those of every batch: the account, the moment, and what the features of
// the model make.
func (r *Present) Columns() []string { return r.names }

// Next gives the rows of more accounts; io.EOF after the last.
func (r *Present) Next() (*datasets.Table, error) {
	for r.next < r.facts.Parts() {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		part, err := r.facts.Part(r.next)
		if err != nil {
			return nil, err
		}
		r.next++
		t, err := r.rows(part)
		if err != nil || t.Rows() > 0 {
			return t, err
		}
	}
	return nil, io.EOF
}

func (r *Present) rows(part *facts.Part) (*datasets.Table, error) {
	at, err := r.plan.Present(r.model.Name, part, r.at)
	if err != nil {
		return nil, err
	}
	columns, err := r.plan.Rows(part, at)
	if err != nil {
		return nil, err
	}
	return r.plan.population(r.model.Name, r.account, r.places, part, at, columns)
}

// Close lets go of the facts.
func (r *Present) Close() error { return r.facts.Close() }

// Present are the accounts of a part that a model is asked about at an instant, but for
// its population (see Keep): those that OpenPresent gives rows of. An error wraps
// ErrProject.
func (p *Plan) Present(model string, part *facts.Part, at int64) ([]Moment, error) {
	m, err := p.model(model)
	if err != nil {
		return nil, err
	}
	always := *m
	always.Moments.Since, always.Moments.Until = 0, 0 // they bound what is learnt from
	f, err := p.finder(&always, part, at)
	if err != nil {
		return nil, fmt.Errorf("%w: line %d: model %s: moments: %w", ErrProject, m.Line, m.Name, err)
	}
	var out []Moment
	var own []int64
	zone := p.calendar.zone
	for account := range part.Accounts {
		if !f.holds(account, at) {
			continue
		}
		open := !m.Moments.Every.IsZero()
		if !open {
			own = f.find(own[:0], account)
			for _, t := range own {
				open = open || at < m.Label.Horizon.After(m.Gap.After(t, zone), zone)
			}
		}
		if open {
			out = append(out, Moment{account, at})
		}
	}
	return out, nil
}
