// Package monitor counts what a version is asked and what it answers, and holds it
// against what the version was trained and judged on: whether inputs or probabilities
// have moved beyond chance and enough to matter, what quality is to be expected, and
// what the outcomes say that came. Its judgement is a word: fine, wait, fix_the_pipe or
// retrain.
package monitor

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// Shape says into which cells the rows and scores of one version are counted, and what
// was in them when it was trained. It is made of the artifact alone.
type Shape struct {
	Model   string
	Version int
	Hash    string // of the artifact

	columns []column
	bands   []models.Band
	first   int // the first cell of the histogram of log-odds; those of the bands follow
	cells   int

	histogram []float64 // of the rows that judged the version
	inBand    []float64
	judged    float64 // those rows
	mean      float64 // their mean probability
	worth     float64 // their effective number
	slope     float64 // mean change of the probability by a unit of log-odds
	promised  models.Candidate
	horizon   int64 // µs; 0 is not known

	artifact  *models.Artifact
	explained sync.Once
}

// The cells of a column: its states, then its bins.
const (
	cellMissing = iota
	cellUnseen
	cellEmpty
	cellFirst
)

// The groups of a column are the cells that the baseline knows: the states, what lies
// below and above the training range, and the bins of the encoder.
const (
	groupBelow = cellFirst + iota
	groupAbove
	groupFirst
)

// column is one column of the encoder.
type column struct {
	name       string
	kind       datasets.Kind
	first      int       // its first cell
	cuts       []float64 // not of a category: bin k holds what is above cuts[k-1], at most cuts[k]
	keys       []uint64  // the cuts as keys
	innerKeys  []uint64  // those above low, up to high
	low, high  float64   // values above low, at most high, lie between these cuts
	inner      int       // the cell of the first of them
	codes      []int32   // of a category: the cell of each code, from its first
	group      []int32   // of each cell
	names      []string  // of each group
	upper      []float64 // of each group of a number: the cut that ends it
	base       []float64 // training rows by group
	rows       float64   // training rows
	worth      float64   // effective number of training rows
	phi        []float64 // by cell: what the model adds there, in log-odds, the rest of the row being typical
	basePhi    []float64 // by group, likewise
	importance float64
}

const (
	octaves    = 12 // on either side of what the bins tell apart
	mostLevels = 24 // cells for levels of a category; the rest share one
	otherLevel = "other levels"
)

// The histogram of probabilities: log-odds from -8 to 8 in steps of an eighth.
const (
	oddsStep = 1. / 8
	oddsEnd  = 8
	oddsBins = 2*oddsEnd*8 + 2
)

// NewShape is the shape of a version that is loaded.
func NewShape(model string, version int, scorer *models.Scorer) *Shape {
	a := scorer.Artifact()
	s := &Shape{Model: model, Version: version, Hash: a.Hash(), bands: a.Manifest.Bands, promised: a.Metrics.Candidate(a.Metrics.Chosen), horizon: horizonOf(a.Manifest.Split.Horizon), artifact: a}
	importance := scorer.Importance()
	accounts := 1.0
	if d := a.Manifest.Data; d.Accounts > 0 && d.Rows > 0 {
		accounts = min(1, float64(d.Accounts)/float64(d.Rows))
	}
	for j := range a.Encoder.Columns {
		c := newColumn(&a.Encoder.Columns[j])
		c.first, c.importance = s.cells, importance[j]
		// Rows of an account may be alike: at worst all of them are.
		c.worth = max(1, math.Floor(c.rows*accounts))
		s.cells += len(c.group)
		s.columns = append(s.columns, c)
	}
	s.first = s.cells
	s.cells += oddsBins + len(s.bands)
	s.judge(a)
	return s
}

// Horizon is how long after its moment the label of a row looks, in µs; 0 is not known.
func (s *Shape) Horizon() int64 { return s.horizon }

// horizonOf reads a horizon of a manifest, which is in days, such as 90d.
func horizonOf(text string) int64 {
	days, err := strconv.Atoi(strings.TrimSuffix(text, "d"))
	const most = 100_000
	if err != nil || days < 0 || days > most {
		return 0
	}
	return int64(days) * 24 * hour
}

// judge counts the rows that judged the version.
func (s *Shape) judge(a *models.Artifact) {
	s.histogram, s.inBand = make([]float64, oddsBins), make([]float64, len(s.bands))
	values, counts := a.Ranking.Values(), a.Ranking.Counts()
	for i, raw := range values {
		p, n := a.Calibration.Probability(raw), counts[i]
		s.histogram[oddsBin(p)] += n
		if k := s.bandOf(p); k >= 0 {
			s.inBand[k] += n
		}
		s.judged += n
		s.mean += n * p
		s.slope += n * a.Calibration.Derivative(raw)
	}
	s.mean /= s.judged
	s.slope /= s.judged
	s.worth = s.judged
	if r := s.promised.Report; r.Accounts > 0 && r.Rows > 0 {
		s.worth = max(1, math.Floor(s.judged*min(1, float64(r.Accounts)/float64(r.Rows))))
	}
}

func (s *Shape) bandOf(p float64) int {
	for k := range s.bands {
		if p >= s.bands[k].From {
			return k
		}
	}
	return -1
}

// oddsBin is the bin of a probability.
func oddsBin(p float64) int {
	x := (math.Log(p/(1-p)) + oddsEnd) / oddsStep
	switch {
	case !(x >= 0): // also of no number
		return 0
	case x >= oddsBins-2:
		return oddsBins - 1
	}
	return 1 + int(x)
}

// oddsValue is the probability in the middle of a bin.
func oddsValue(bin int) float64 {
	return 1 / (1 + math.Exp(-(-oddsEnd + (float64(bin)-0.5)*oddsStep)))
}

// typicalOf is the encoded value of an ordinary row.
func typicalOf(c *features.Column) float64 {
	if c.Kind != datasets.Category {
		return c.Typical().Number
	}
	x, _, err := c.Encode(c.Typical(), 0)
	if err != nil { // a category of no level
		return math.NaN()
	}
	return x
}

func newColumn(e *features.Column) column {
	c := column{name: e.Name, kind: e.Kind, rows: float64(e.Rows)}
	c.names = []string{"missing", "unseen", "empty", "below the range", "above the range"}
	c.upper = make([]float64, groupFirst)
	c.base = make([]float64, groupFirst)
	c.base[cellMissing] = float64(e.Missing)
	c.group = []int32{cellMissing, cellUnseen, cellEmpty}
	if e.Kind == datasets.Category {
		c.fitLevels(e)
	} else {
		c.fitBins(e)
	}
	return c
}

// fitLevels gives the most frequent levels a cell each.
func (c *column) fitLevels(e *features.Column) {
	order := make([]int, len(e.Levels))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(e.Counts[b], e.Counts[a]) })
	c.codes = make([]int32, len(e.Levels))
	add := func(name string) int32 {
		c.group = append(c.group, int32(len(c.base)))
		c.names, c.base = append(c.names, name), append(c.base, 0)
		return int32(len(c.group) - 1)
	}
	own, other := 0, int32(-1)
	for _, k := range order {
		cell := int32(cellEmpty)
		switch {
		case e.Levels[k] == "":
		case own < mostLevels:
			cell = add(e.Levels[k])
			own++
		default:
			if other < 0 {
				other = add(otherLevel)
			}
			cell = other
		}
		c.codes[k] = cell
		c.base[c.group[cell]] += float64(e.Counts[k])
	}
}

// fitBins makes the bins of the encoder, and beyond them some by octaves, in which a
// change of unit shows.
func (c *column) fitBins(e *features.Column) {
	below := math.Nextafter(e.Min, math.Inf(-1))
	cuts := append([]float64{below, e.Max}, e.Cuts...)
	if e.Kind != datasets.Boolean {
		least := math.Inf(1)
		for _, x := range append([]float64{e.Max}, e.Cuts...) {
			if x > 0 && e.Min >= 0 { // of signed numbers a multiple does not show near 0
				least = min(least, x)
			}
		}
		for k := 1; k <= octaves; k++ {
			if !math.IsInf(least, 1) {
				cuts = append(cuts, math.Ldexp(least, -k))
			}
			if x := math.Ldexp(e.Max, k); e.Max > 0 && !math.IsInf(x, 0) {
				cuts = append(cuts, x)
			}
		}
	}
	slices.Sort(cuts)
	c.cuts = slices.Compact(cuts)

	known := append(slices.Clone(e.Cuts), e.Max)
	known = slices.Compact(known) // a last bin above the last cut may be empty
	for k, x := range known {
		rows := float64(e.Rows - e.Missing)
		if len(e.Counts) > 0 {
			rows = float64(e.Counts[k])
		}
		c.base, c.names, c.upper = append(c.base, rows), append(c.names, ""), append(c.upper, x)
	}
	for _, x := range c.cuts {
		k := slices.IndexFunc(known, func(u float64) bool { return x <= u })
		switch {
		case x <= below:
			c.group = append(c.group, groupBelow)
		case k < 0:
			c.group = append(c.group, groupAbove)
		default:
			c.group = append(c.group, int32(groupFirst+k))
		}
	}
	c.group = append(c.group, groupAbove)
	for _, x := range c.cuts {
		c.keys = append(c.keys, key(x))
	}
	// From here on, no cuts but those of the bins lie within the range.
	c.low, c.high = math.Inf(1), math.Inf(1)
	if k := slices.IndexFunc(known, func(x float64) bool { return x > 0 || e.Min < 0 }); k >= 0 && k < len(known)-1 {
		c.low, c.high = known[k], e.Max
		first := slices.Index(c.cuts, c.low) + 1
		c.inner, c.innerKeys = cellFirst+first, c.keys[first:slices.Index(c.cuts, c.high)+1]
	}
}

// explain says what the model adds in each cell of each column: the Shapley value of the
// column in a row that is typical in all others. That takes a while, and is needed only
// when something is judged.
func (s *Shape) explain() {
	s.explained.Do(func() {
		columns := s.artifact.Encoder.Columns
		typical := make([]float64, len(columns))
		for j := range typical {
			typical[j] = typicalOf(&columns[j])
		}
		for j := range columns {
			s.columns[j].explain(s.artifact.Model, &columns[j], typical, j)
		}
		s.artifact = nil
	})
}

func (c *column) explain(m models.Model, e *features.Column, typical []float64, j int) {
	x, phi := slices.Clone(typical), make([]float64, len(typical))
	at := func(v float64) float64 {
		x[j] = v
		m.Explain(phi, x)
		return phi[j]
	}
	c.phi, c.basePhi = make([]float64, len(c.group)), make([]float64, len(c.base))
	c.phi[cellMissing] = at(math.NaN())
	if c.kind != datasets.Category {
		for k := groupFirst; k < len(c.base); k++ {
			c.basePhi[k] = at(c.upper[k])
		}
		for cell := cellFirst; cell < len(c.group); cell++ {
			switch g := c.group[cell]; {
			case g >= groupFirst:
				c.phi[cell] = c.basePhi[g]
			case cell-cellFirst < len(c.cuts):
				c.phi[cell] = at(c.cuts[cell-cellFirst])
			default:
				c.phi[cell] = at(c.cuts[len(c.cuts)-1])
			}
		}
	} else {
		c.phi[cellUnseen] = at(-1)
		c.phi[cellEmpty] = c.phi[cellUnseen]
		weight := make([]float64, len(c.group))
		sum := make([]float64, len(c.group))
		for code, cell := range c.codes {
			n := float64(e.Counts[code])
			sum[cell] += n * at(float64(code))
			weight[cell] += n
		}
		for cell, w := range weight {
			if w > 0 {
				c.phi[cell] = sum[cell] / w
			}
		}
		for cell, g := range c.group {
			c.basePhi[g] = c.phi[cell]
		}
	}
	c.basePhi[cellMissing], c.basePhi[cellUnseen], c.basePhi[cellEmpty] = c.phi[cellMissing], c.phi[cellUnseen], c.phi[cellEmpty]
}
