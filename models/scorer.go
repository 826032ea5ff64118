package models

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"propensity/datasets"
	"propensity/features"
	"propensity/models/tree"
)

// ErrScore is a row for which the model gives no finite answer.
var ErrScore = errors.New("no finite score")

// Scorer is an artifact loaded to score. It is safe for concurrent use and
// gives the same bits for the same row wherever it runs.
type Scorer struct {
	artifact   *Artifact
	importance []float64 // share per feature, sums to 1 (or all 0)
	base       float64   // what every explanation starts from
	reference  float64   // the probability there
	phrases    []phrase  // by column
	scratch    sync.Pool // *scratch
	tables     sync.Pool // *tableScratch
}

// scratch is the working memory of one Score call.
type scratch struct {
	x, phi []float64
	states []features.State
	order  []int
	text   []byte
}

// NewScorer readies an artifact and replays its replay rows: an artifact that
// no longer gives the scores recorded in it is refused with ErrReplay.
func NewScorer(f Files) (*Scorer, error) {
	a, err := ParseArtifact(f)
	if err != nil {
		return nil, err
	}
	s, err := newScorer(a)
	if err != nil {
		return nil, err
	}
	return s, s.replay(f[ReplayFile], f.parts())
}

func newScorer(a *Artifact) (*Scorer, error) {
	if a.Encoder == nil || a.Model == nil || a.Ranking == nil {
		return nil, fmt.Errorf("%w: encoder, model or baseline is missing", ErrDamaged)
	}
	n := len(a.Encoder.Columns)
	s := &Scorer{artifact: a, importance: importance(a.Model)}
	if len(s.importance) != n {
		return nil, fmt.Errorf("%w: a model of %d features, an encoder of %d columns", ErrDamaged, len(s.importance), n)
	}
	s.scratch.New = func() any {
		return &scratch{x: make([]float64, n), phi: make([]float64, n), states: make([]features.State, n)}
	}
	s.tables.New = func() any { return newTableScratch(n) }
	for j := range a.Encoder.Columns {
		s.phrases = append(s.phrases, newPhrase(&a.Encoder.Columns[j]))
	}
	s.base = a.Model.Explain(make([]float64, n), make([]float64, n))
	s.reference = a.Calibration.Probability(s.base)
	return s, nil
}

// importance is the share of each feature in what the model says, 0 to 1.
func importance(m Model) []float64 {
	var out []float64
	switch m := m.(type) {
	case *Linear:
		out = m.Importance()
	case *tree.Ensemble:
		out = m.Importance()
	}
	sum := 0.0
	for _, w := range out {
		sum += w
	}
	if sum > 0 {
		for j := range out {
			out[j] /= sum
		}
	}
	return out
}

// RankImportance lists the features of an artifact that matter at all, the most
// important first (ties: in the encoder's order).
func RankImportance(a *Artifact) []Importance {
	var out []Importance
	for j, share := range importance(a.Model) {
		if share > 0 {
			out = append(out, Importance{a.Encoder.Columns[j].Name, share})
		}
	}
	slices.SortStableFunc(out, func(a, b Importance) int { return cmp.Compare(b.Share, a.Share) })
	return out
}

// Artifact is what the scorer was made from; it must not be changed.
func (s *Scorer) Artifact() *Artifact { return s.artifact }

// Encoder tells the columns that a row must have, in their order.
func (s *Scorer) Encoder() *features.Encoder { return s.artifact.Encoder }

// Importance is the share of each feature, in the encoder's order, 0 to 1.
func (s *Scorer) Importance() []float64 { return slices.Clone(s.importance) }

// Answer is what is known about one row. Account, Model, Version and AsOf are
// the caller's to fill.
type Answer struct {
	Account     string    `json:"account,omitempty"`
	Model       string    `json:"model"`
	Version     int       `json:"version"`
	AsOf        string    `json:"as_of"`
	Probability float64   `json:"probability"` // 0 to 1, calibrated
	Score       int       `json:"score"`       // probability x 100, rounded
	Percentile  float64   `json:"percentile"`  // 0 to 100 among the rows that judged the model
	Band        string    `json:"band"`
	BaseRate    float64   `json:"base_rate"` // of the training rows
	Reference   float64   `json:"reference"` // the probability from which the reasons add up
	Coverage    float64   `json:"coverage"`  // share of the model's importance whose values were known
	Reasons     []Reason  `json:"reasons"`
	Warnings    []Warning `json:"warnings"`

	// Raw is the log-odds before calibration, Base what the reasons start from.
	Raw  float64 `json:"-"`
	Base float64 `json:"-"`

	// Encoded is the row as the model saw it and States what its cells were, in the
	// encoder's order.
	Encoded []float64        `json:"-"`
	States  []features.State `json:"-"`
}

// Warning tells that a field was not an ordinary value.
type Warning struct {
	Field  string `json:"field"`
	State  string `json:"state"`
	Detail string `json:"detail"`
}

// Score answers for one row: a cell per column of the encoder, in its order, as
// of the moment (microseconds since 1970 UTC). It fills in everything of dst but
// what is the caller's, with at most the given number of reasons (negative: all
// that are not zero). An error is a features.TypeError or ErrScore.
func (s *Scorer) Score(dst *Answer, row []datasets.Value, moment int64, reasons int) error {
	w := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)
	a := s.artifact
	if err := a.Encoder.EncodeRow(w.x, w.states, row, moment); err != nil {
		return err
	}
	dst.Raw = a.Model.Raw(w.x)
	dst.Base = s.base
	dst.Probability = a.Calibration.Probability(dst.Raw)
	dst.Reference = s.reference
	if err := checkScore(dst.Raw, dst.Probability); err != nil {
		return err
	}
	dst.Score = int(score(dst.Probability))
	dst.Percentile = s.percentile(dst.Raw)
	if k := a.Manifest.band(dst.Probability); k >= 0 {
		dst.Band = a.Manifest.Bands[k].Name
	} else {
		dst.Band = ""
	}
	dst.BaseRate = a.Manifest.BaseRate
	dst.Reasons = s.appendReasons(dst.Reasons[:0], w, row, dst, reasons)
	dst.Warnings = s.appendWarnings(dst.Warnings[:0], w, row)
	dst.Coverage = s.coverage(w.states)
	dst.Encoded, dst.States = append(dst.Encoded[:0], w.x...), append(dst.States[:0], w.states...)
	return nil
}

// ScoreColumns is the training path: log-odds and probabilities of encoded
// columns. It gives the same bits as Score.
func (s *Scorer) ScoreColumns(columns [][]float64, rows int) (raw, probability []float64) {
	raw, probability = RawAll(s.artifact.Model, columns, rows), make([]float64, rows)
	for i, r := range raw {
		probability[i] = s.artifact.Calibration.Probability(r)
	}
	return raw, probability
}

// RawAll is Raw of every row of encoded columns, the same bits as row by row.
func RawAll(m Model, columns [][]float64, rows int) []float64 {
	raw := make([]float64, rows)
	if t, ok := m.(*tree.Ensemble); ok {
		t.RawAll(raw, columns)
		return raw
	}
	x := make([]float64, len(columns))
	for i := range raw {
		for j, col := range columns {
			x[j] = col[i]
		}
		raw[i] = m.Raw(x)
	}
	return raw
}

func checkScore(raw, probability float64) error {
	if math.IsNaN(probability) || math.IsInf(raw, 0) {
		return fmt.Errorf("%w: log-odds %v", ErrScore, raw)
	}
	return nil
}

// score is a probability in hundredths, rounded.
func score(probability float64) float64 { return math.Round(probability * 100) }

// percentile is that of the ranking, to a tenth.
func (s *Scorer) percentile(raw float64) float64 {
	return math.Round(s.artifact.Ranking.Percentile(raw)*10) / 10
}

// band is the place of the band of a probability, -1 if there is none.
func (m *Manifest) band(p float64) int {
	for k := range m.Bands {
		if p >= m.Bands[k].From {
			return k
		}
	}
	return -1
}

func (s *Scorer) coverage(states []features.State) float64 {
	known, all := 0.0, 0.0
	for j, share := range s.importance {
		all += share
		if states[j] == features.Known || states[j] == features.OutOfRange {
			known += share
		}
	}
	if all == 0 {
		return 1
	}
	return math.Round(known/all*1e4) / 1e4
}
