package stream

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// scored is one batch of answers.
type scored struct {
	table         *datasets.Table
	bands, states map[string]int
}

// score answers every row of a batch; first is the place of its first row in the file.
func (p *plan) score(t *datasets.Table, first int) (scored, error) {
	e := p.s.Encoder()
	columns := make([]*datasets.Column, len(e.Columns))
	for j := range columns {
		columns[j] = t.Column(e.Columns[j].Name)
	}
	accounts, moments := t.Column(p.account), t.Column(p.moment)
	if moments != nil && moments.Kind != datasets.Time {
		return scored{}, fmt.Errorf("the moment %w", &features.TypeError{
			Column: p.moment, Want: datasets.Time, Value: moments.At(0), Hint: "read the file with the kinds that Kinds gives"})
	}
	row := make([]datasets.Value, len(columns))
	b := newBatch(p, t.Rows())
	var a models.Answer
	for i := range t.Rows() {
		for j, c := range columns {
			row[j] = datasets.Value{}
			if c != nil {
				row[j] = c.At(i)
			}
		}
		moment := p.o.AsOf
		if moments != nil {
			if moment = moments.Times[i]; moment == datasets.MissingTime {
				return scored{}, fmt.Errorf("row %d has no moment in %q", first+i+1, p.moment)
			}
		}
		if err := p.s.Score(&a, row, moment, p.o.Reasons); err != nil {
			return scored{}, fmt.Errorf("row %d: %w", first+i+1, err)
		}
		if accounts != nil {
			a.Account = accounts.At(i).String()
		}
		b.add(&a, moment)
	}
	b.table = b.columns()
	return b.scored, nil
}

// batch collects answers as columns.
type batch struct {
	scored
	p       *plan
	account text
	model   text
	band    text
	warning text
	feature []text
	reason  []text
	points  [][]float64
	asOf    []int64
	numbers [6][]float64
}

var numberNames = [...]string{"version", "probability", "score", "percentile", "reference", "coverage"}

func newBatch(p *plan, rows int) *batch {
	b := &batch{p: p, scored: scored{bands: map[string]int{}, states: map[string]int{}}}
	b.feature, b.reason = make([]text, p.o.Reasons), make([]text, p.o.Reasons)
	b.points = make([][]float64, p.o.Reasons)
	b.asOf = make([]int64, 0, rows)
	for k := range b.numbers {
		b.numbers[k] = make([]float64, 0, rows)
	}
	return b
}

func (b *batch) add(a *models.Answer, moment int64) {
	b.account.add(a.Account, a.Account == "")
	b.model.add(b.p.o.Model, false)
	b.band.add(a.Band, false)
	b.bands[a.Band]++
	b.asOf = append(b.asOf, moment)
	for k, x := range [...]float64{float64(b.p.o.Version), a.Probability, float64(a.Score), a.Percentile, a.Reference, a.Coverage} {
		b.numbers[k] = append(b.numbers[k], x)
	}
	for k := range b.reason {
		points := math.NaN()
		var r models.Reason
		if k < len(a.Reasons) {
			r = a.Reasons[k]
			points = r.Points
		}
		b.feature[k].add(r.Feature, r.Feature == "")
		b.reason[k].add(r.Text, r.Text == "")
		b.points[k] = append(b.points[k], points)
	}
	var details []string
	for _, w := range a.Warnings {
		b.states[w.State]++
		details = append(details, w.Detail)
	}
	b.warning.add(strings.Join(details, "; "), len(details) == 0)
}

// columns is the output table; an account is left out where none is known.
func (b *batch) columns() *datasets.Table {
	t := &datasets.Table{}
	add := func(c datasets.Column) { t.Columns = append(t.Columns, c) }
	if b.p.account != "" {
		add(b.account.column("account"))
	}
	add(b.model.column("model"))
	add(datasets.Column{Name: numberNames[0], Kind: datasets.Number, Numbers: b.numbers[0]})
	add(datasets.Column{Name: "as_of", Kind: datasets.Time, Times: b.asOf})
	for k := 1; k < len(numberNames); k++ {
		add(datasets.Column{Name: numberNames[k], Kind: datasets.Number, Numbers: b.numbers[k]})
	}
	add(b.band.column("band"))
	for k := range b.reason {
		n := strconv.Itoa(k + 1)
		add(b.feature[k].column("reason_" + n + "_feature"))
		add(datasets.Column{Name: "reason_" + n + "_points", Kind: datasets.Number, Numbers: b.points[k]})
		add(b.reason[k].column("reason_" + n))
	}
	add(b.warning.column("warnings"))
	return t
}

// text collects a column of strings.
type text struct {
	codes  []int32
	values []string
	places map[string]int32
}

func (t *text) add(s string, missing bool) {
	if missing {
		t.codes = append(t.codes, -1)
		return
	}
	if t.places == nil {
		t.places = make(map[string]int32)
	}
	k, ok := t.places[s]
	if !ok {
		k = int32(len(t.values))
		t.places[s] = k
		t.values = append(t.values, s)
	}
	t.codes = append(t.codes, k)
}

func (t *text) column(name string) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Text, Codes: t.codes, Values: t.values}
}
