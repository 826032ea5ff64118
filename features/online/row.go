package online

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/spec"
)

// Row is what is known of an account at a moment: the columns of Project.Outputs, of
// one row. It is the offline table's row of that moment, bit for bit: the same
// function on the same facts. Errors are those of Part, or wrap build.ErrProject.
func (a *Accounts) Row(ctx context.Context, plan *build.Plan, account string, moment int64) ([]datasets.Column, error) {
	part, err := a.Part(ctx, plan.Project(), account, moment)
	if err != nil {
		return nil, err
	}
	return plan.Rows(part, []build.Moment{{At: moment}})
}

// ErrOutside is wrapped by the error about an account that a model is not about.
var ErrOutside = errors.New("the model is not about the account")

// Present is Row, of an account that a model of the plan is about at the moment: one that
// build.OpenPresent gives a row of. The error wraps ErrOutside if it is not.
func (a *Accounts) Present(ctx context.Context, plan *build.Plan, model, account string, moment int64) ([]datasets.Column, error) {
	p := plan.Project()
	part, err := a.Part(ctx, p, account, moment)
	if err != nil {
		return nil, err
	}
	about, err := plan.Present(model, part, moment)
	if err == nil && len(about) == 0 && looksBack(p, model) {
		all, fault := a.whole(ctx, p, account)
		if fault != nil {
			return nil, fault
		}
		about, err = plan.Present(model, all, moment)
	}
	if err != nil {
		return nil, err
	}
	outside := fmt.Errorf("%w %q at %s", ErrOutside, clip(account), datasets.FormatTime(moment))
	if len(about) == 0 {
		return nil, outside
	}
	columns, err := plan.Rows(part, about)
	if err != nil {
		return nil, err
	}
	keep, err := plan.Keep(model, columns)
	if err != nil {
		return nil, err
	}
	if !keep[0] {
		return nil, outside
	}
	return columns, nil
}

// looksBack says whether facts that are too long ago for any row of the moment may tell
// that a model is about an account: a renewal or an event whose horizon is not over, or
// any fact at all. Attributes, and intervals that have not ended, are in every part.
func looksBack(p *spec.Project, model string) bool {
	return slices.ContainsFunc(p.Models, func(m spec.Model) bool {
		return m.Name == model && (m.Moments.On != "" || len(m.Moments.Before) > 0 || m.Moments.While == "" && !m.Moments.Every.IsZero())
	})
}
