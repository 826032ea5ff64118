package online

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"propensity/datasets"
	"propensity/features/facts"
)

// The content of a version, which is all of a fact but what names it and its arrival:
// a format byte, the instants occurred and end (zigzag varints), and each value that
// is there by the order of the columns' names: length and letters of the name, kind,
// and eight bytes of a number, one of a boolean, a zigzag varint of a time, or length
// and letters. Facts that say the same have the same bytes.
const contentFormat = 1

// errContent is the error of a content that no store of ours has written.
var errContent = errors.New("the content of a fact is damaged")

// encode appends the content of a fact.
func encode(out []byte, f *facts.Fact) []byte {
	out = append(out, contentFormat)
	out = binary.AppendVarint(out, f.Occurred)
	out = binary.AppendVarint(out, f.End)
	var room [16]string
	names := room[:0]
	for name := range f.Values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := f.Values[name]
		if v.Missing() || v.Kind == datasets.Number && math.IsNaN(v.Number) {
			continue
		}
		out = appendText(out, name)
		out = append(out, byte(v.Kind))
		switch v.Kind {
		case datasets.Number:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v.Number+0)) // -0 + 0 is 0
		case datasets.Boolean:
			b := byte(0)
			if v.Number != 0 {
				b = 1
			}
			out = append(out, b)
		case datasets.Time:
			out = binary.AppendVarint(out, v.Time)
		default:
			out = appendText(out, v.Text)
		}
	}
	return out
}

func appendText(out []byte, text string) []byte {
	out = binary.AppendUvarint(out, uint64(len(text)))
	return append(out, text...)
}

// instants reads only when a content occurred and ended.
func instants(content []byte) (occurred, end int64, err error) {
	r := reader{rest: content}
	r.format()
	occurred, end = r.varint(), r.varint()
	return occurred, end, r.err
}

// decode reads a content into a fact.
func decode(content []byte, f *facts.Fact) error {
	r := reader{rest: content}
	r.format()
	f.Occurred, f.End = r.varint(), r.varint()
	f.Values = nil
	last := ""
	for r.err == nil && len(r.rest) > 0 {
		name := r.text()
		if f.Values == nil {
			f.Values = make(map[string]datasets.Value, 4)
		} else if name <= last {
			r.fail()
		}
		last = name
		v := datasets.Value{Kind: datasets.Kind(r.byte())}
		switch v.Kind {
		case datasets.Number:
			v.Number = math.Float64frombits(r.fixed())
			if math.IsNaN(v.Number) || v.Number == 0 && math.Signbit(v.Number) {
				r.fail()
			}
		case datasets.Boolean:
			b := r.byte()
			v.Number = float64(b)
			if b > 1 {
				r.fail()
			}
		case datasets.Time:
			v.Time = r.varint()
		case datasets.Category, datasets.Text:
			v.Text = r.text()
		default:
			r.fail()
		}
		f.Values[name] = v
	}
	if r.err != nil {
		return fmt.Errorf("%w: source %q, account %q, id %q", r.err, clip(f.Source), clip(f.Account), clip(f.ID))
	}
	return nil
}

// reader takes a content apart; after a fault it gives zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail() {
	r.err, r.rest = errContent, nil
}

func (r *reader) format() {
	if r.byte() != contentFormat {
		r.fail()
	}
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 { // spelled longer than it has to be
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *reader) fixed() uint64 {
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	x := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return x
}

func (r *reader) text() string {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || size > 1 && r.rest[size-1] == 0 || n > uint64(len(r.rest)-size) {
		r.fail()
		return ""
	}
	text := string(r.rest[size : size+int(n)])
	r.rest = r.rest[size+int(n):]
	return text
}
