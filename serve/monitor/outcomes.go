package monitor

import (
	"context"
	"errors"
	"fmt"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/serve/ledger"
)

// Ledger gives scores with what became of them, by when they were given.
type Ledger interface {
	Each(ctx context.Context, q ledger.Query, each func(list []ledger.Kept) error) error
}

// OutcomeQuery says of which scores the outcomes are summed up: those whose horizon ended
// within so long before now. Times are in µs.
type OutcomeQuery struct {
	Now, Horizon, Over int64
	// Most bounds the scores that are read.
	Most int
}

// errEnough ends the reading.
var errEnough = errors.New("enough was read")

// ReadOutcomes sums up what the ledger knows of the outcomes of a version's scores. Only
// scores whose horizon is over count: of the others, what comes true early is known before
// what does not.
func ReadOutcomes(ctx context.Context, l Ledger, s *Shape, q OutcomeQuery) (*Settled, error) {
	var list []Outcome
	open, read := 0, 0
	until := q.Now
	if q.Horizon > 0 {
		until -= q.Horizon
	}
	query := ledger.Query{Model: s.Model, Since: max(1, until-q.Over), Until: max(1, until)}
	err := l.Each(ctx, query, func(some []ledger.Kept) error {
		for i := range some {
			k := &some[i]
			if read++; q.Most > 0 && read > q.Most {
				return errEnough
			}
			switch {
			case k.Version != s.Version || k.Hash != s.Hash:
			case !k.Mature && q.Horizon > 0:
			case k.Label != k.Label || !k.Mature:
				open++
			default:
				list = append(list, Outcome{k.Account, k.Probability, k.Raw, k.Band, k.Label == 1})
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return s.Settle(list, open)
}

// Counted is what the scores of a ledger add up to.
type Counted struct {
	Counts *Counts
	// WithoutRows are scores whose rows were not kept; they are not in Counts.
	WithoutRows int
}

// CountLedger counts the scores that a version gave, as Live does while they are given:
// each row is scored again, which gives the very same answer.
func CountLedger(ctx context.Context, l Ledger, scorer *models.Scorer, s *Shape, span Span) (*Counted, error) {
	live, out := NewLive(s), &Counted{}
	var a models.Answer
	err := l.Each(ctx, ledger.Query{Model: s.Model, Since: span.From, Until: span.To}, func(some []ledger.Kept) error {
		for i := range some {
			k := &some[i]
			switch {
			case k.Version != s.Version || k.Hash != s.Hash || k.Origin == ledger.OriginShadow:
				continue
			case k.Row == nil:
				out.WithoutRows++
				continue
			}
			if err := scorer.Score(&a, k.Row, k.AsOf, 0); err != nil {
				return fmt.Errorf("score %d of the ledger: %w", k.Number, err)
			}
			live.Count(&a, k.Account)
		}
		return nil
	})
	out.Counts = live.Take()
	return out, err
}

// CountTable counts the rows of a table as Live counts scores: as of the moment that the
// artifact names a column of, or else of the one given (µs since 1970 UTC). A column that
// the table lacks is missing in every row. The error is a *features.RowError of the first
// row that cannot be scored.
func CountTable(scorer *models.Scorer, s *Shape, t *datasets.Table, moment int64) (*Counts, error) {
	m := &scorer.Artifact().Manifest
	columns := make([]*datasets.Column, len(s.columns))
	for j := range columns {
		columns[j] = t.Column(s.columns[j].name)
	}
	account, moments := t.Column(m.Account), t.Column(m.Moment)
	if moments != nil && moments.Kind != datasets.Time {
		moments = nil
	}
	live, row := NewLive(s), make([]datasets.Value, len(columns))
	var a models.Answer
	for i := range t.Rows() {
		for j, c := range columns {
			if row[j] = (datasets.Value{}); c != nil {
				row[j] = c.At(i)
			}
		}
		at := moment
		if moments != nil && moments.Times[i] != datasets.MissingTime {
			at = moments.Times[i]
		}
		if err := scorer.Score(&a, row, at, 0); err != nil {
			return nil, &features.RowError{Row: i, Err: err}
		}
		name := ""
		if account != nil {
			name = account.At(i).String()
		}
		live.Count(&a, name)
	}
	return live.Take(), nil
}
