package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/stream"
)

// FromStore is the Spec.From of a job that scores all accounts of the store of facts.
const FromStore = "store"

// Accounts are those of a store with their rows, in one total order, as of one moment.
type Accounts interface {
	// Columns are those of every page, the account first.
	Columns() []string
	// Next gives some more: the same number of rows each time, but for the last, so that
	// what is made of them is the same wherever a job goes on; io.EOF after the last. An
	// error that wraps ErrAway is of a store that may answer later.
	Next() (*Page, error)
	// Close lets go of the store.
	Close()
}

// Page is some accounts of a store.
type Page struct {
	Rows    *datasets.Table // one an account
	Last    string          // the last account of the page, whether it has a row or not
	Skipped Skipped         // those without a row
}

// Skipped counts the accounts of a store that have no score, by why.
type Skipped struct {
	Outside int `json:"outside"` // the model is not about them at the moment
	Unknown int `json:"unknown"` // nothing that the model looks at was known of them at the moment
	Merged  int `json:"merged"`  // they were part of another account
	Refused int `json:"refused"` // the model cannot take their facts
}

func (s *Skipped) add(more Skipped) {
	s.Outside += more.Outside
	s.Unknown += more.Unknown
	s.Merged += more.Merged
	s.Refused += more.Refused
}

// place is how far a job of the store is at the end of a piece. It is written beside the
// piece, before it, and counts as long as that is there.
type place struct {
	After   string  `json:"after"`   // the last account that was looked at
	Skipped Skipped `json:"skipped"` // up to it
}

func placeName(k int) string { return fmt.Sprintf("%06d.json", k) }

// storeRows are the accounts of a store as a table that knows its place.
type storeRows struct {
	Accounts
	place place
}

// Next gives the rows of more accounts.
func (s *storeRows) Next() (*datasets.Table, error) {
	for {
		p, err := s.Accounts.Next()
		if err != nil {
			return nil, err
		}
		s.place.After = p.Last
		s.place.Skipped.add(p.Skipped)
		if p.Rows.Rows() > 0 {
			return p.Rows, nil
		}
	}
}

// scoreStore scores the accounts that are in no piece yet.
func (r *Runner) scoreStore(ctx context.Context, j *Job, scorer *models.Scorer, pieces, had int) error {
	var at place
	if pieces > 0 {
		b, err := r.root.ReadFile(filepath.Join(folder, j.ID, placeName(pieces-1)))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &at); err != nil {
			return fmt.Errorf("where piece %d ends is not known: %w", pieces-1, err)
		}
	}
	if err := r.begin(j, "", had); err != nil {
		return err
	}
	accounts, err := r.cfg.Accounts(ctx, &j.Spec, scorer, at.After)
	if err != nil {
		return err
	}
	defer accounts.Close()
	in := &storeRows{accounts, at}
	o := optionsOf(&j.Spec)
	o.Account = in.Columns()[0]
	batches, err := stream.NewBatches(scorer, in.Columns(), o)
	if err != nil {
		return err
	}
	batches.Skip(had)
	r.count(j, in, 0)
	return r.piecesOf(ctx, j, in, batches, pieces)
}

// mark notes where piece k of a job of the store ends, before it is there.
func (r *Runner) mark(j *Job, in stream.Source, k int) error {
	s, ok := in.(*storeRows)
	if !ok {
		return nil
	}
	return r.write(filepath.Join(folder, j.ID, placeName(k)), &s.place)
}

// count tells how many rows more are scored, and what was skipped so far.
func (r *Runner) count(j *Job, in stream.Source, rows int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.Rows += rows; rows > 0 {
		j.Cause = "" // of having waited
	}
	if s, ok := in.(*storeRows); ok {
		skipped := s.place.Skipped
		j.Skipped = &skipped
	}
}

// RowPrefix begins the names of the columns of a row among those of its scores.
const RowPrefix = "row."

// withRow adds the columns of the rows to scores.
func withRow(scored, rows *datasets.Table) {
	for _, c := range rows.Columns[1:] { // after the account
		c.Name = RowPrefix + c.Name
		scored.Columns = append(scored.Columns, c)
	}
}
