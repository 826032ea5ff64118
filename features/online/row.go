package online

import (
	"context"

	"propensity/datasets"
	"propensity/features/build"
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
