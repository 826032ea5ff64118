package datasets

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
)

// append appends rows of which those with a 0 in valid are missing; without valid
// none is. The others are the next values of the page, or those of the indices.
func (q *pages) append(b *builder, rows, values int, valid []byte, indices []uint32) error {
	c := &b.col
	switch {
	case q.phys == parquet.Types.ByteArray:
		var codes [blockRows]int32
		if err := q.words(b, codes[:values], indices); err != nil {
			return err
		}
		c.Codes = spread(c.Codes, codes[:values], rows, valid, -1)
		return nil
	case c.Kind == Time:
		at := len(c.Times)
		if q.coded {
			if !choose(&c.Times, q.times, indices) {
				return errUnusual
			}
		} else if err := q.fixed(b, values); err != nil {
			return err
		}
		c.Times = spaced(c.Times, at, rows, valid, MissingTime)
		return nil
	}
	at := len(c.Numbers)
	if q.coded {
		if !choose(&c.Numbers, q.numbers, indices) {
			return errUnusual
		}
	} else if err := q.fixed(b, values); err != nil {
		return err
	}
	c.Numbers = spaced(c.Numbers, at, rows, valid, math.NaN())
	return nil
}

// words gives the codes of the next values.
func (q *pages) words(b *builder, codes []int32, indices []uint32) error {
	if q.into != b {
		q.into = b
		for k := range q.codes {
			q.codes[k] = -1
		}
	}
	for i := range codes {
		if !q.coded {
			var s []byte
			if s, q.plain = cutText(q.plain); s == nil || !b.letters(s, &codes[i]) {
				return errUnusual
			}
			continue
		}
		k := indices[i]
		if k >= uint32(len(q.codes)) {
			return errUnusual
		}
		if q.codes[k] < 0 && !b.letters(q.texts[k], &q.codes[k]) {
			return errUnusual
		}
		codes[i] = q.codes[k]
	}
	return nil
}

// choose appends the dictionary's values of the indices.
func choose[T any](to *[]T, dictionary []T, indices []uint32) bool {
	out := slices.Grow(*to, len(indices))
	n := len(out)
	out = out[:n+len(indices)]
	for i, k := range indices {
		if k >= uint32(len(dictionary)) {
			return false
		}
		out[n+i] = dictionary[k]
	}
	*to = out
	return true
}

// spaced moves the values from at on apart, to make room for the missing rows.
func spaced[T any](xs []T, at, rows int, valid []byte, missing T) []T {
	if valid == nil {
		return xs
	}
	k := len(xs)
	xs = slices.Grow(xs, at+rows-k)[:at+rows]
	for i := rows - 1; i >= 0; i-- {
		if valid[i] != 0 {
			k--
			xs[at+i] = xs[k]
		} else {
			xs[at+i] = missing
		}
	}
	return xs
}

// spread appends the values at the rows that are there.
func spread[T any](to, values []T, rows int, valid []byte, missing T) []T {
	at := len(to)
	return spaced(append(to, values...), at, rows, valid, missing)
}

// fixed appends the next n values of the page, which all have the same size.
func (q *pages) fixed(b *builder, n int) error {
	c := &b.col
	if q.phys == parquet.Types.Boolean {
		if (q.bits+n+7)/8 > len(q.plain) {
			return errUnusual
		}
		for i := q.bits; i < q.bits+n; i++ {
			c.Numbers = append(c.Numbers, float64(q.plain[i/8]>>(i&7)&1))
		}
		q.plain, q.bits = q.plain[(q.bits+n)/8:], (q.bits+n)&7
		return nil
	}
	size := q.size()
	if n > len(q.plain)/size {
		return errUnusual
	}
	data := q.plain[:n*size]
	q.plain = q.plain[n*size:]
	if c.Kind == Time {
		return q.instants(b, data, size)
	}
	c.Numbers = slices.Grow(c.Numbers, n)
	at := len(c.Numbers)
	c.Numbers = c.Numbers[:at+n]
	out := c.Numbers[at:]
	ok := true
	switch q.typ.ID() {
	case arrow.FLOAT64:
		for i := range out {
			x := math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
			out[i] = usual(x, &ok)
		}
	case arrow.FLOAT32:
		for i := range out {
			x := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
			out[i] = usual(float64(x), &ok)
		}
	case arrow.INT64:
		for i := range out {
			v := int64(binary.LittleEndian.Uint64(data[8*i:]))
			ok = ok && -wholeDigits <= v && v <= wholeDigits
			out[i] = float64(v)
		}
	case arrow.UINT64:
		for i := range out {
			v := binary.LittleEndian.Uint64(data[8*i:])
			ok = ok && v <= wholeDigits
			out[i] = float64(v)
		}
	case arrow.UINT32:
		for i := range out {
			out[i] = float64(binary.LittleEndian.Uint32(data[4*i:]))
		}
	default:
		least, most := bounds(q.typ.ID())
		for i := range out {
			v := int32(binary.LittleEndian.Uint32(data[4*i:]))
			ok = ok && least <= v && v <= most
			out[i] = float64(v)
		}
	}
	if !ok {
		return errUnusual
	}
	return nil
}

// size is that of one plain value in bytes, 0 if it varies or is a bit.
func (q *pages) size() int {
	switch q.phys {
	case parquet.Types.Int32, parquet.Types.Float:
		return 4
	case parquet.Types.Int64, parquet.Types.Double:
		return 8
	}
	return 0
}

// usual is x as a column has it; ok turns false if it is infinite.
func usual(x float64, ok *bool) float64 {
	if x-x == 0 {
		return x + 0
	}
	if !math.IsNaN(x) {
		*ok = false
	}
	return math.NaN()
}

// bounds are those of a whole number that Parquet holds in 32 bits.
func bounds(t arrow.Type) (least, most int32) {
	switch t {
	case arrow.INT8:
		return math.MinInt8, math.MaxInt8
	case arrow.INT16:
		return math.MinInt16, math.MaxInt16
	case arrow.UINT8:
		return 0, math.MaxUint8
	case arrow.UINT16:
		return 0, math.MaxUint16
	}
	return math.MinInt32, math.MaxInt32
}

// instants appends dates or timestamps.
func (q *pages) instants(b *builder, data []byte, size int) error {
	unit, factor := arrow.Second, int64(86_400) // of days
	if t, ok := q.typ.(*arrow.TimestampType); ok {
		unit, factor = t.Unit, 1
	}
	if size == 8 && unit == arrow.Microsecond {
		at := len(b.col.Times)
		b.col.Times = slices.Grow(b.col.Times, len(data)/8)[:at+len(data)/8]
		out, ok := b.col.Times[at:], true
		for i := range out {
			v := int64(binary.LittleEndian.Uint64(data[8*i:]))
			ok = ok && earliestTime <= v && v <= latestTime
			out[i] = v
		}
		if ok {
			return nil
		}
		b.col.Times = b.col.Times[:at]
	}
	for ; len(data) > 0; data = data[size:] {
		var v int64
		if size == 4 {
			v = int64(int32(binary.LittleEndian.Uint32(data)))
		} else {
			v = int64(binary.LittleEndian.Uint64(data))
		}
		us, ok := microseconds(v*factor, unit)
		if !ok || !b.instant(us) {
			return errUnusual
		}
	}
	return nil
}
