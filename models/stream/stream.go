// Package stream scores a table from one file into another, a batch at a time,
// in bounded memory and in the order of the rows.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// Options of a run.
type Options struct {
	Model   string // name and version that the output names
	Version int
	Reasons int // columns of reasons; 0 writes none
	// AsOf is the moment of every row, microseconds since 1970 UTC, where the table
	// has no column of the model's moment.
	AsOf int64
	// AllowMissing takes columns that the model needs and the table lacks as missing.
	AllowMissing bool
	// Account is the column of ids; empty: the model's own, if the table has it.
	Account string
}

// Summary is what a run did.
type Summary struct {
	Rows    int            `json:"rows"`
	Bands   map[string]int `json:"bands"`
	States  map[string]int `json:"states"`  // cells by state, known ones apart
	Ignored []string       `json:"ignored"` // columns that the model does not know
	Absent  []string       `json:"absent"`  // columns it knows and the table lacks
}

// ErrColumns is wrapped by the error about columns that the model needs.
var ErrColumns = errors.New("columns are missing")

// Kinds are the kinds to hold a file to that is to be scored: those of the
// encoder's columns, the id letter by letter, the moment as a time.
func Kinds(s *models.Scorer, o Options) map[string]datasets.Kind {
	kinds := s.Encoder().Kinds()
	if id := accountColumn(s, o); id != "" {
		kinds[id] = datasets.Text
	}
	if m := s.Artifact().Manifest.Moment; m != "" {
		kinds[m] = datasets.Time
	}
	return kinds
}

func accountColumn(s *models.Scorer, o Options) string {
	if o.Account != "" {
		return o.Account
	}
	return s.Artifact().Manifest.Account
}

// plan is where things are in the batches of one file.
type plan struct {
	s       *models.Scorer
	o       Options
	account string // column of the id, "" if there is none
	moment  string
}

// Source gives the batches of a table; *datasets.Reader is one.
type Source interface {
	Columns() []string
	Next() (*datasets.Table, error)
}

// Sink takes scored batches in order; *datasets.Writer is one.
type Sink interface {
	Write(*datasets.Table) error
}

// Run scores every row of the source into the sink. Tick, which may be nil, is
// told the number of rows written so far. A cell that the model cannot take ends
// the run with an error that names its row: nothing is left out silently.
func Run(ctx context.Context, s *models.Scorer, in Source, out Sink, o Options, tick func(rows int)) (*Summary, error) {
	p, sum, err := newPlan(s, in.Columns(), o)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	// A scored batch comes back on its own channel; the channels are queued in the
	// order of reading, which the writer follows.
	queue := make(chan chan scored, workers)
	slots := make(chan struct{}, workers)
	g.Go(func() error {
		defer close(queue)
		for first := 0; ; {
			t, err := in.Next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			done := make(chan scored, 1)
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			start := first
			g.Go(func() error {
				defer func() { <-slots }()
				b, err := p.score(t, start)
				done <- b
				return err
			})
			first += t.Rows()
			select {
			case queue <- done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	g.Go(func() error {
		written := false
		for done := range queue {
			b := <-done
			if b.table == nil {
				return nil // its worker's error ends the run
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := out.Write(b.table); err != nil {
				return err
			}
			written = true
			p.count(sum, b)
			if tick != nil {
				tick(sum.Rows)
			}
		}
		if !written && ctx.Err() == nil {
			none, err := p.none()
			if err != nil {
				return err
			}
			return out.Write(none)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return sum, nil
}

func newPlan(s *models.Scorer, columns []string, o Options) (*plan, *Summary, error) {
	p := &plan{s: s, o: o}
	sum := &Summary{Bands: map[string]int{}, States: map[string]int{}, Ignored: []string{}, Absent: []string{}}
	if id := accountColumn(s, o); slices.Contains(columns, id) {
		p.account = id
	} else if o.Account != "" {
		return nil, nil, fmt.Errorf("%w: no column %q of accounts", ErrColumns, o.Account)
	}
	if m := s.Artifact().Manifest.Moment; m != "" && slices.Contains(columns, m) {
		p.moment = m
	}
	if o.Reasons < 0 {
		return nil, nil, fmt.Errorf("%d reasons: give 0 or more", o.Reasons)
	}
	e := s.Encoder()
	for i := range e.Columns {
		if name := e.Columns[i].Name; !slices.Contains(columns, name) {
			sum.Absent = append(sum.Absent, name)
		}
	}
	if len(sum.Absent) > 0 && !o.AllowMissing {
		return nil, nil, fmt.Errorf("%w: the model needs %s; add them, or say that they may be missing (--allow-missing)",
			ErrColumns, strings.Join(quoted(sum.Absent), ", "))
	}
	known := s.Artifact().Manifest
	for _, c := range columns {
		if e.Find(c) < 0 && c != p.account && c != p.moment && c != known.Label.Column && !leftOut(&known, c) {
			sum.Ignored = append(sum.Ignored, c)
		}
	}
	return p, sum, nil
}

func leftOut(m *models.Manifest, column string) bool {
	for _, l := range m.LeftOut {
		if l.Column == column {
			return true
		}
	}
	return false
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return out
}

// count adds a batch to the summary.
func (p *plan) count(s *Summary, b scored) {
	s.Rows += b.table.Rows()
	for k, n := range b.answers.Bands {
		if n > 0 {
			s.Bands[p.s.Artifact().Manifest.Bands[k].Name] += n
		}
	}
	for state, n := range b.answers.States {
		if n > 0 {
			s.States[features.State(state).String()] += n
		}
	}
}
