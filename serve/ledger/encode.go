package ledger

import (
	"encoding/binary"
	"fmt"
	"math"

	"propensity/datasets"
	"propensity/models"
)

// The body of a score is what nothing is looked up by: a format byte; raw and percentile,
// eight bytes each, little-endian; the score, a zigzag varint; key and request, each a
// length and its letters; the number of reasons and of each its column and its points; then,
// if the row is kept, a cell for each column. A cell is a byte and what it needs:
const (
	bodyFormat = 1

	cellMissing  = 0
	cellNumber   = 1 // eight bytes
	cellFalse    = 2
	cellTrue     = 3
	cellCategory = 4 // length and letters
	cellTime     = 5 // a zigzag varint
	cellText     = 6 // length and letters
	cellWhole    = 7 // a zigzag varint: a number that is whole
)

// maxWhole bounds the numbers that are kept as whole ones: all below are exact.
const maxWhole = 1 << 53

// appendBody writes the body of a score, whose reasons name columns by index.
func appendBody(out []byte, s *Score, index map[string]int, rows bool) []byte {
	out = append(out, bodyFormat)
	out = binary.LittleEndian.AppendUint64(out, math.Float64bits(s.Raw))
	out = binary.LittleEndian.AppendUint64(out, math.Float64bits(s.Percentile))
	out = binary.AppendVarint(out, int64(s.Score))
	out = appendText(out, s.Key)
	out = appendText(out, s.Request)
	n := 0
	for i := range s.Reasons {
		if _, ok := index[s.Reasons[i].Feature]; ok {
			n++
		}
	}
	out = binary.AppendUvarint(out, uint64(n))
	for i := range s.Reasons {
		if column, ok := index[s.Reasons[i].Feature]; ok {
			out = binary.AppendUvarint(out, uint64(column))
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(s.Reasons[i].Points))
		}
	}
	if rows {
		for i := range s.Row {
			out = appendCell(out, &s.Row[i])
		}
	}
	return out
}

func appendText(out []byte, text string) []byte {
	out = binary.AppendUvarint(out, uint64(len(text)))
	return append(out, text...)
}

func appendCell(out []byte, v *datasets.Value) []byte {
	switch v.Kind {
	case datasets.Number:
		switch x := v.Number; {
		case x != x:
			return append(out, cellMissing)
		case x == math.Trunc(x) && math.Abs(x) < maxWhole:
			return binary.AppendVarint(append(out, cellWhole), int64(x)) // -0 is 0
		}
		return binary.LittleEndian.AppendUint64(append(out, cellNumber), math.Float64bits(v.Number))
	case datasets.Boolean:
		switch {
		case v.Number != v.Number:
			return append(out, cellMissing)
		case v.Number != 0:
			return append(out, cellTrue)
		}
		return append(out, cellFalse)
	case datasets.Time:
		return binary.AppendVarint(append(out, cellTime), v.Time)
	case datasets.Category:
		return appendText(append(out, cellCategory), v.Text)
	case datasets.Text:
		return appendText(append(out, cellText), v.Text)
	}
	return append(out, cellMissing)
}

// decodeBody reads a body into a score whose Columns are set.
func decodeBody(body []byte, s *Score) error {
	r := reader{rest: body}
	if r.byte() != bodyFormat {
		r.fail()
	}
	s.Raw, s.Percentile = r.float(), r.float()
	s.Score = int(r.varint())
	s.Key, s.Request = r.text(), r.text()
	n := r.uvarint()
	if n > uint64(len(s.Columns)) {
		r.fail()
		n = 0
	}
	s.Reasons = nil
	for range n {
		k, points := r.uvarint(), r.float()
		if r.failed || k >= uint64(len(s.Columns)) {
			r.fail()
			break
		}
		s.Reasons = append(s.Reasons, models.Reason{Feature: s.Columns[k], Points: points})
	}
	s.Row = nil
	if len(r.rest) > 0 {
		s.Row = make([]datasets.Value, len(s.Columns))
		for j := range s.Row {
			s.Row[j] = r.cell()
		}
	}
	if len(r.rest) > 0 {
		r.fail()
	}
	if r.failed {
		return fmt.Errorf("%w: a score of model %q, version %d, cannot be read", ErrDamaged, s.Model, s.Version)
	}
	for i := range s.Reasons {
		for j := range s.Row {
			if s.Columns[j] == s.Reasons[i].Feature {
				s.Reasons[i].Value = s.Row[j]
			}
		}
	}
	return nil
}

// reader takes bytes apart; after a fault it gives zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() { r.failed, r.rest = true, nil }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) float() float64 {
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return math.Float64frombits(x)
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return ""
	}
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *reader) cell() datasets.Value {
	switch r.byte() {
	case cellMissing:
	case cellNumber:
		return datasets.Value{Kind: datasets.Number, Number: r.float()}
	case cellWhole:
		return datasets.Value{Kind: datasets.Number, Number: float64(r.varint())}
	case cellFalse:
		return datasets.Value{Kind: datasets.Boolean}
	case cellTrue:
		return datasets.Value{Kind: datasets.Boolean, Number: 1}
	case cellTime:
		return datasets.Value{Kind: datasets.Time, Time: r.varint()}
	case cellCategory:
		return datasets.Value{Kind: datasets.Category, Text: r.text()}
	case cellText:
		return datasets.Value{Kind: datasets.Text, Text: r.text()}
	default:
		r.fail()
	}
	return datasets.Value{}
}

// appendColumns writes the columns of a version: of each its name and kind.
func appendColumns(out []byte, names []string, kinds []datasets.Kind) []byte {
	for j, name := range names {
		out = appendText(out, name)
		kind := datasets.Kind(0)
		if j < len(kinds) {
			kind = kinds[j]
		}
		out = append(out, byte(kind))
	}
	return out
}

func decodeColumns(b []byte) (names []string, kinds []datasets.Kind, err error) {
	r := reader{rest: b}
	for len(r.rest) > 0 {
		names = append(names, r.text())
		kind := datasets.Kind(r.byte())
		if kind > datasets.Text {
			r.fail()
		}
		kinds = append(kinds, kind)
	}
	if r.failed {
		return nil, nil, fmt.Errorf("%w: the columns of a version cannot be read", ErrDamaged)
	}
	return names, kinds, nil
}
