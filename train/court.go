package train

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/train/leaks"
)

// courtRows is how many rows of a large table the court hears: bounds that allow
// for chance are narrow by then.
const courtRows = 250_000

// court looks for columns that know the outcome, in the given rows and in those
// whose outcome is not known yet.
func (p *prepared) court(ctx context.Context, s Spec, rows []int) ([]models.Leak, error) {
	rows = spaced(rows, courtRows)
	in := leaks.Input{
		Names:     p.candidates,
		LabelName: s.Label,
		Label:     datasets.Take(p.label, rows),
		Moments:   datasets.Take(p.moments, rows),
		InOrder:   s.Split == SplitOrder,
		Seed:      s.Seed,
		Cleared:   s.Leaks,
		Column: func(name string) (datasets.Column, error) {
			c, err := p.column(name)
			if err != nil {
				return c, err
			}
			return pick(&c, rows), nil
		},
	}
	in.Group, _ = datasets.NumberKeys(datasets.Take(p.keys, rows))
	if p.places != nil {
		open := spaced(p.open(), courtRows)
		in.Open = func(name string) (datasets.Column, error) {
			c, err := p.source.Column(name)
			if err != nil {
				return c, err
			}
			return pick(&c, open), nil
		}
	}
	return leaks.Examine(ctx, in)
}

// open are the rows of the file without a label.
func (p *prepared) open() []int {
	out := make([]int, 0, p.unlabelled)
	k := 0
	for i := range p.source.Rows() {
		if k < len(p.places) && p.places[k] == i {
			k++
			continue
		}
		out = append(out, i)
	}
	return out
}

// sentence takes out of the candidates what the court does not keep.
func (p *prepared) sentence(found []models.Leak) {
	for _, l := range found {
		if i := slices.Index(p.candidates, l.Column); i >= 0 && !l.Kept {
			p.candidates = slices.Delete(slices.Clone(p.candidates), i, i+1)
			p.left = append(p.left, features.LeftOut{Column: l.Column, Reason: why(l) + "; if that is wrong, say why under leaks"})
		}
	}
}

// suspects tells of columns that are learnt from although they may know the
// outcome.
func suspects(found []models.Leak) string {
	var names []string
	first := ""
	for _, l := range found {
		switch {
		case l.Cleared != "":
			first += fmt.Sprintf("%s may know the outcome (%s) and is learnt from because: %s; ", l.Column, l.Evidence[0].Detail, l.Cleared)
		case l.Column == leaks.RowOrder:
			first += "the order of the rows may know the outcome: " + l.Evidence[0].Detail + "; "
		case l.Kept:
			names = append(names, fmt.Sprintf("%s (%s)", l.Column, l.Evidence[0].Detail))
		}
	}
	if len(names) == 0 {
		return strings.TrimSuffix(first, "; ")
	}
	more := ""
	if n := len(names) - 3; n > 0 {
		names, more = names[:3], fmt.Sprintf("; and %d more", n)
	}
	return first + "may know the outcome and are learnt from all the same: " + strings.Join(names, "; ") + more + "; leave out with drop what was not known at the moment"
}

// why says what speaks against a column that was left out.
func why(l models.Leak) string {
	verdict := "it knows the outcome: "
	var details []string
	for _, e := range l.Evidence {
		if e.Kind == leaks.Copy {
			verdict = "it is a copy of the label: "
		}
		details = append(details, e.Detail)
	}
	return verdict + strings.Join(details, "; ")
}
