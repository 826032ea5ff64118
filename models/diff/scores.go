package diff

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// Side is a version and the table as it reads it: the same rows, in the same order,
// for both.
type Side struct {
	Scorer  *models.Scorer
	Table   *datasets.Table
	Moments []int64 // of each row, microseconds since 1970 UTC
}

// Scores is how the probabilities of a table's rows move from one version to the next.
type Scores struct {
	Rows       int     `json:"rows"`
	MeanBefore float64 `json:"mean_before"`
	MeanAfter  float64 `json:"mean_after"`
	// MeanMove is the mean size of a move, in probability; Same counts the rows
	// whose probability is the same to the bit.
	MeanMove float64 `json:"mean_move"`
	Same     int     `json:"same"`
	// Bands counts rows by their band before (a row of the matrix) and after (a
	// column), in the order of the names.
	BandsBefore []string `json:"bands_before"`
	BandsAfter  []string `json:"bands_after"`
	Bands       [][]int  `json:"bands"`
	// Moved are the rows that moved most, the largest move first.
	Moved []Moved `json:"moved"`
}

// Moved is a row whose probability moved.
type Moved struct {
	Row        int     `json:"row"` // from 1
	Account    string  `json:"account,omitempty"`
	AsOf       string  `json:"as_of"`
	Before     float64 `json:"before"` // probability
	After      float64 `json:"after"`
	BandBefore string  `json:"band_before"`
	BandAfter  string  `json:"band_after"`
	// Why are the features whose points moved most. With the move of the reference
	// all of them make the move of the probability.
	Why []Why `json:"why"`
}

// Why is one feature's points, in percentage points of probability, of the two.
type Why struct {
	Feature string  `json:"feature"`
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
}

// reasonsOfMove is how many features are named for a move.
const reasonsOfMove = 3

// CompareScores scores the rows of a table by both versions and lists the most rows
// that moved most. Accounts, one a row, may be nil. The error is that of the first
// row that a version cannot answer for.
func CompareScores(before, after Side, accounts []string, most int) (*Scores, error) {
	rows := before.Table.Rows()
	if after.Table.Rows() != rows || len(before.Moments) != rows || len(after.Moments) != rows || accounts != nil && len(accounts) != rows {
		return nil, fmt.Errorf("%d and %d rows, %d and %d moments, %d accounts: as many of each are expected",
			rows, after.Table.Rows(), len(before.Moments), len(after.Moments), len(accounts))
	}
	was, err := before.answers()
	if err != nil {
		return nil, err
	}
	is, err := after.answers()
	if err != nil {
		return nil, err
	}
	s := &Scores{
		Rows: rows, BandsBefore: before.Scorer.Artifact().Manifest.BandNames(), BandsAfter: after.Scorer.Artifact().Manifest.BandNames(),
		Moved: []Moved{}, Bands: [][]int{},
	}
	for range s.BandsBefore {
		s.Bands = append(s.Bands, make([]int, len(s.BandsAfter)))
	}
	order := make([]int, rows)
	for i := range rows {
		p, q := was.Probability[i], is.Probability[i]
		s.MeanBefore, s.MeanAfter, s.MeanMove = s.MeanBefore+p, s.MeanAfter+q, s.MeanMove+math.Abs(q-p)
		if p == q {
			s.Same++
		}
		from, to := slices.Index(s.BandsBefore, was.Band.At(i).Text), slices.Index(s.BandsAfter, is.Band.At(i).Text)
		if from >= 0 && to >= 0 {
			s.Bands[from][to]++
		}
		order[i] = i
	}
	if rows > 0 {
		n := float64(rows)
		s.MeanBefore, s.MeanAfter, s.MeanMove = s.MeanBefore/n, s.MeanAfter/n, s.MeanMove/n
	}
	move := func(i int) float64 { return math.Abs(is.Probability[i] - was.Probability[i]) }
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(move(j), move(i)) })
	for _, i := range order[:min(most, rows)] {
		if move(i) == 0 {
			break
		}
		m, err := moved(before, after, i)
		if err != nil {
			return nil, err
		}
		if accounts != nil {
			m.Account = accounts[i]
		}
		s.Moved = append(s.Moved, m)
	}
	return s, nil
}

func (s Side) answers() (*models.Answers, error) {
	a, err := s.Scorer.ScoreTable(s.Table, s.Moments, 0)
	if row := (*features.RowError)(nil); errors.As(err, &row) {
		err = fmt.Errorf("row %d: %w", row.Row+1, row.Err)
	}
	return a, err
}

// answer is the answer for one row, with all reasons.
func (s Side) answer(i int) (a models.Answer, err error) {
	var row []datasets.Value
	for _, c := range s.Scorer.Encoder().Columns {
		cell := datasets.Value{}
		if column := s.Table.Column(c.Name); column != nil {
			cell = column.At(i)
		}
		row = append(row, cell)
	}
	return a, s.Scorer.Score(&a, row, s.Moments[i], -1)
}

// moved is one row by both.
func moved(before, after Side, i int) (Moved, error) {
	was, err := before.answer(i)
	if err != nil {
		return Moved{}, fmt.Errorf("row %d: %w", i+1, err)
	}
	is, err := after.answer(i)
	if err != nil {
		return Moved{}, fmt.Errorf("row %d: %w", i+1, err)
	}
	m := Moved{
		Row: i + 1, AsOf: datasets.FormatTime(after.Moments[i]), Before: was.Probability, After: is.Probability,
		BandBefore: was.Band, BandAfter: is.Band, Why: []Why{},
	}
	place := map[string]int{}
	for _, r := range was.Reasons {
		place[r.Feature] = len(m.Why)
		m.Why = append(m.Why, Why{Feature: r.Feature, Before: r.Points})
	}
	for _, r := range is.Reasons {
		k, known := place[r.Feature]
		if !known {
			k = len(m.Why)
			m.Why = append(m.Why, Why{Feature: r.Feature})
		}
		m.Why[k].After = r.Points
	}
	slices.SortStableFunc(m.Why, func(a, b Why) int {
		return cmp.Compare(math.Abs(b.After-b.Before), math.Abs(a.After-a.Before))
	})
	m.Why = m.Why[:min(len(m.Why), reasonsOfMove)]
	return m, nil
}
