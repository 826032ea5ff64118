package stream

import (
	"propensity/datasets"
	"propensity/models"
)

// Batches score the batches of one table, one at a time and in order, as Run does, for a
// caller who has a use for each. They are not safe for concurrent use.
type Batches struct {
	p     *plan
	sum   *Summary
	first int
}

// Batch is a batch of rows and what was answered.
type Batch struct {
	Rows    *datasets.Table
	Moments []int64
	Answers *models.Answers
	// Scored is the table to hand out: account, model, version, as_of, probability, score,
	// percentile, reference, coverage, band, for each reason its feature, points and text, and
	// warnings.
	Scored *datasets.Table
}

// NewBatches scores tables with the given columns. The error is ErrColumns, or about the
// options.
func NewBatches(s *models.Scorer, columns []string, o Options) (*Batches, error) {
	p, sum, err := newPlan(s, columns, o)
	if err != nil {
		return nil, err
	}
	return &Batches{p: p, sum: sum}, nil
}

// Score answers every row of the next batch. The error names the first row that cannot be
// answered, counted from 1 in the whole table.
func (b *Batches) Score(t *datasets.Table) (*Batch, error) {
	scored, err := b.p.score(t, b.first)
	if err != nil {
		return nil, err
	}
	b.first += t.Rows()
	b.p.count(b.sum, scored)
	return &Batch{Rows: t, Moments: scored.moments, Answers: scored.answers, Scored: scored.table}, nil
}

// Skip counts rows that were scored before, so that errors name the right row.
func (b *Batches) Skip(rows int) { b.first += rows }

// None is the table to hand out where there were no rows: its columns alone.
func (b *Batches) None() (*datasets.Table, error) { return b.p.none() }

// Summary is what was done so far.
func (b *Batches) Summary() *Summary { return b.sum }
