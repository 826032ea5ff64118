package serve

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features/spec"
)

const atStakeField = "at_stake"

// stake is the money that what a model foretells is about.
type stake struct {
	Column string `json:"column"` // of the money, a month
	// Value is what the account pays a month, Months the horizon of the model, and
	// Expected the probability x Value x Months.
	Value    *float64 `json:"value,omitempty"`
	Months   float64  `json:"months,omitempty"`
	Expected *float64 `json:"expected,omitempty"`
	Cause    string   `json:"cause,omitempty"` // why it is not known
}

// daysOfMonth turns days into months: 365.25 / 12.
const daysOfMonth = 30.4375

// stakeOf is what is at stake by one opinion, nil if the model names no column of money.
// An error is of the store.
func (s *Server) stakeOf(ctx context.Context, o *opinion, q *allRequest) (*stake, error) {
	v := o.version
	column := v.scorer.Artifact().Manifest.Value
	if column == "" {
		return nil, nil
	}
	out := &stake{Column: column, Months: v.months()}
	value, err := s.valueOf(ctx, v, column, q)
	if err != nil {
		return nil, err
	}
	switch {
	case math.IsNaN(value):
		out.Cause = column + " is not known of this account"
	case out.Months == 0:
		out.Cause = "the model does not say how far it looks ahead"
	default:
		expected := o.probability * value * out.Months
		out.Expected = &expected
	}
	if !math.IsNaN(value) {
		out.Value = &value
	}
	return out, nil
}

// months is the horizon of a version, calendar months whole; 0 if it is not known.
func (v *version) months() float64 {
	const monthMicros = daysOfMonth * float64(day24)
	if l := v.label(); l != nil {
		return float64(l.Horizon.Months) + float64(l.Horizon.Micros)/monthMicros
	}
	return float64(horizonOf(v.scorer.Artifact().Manifest.Split.Horizon)) / monthMicros
}

// day24 is a day of 24 hours in microseconds.
const day24 = int64(24 * 60 * 60 * 1_000_000)

// label is what a version that was learnt from facts foretells; nil of any other.
func (v *version) label() *spec.Label {
	if v.live.plan == nil {
		return nil
	}
	models := v.live.plan.Project().Models
	i := slices.IndexFunc(models, func(m spec.Model) bool { return m.Name == v.scorer.Artifact().Manifest.Name })
	if i < 0 {
		return nil
	}
	return &models[i].Label
}

// valueOf is the money of the account: as it was posted, or else as the store knows it;
// NaN if neither does.
func (s *Server) valueOf(ctx context.Context, v *version, column string, q *allRequest) (float64, error) {
	if row, _ := q.rowOf(v.name); row != nil {
		if x, posted := numberIn(row, column); posted {
			return x, nil
		}
	}
	if s.accounts == nil || v.live.plan == nil || q.account == "" {
		return math.NaN(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	columns, err := s.accounts.Row(ctx, v.live.plan, q.account, q.moment)
	if err != nil { // of an account of which nothing is known there was a whole row
		if p := problemOf(storeError(err)); p.Status < 500 {
			return math.NaN(), nil
		}
		return 0, storeError(err)
	}
	for i := range columns {
		if columns[i].Name == column && columns[i].Kind == datasets.Number {
			return columns[i].Numbers[0], nil
		}
	}
	return math.NaN(), nil
}

// numberIn finds a number in a row that has been read before; NaN if it is there and no
// number.
func numberIn(row []byte, column string) (x float64, ok bool) {
	s := scanner{text: row}
	x = math.NaN()
	_ = s.object(func(name string) error {
		start := s.at
		err := s.skip(2)
		if name == column {
			ok = true
			if number, err := strconv.ParseFloat(string(s.text[start:s.at]), 64); err == nil {
				x = number
			}
		}
		return err
	})
	return x, ok
}

// contradiction warns of two models that cannot both be right, or whose advice is not.
type contradiction struct {
	Models []string `json:"models"`
	State  string   `json:"state"` // impossible, contradictory
	Detail string   `json:"detail"`
}

// contradictions looks at each model of accounts that leave beside each of accounts that
// grow. Who has left by the end of the horizon has not grown by then: over one horizon
// the two probabilities can sum to 1 at most, and more is impossible. Where both are of
// band A, over whatever horizons, they are possible, and contradictory: the account would
// be on both lists.
func contradictions(opinions []opinion) []contradiction {
	out := []contradiction{}
	for _, leaving := range opinions {
		for _, growing := range opinions {
			if leaving.err != nil || growing.err != nil || leaving.version.heads() != falls || growing.version.heads() != rises {
				continue
			}
			names := []string{leaving.name, growing.name}
			both := leaving.probability + growing.probability
			switch {
			case both > 1 && leaving.version.months() == growing.version.months() && growing.version.months() > 0:
				out = append(out, contradiction{names, "impossible", fmt.Sprintf(
					"%s says %.1f %%, %s says %.1f %%: an account that has left has not grown, so together they cannot be more than 100 %%",
					leaving.name, 100*leaving.probability, growing.name, 100*growing.probability)})
			case leaving.band == "A" && growing.band == "A":
				out = append(out, contradiction{names, "contradictory", fmt.Sprintf(
					"%s and %s both put the account in band A: it is among those most likely to leave and among those most likely to grow", leaving.name, growing.name)})
			}
		}
	}
	return out
}

// heading is which way an account goes for which a model's label is true.
type heading int

const (
	unknownHeading heading = iota
	falls                  // it leaves, or pays less
	rises                  // it pays more
)

// heads tells by the label of a model that was learnt from facts: no interval is true any
// more, or the amount has changed. Of any other the name tells, churn or upsell, also with
// more behind it, such as churn_eu.
func (v *version) heads() heading {
	if l := v.label(); l != nil {
		switch {
		case l.Kind == spec.LabelChange && l.By > 0:
			return rises
		case l.Kind == spec.LabelChange && l.By < 0,
			l.Kind == spec.LabelState && !l.Is,
			l.Kind == spec.LabelEvent && strings.HasSuffix(l.From, ".lapse"):
			return falls
		}
	}
	name := v.name
	switch {
	case strings.HasPrefix(name, "churn"):
		return falls
	case strings.HasPrefix(name, "upsell"):
		return rises
	}
	return unknownHeading
}
