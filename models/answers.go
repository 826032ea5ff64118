package models

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features"
	"propensity/models/tree"
)

// Answers are what Score says of the rows of a table, column by column; the
// columns of datasets have no name yet.
type Answers struct {
	Raw         []float64 // log-odds before calibration
	Probability []float64
	Score       []float64
	Percentile  []float64
	Coverage    []float64
	Reference   float64 // the same for every row
	Band        datasets.Column
	Reasons     []ReasonColumns // the most important first
	Warnings    datasets.Column // the details, joined by "; "; missing if there is none
	Bands       []int           // rows by the bands of the manifest
	States      [stateKinds]int // cells by features.State; Known are not counted
}

const stateKinds = features.Empty + 1

// ReasonColumns are one reason of each row, missing where a row has fewer.
type ReasonColumns struct{ Feature, Points, Text datasets.Column }

// tableScratch is the working memory of one ScoreTable call.
type tableScratch struct {
	encoded [][]float64
	marks   [][]features.Mark // by column

	// The marked cells again, row by row: those of row i end at ends[i].
	ends  []int32
	cells []cell

	patterns map[string]pattern
	key      []byte
	text     []byte
	phi      []float64
	order    []int
	states   []features.State
}

// cell is a cell of a row that is not Known.
type cell struct {
	column int32
	state  features.State
}

// pattern is what all rows with the same cells that are not Known have in common.
type pattern struct {
	coverage float64
	warnings []byte
	spelt    bool // in warnings; else they depend on the values
}

// mostPatterns bounds the memory that is kept from table to table.
const mostPatterns = 1 << 14

func newTableScratch(n int) *tableScratch {
	return &tableScratch{
		encoded: make([][]float64, n), marks: make([][]features.Mark, n), patterns: make(map[string]pattern),
		states: make([]features.State, n),
	}
}

// ScoreTable answers for every row of a table as of its moment (microseconds since
// 1970 UTC, one a row) with at most so many reasons, 0 or more: the very bits and
// sentences that Score gives row by row. A column that the table lacks is missing
// in every row. The error is a *features.RowError around what Score says of the
// first row that it cannot answer for.
func (s *Scorer) ScoreTable(t *datasets.Table, moments []int64, reasons int) (*Answers, error) {
	w := s.tables.Get().(*tableScratch)
	defer s.tables.Put(w)
	columns := make([]*datasets.Column, len(s.phrases))
	for j := range columns {
		columns[j] = t.Column(s.artifact.Encoder.Columns[j].Name)
	}
	rows, fault := w.encode(s.artifact.Encoder, columns, moments, t.Rows())
	a := &Answers{Reference: s.reference, Raw: RawAll(s.artifact.Model, w.encoded, rows)}
	a.Probability, a.Score, a.Percentile = make([]float64, rows), make([]float64, rows), make([]float64, rows)
	for i, raw := range a.Raw {
		p := s.artifact.Calibration.Probability(raw)
		if err := checkScore(raw, p); err != nil {
			return nil, &features.RowError{Row: i, Err: err}
		}
		a.Probability[i], a.Score[i], a.Percentile[i] = p, score(p), s.percentile(raw)
	}
	if fault != nil {
		return nil, fault
	}
	s.fillBands(a)
	s.fillWarnings(a, w, columns)
	s.fillReasons(a, w, columns, reasons)
	return a, nil
}

// encode encodes the columns and marks what is not Known. With the fault of the
// first row that has one come the rows before it.
func (w *tableScratch) encode(e *features.Encoder, columns []*datasets.Column, moments []int64, rows int) (int, error) {
	var fault error
	for j, col := range columns {
		if cap(w.encoded[j]) < rows {
			w.encoded[j] = make([]float64, rows)
		}
		w.encoded[j], w.marks[j] = w.encoded[j][:rows], w.marks[j][:0]
		if col == nil {
			for i := range rows {
				w.encoded[j][i] = math.NaN()
				w.marks[j] = append(w.marks[j], features.Mark{Row: int32(i), State: features.Missing})
			}
			continue
		}
		var err error
		if w.marks[j], err = e.Columns[j].EncodeMarked(w.encoded[j], w.marks[j], col, moments[:rows]); err == nil {
			continue
		}
		row, ok := err.(*features.RowError) //nolint:errorlint // it is never wrapped
		if !ok {
			return 0, err
		}
		fault, rows = err, row.Row // a fault further on is of a later row, or the same
	}
	for j := range w.encoded {
		w.encoded[j] = w.encoded[j][:rows]
	}
	return rows, fault
}

func (s *Scorer) fillBands(a *Answers) {
	m := &s.artifact.Manifest
	a.Bands = make([]int, len(m.Bands))
	band := newNamed(len(m.Bands)+1, len(a.Raw))
	for _, p := range a.Probability {
		k := m.band(p)
		if k < 0 {
			band.add(len(m.Bands), "")
			continue
		}
		a.Bands[k]++
		band.add(k, m.Bands[k].Name)
	}
	a.Band = band.Column
}

// fillWarnings fills in all that comes from cells that are not Known.
func (s *Scorer) fillWarnings(a *Answers, w *tableScratch, columns []*datasets.Column) {
	rows := len(a.Raw)
	w.byRow(rows)
	for _, marks := range w.marks {
		for _, m := range marks {
			a.States[m.State]++
		}
	}
	a.Coverage = make([]float64, rows)
	full := s.coverage(w.states) // all Known
	warnings := newTexts(rows)
	from := int32(0)
	for i, to := range w.ends[:rows] {
		cells := w.cells[from:to]
		from = to
		if len(cells) == 0 {
			a.Coverage[i] = full
			warnings.none()
			continue
		}
		p := s.pattern(w, cells)
		a.Coverage[i] = p.coverage
		if p.spelt {
			warnings.add(p.warnings)
			continue
		}
		w.text = w.text[:0]
		for k, c := range cells {
			if k > 0 {
				w.text = append(w.text, "; "...)
			}
			w.text = s.phrases[c.column].appendDetail(w.text, valueAt(columns[c.column], i), c.state)
		}
		warnings.add(w.text)
	}
	a.Warnings = warnings.column()
}

// byRow sorts the marked cells by row, and within a row by column.
func (w *tableScratch) byRow(rows int) {
	if cap(w.ends) < rows+1 {
		w.ends = make([]int32, rows+1)
	}
	ends := w.ends[:rows+1]
	clear(ends)
	total := 0
	for _, marks := range w.marks {
		total += len(marks)
		for _, m := range marks {
			ends[m.Row+1]++
		}
	}
	for i := range rows {
		ends[i+1] += ends[i] // now ends[i] is where row i starts
	}
	if cap(w.cells) < total {
		w.cells = make([]cell, total)
	}
	w.cells = w.cells[:total]
	for j, marks := range w.marks {
		for _, m := range marks {
			w.cells[ends[m.Row]] = cell{int32(j), m.State}
			ends[m.Row]++ // at last it is where the row ends
		}
	}
	w.ends = ends
}

// pattern looks up what the cells of a row say whatever their values.
func (s *Scorer) pattern(w *tableScratch, cells []cell) pattern {
	w.key = w.key[:0]
	for _, c := range cells {
		w.key = binary.LittleEndian.AppendUint32(w.key, uint32(c.column)<<3|uint32(c.state))
	}
	p, ok := w.patterns[string(w.key)]
	if ok {
		return p
	}
	p.spelt = true
	for _, c := range cells {
		w.states[c.column] = c.state
		p.spelt = p.spelt && (c.state == features.Missing || c.state == features.Empty)
	}
	p.coverage = s.coverage(w.states)
	clear(w.states)
	if p.spelt {
		w.text = w.text[:0]
		for k, c := range cells {
			if k > 0 {
				w.text = append(w.text, "; "...)
			}
			w.text = s.phrases[c.column].appendDetail(w.text, datasets.Value{}, c.state)
		}
		p.warnings = slices.Clone(w.text)
	}
	if len(w.patterns) >= mostPatterns {
		clear(w.patterns)
	}
	w.patterns[string(w.key)] = p
	return p
}

// valueAt is a cell of a column that may not be there.
func valueAt(c *datasets.Column, i int) datasets.Value {
	if c == nil {
		return datasets.Value{}
	}
	return c.At(i)
}

// mostParts bounds the Shapley values held at a time.
const mostParts = 1 << 18

// fillReasons explains every row.
func (s *Scorer) fillReasons(a *Answers, w *tableScratch, columns []*datasets.Column, most int) {
	rows := len(a.Raw)
	a.Reasons = make([]ReasonColumns, most)
	if most == 0 { // explaining costs many times what scoring does
		return
	}
	f := &reasonFiller{Scorer: s, w: w, a: a, columns: columns, feature: make([]named, most), text: make([]texts, most)}
	for k := range a.Reasons {
		f.feature[k], f.text[k] = newNamed(len(columns), rows), newTexts(rows)
		a.Reasons[k].Points = datasets.Column{Kind: datasets.Number, Numbers: make([]float64, rows)}
	}
	n := len(columns)
	step := max(1, min(rows, mostParts/max(n, 1)))
	if len(w.phi) < step*n {
		w.phi = make([]float64, step*n)
	}
	block := make([][]float64, n)
	for from := 0; from < rows; from += step {
		to := min(from+step, rows)
		for j := range block {
			block[j] = w.encoded[j][from:to]
		}
		phi := w.phi[:(to-from)*n]
		explainAll(s.artifact.Model, phi, block)
		for i := from; i < to; i++ {
			f.row(i, phi[(i-from)*n:(i-from+1)*n])
		}
	}
	for k := range a.Reasons {
		a.Reasons[k].Feature, a.Reasons[k].Text = f.feature[k].Column, f.text[k].column()
	}
}

// explainAll is Explain of every row of encoded columns, the same bits as row by
// row: phi holds the parts of one row after those of another.
func explainAll(m Model, phi []float64, columns [][]float64) {
	if t, ok := m.(*tree.Ensemble); ok {
		t.ExplainAll(phi, columns)
		return
	}
	n := len(columns)
	x := make([]float64, n)
	for i := 0; i*n < len(phi); i++ {
		for j, col := range columns {
			x[j] = col[i]
		}
		m.Explain(phi[i*n:(i+1)*n], x)
	}
}

// reasonFiller fills in the reasons of a table.
type reasonFiller struct {
	*Scorer
	w       *tableScratch
	a       *Answers
	columns []*datasets.Column
	feature []named
	text    []texts
	at      int32 // where the cells of the next row start
}

// row fills in the reasons of the next row.
func (f *reasonFiller) row(i int, phi []float64) {
	w := f.w
	cells := w.cells[f.at:w.ends[i]]
	f.at = w.ends[i]
	for _, c := range cells {
		w.states[c.column] = c.state
	}
	perUnit := f.perUnit(f.a.Raw[i], f.a.Probability[i])
	w.order = appendOrder(w.order[:0], phi, len(f.text))
	for k := range f.text {
		if k >= len(w.order) {
			f.feature[k].none()
			f.a.Reasons[k].Points.Numbers[i] = math.NaN()
			f.text[k].none()
			continue
		}
		j := w.order[k]
		p := &f.phrases[j]
		w.text = p.appendSentence(w.text[:0], p.shown(valueAt(f.columns[j], i), w.encoded[j][i]), w.states[j])
		f.feature[k].add(j, f.artifact.Encoder.Columns[j].Name)
		f.a.Reasons[k].Points.Numbers[i] = points(phi[j], perUnit)
		f.text[k].add(w.text)
	}
	for _, c := range cells {
		w.states[c.column] = features.Known
	}
}

// named collects a column of texts that are known by number.
type named struct {
	datasets.Column
	codes []int32 // by number, plus one; 0 has not come yet
}

func newNamed(numbers, rows int) named {
	c := datasets.Column{Kind: datasets.Text, Codes: make([]int32, 0, rows)}
	return named{c, make([]int32, numbers)}
}

func (n *named) none() { n.Codes = append(n.Codes, -1) }

func (n *named) add(number int, name string) {
	if n.codes[number] == 0 {
		n.Values = append(n.Values, name)
		n.codes[number] = int32(len(n.Values))
	}
	n.Codes = append(n.Codes, n.codes[number]-1)
}

// texts collects a column of texts as bytes, without memory for each.
type texts struct {
	codes []int32
	all   []byte // the distinct ones, end to end
	ends  []int
	slots []int32 // open addressing, a power of two; a code plus one, 0 is free
	seed  maphash.Seed
}

func newTexts(rows int) texts {
	return texts{codes: make([]int32, 0, rows), slots: make([]int32, 64), seed: maphash.MakeSeed()}
}

func (t *texts) none() { t.codes = append(t.codes, -1) }

// add takes a text, which is not kept.
func (t *texts) add(s []byte) {
	at := t.place(s)
	if t.slots[at] == 0 {
		t.all = append(t.all, s...)
		t.ends = append(t.ends, len(t.all))
		t.slots[at] = int32(len(t.ends))
	}
	t.codes = append(t.codes, t.slots[at]-1)
	if 2*len(t.ends) > len(t.slots) {
		t.slots = make([]int32, 4*len(t.slots))
		for k := range t.ends {
			t.slots[t.place(t.text(k))] = int32(k + 1)
		}
	}
}

// place is the slot of a text, or the free one that it would take.
func (t *texts) place(s []byte) uint64 {
	mask := uint64(len(t.slots) - 1)
	at := maphash.Bytes(t.seed, s) & mask
	for t.slots[at] != 0 && string(t.text(int(t.slots[at]-1))) != string(s) {
		at = (at + 1) & mask
	}
	return at
}

func (t *texts) text(k int) []byte {
	from := 0
	if k > 0 {
		from = t.ends[k-1]
	}
	return t.all[from:t.ends[k]]
}

// column is what was collected; its texts are pieces of one.
func (t *texts) column() datasets.Column {
	all, values := string(t.all), make([]string, len(t.ends))
	from := 0
	for k, to := range t.ends {
		values[k], from = all[from:to], to
	}
	return datasets.Column{Kind: datasets.Text, Codes: t.codes, Values: values}
}
