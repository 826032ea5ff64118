package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/online"
	"propensity/features/spec"
	"propensity/models"
	"propensity/serve/jobs"
)

// storeAccounts are the accounts of the store that a model is about at a moment, with the
// rows by which the endpoint scores them then.
type storeAccounts struct {
	ctx      context.Context
	accounts *online.Accounts
	plan     *build.Plan
	scorer   *models.Scorer
	model    string // in the plan
	moment   int64
	ask      func() (string, error, bool) // the next account
	stop     func()

	columns []string           // of pages
	from    []int              // of the columns after the account: the plan's output
	to      []int              // and the encoder's column
	row     []datasets.Value   // of the encoder
	answer  models.Answer      // of a row, to see whether it can be scored
	cells   [][]datasets.Value // of a page, by column
}

// jobPage is how many rows a job of the store takes at once.
const jobPage = 1000

// openAccounts lists the accounts of the store for a job. It keeps nothing in memory that
// answers have a use for.
func (s *Server) openAccounts(ctx context.Context, spec *jobs.Spec, scorer *models.Scorer, after string) (jobs.Accounts, error) {
	l := liveOf(scorer.Artifact(), nil)
	if err := l.forJobs(scorer.Artifact().Manifest.Name); err != nil {
		return nil, err
	}
	a := &storeAccounts{
		ctx: ctx, accounts: online.NewAccounts(s.cfg.Store, 0), plan: l.plan, scorer: scorer,
		model: scorer.Artifact().Manifest.Name, moment: spec.AsOf, columns: []string{l.plan.Project().AccountColumn()},
		row: make([]datasets.Value, len(scorer.Encoder().Columns)),
	}
	for k, o := range l.plan.Project().Outputs() {
		if j := scorer.Encoder().Find(o.Name); j >= 0 {
			a.columns, a.from, a.to = append(a.columns, o.Name), append(a.from, k), append(a.to, j)
		}
	}
	a.cells = make([][]datasets.Value, len(a.columns))
	a.ask, a.stop = iter.Pull2(a.accounts.List(ctx, after))
	return a, nil
}

// forJobs says why the accounts of the store cannot be scored.
func (l *live) forJobs(model string) error {
	switch {
	case l.plan == nil:
		return fmt.Errorf("%w: the accounts of the store cannot be scored: %s", jobs.ErrSpec, l.why)
	case !slices.ContainsFunc(l.plan.Project().Models, func(m spec.Model) bool { return m.Name == model }):
		return fmt.Errorf("%w: the accounts of the store cannot be scored: the features of the model do not say which it is about", jobs.ErrSpec)
	}
	return nil
}

// Columns are the account and those that the model takes.
func (a *storeAccounts) Columns() []string { return a.columns }

// Close ends the list.
func (a *storeAccounts) Close() { a.stop() }

// Next gives the next rows.
func (a *storeAccounts) Next() (*jobs.Page, error) {
	page := &jobs.Page{Rows: &datasets.Table{}}
	for j := range a.cells {
		a.cells[j] = a.cells[j][:0]
	}
	for len(a.cells[0]) < jobPage {
		account, err, more := a.ask()
		if err != nil {
			return nil, awayForNow(err)
		}
		if !more {
			break
		}
		page.Last = account
		if err := a.add(account, &page.Skipped); err != nil {
			return nil, err
		}
	}
	if page.Last == "" {
		return nil, io.EOF
	}
	for j, name := range a.columns {
		kind := datasets.Text
		if j > 0 {
			kind = a.scorer.Encoder().Columns[a.to[j-1]].Kind
		}
		page.Rows.Columns = append(page.Rows.Columns, datasets.ColumnOf(name, kind, a.cells[j]))
	}
	return page, nil
}

// add adds the row of an account, or counts why there is none.
func (a *storeAccounts) add(account string, skipped *jobs.Skipped) error {
	ctx, cancel := context.WithTimeout(a.ctx, storeTimeout)
	defer cancel()
	columns, err := a.accounts.Present(ctx, a.plan, a.model, account, a.moment)
	if err == nil {
		e := a.scorer.Encoder()
		for k, j := range a.to {
			a.row[j] = liveValue(&e.Columns[j], columns[a.from[k]].At(0))
		}
		err = a.scorer.Score(&a.answer, a.row, a.moment, 0)
	}
	switch {
	case err == nil:
		a.cells[0] = append(a.cells[0], datasets.Value{Kind: datasets.Text, Text: account})
		for k, j := range a.to {
			a.cells[k+1] = append(a.cells[k+1], a.row[j])
		}
	case errors.Is(err, online.ErrOutside):
		skipped.Outside++
	case errors.Is(err, online.ErrUnknown):
		skipped.Unknown++
	case errors.Is(err, online.ErrMerged):
		skipped.Merged++
	case errors.Is(err, facts.ErrFact), errors.Is(err, build.ErrProject), errors.Is(err, features.ErrType), errors.Is(err, models.ErrScore):
		skipped.Refused++
	default:
		return awayForNow(err)
	}
	return nil
}

// awayForNow marks errors of a store that may answer later.
func awayForNow(err error) error {
	if err = storeError(err); errors.Is(err, online.ErrUnavailable) {
		return fmt.Errorf("%w (%w)", err, jobs.ErrAway)
	}
	return err
}
