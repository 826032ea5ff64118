package convert

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/models"
	"propensity/models/tree"
)

// The dialects of SQL that WriteSQL knows.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// SQLDialects are their names.
func SQLDialects() []string { return []string{SQLite, Postgres} }

// SQLOptions of WriteSQL.
type SQLOptions struct {
	Dialect string // SQLite or Postgres
	// Table is what is selected from: a name, or schema.name.
	Table string
}

const (
	// sqlTerms are added in one SELECT, of so many nested ones: the depth of an
	// expression is bounded in SQLite (1000) and by the stack in Postgres, and a sum
	// in the order of the scorer is as deep as it is long.
	sqlTerms = 32
	// sqlDepth is of one tree, for the same reason.
	sqlDepth = 200
	// sqlColumns keeps within 1664 columns of a SELECT in Postgres, 2000 in SQLite.
	sqlColumns = 1600
	// sqlExp is how far the logistic function is from 0 and 1 where its argument is
	// cut off: exp of more is an error in Postgres.
	sqlExp = 700
)

// WriteSQL writes the whole of an artifact, its encoder, model, calibration and
// bands, as one SELECT that gives of each row of a table: account and moment (where
// the artifact knows them), raw, probability and band.
//
// raw is the scorer's to the bit: the same additions in the same order, in double
// precision, all numbers spelt so that they read back the same. A band is cut where
// the scorer's own arithmetic puts the boundary on raw, so it is the same too.
// probability goes through the database's exp, and is within 1e-12 of the scorer's,
// relative to it, for log-odds within 700 of 0, beyond which it stays put.
//
// The table holds the columns as the training table did. A number, boolean, category
// (text) or time (timestamp; in SQLite text such as 2026-03-01 09:30:00 or
// 2026-03-01T09:30:00.123Z, UTC where no zone is told) that is NULL is missing. A
// category whose levels are all numbers may be a number, or text spelt as one; a
// text that is not among the levels is unseen, and empty text is text. Where SQLite
// finds a value of another type, or a row has no moment although a time needs one,
// the query fails with a message that names the column: nothing is guessed.
//
// The error is ErrUnsupported for what the database could not hold: more than 1600
// columns, a tree more than 200 deep, a text with a zero byte.
func WriteSQL(w io.Writer, a *models.Artifact, o SQLOptions) error {
	s := sqlWriter{sqlText: sqlText{postgres: o.Dialect == Postgres}, a: a, o: o}
	if o.Dialect != SQLite && o.Dialect != Postgres {
		return fmt.Errorf("%w: SQL of dialect %q; known are %s", ErrUnsupported, o.Dialect, strings.Join(SQLDialects(), ", "))
	}
	if err := s.plan(); err != nil {
		return err
	}
	s.head()
	s.input()
	s.sums()
	s.answer()
	_, err := io.WriteString(w, s.b.String())
	return err
}

// sqlWriter writes one artifact.
type sqlWriter struct {
	sqlText
	a *models.Artifact
	o SQLOptions
	b strings.Builder

	base  float64
	terms []sqlTerm
	last  []int // by feature: the last chunk of terms that needs it, -1 for none
	times bool  // a time is needed, and with it the moment
}

// sqlTerm is one summand.
type sqlTerm struct {
	text     string
	features []int
}

func (s *sqlWriter) printf(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

// plan writes the summands and finds out which columns they need.
func (s *sqlWriter) plan() error {
	columns := s.a.Encoder.Columns
	switch m := s.a.Model.(type) {
	case *models.Linear:
		s.base = m.Intercept
		for j := range m.Terms {
			if text := s.linearTerm(s.column(j), &m.Terms[j]); text != "" {
				s.terms = append(s.terms, sqlTerm{text, []int{j}})
			}
		}
	case *tree.Ensemble:
		s.base = m.Base()
		for i := range m.Trees() {
			t, err := s.treeTerm(m.Tree(i), m.Levels())
			if err != nil {
				return fmt.Errorf("tree %d: %w", i, err)
			}
			s.terms = append(s.terms, t)
		}
	default:
		return fmt.Errorf("%w: a model of type %T", ErrUnsupported, m)
	}
	s.last = make([]int, len(columns))
	for j := range s.last {
		s.last[j] = -1
	}
	for k, t := range s.terms {
		for _, j := range t.features {
			s.last[j] = k / sqlTerms
		}
	}
	used := 0
	texts := []string{s.o.Table, s.a.Manifest.Account, s.a.Manifest.Moment}
	for j := range columns {
		if s.last[j] < 0 {
			continue
		}
		used++
		s.times = s.times || columns[j].Kind == datasets.Time
		texts = append(append(texts, columns[j].Name), columns[j].Levels...)
	}
	if used > sqlColumns {
		return fmt.Errorf("%w: the model needs %d columns, SQL can take %d", ErrUnsupported, used, sqlColumns)
	}
	for _, text := range texts {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%w: %q holds a zero byte, which SQL cannot spell", ErrUnsupported, text)
		}
	}
	if s.times && s.a.Manifest.Moment == "" {
		return fmt.Errorf("%w: times are days before the moment, and the model knows no column of moments", ErrUnsupported)
	}
	return nil
}

// column is the name of a feature's number inside the query.
func (s *sqlWriter) column(j int) string { return "x" + strconv.Itoa(j) }

// carried are the columns that every SELECT hands on: whose row it is.
func (s *sqlWriter) carried() (names, from []string) {
	if c := s.a.Manifest.Account; c != "" {
		names, from = append(names, "account"), append(from, s.identifier(c))
	}
	if s.times {
		names, from = append(names, "as_of"), append(from, s.identifier(s.a.Manifest.Moment))
	}
	return names, from
}

// head says what the query expects and gives.
func (s *sqlWriter) head() {
	m := &s.a.Manifest
	product := "SQLite 3.38 or later"
	if s.postgres {
		product = "PostgreSQL 14 or later"
	}
	s.printf("-- Model %s, artifact %.12s: the probability that %q is %q, for %s.\n", m.Name, m.Hash, m.Label.Column, m.Label.Positive, product)
	s.printf("-- Reads of %q, as in the training table (NULL is missing):\n", s.o.Table)
	for j := range s.a.Encoder.Columns {
		if s.last[j] >= 0 {
			s.printf("--   %q, %s\n", s.a.Encoder.Columns[j].Name, s.expects(&s.a.Encoder.Columns[j]))
		}
	}
	s.printf("-- Gives of each row: raw, log-odds before calibration; probability; band.\n")
	if s.postgres {
		s.printf("-- SET jit = off; before it: compiling so long an expression costs more than it gains.\n")
	}
}

// input turns the columns of the table into numbers, as the encoder does.
func (s *sqlWriter) input() {
	names, from := s.carried()
	s.printf("WITH s0 AS (\n  SELECT ")
	for k := range names {
		s.printf("%s AS %s,\n    ", from[k], names[k])
	}
	for j := range s.a.Encoder.Columns {
		if s.last[j] >= 0 {
			s.printf("%s AS %s,\n    ", s.encode(&s.a.Encoder.Columns[j], s.a.Manifest.Moment), s.column(j))
		}
	}
	s.printf("%s AS raw\n  FROM %s\n  %s\n)", s.number(s.base), s.tableName(s.o.Table), s.fence())
}

// sums adds the terms in their order, some in each SELECT.
func (s *sqlWriter) sums() {
	names, _ := s.carried()
	for chunk := 0; chunk*sqlTerms < len(s.terms); chunk++ {
		s.printf(", s%d AS (\n  SELECT ", chunk+1)
		for _, name := range names {
			s.printf("%s, ", name)
		}
		for j, last := range s.last {
			if last > chunk {
				s.printf("%s, ", s.column(j))
			}
		}
		s.printf("raw")
		for _, t := range s.terms[chunk*sqlTerms : min((chunk+1)*sqlTerms, len(s.terms))] {
			s.printf("\n    + %s", t.text)
		}
		s.printf(" AS raw\n  FROM s%d\n  %s\n)", chunk, s.fence())
	}
}

// answer is the link, the calibration and the bands.
func (s *sqlWriter) answer() {
	names, _ := s.carried()
	carried := ""
	for _, name := range names {
		carried += name + ", "
	}
	chunks := (len(s.terms) + sqlTerms - 1) / sqlTerms
	s.printf(", calibrated AS (\n  SELECT %sraw,\n    %s AS log_odds\n  FROM s%d\n  %s\n)\n", carried, s.calibrated(&s.a.Calibration), chunks, s.fence())
	limit := s.number(sqlExp)
	s.printf("SELECT %sraw,\n  %s AS probability,\n  %s AS band\nFROM calibrated;\n", carried,
		s.least(fmt.Sprintf("%s / (%s + exp(%s))", s.number(1), s.number(1), s.least(s.greatest("-log_odds", s.number(-sqlExp)), limit)), s.number(1-0x1p-53)),
		s.bands())
}

// bands are cut on raw.
func (s *sqlWriter) bands() string {
	var b strings.Builder
	b.WriteString("CASE")
	bands := s.a.Manifest.Bands // at least one, as the manifest's check has it
	last := len(bands) - 1      // from 0
	for _, band := range bands[:last] {
		if from, ok := rawFrom(&s.a.Calibration, band.From); ok {
			fmt.Fprintf(&b, " WHEN raw >= %s THEN %s", s.number(from), s.text(band.Name))
		}
	}
	if b.Len() == len("CASE") {
		return s.text(bands[last].Name)
	}
	return b.String() + " ELSE " + s.text(bands[last].Name) + " END"
}

// rawFrom is the least log-odds whose probability is at least p; not ok if none is.
func rawFrom(c *models.Calibration, p float64) (raw float64, ok bool) {
	low, high := ordered(-math.MaxFloat64), ordered(math.MaxFloat64)
	if c.Probability(math.MaxFloat64) < p {
		return 0, false
	}
	for low < high {
		middle := low + (high-low)/2
		if c.Probability(unordered(middle)) >= p {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return unordered(low), true
}

// ordered numbers the float64 in their order; unordered is its inverse.
func ordered(x float64) uint64 {
	b := math.Float64bits(x)
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

func unordered(b uint64) float64 {
	if b>>63 == 0 {
		return math.Float64frombits(^b)
	}
	return math.Float64frombits(b &^ (1 << 63))
}
