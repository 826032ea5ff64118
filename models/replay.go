package models

import (
	"fmt"
	"math"
	"math/rand/v2"

	"propensity/datasets"
	"propensity/features"
)

// The columns of replay.arrow: what a row must score, then "row/NAME" for each
// column of the encoder, which cannot clash with them.
const (
	replayParts       = "expected/parts" // Files.parts, the same in every row
	replayMoment      = "expected/moment"
	replayRaw         = "expected/raw"
	replayBase        = "expected/base"
	replayProbability = "expected/probability"
	replayExplained   = "expected/explained" // sum of (j+1) x phi_j: order and size of every reason
	replayPrefix      = "row/"
)

const (
	replayRows = 64
	// replayTolerance is how far a replayed figure may be off: other processors
	// may round a fused multiplication differently.
	replayTolerance = 1e-9
	// replayInstant is the moment of all replay rows, 2026-01-01 UTC.
	replayInstant int64 = 1_767_225_600_000_000
)

// makeReplay makes rows out of the encoder's ranges, never out of customers'
// rows, with every state of a value among them, and the scores they get.
func (s *Scorer) makeReplay(parts string) (*datasets.Table, error) {
	e := s.artifact.Encoder
	t := &datasets.Table{Columns: []datasets.Column{
		{Name: replayParts, Kind: datasets.Text, Codes: make([]int32, replayRows), Values: []string{parts}},
		{Name: replayMoment, Kind: datasets.Time},
	}}
	for _, name := range []string{replayRaw, replayBase, replayProbability, replayExplained} {
		t.Columns = append(t.Columns, datasets.Column{Name: name, Kind: datasets.Number})
	}
	expected := len(t.Columns)
	rng := rand.New(rand.NewPCG(1, 2))
	for j := range e.Columns {
		t.Columns = append(t.Columns, replayColumn(&e.Columns[j], s.cuts(j), rng))
	}
	row := make([]datasets.Value, len(e.Columns))
	for i := range replayRows {
		for j := range row {
			row[j] = t.Columns[expected+j].At(i)
		}
		got, err := s.replayRow(row, replayInstant)
		if err != nil {
			return nil, err
		}
		t.Columns[1].Times = append(t.Columns[1].Times, replayInstant)
		for k, x := range got {
			t.Columns[2+k].Numbers = append(t.Columns[2+k].Numbers, x)
		}
	}
	return t, nil
}

// replayRow scores one row: raw, base, probability, explained.
func (s *Scorer) replayRow(row []datasets.Value, moment int64) (out [4]float64, err error) {
	var a Answer
	if err := s.Score(&a, row, moment, -1); err != nil {
		return out, err
	}
	out = [4]float64{a.Raw, a.Base, a.Probability, 0}
	for _, r := range a.Reasons {
		out[3] += float64(s.artifact.Encoder.Find(r.Feature)+1) * r.LogOdds
	}
	return out, nil
}

// cuts are those of a feature in bins.
func (s *Scorer) cuts(j int) []float64 {
	if m, ok := s.artifact.Model.(*Linear); ok {
		return m.Terms[j].Cuts
	}
	return nil
}

// replayColumn draws the cells of one column. A number in bins is on each of its
// cuts in turn, as many as there is room for, where bins read amiss would differ.
func replayColumn(c *features.Column, cuts []float64, rng *rand.Rand) datasets.Column {
	col := datasets.Column{Name: replayPrefix + c.Name, Kind: c.Kind}
	var places map[string]int32
	if c.Kind == datasets.Category {
		places = make(map[string]int32)
	}
	next := 0 // levels and cuts come in turn, so that as many as there is room for are checked
	for range replayRows {
		switch k := rng.IntN(10); c.Kind {
		case datasets.Category:
			text := unseenText(c)
			switch {
			case k == 0:
				col.Codes = append(col.Codes, -1)
				continue
			case k == 1:
				text = ""
			case k > 2 && len(c.Levels) > 0:
				text = c.Levels[next%len(c.Levels)]
				next++
			}
			if _, ok := places[text]; !ok {
				places[text] = int32(len(col.Values))
				col.Values = append(col.Values, text)
			}
			col.Codes = append(col.Codes, places[text])
		case datasets.Boolean:
			x := float64(rng.IntN(2))
			if k == 0 {
				x = math.NaN()
			}
			col.Numbers = append(col.Numbers, x)
		default:
			x := []float64{math.NaN(), c.Min, c.Max, c.Median, 2*c.Max - c.Min + 1, 2*c.Min - c.Max - 1}[min(k, 5)]
			if k > 5 {
				x = c.Min + rng.Float64()*(c.Max-c.Min)
				if len(cuts) > 0 && k > 6 {
					x = cuts[next%len(cuts)]
					next++
				}
			}
			if math.IsInf(x, 0) {
				x = c.Median // a range as wide as float64 itself
			}
			if c.Kind == datasets.Number {
				col.Numbers = append(col.Numbers, x)
				continue
			}
			instant := datasets.MissingTime
			if before := math.Round(x * 24 * 60 * 60 * 1e6); math.Abs(before) < 1e17 {
				instant = replayInstant - int64(before)
			}
			col.Times = append(col.Times, instant)
		}
	}
	return col
}

// unseenText is a category that the encoder does not know.
func unseenText(c *features.Column) string {
	text := "never seen"
	for _, level := range c.Levels {
		if level == text {
			text += "!"
		}
	}
	return text
}

// replay scores the replay rows again and compares; parts are those of the files
// that the scorer was made from.
func (s *Scorer) replay(b []byte, parts string) error {
	t, err := datasets.UnmarshalIPC(b)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, ReplayFile, err)
	}
	columns, err := s.replayColumns(t)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, ReplayFile, err)
	}
	made, moments, expected, cells := columns[0], columns[1], columns[2:6], columns[6:]
	row := make([]datasets.Value, len(cells))
	for i := range t.Rows() {
		if made.At(i).Text != parts {
			return fmt.Errorf("%w: row %d was made for another encoder, model, calibration or baseline", ErrReplay, i)
		}
		for j := range row {
			row[j] = cells[j].At(i)
		}
		got, err := s.replayRow(row, moments.Times[i])
		if err != nil {
			return fmt.Errorf("%w: row %d: %w", ErrReplay, i, err)
		}
		for k := range got {
			want := expected[k].Numbers[i]
			if !(math.Abs(got[k]-want) <= replayTolerance*max(1, math.Abs(got[k]))) {
				return fmt.Errorf("%w: row %d: %s is %v, recorded as %v", ErrReplay, i, expected[k].Name, got[k], want)
			}
		}
	}
	return nil
}

func (s *Scorer) replayColumns(t *datasets.Table) ([]*datasets.Column, error) {
	names := []string{replayParts, replayMoment, replayRaw, replayBase, replayProbability, replayExplained}
	kinds := []datasets.Kind{datasets.Text, datasets.Time, datasets.Number, datasets.Number, datasets.Number, datasets.Number}
	for j := range s.artifact.Encoder.Columns {
		c := &s.artifact.Encoder.Columns[j]
		names, kinds = append(names, replayPrefix+c.Name), append(kinds, c.Kind)
	}
	out := make([]*datasets.Column, len(names))
	for k, name := range names {
		c := t.Column(name)
		if c == nil || c.Kind != kinds[k] {
			return nil, fmt.Errorf("no column %q of kind %s", name, kinds[k])
		}
		out[k] = c
	}
	if t.Rows() != replayRows {
		return nil, fmt.Errorf("%d rows, expected %d", t.Rows(), replayRows)
	}
	return out, nil
}
