package datasets

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

const (
	// groupMost is the rows of a row group.
	groupMost = 1 << 17
	// dictionaryMost is the bytes of a dictionary, its text or its numbers.
	dictionaryMost = 1 << 20
)

// parquetEncoder writes Parquet: tables are kept until they fill a row group,
// whose columns are then encoded on all processors.
type parquetEncoder struct {
	out    io.Writer
	schema *arrow.Schema
	w      *file.Writer // nil before the first row group
	plain  []bool       // by column: without a dictionary
	held   []*Table     // not yet in a row group,
	first  int          // from this row of the first of them on
	rows   int          // in all
}

func newParquetEncoder(out io.Writer, t *Table) *parquetEncoder {
	return &parquetEncoder{out: out, schema: schemaOf(t), plain: make([]bool, len(t.Columns))}
}

func (e *parquetEncoder) write(t *Table) error {
	if t.Rows() == 0 {
		return nil
	}
	e.held = append(e.held, t)
	e.rows += t.Rows()
	for e.rows >= groupMost {
		if err := e.group(groupMost); err != nil {
			return err
		}
	}
	return nil
}

func (e *parquetEncoder) close() error {
	if e.rows > 0 {
		if err := e.group(e.rows); err != nil {
			return err
		}
	}
	if e.w == nil {
		if err := e.begin(); err != nil {
			return err
		}
	}
	return e.w.Close()
}

// begin starts the file, with dictionaries for all columns but the plain ones.
func (e *parquetEncoder) begin() error {
	options := []parquet.WriterProperty{parquet.WithCompression(compress.Codecs.Snappy)}
	for j, plain := range e.plain {
		if plain {
			options = append(options, parquet.WithDictionaryPath(parquet.ColumnPath{e.schema.Field(j).Name}, false))
		}
	}
	props := parquet.NewWriterProperties(options...)
	root, err := pqarrow.ToParquet(e.schema, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return err
	}
	meta := metadata.KeyValueMetadata{}
	stored := flight.SerializeSchema(e.schema, memory.DefaultAllocator)
	if err := meta.Append("ARROW:schema", base64.StdEncoding.EncodeToString(stored)); err != nil {
		return err
	}
	e.w = file.NewParquetWriter(onlyWriter{e.out}, root.Root(), file.WithWriterProps(props), file.WithWriteMetadata(meta))
	return nil
}

// onlyWriter hides Close: the library would close what it writes to.
type onlyWriter struct{ io.Writer }

// group writes the next n rows as a row group. Which columns go without a
// dictionary is up to the first.
func (e *parquetEncoder) group(n int) error {
	parts := e.take(n)
	columns := make([]*groupColumn, len(e.plain))
	_ = inParallel(len(columns), func(j int) error {
		columns[j] = newGroupColumn(parts, j, n, e.plain[j])
		return nil
	})
	if e.w == nil {
		for j, c := range columns {
			e.plain[j] = c.plain
		}
		if err := e.begin(); err != nil {
			return err
		}
	}
	group := e.w.AppendBufferedRowGroup()
	err := inParallel(len(columns), func(j int) error {
		return guarded("output", func() error {
			w, err := group.Column(j)
			if err != nil {
				return err
			}
			return columns[j].write(w)
		})
	})
	if err != nil {
		return err
	}
	return group.Close()
}

// part is some rows of a table.
type part struct {
	t        *Table
	from, to int
}

// take removes the next n rows from those held.
func (e *parquetEncoder) take(n int) (parts []part) {
	e.rows -= n
	for n > 0 {
		t := e.held[0]
		to := min(t.Rows(), e.first+n)
		parts = append(parts, part{t, e.first, to})
		n -= to - e.first
		e.first = to
		if to == t.Rows() {
			e.held[0] = nil
			e.held, e.first = e.held[1:], 0
		}
	}
	return parts
}

// groupColumn is one column of a row group: as codes into a dictionary, or else
// its values without the missing ones.
type groupColumn struct {
	kind  Kind
	plain bool
	codes []int32 // 0 where missing
	// levels are 1 where a value is, 0 where it is missing, as Parquet has it.
	levels  []int16
	missing int

	// The dictionary, or all values.
	numbers []float64
	times   []int64
	texts   []string
}

// newGroupColumn gathers column j of the parts, of so many rows.
func newGroupColumn(parts []part, j, rows int, plain bool) *groupColumn {
	c := &groupColumn{kind: parts[0].t.Columns[j].Kind, plain: plain, levels: make([]int16, 0, rows)}
	if c.kind == Boolean {
		c.plain = true // which never has a dictionary
	}
	if !c.plain {
		c.codes = make([]int32, 0, rows)
		if c.gather(parts, j, rows/2) {
			return c
		}
		*c = groupColumn{kind: c.kind, plain: true, levels: c.levels[:0]}
	}
	c.gather(parts, j, rows)
	return c
}

// gather collects the values; it reports false for a dictionary of more than most
// values, or one too large.
func (c *groupColumn) gather(parts []part, j, most int) bool {
	texts := textIndex{most: most}
	numbers := numberIndex{most: most}
	for _, p := range parts {
		col := &p.t.Columns[j]
		ok := true
		switch c.kind {
		case Number, Boolean:
			ok = c.gatherNumbers(col.Numbers[p.from:p.to], &numbers)
		case Time:
			ok = c.gatherTimes(col.Times[p.from:p.to], &numbers)
		default:
			ok = c.gatherTexts(col.Codes[p.from:p.to], col.Values, &texts)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (c *groupColumn) gatherNumbers(xs []float64, index *numberIndex) bool {
	for _, x := range xs {
		if x != x {
			c.null()
			continue
		}
		x += 0 // -0 is 0
		c.levels = append(c.levels, 1)
		if c.plain {
			c.numbers = append(c.numbers, x)
			continue
		}
		code, ok := index.code(math.Float64bits(x))
		if !ok {
			return false
		}
		if int(code) == len(c.numbers) {
			c.numbers = append(c.numbers, x)
		}
		c.codes = append(c.codes, code)
	}
	return true
}

func (c *groupColumn) gatherTimes(times []int64, index *numberIndex) bool {
	for _, us := range times {
		if us == MissingTime {
			c.null()
			continue
		}
		c.levels = append(c.levels, 1)
		if c.plain {
			c.times = append(c.times, us)
			continue
		}
		code, ok := index.code(uint64(us))
		if !ok {
			return false
		}
		if int(code) == len(c.times) {
			c.times = append(c.times, us)
		}
		c.codes = append(c.codes, code)
	}
	return true
}

func (c *groupColumn) gatherTexts(codes []int32, values []string, index *textIndex) bool {
	known := make([]int32, len(values)) // the code in the group plus one; 0 is not looked up yet
	for _, k := range codes {
		if k < 0 {
			c.null()
			continue
		}
		c.levels = append(c.levels, 1)
		if c.plain {
			c.texts = append(c.texts, values[k])
			continue
		}
		if known[k] == 0 {
			code, ok := index.code(values[k])
			if !ok {
				return false
			}
			if int(code) == len(c.texts) {
				c.texts = append(c.texts, values[k])
			}
			known[k] = code + 1
		}
		c.codes = append(c.codes, known[k]-1)
	}
	return true
}

func (c *groupColumn) null() {
	c.levels = append(c.levels, 0)
	c.missing++
	if !c.plain {
		c.codes = append(c.codes, 0)
	}
}

// textIndex gives distinct texts their codes, in the order of coming.
type textIndex struct {
	codes map[string]int32
	most  int // codes
	size  int // bytes
}

func (t *textIndex) code(s string) (int32, bool) {
	code, ok := t.codes[s]
	if !ok {
		if t.size += len(s); len(t.codes) == t.most || t.size > dictionaryMost {
			return 0, false
		}
		if t.codes == nil {
			t.codes = make(map[string]int32)
		}
		code = int32(len(t.codes))
		t.codes[s] = code
	}
	return code, true
}

// numberIndex gives distinct numbers, as bits, their codes, in the order of coming.
type numberIndex struct {
	slots []int32 // open addressing, a power of two; a code plus one, 0 is free
	bits  []uint64
	most  int // codes
	last  int32
}

func (n *numberIndex) code(bits uint64) (int32, bool) {
	if len(n.bits) > 0 && n.bits[n.last] == bits {
		return n.last, true // neighbours are often the same
	}
	if 2*len(n.bits) >= len(n.slots) {
		n.grow()
	}
	at := n.place(bits)
	if n.slots[at] == 0 {
		if len(n.bits) == n.most || 8*len(n.bits) >= dictionaryMost {
			return 0, false
		}
		n.bits = append(n.bits, bits)
		n.slots[at] = int32(len(n.bits))
	}
	n.last = n.slots[at] - 1
	return n.last, true
}

// place is the slot of bits, or the free one that they would take.
func (n *numberIndex) place(bits uint64) uint64 {
	mask := uint64(len(n.slots) - 1)
	at := (bits * 0x9e3779b97f4a7c15 >> 32) & mask
	for n.slots[at] != 0 && n.bits[n.slots[at]-1] != bits {
		at = (at + 1) & mask
	}
	return at
}

func (n *numberIndex) grow() {
	n.slots = make([]int32, max(64, 2*len(n.slots)))
	for k, bits := range n.bits {
		n.slots[n.place(bits)] = int32(k + 1)
	}
}

// write encodes the column.
func (c *groupColumn) write(w file.ColumnChunkWriter) error {
	if !c.plain {
		return c.writeCodes(w)
	}
	var err error
	switch w := w.(type) {
	case *file.Float64ColumnChunkWriter:
		_, err = w.WriteBatch(c.numbers, c.levels, nil)
	case *file.BooleanColumnChunkWriter:
		truths := make([]bool, len(c.numbers))
		for i, x := range c.numbers {
			truths[i] = x != 0
		}
		_, err = w.WriteBatch(truths, c.levels, nil)
	case *file.Int64ColumnChunkWriter:
		_, err = w.WriteBatch(c.times, c.levels, nil)
	case *file.ByteArrayColumnChunkWriter:
		_, err = w.WriteBatch(byteArrays(c.texts), c.levels, nil)
	default:
		err = fmt.Errorf("no values for a column of %s", w.Type())
	}
	return err
}

// byteArrays copies texts into one piece of memory.
func byteArrays(texts []string) []parquet.ByteArray {
	size := 0
	for _, s := range texts {
		size += len(s)
	}
	all, out := make([]byte, 0, size), make([]parquet.ByteArray, len(texts))
	for i, s := range texts {
		from := len(all)
		all = append(all, s...)
		out[i] = all[from:len(all):len(all)]
	}
	return out
}

// writeCodes hands the dictionary and the codes over as they are; left to itself
// the library looks up every value.
func (c *groupColumn) writeCodes(w file.ColumnChunkWriter) error {
	encoder, ok := w.CurrentEncoder().(interface{ PutDictionary(arrow.Array) error })
	if !ok {
		return fmt.Errorf("no dictionary for a column of %s", w.Type())
	}
	words := c.dictionary()
	defer words.Release()
	if err := encoder.PutDictionary(words); err != nil {
		return err
	}
	stats := w.PageStatistics()
	stats.IncNulls(int64(c.missing))
	stats.IncNumValues(int64(len(c.codes) - c.missing))
	if err := stats.UpdateFromArrow(words, false); err != nil {
		return err
	}
	codes := c.codeArray()
	defer codes.Release()
	return w.WriteDictIndices(codes, c.levels, nil)
}

func (c *groupColumn) dictionary() arrow.Array {
	switch c.kind {
	case Number:
		b := array.NewFloat64Builder(memory.DefaultAllocator)
		defer b.Release()
		b.AppendValues(c.numbers, nil)
		return b.NewArray()
	case Time:
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		b.AppendValues(c.times, nil)
		return b.NewArray()
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(c.texts, nil)
	return b.NewArray()
}

// codeArray is the codes, null where a value is missing.
func (c *groupColumn) codeArray() arrow.Array {
	var valid *memory.Buffer
	if c.missing > 0 {
		bits := make([]byte, (len(c.levels)+7)/8)
		for i, level := range c.levels {
			bits[i/8] |= byte(level) << (i % 8)
		}
		valid = memory.NewBufferBytes(bits)
	}
	codes := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.codes))
	data := array.NewData(arrow.PrimitiveTypes.Int32, len(c.codes), []*memory.Buffer{valid, codes}, nil, c.missing, 0)
	defer data.Release()
	return array.MakeFromData(data)
}
