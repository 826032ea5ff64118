package stream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// scored is one batch of answers.
type scored struct {
	table   *datasets.Table
	moments []int64
	answers *models.Answers
}

// score answers every row of a batch; first is the place of its first row in the file.
func (p *plan) score(t *datasets.Table, first int) (scored, error) {
	moments, fault := p.moments(t, first)
	if fault != nil && len(moments) == 0 {
		return scored{}, fault
	}
	if fault != nil { // of the first row that has none: those before it may have faults too
		t = t.Take(places(len(moments)))
	}
	a, err := p.s.ScoreTable(t, moments, p.o.Reasons)
	var row *features.RowError
	switch {
	case errors.As(err, &row):
		return scored{}, fmt.Errorf("row %d: %w", first+row.Row+1, row.Err)
	case err != nil:
		return scored{}, err
	case fault != nil:
		return scored{}, fault
	}
	return scored{p.output(t, moments, a), moments, a}, nil
}

// none is the output of no rows: a table without rows has its columns.
func (p *plan) none() (*datasets.Table, error) {
	a, err := p.s.ScoreTable(&datasets.Table{}, nil, p.o.Reasons)
	if err != nil {
		return nil, err
	}
	return p.output(&datasets.Table{}, nil, a), nil
}

// moments are those of the rows; with an error, of the rows before the first that
// has none.
func (p *plan) moments(t *datasets.Table, first int) ([]int64, error) {
	c := t.Column(p.moment)
	if c == nil {
		return slices.Repeat([]int64{p.o.AsOf}, t.Rows()), nil
	}
	if c.Kind != datasets.Time {
		return nil, fmt.Errorf("the moment %w", &features.TypeError{
			Column: p.moment, Want: datasets.Time, Value: c.At(0), Hint: "read the file with the kinds that Kinds gives"})
	}
	if i := slices.Index(c.Times, datasets.MissingTime); i >= 0 {
		return c.Times[:i], fmt.Errorf("row %d has no moment in %q", first+i+1, p.moment)
	}
	return c.Times, nil
}

// places are 0 to n-1.
func places(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// output is the table to write; an account is left out where none is known.
func (p *plan) output(in *datasets.Table, moments []int64, a *models.Answers) *datasets.Table {
	rows := len(moments)
	t := &datasets.Table{}
	add := func(name string, c datasets.Column) {
		c.Name = name
		t.Columns = append(t.Columns, c)
	}
	number := func(name string, xs []float64) {
		add(name, datasets.Column{Kind: datasets.Number, Numbers: xs})
	}
	if p.account != "" {
		add("account", accounts(in.Column(p.account)))
	}
	add("model", datasets.Column{Kind: datasets.Text, Codes: make([]int32, rows), Values: []string{p.o.Model}})
	number("version", slices.Repeat([]float64{float64(p.o.Version)}, rows))
	add("as_of", datasets.Column{Kind: datasets.Time, Times: moments})
	number("probability", a.Probability)
	number("score", a.Score)
	number("percentile", a.Percentile)
	number("reference", slices.Repeat([]float64{a.Reference}, rows))
	number("coverage", a.Coverage)
	add("band", a.Band)
	for k := range a.Reasons {
		n := "reason_" + strconv.Itoa(k+1)
		add(n+"_feature", a.Reasons[k].Feature)
		add(n+"_points", a.Reasons[k].Points)
		add(n, a.Reasons[k].Text)
	}
	add("warnings", a.Warnings)
	return t
}

// accounts are the ids as text, letter by letter; an empty one is missing.
func accounts(c *datasets.Column) datasets.Column {
	if c == nil {
		return datasets.Column{Kind: datasets.Text, Codes: []int32{}}
	}
	if (c.Kind == datasets.Text || c.Kind == datasets.Category) && !slices.Contains(c.Values, "") {
		return datasets.Column{Kind: datasets.Text, Codes: c.Codes, Values: c.Values}
	}
	out := datasets.Column{Kind: datasets.Text, Codes: make([]int32, 0, c.Len())}
	codes := map[string]int32{"": -1}
	for i := range c.Len() {
		s := c.At(i).String()
		code, ok := codes[s]
		if !ok {
			code = int32(len(out.Values))
			codes[s] = code
			out.Values = append(out.Values, s)
		}
		out.Codes = append(out.Codes, code)
	}
	return out
}
