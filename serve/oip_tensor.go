package serve

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"propensity/datasets"
	"propensity/features"
)

// tensor is an input as it is described.
type tensor struct {
	name, datatype string
	shape          []int
	data           int // where it starts in the text; -1 if it is not there
	cells          int // in data
	nested         bool
	bytes          int // of binary data; -1 if there are none
}

// input reads one tensor: the cells of one column of the model, of shape [n] or [n,1].
func (i *inference) input(s *scanner, v *version, most int) error {
	t := tensor{data: -1, bytes: -1}
	if err := walkObject(s, "an input", func(name string) error { return t.member(s, name) }); err != nil {
		return err
	}
	target := v.target(t.name)
	if target == toNothing {
		if why, ok := v.leftOut[t.name]; ok {
			return oipRefuse("input %q was left out of the model: %s", clip(t.name), why)
		}
		return oipRefuse("input %q is no column of the model, see GET /v2/models/%s: each column is an input of its own", clip(t.name), v.name)
	}
	rows, err := t.rows()
	if err != nil {
		return err
	}
	if i.rows >= 0 && i.rows != rows {
		return oipRefuse("input %q has %d rows, %q has %d", clip(t.name), rows, clip(i.inputs.columns[0].name), i.rows)
	}
	i.rows = rows
	d, ok := oipTypes(t.datatype)
	if !ok {
		return oipRefuse("input %q: there is no datatype %q: use BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64 or BYTES", clip(t.name), clip(t.datatype))
	}
	if err := t.counted(rows, d); err != nil {
		return err
	}
	pointer := "/row/" + escapePointer(t.name)
	if t.bytes < 0 {
		return i.inputs.add(t.name, target, &jsonColumn{text: s.text, at: t.data, pointer: pointer, nested: t.nested, wants: d.wants, called: t.datatype}, most)
	}
	raw := &rawColumn{size: t.bytes, rows: rows, datatype: d, pointer: pointer}
	i.raw = append(i.raw, raw)
	return i.inputs.add(t.name, target, raw, most)
}

func (t *tensor) member(s *scanner, name string) error {
	switch name {
	case "name":
		return textMember(s, "the name of an input", &t.name)
	case "datatype":
		return textMember(s, "the datatype of an input", &t.datatype)
	case "shape":
		return walkArray(s, "the shape of an input", func() error {
			n := 0
			err := wholeMember(s, "each part of a shape", &n)
			if t.shape = append(t.shape, n); len(t.shape) > 8 {
				return oipRefuse("a shape of more than 8 dimensions")
			}
			return err
		})
	case "parameters":
		return walkObject(s, "the parameters of an input", func(name string) error {
			switch name {
			case "binary_data_size":
				return wholeMember(s, name, &t.bytes)
			case "content_type":
				return s.skip(5)
			}
			return oipRefuse("unknown parameter %q of an input: there is binary_data_size", clip(name))
		})
	case "data":
		t.data = s.at
		return walkArray(s, "the data of an input", func() error {
			if t.cells == 0 {
				t.nested = s.next() == '['
			}
			t.cells++
			return s.skip(5)
		})
	}
	return oipRefuse("unknown field %q of an input: there are name, shape, datatype, parameters and data", clip(name))
}

// rows are those of the shape.
func (t *tensor) rows() (int, error) {
	if len(t.shape) == 1 || len(t.shape) == 2 && t.shape[1] == 1 {
		return t.shape[0], nil
	}
	return 0, oipRefuse("input %q has the shape %v: a column of n rows is [n] or [n,1], and each column is an input of its own", clip(t.name), t.shape)
}

// counted checks that there is what the shape says.
func (t *tensor) counted(rows int, d oipType) error {
	switch {
	case t.data < 0 && t.bytes < 0:
		return oipRefuse("input %q has no data", clip(t.name))
	case t.data >= 0 && t.bytes >= 0:
		return oipRefuse("input %q has data and binary data: send one of them", clip(t.name))
	case t.data >= 0 && t.nested && len(t.shape) == 1:
		return oipRefuse("input %q has cells in arrays, and the shape %v", clip(t.name), t.shape)
	case t.data >= 0 && t.cells != rows:
		return oipRefuse("input %q has %d cells, and the shape %v", clip(t.name), t.cells, t.shape)
	case t.bytes >= 0 && d.size > 0 && t.bytes/d.size != rows, t.bytes >= 0 && d.size > 0 && t.bytes%d.size != 0:
		return oipRefuse("input %q has %d bytes; a %s has %d, and its shape is %v", clip(t.name), t.bytes, t.datatype, d.size, t.shape)
	}
	return nil
}

// cut gives each binary tensor its bytes.
func (i *inference) cut(rest []byte) error {
	for _, raw := range i.raw {
		if raw.size > len(rest) {
			return refuse(http.StatusBadRequest, fmt.Sprintf("the binary data end early: %d bytes are missing", raw.size-len(rest)))
		}
		raw.all, rest = rest[:raw.size], rest[raw.size:]
	}
	if len(rest) > 0 {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%d bytes follow the binary data", len(rest)))
	}
	return nil
}

// oipType is a datatype.
type oipType struct {
	size  int                     // of a cell, in bytes; 0: each tells its own
	wants func(value []byte) bool // JSON that fits
	value func(b []byte) datasets.Value
}

func oipTypes(name string) (oipType, bool) {
	number := func(size int, wants func([]byte) bool, value func(b []byte) float64) (oipType, bool) {
		return oipType{size, wants, func(b []byte) datasets.Value {
			x := value(b)
			if math.IsNaN(x) { // there is no null among bytes
				return datasets.Value{}
			}
			return datasets.Value{Kind: datasets.Number, Number: x + 0} // -0 + 0 is 0
		}}, true
	}
	l := binary.LittleEndian
	switch name {
	case "BOOL":
		return oipType{1, isBool, func(b []byte) datasets.Value {
			return datasets.Value{Kind: datasets.Boolean, Number: float64(min(b[0], 1))}
		}}, true
	case "BYTES":
		return oipType{0, isText, func(b []byte) datasets.Value {
			return datasets.Value{Kind: datasets.Category, Text: string(b)}
		}}, true
	case "INT8":
		return number(1, isInt(8), func(b []byte) float64 { return float64(int8(b[0])) })
	case "INT16":
		return number(2, isInt(16), func(b []byte) float64 { return float64(int16(l.Uint16(b))) })
	case "INT32":
		return number(4, isInt(32), func(b []byte) float64 { return float64(int32(l.Uint32(b))) })
	case "INT64":
		return number(8, isInt(64), func(b []byte) float64 { return float64(int64(l.Uint64(b))) })
	case "UINT8":
		return number(1, isUint(8), func(b []byte) float64 { return float64(b[0]) })
	case "UINT16":
		return number(2, isUint(16), func(b []byte) float64 { return float64(l.Uint16(b)) })
	case "UINT32":
		return number(4, isUint(32), func(b []byte) float64 { return float64(l.Uint32(b)) })
	case "UINT64":
		return number(8, isUint(64), func(b []byte) float64 { return float64(l.Uint64(b)) })
	case "FP16":
		return number(2, isNumber, func(b []byte) float64 { return half(l.Uint16(b)) })
	case "BF16":
		return number(2, isNumber, func(b []byte) float64 { return float64(math.Float32frombits(uint32(l.Uint16(b)) << 16)) })
	case "FP32":
		return number(4, isNumber, func(b []byte) float64 { return float64(math.Float32frombits(l.Uint32(b))) })
	case "FP64":
		return number(8, isNumber, func(b []byte) float64 { return math.Float64frombits(l.Uint64(b)) })
	}
	return oipType{}, false
}

func isBool(v []byte) bool   { return v[0] == 't' || v[0] == 'f' }
func isText(v []byte) bool   { return v[0] == '"' }
func isNumber(v []byte) bool { return v[0] == '-' || '0' <= v[0] && v[0] <= '9' }

func isInt(bits int) func([]byte) bool {
	return func(v []byte) bool {
		_, err := strconv.ParseInt(string(v), 10, bits)
		return err == nil
	}
}

func isUint(bits int) func([]byte) bool {
	return func(v []byte) bool {
		_, err := strconv.ParseUint(string(v), 10, bits)
		return err == nil
	}
}

// half is a number of 16 bits, IEEE 754 binary16.
func half(b uint16) float64 {
	sign := 1.0
	if b>>15 == 1 {
		sign = -1
	}
	exponent, fraction := int(b>>10&31), float64(b&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// rawColumn is a column of binary data: little-endian numbers, or texts of which each
// comes after its length in 4 bytes.
type rawColumn struct {
	datatype  oipType
	pointer   string
	size      int
	rows, row int
	all, rest []byte
}

func (r *rawColumn) rewind() { r.row, r.rest = 0, r.all }

func (r *rawColumn) next() (bool, error) {
	if r.row == r.rows {
		if len(r.rest) > 0 {
			return false, refuse(http.StatusBadRequest, fmt.Sprintf("%d bytes of its binary data are left over", len(r.rest)), fault{"bytes are left over", r.pointer})
		}
		return false, nil
	}
	r.row++
	return true, nil
}

func (r *rawColumn) take(q *request, e *features.Encoder, target int) error {
	n := r.datatype.size
	if n == 0 {
		if len(r.rest) < 4 || uint64(binary.LittleEndian.Uint32(r.rest)) > uint64(len(r.rest)-4) {
			return refuse(http.StatusBadRequest, "a text goes beyond the binary data", fault{"a text goes beyond the binary data", r.pointer})
		}
		n = int(binary.LittleEndian.Uint32(r.rest))
		r.rest = r.rest[4:]
		if !utf8.Valid(r.rest[:n]) {
			q.fault(r.pointer, "a text is not UTF-8")
			r.rest = r.rest[n:]
			return nil
		}
	}
	v := r.datatype.value(r.rest[:n])
	r.rest = r.rest[n:]
	if target == toMoment || target >= 0 && e.Columns[target].Kind == datasets.Time {
		if v.Kind == datasets.Category {
			us, err := datasets.ParseTime(v.Text)
			if err != nil {
				q.fault(r.pointer, "%q is no time: write it as 2026-03-01T09:30:00Z or 2026-03-01", clip(v.Text))
			}
			v = datasets.Value{Kind: datasets.Time, Time: us}
		}
	}
	q.set(target, r.pointer, v)
	return nil
}
