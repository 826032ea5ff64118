package build

import (
	"fmt"
	"math"

	"propensity/datasets"
	"propensity/features/facts"
	"propensity/features/spec"
)

// Rows makes one row a moment: the columns of Project.Outputs, in that order. The
// moments are sorted by account, then by time. A row shows what had occurred and
// arrived strictly before its moment. It is safe to call for several parts, or for
// one, at once.
//
// An error wraps ErrProject: a column of the part is not of the kind that a feature
// or an expression needs.
func (p *Plan) Rows(part *facts.Part, at []Moment) ([]datasets.Column, error) {
	if err := p.check(part, at); err != nil {
		return nil, err
	}
	s, _ := p.spare.Get().(*scratch)
	if s == nil {
		s = newScratch(p)
	}
	defer func() {
		s.release()
		p.spare.Put(s)
	}()
	if err := s.prepare(part, len(at)); err != nil {
		return nil, err
	}
	for from := 0; from < len(at); {
		to := from + 1
		for to < len(at) && at[to].Account == at[from].Account {
			to++
		}
		s.account(at, from, to)
		from = to
	}
	columns, err := s.columns()
	if err != nil {
		return nil, err
	}
	return columns, p.derive(columns)
}

func (p *Plan) check(part *facts.Part, at []Moment) error {
	if len(part.Sources) != len(p.project.Sources) {
		return fmt.Errorf("%w: facts of %d sources for a project of %d", ErrProject, len(part.Sources), len(p.project.Sources))
	}
	for i := range part.Sources {
		if n, want := len(part.Sources[i].Columns), len(p.project.Sources[i].Columns); n != want {
			return fmt.Errorf("%w: facts of %s have %d columns, not %d", ErrProject, p.project.Sources[i].Name, n, want)
		}
	}
	for i, m := range at {
		if m.Account < 0 || m.Account >= len(part.Accounts) {
			return fmt.Errorf("%w: moment %d is of account number %d of %d", ErrProject, i, m.Account, len(part.Accounts))
		}
		if i > 0 && (m.Account < at[i-1].Account || m.Account == at[i-1].Account && m.At < at[i-1].At) {
			return fmt.Errorf("%w: moment %d is not in order", ErrProject, i)
		}
	}
	return nil
}

// account fills the rows from to to, which are of one account.
func (s *scratch) account(at []Moment, from, to int) {
	number := at[from].Account
	s.first = from
	s.windows(at[from:to])
	if s.plan.signUps {
		s.findSignUps(number)
	}
	for _, l := range s.lanes {
		s.look(l, number)
	}
}

// windows finds the edges of all windows at the account's moments.
func (s *scratch) windows(at []Moment) {
	same := len(at) == len(s.moments)
	for k := 0; same && k < len(at); k++ {
		same = at[k].At == s.moments[k]
	}
	if same && len(at) > 0 {
		return
	}
	s.moments = s.moments[:0]
	for _, m := range at {
		s.moments = append(s.moments, m.At)
	}
	for i := range s.plan.spans {
		edges := s.edges[i][:0]
		for _, m := range s.moments {
			edges = append(edges, s.edge(&s.plan.spans[i], m))
		}
		s.edges[i] = edges
	}
}

func (s *scratch) edge(x *span, moment int64) edge {
	w := x.window
	if w.IsZero() {
		return edge{math.MinInt64, moment}
	}
	start := s.start(w, moment)
	if !x.earlier {
		return edge{start, moment}
	}
	w.Months, w.Micros = 2*w.Months, 2*w.Micros
	return edge{s.start(w, moment), start}
}

// monthly is where a calendar window begins.
type monthly struct {
	months        int
	moment, start int64
}

// start is where a window begins. Those of months are remembered, because most
// accounts are looked at at the same moments.
func (s *scratch) start(w spec.Window, moment int64) int64 {
	if w.Months == 0 {
		return moment - w.Micros
	}
	m := &s.months[(uint64(moment)*0x9e3779b97f4a7c15+uint64(w.Months)*0xff51afd7ed558ccd)>>56]
	if m.months != w.Months || m.moment != moment {
		*m = monthly{w.Months, moment, w.Start(moment, s.plan.calendar.zone)}
	}
	return m.start
}

// findSignUps finds, for each moment, when the account's first attributes were of,
// as it was known then.
func (s *scratch) findSignUps(account int) {
	s.signUp = s.signUp[:0]
	for _, m := range s.moments {
		s.signUp = append(s.signUp, s.plan.signUp(s.part, account, func(f *facts.Facts, i int) bool { return visible(f, i, m) }))
	}
}

// signUp is the date of the first of the account's dated attributes that are known;
// Never if there are none.
func (p *Plan) signUp(part *facts.Part, account int, known func(f *facts.Facts, i int) bool) int64 {
	first := facts.Never
	for k := range p.project.Sources {
		if p.project.Sources[k].Kind != spec.Attributes {
			continue
		}
		f := &part.Sources[k]
		for i := f.First[account]; i < f.First[account+1] && f.Occurred[i] < first; i++ {
			if f.Occurred[i] > facts.Always && known(f, i) {
				first = f.Occurred[i]
			}
		}
	}
	return first
}
