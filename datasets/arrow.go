package datasets

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// kindKey is the key of a field's metadata that holds the kind of the column:
// Arrow does not tell a Category from a Text.
const kindKey = "propensity.kind"

// arrowColumn is one wanted column of a Parquet or Arrow file.
type arrowColumn struct {
	name  string
	kind  Kind
	set   bool // by hand
	place int  // among the columns of the file
}

func (c *arrowColumn) builder(o *ReadOptions) *builder {
	b := newBuilder(c.name, c.kind, o)
	b.set = c.set
	return b
}

// arrowColumns settles the kinds of the wanted columns from the schema.
func arrowColumns(fields []arrow.Field, file string, o *ReadOptions) ([]arrowColumn, error) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	if len(names) == 0 {
		return nil, &ParseError{File: file, Err: ErrEmpty, Hint: "it has no columns"}
	}
	if err := checkHeader(names, file, 0); err != nil {
		return nil, err
	}
	if err := o.lacking(file, names); err != nil {
		return nil, err
	}
	var out []arrowColumn
	for i, f := range fields {
		if !o.wants(f.Name) {
			continue
		}
		set := o.Kinds[f.Name]
		own, ok := kindOfType(f.Type)
		if !ok && (f.Type.ID() != arrow.BINARY || (set != Category && set != Text)) {
			hint := fmt.Sprintf("its type %s is not read: leave the column out, or store it as numbers, booleans, text or times", f.Type)
			if f.Type.ID() == arrow.BINARY {
				hint = "it holds bytes: set its type to category or text if they are UTF-8 text, or leave it out"
			}
			if arrow.IsNested(f.Type.ID()) {
				hint = "it is nested: flatten it, or leave the column out"
			}
			return nil, &ParseError{File: file, Column: f.Name, Err: ErrValue, Hint: hint}
		}
		c := arrowColumn{name: strings.Clone(f.Name), kind: own, set: set != 0, place: i}
		if set != 0 {
			c.kind = set
		} else if k := f.Metadata.FindKey(kindKey); k >= 0 {
			stored, err := ParseKind(f.Metadata.Values()[k])
			if err != nil || (stored != own && !(stored == Text && own == Category)) {
				return nil, &ParseError{File: file, Column: f.Name, Value: f.Metadata.Values()[k], Err: ErrEncoding,
					Hint: fmt.Sprintf("the stored kind does not go with the type %s", f.Type)}
			}
			c.kind = stored
		}
		out = append(out, c)
	}
	return out, nil
}

// kindOfType is the kind that a type of Arrow has on its own.
func kindOfType(t arrow.DataType) (Kind, bool) {
	switch t := t.(type) {
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type,
		*arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type,
		*arrow.Float32Type, *arrow.Float64Type:
		return Number, true
	case *arrow.Decimal128Type:
		return Number, -76 <= t.Scale && t.Scale <= 76
	case *arrow.Decimal256Type:
		return Number, -76 <= t.Scale && t.Scale <= 76
	case *arrow.BooleanType:
		return Boolean, true
	case *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType, *arrow.NullType:
		return Category, true
	case *arrow.TimestampType, *arrow.Date32Type, *arrow.Date64Type:
		return Time, true
	case *arrow.DictionaryType:
		switch t.ValueType.(type) {
		case *arrow.StringType, *arrow.LargeStringType:
			return Category, true
		}
	}
	return 0, false
}

// appendArray appends a part of a column; row is the first that the builder
// could not hold, -1 if there is none.
func (b *builder) appendArray(a arrow.Array) (row int, value string) {
	switch a := a.(type) {
	case *array.Int8:
		return appendEach(b, a, func(i int) bool { return b.integer(int64(a.Value(i))) })
	case *array.Int16:
		return appendEach(b, a, func(i int) bool { return b.integer(int64(a.Value(i))) })
	case *array.Int32:
		return appendEach(b, a, func(i int) bool { return b.integer(int64(a.Value(i))) })
	case *array.Int64:
		return appendEach(b, a, func(i int) bool { return b.integer(a.Value(i)) })
	case *array.Uint8:
		return appendEach(b, a, func(i int) bool { return b.integer(int64(a.Value(i))) })
	case *array.Uint16:
		return appendEach(b, a, func(i int) bool { return b.integer(int64(a.Value(i))) })
	case *array.Uint32:
		return appendEach(b, a, func(i int) bool { return b.integer(int64(a.Value(i))) })
	case *array.Uint64:
		return appendEach(b, a, func(i int) bool { return b.unsigned(a.Value(i)) })
	case *array.Float32:
		return appendEach(b, a, func(i int) bool { return b.float(float64(a.Value(i))) })
	case *array.Float64:
		return appendEach(b, a, func(i int) bool { return b.float(a.Value(i)) })
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return appendEach(b, a, func(i int) bool { return b.digits(decimalText(a.Value(i).BigInt(), scale)) })
	case *array.Decimal256:
		scale := a.DataType().(*arrow.Decimal256Type).Scale
		return appendEach(b, a, func(i int) bool { return b.digits(decimalText(a.Value(i).BigInt(), scale)) })
	case *array.Boolean:
		return appendEach(b, a, func(i int) bool { return b.boolean(a.Value(i)) })
	case *array.String:
		return appendEach(b, a, func(i int) bool { return b.text(a.Value(i)) })
	case *array.LargeString:
		return appendEach(b, a, func(i int) bool { return b.text(a.Value(i)) })
	case *array.StringView:
		return appendEach(b, a, func(i int) bool { return b.text(a.Value(i)) })
	case *array.Binary:
		row, value = appendEach(b, a, func(i int) bool { return b.text(string(a.Value(i))) })
		if row >= 0 {
			value = string(a.Value(row))
		}
		return row, value
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return appendEach(b, a, func(i int) bool {
			us, ok := microseconds(int64(a.Value(i)), unit)
			return ok && b.instant(us)
		})
	case *array.Date32:
		return appendEach(b, a, func(i int) bool {
			us, ok := microseconds(int64(a.Value(i))*86_400, arrow.Second)
			return ok && b.instant(us)
		})
	case *array.Date64:
		return appendEach(b, a, func(i int) bool {
			us, ok := microseconds(int64(a.Value(i)), arrow.Millisecond)
			return ok && b.instant(us)
		})
	case *array.Null:
		for range a.Len() {
			b.null()
		}
		return -1, ""
	case *array.Dictionary:
		return b.appendDictionary(a)
	}
	return 0, "an array of " + a.DataType().String()
}

func appendEach(b *builder, a arrow.Array, put func(i int) bool) (row int, value string) {
	for i := range a.Len() {
		if a.IsNull(i) {
			b.null()
		} else if !put(i) {
			return i, a.ValueStr(i)
		}
	}
	return -1, ""
}

// appendDictionary looks each text of the dictionary up only once.
func (b *builder) appendDictionary(a *array.Dictionary) (row int, value string) {
	words := a.Dictionary()
	word := func(k int) string {
		if large, ok := words.(*array.LargeString); ok {
			return large.Value(k)
		}
		return words.(*array.String).Value(k)
	}
	textual := b.col.Kind == Category || b.col.Kind == Text
	codes := make([]int32, words.Len()) // plus one; 0 is not looked up yet
	for i := range a.Len() {
		if a.IsNull(i) {
			b.null()
			continue
		}
		k := a.GetValueIndex(i)
		if words.IsNull(k) {
			b.null()
			continue
		}
		if textual && codes[k] > 0 {
			b.col.Codes = append(b.col.Codes, codes[k]-1)
			continue
		}
		if !b.text(word(k)) {
			return i, word(k)
		}
		if textual {
			if code := b.col.Codes[len(b.col.Codes)-1]; code >= 0 {
				codes[k] = code + 1
			}
		}
	}
	return -1, ""
}

func microseconds(v int64, unit arrow.TimeUnit) (us int64, ok bool) {
	switch unit {
	case arrow.Second:
		us = v * 1_000_000
		return us, us/1_000_000 == v
	case arrow.Millisecond:
		us = v * 1000
		return us, us/1000 == v
	case arrow.Nanosecond:
		us = v / 1000
		if v%1000 < 0 {
			us-- // towards the past, as for every other time
		}
		return us, true
	}
	return v, true
}

// decimalText spells a decimal without trailing zeros of its fraction.
func decimalText(unscaled *big.Int, scale int32) string {
	if scale <= 0 {
		ten := big.NewInt(10)
		return new(big.Int).Mul(unscaled, ten.Exp(ten, big.NewInt(int64(-scale)), nil)).String()
	}
	s := new(big.Int).Abs(unscaled).String()
	if pad := int(scale) + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	whole, fraction := s[:len(s)-int(scale)], strings.TrimRight(s[len(s)-int(scale):], "0")
	if fraction != "" {
		whole += "." + fraction
	}
	if unscaled.Sign() < 0 {
		whole = "-" + whole
	}
	return whole
}

// schemaOf is the schema that a table is written with.
func schemaOf(t *Table) *arrow.Schema {
	fields := make([]arrow.Field, len(t.Columns))
	for j := range t.Columns {
		c := &t.Columns[j]
		var dt arrow.DataType
		switch c.Kind {
		case Number:
			dt = arrow.PrimitiveTypes.Float64
		case Boolean:
			dt = arrow.FixedWidthTypes.Boolean
		case Time:
			dt = arrow.FixedWidthTypes.Timestamp_us // in UTC
		default:
			dt = arrow.BinaryTypes.String
		}
		fields[j] = arrow.Field{Name: c.Name, Type: dt, Nullable: true,
			Metadata: arrow.NewMetadata([]string{kindKey}, []string{c.Kind.String()})}
	}
	return arrow.NewSchema(fields, nil)
}

// recordOf is rows from to to of a table.
func recordOf(t *Table, schema *arrow.Schema, from, to int) arrow.Record {
	mem := memory.NewGoAllocator()
	columns := make([]arrow.Array, len(t.Columns))
	for j := range t.Columns {
		columns[j] = arrayOf(&t.Columns[j], mem, from, to)
		defer columns[j].Release()
	}
	return array.NewRecord(schema, columns, int64(to-from))
}

func arrayOf(c *Column, mem memory.Allocator, from, to int) arrow.Array {
	switch c.Kind {
	case Number:
		b := array.NewFloat64Builder(mem)
		defer b.Release()
		b.Reserve(to - from)
		for _, x := range c.Numbers[from:to] {
			if x != x {
				b.AppendNull()
			} else {
				b.Append(x + 0)
			}
		}
		return b.NewArray()
	case Boolean:
		b := array.NewBooleanBuilder(mem)
		defer b.Release()
		b.Reserve(to - from)
		for _, x := range c.Numbers[from:to] {
			if x != x {
				b.AppendNull()
			} else {
				b.Append(x != 0)
			}
		}
		return b.NewArray()
	case Time:
		b := array.NewTimestampBuilder(mem, arrow.FixedWidthTypes.Timestamp_us.(*arrow.TimestampType))
		defer b.Release()
		b.Reserve(to - from)
		for _, us := range c.Times[from:to] {
			if us == MissingTime {
				b.AppendNull()
			} else {
				b.Append(arrow.Timestamp(us))
			}
		}
		return b.NewArray()
	}
	b := array.NewStringBuilder(mem)
	defer b.Release()
	b.Reserve(to - from)
	for _, k := range c.Codes[from:to] {
		if k < 0 {
			b.AppendNull()
		} else {
			b.Append(c.Values[k])
		}
	}
	return b.NewArray()
}

// recordRows cuts a table into records of at most most rows whose text stays
// well below the 2 GiB that Arrow's 32-bit offsets reach.
func recordRows(t *Table, most int) (ends []int) {
	const mostText = 1 << 30
	text := make([]int, len(t.Columns))
	from := 0
	for i := range t.Rows() {
		full := i-from == most
		for j := range t.Columns {
			c := &t.Columns[j]
			if c.Codes == nil || c.Codes[i] < 0 {
				continue
			}
			n := len(c.Values[c.Codes[i]])
			full = full || text[j]+n > mostText && i > from
			text[j] += n
		}
		if full {
			ends, from = append(ends, i), i
			for j := range t.Columns {
				text[j] = 0
				if c := &t.Columns[j]; c.Codes != nil && c.Codes[i] >= 0 {
					text[j] = len(c.Values[c.Codes[i]])
				}
			}
		}
	}
	return append(ends, t.Rows())
}

// guarded turns a panic of the Arrow library on a damaged file into an error.
func guarded(file string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			detail := fmt.Sprint(p)
			if e, ok := p.(error); ok {
				detail = e.Error()
			}
			err = &ParseError{File: file, Err: ErrEncoding, Hint: "it is damaged (" + strconv.Quote(shorten(detail)) + ")"}
		}
	}()
	return f()
}

// boundedAllocator refuses what a damaged file asks for beyond reason: more than
// most at once, or more than budget in all if that is not 0.
type boundedAllocator struct {
	memory.GoAllocator
	most, budget, used int
}

func (a *boundedAllocator) count(size int) {
	if size < 0 || size > a.most {
		panic(fmt.Sprintf("a buffer of %d bytes", size))
	}
	if a.budget > 0 {
		if a.used += size; a.used > a.budget {
			panic("buffers larger than the file")
		}
	}
}

func (a *boundedAllocator) Allocate(size int) []byte {
	a.count(size)
	return a.GoAllocator.Allocate(size)
}

func (a *boundedAllocator) Reallocate(size int, b []byte) []byte {
	a.count(size)
	return a.GoAllocator.Reallocate(size, b)
}
