package datasets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
	"github.com/apache/arrow/go/v15/parquet/schema"
)

const (
	// groupMost is the rows of a row group.
	groupMost = 1 << 17
	// dictionaryMost is the bytes of a dictionary, its text or its numbers.
	dictionaryMost = 1 << 20
)

// parquetEncoder writes Parquet: tables are kept until they fill a row group,
// whose columns are then encoded on all processors. The library writes headers
// and footer; what is in the pages is made here, as the library looks up and
// boxes every value.
type parquetEncoder struct {
	out    counter
	props  *parquet.WriterProperties
	schema *schema.Schema
	meta   *metadata.FileMetaDataBuilder
	groups int16
	held   []*Table // not yet in a row group,
	first  int      // from this row of the first of them on
	rows   int      // in all
}

func newParquetEncoder(out io.Writer, t *Table) (*parquetEncoder, error) {
	e := &parquetEncoder{out: counter{w: out}, props: parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy))}
	var err error
	if e.schema, err = parquetSchema(t, e.props); err != nil {
		return nil, err
	}
	stored := metadata.KeyValueMetadata{}
	var stream bytes.Buffer // one of no batches is how writers store a schema
	if err := ipc.NewWriter(&stream, ipc.WithSchema(schemaOf(t))).Close(); err != nil {
		return nil, err
	}
	if err := stored.Append("ARROW:schema", base64.StdEncoding.EncodeToString(stream.Bytes())); err != nil {
		return nil, err
	}
	e.meta = metadata.NewFileMetadataBuilder(e.schema, e.props, stored)
	_, err = io.WriteString(&e.out, magicParquet)
	return e, err
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
	footer, err := e.meta.Finish()
	if err != nil {
		return err
	}
	n, err := footer.WriteTo(&e.out, nil)
	if err != nil {
		return err
	}
	_, err = e.out.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(n)), magicParquet...))
	return err
}

// group writes the next n rows as a row group.
func (e *parquetEncoder) group(n int) error {
	parts := e.take(n)
	group := e.meta.AppendRowGroup()
	group.SetNumRows(n)
	chunks := make([]*metadata.ColumnChunkMetaDataBuilder, e.schema.NumColumns())
	for j := range chunks {
		chunks[j] = group.NextColumnChunk()
	}
	columns := make([]*groupColumn, len(chunks))
	pagers := make([]file.PageWriter, len(chunks))
	err := inParallel(len(chunks), func(j int) error {
		return guarded("output", func() (err error) {
			pagers[j], err = file.NewPageWriter(&e.out, compress.Codecs.Snappy, compress.DefaultCompressionLevel, chunks[j], e.groups, int16(j), memory.DefaultAllocator, true, nil, nil)
			if err != nil {
				return err
			}
			columns[j] = newGroupColumn(parts, j, n)
			chunks[j].SetStats(columns[j].statistics())
			return columns[j].write(pagers[j])
		})
	})
	if err != nil {
		return err
	}
	from := e.out.n
	for j, pager := range pagers {
		if err := pager.Close(!columns[j].plain, false); err != nil {
			return err
		}
	}
	e.groups++
	return group.Finish(e.out.n-from, e.groups-1)
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
// its values; what is missing is in neither.
type groupColumn struct {
	kind    Kind
	plain   bool
	codes   []int32
	levels  []int32 // a row each: 1 where a value is, 0 where it is missing, as Parquet has it
	missing int

	// The dictionary, or all values.
	numbers []float64
	times   []int64
	texts   []string
}

// newGroupColumn gathers column j of the parts, of so many rows.
func newGroupColumn(parts []part, j, rows int) *groupColumn {
	c := &groupColumn{kind: parts[0].t.Columns[j].Kind, levels: make([]int32, 0, rows)}
	if c.kind != Boolean {
		c.codes = make([]int32, 0, rows)
		if c.gather(parts, j, rows/2) {
			return c
		}
	}
	*c = groupColumn{kind: c.kind, plain: true, levels: c.levels[:0]}
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
		var ok bool
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
		small := &index.small[uint8(int(x))]
		if *small > 0 && c.numbers[*small-1] == x {
			c.codes = append(c.codes, *small-1)
			continue
		}
		code, ok := index.code(math.Float64bits(x))
		if !ok || c.hopeless() {
			return false
		}
		if int(code) == len(c.numbers) {
			c.numbers = append(c.numbers, x)
		}
		c.codes = append(c.codes, code)
		*small = code + 1
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
		if !ok || c.hopeless() {
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
			if !ok || c.hopeless() {
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

// hopeless says, once there are enough values to tell, that nearly all of them are
// different.
func (c *groupColumn) hopeless() bool {
	const enough = 4096
	return len(c.codes) == enough && c.entries() > enough*15/16
}

// entries is the number of values in the dictionary.
func (c *groupColumn) entries() int { return len(c.numbers) + len(c.times) + len(c.texts) }

func (c *groupColumn) null() {
	c.levels = append(c.levels, 0)
	c.missing++
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
	shift uint
	bits  []uint64
	most  int // codes
	last  int32
	// small is a code plus one by the last byte of the whole part, which tells counts
	// apart; 0 is none.
	small [256]int32
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
	at := bits * 0x9e3779b97f4a7c15 >> n.shift // the high bits: the low ones of most numbers are 0
	for n.slots[at] != 0 && n.bits[n.slots[at]-1] != bits {
		at = (at + 1) & mask
	}
	return at
}

func (n *numberIndex) grow() {
	n.slots = make([]int32, max(64, 2*len(n.slots)))
	n.shift = uint(64 - bits.TrailingZeros(uint(len(n.slots))))
	for k, number := range n.bits {
		n.slots[n.place(number)] = int32(k + 1)
	}
}

// statistics are the least and the greatest value and the number of missing ones.
func (c *groupColumn) statistics() (s metadata.EncodedStatistics) {
	s.SetNullCount(int64(c.missing))
	s.Signed = c.kind != Category && c.kind != Text
	const most = 4096 // bytes of a text
	switch {
	case len(c.numbers) > 0 && c.kind == Number:
		low, high := slices.Min(c.numbers), slices.Max(c.numbers)
		if low == 0 {
			low = math.Copysign(0, -1) // by the format: a reader may look for either zero
		}
		s.SetMin(appendPlain(nil, math.Float64bits(low))).SetMax(appendPlain(nil, math.Float64bits(high)))
	case len(c.numbers) > 0:
		s.SetMin([]byte{byte(slices.Min(c.numbers))}).SetMax([]byte{byte(slices.Max(c.numbers))})
	case len(c.times) > 0:
		s.SetMin(appendPlain(nil, uint64(slices.Min(c.times)))).SetMax(appendPlain(nil, uint64(slices.Max(c.times))))
	case len(c.texts) > 0:
		s.SetMin([]byte(slices.Min(c.texts))).SetMax([]byte(slices.Max(c.texts)))
		s.ApplyStatSizeLimits(most)
	}
	return s
}

func appendPlain(b []byte, bits uint64) []byte { return binary.LittleEndian.AppendUint64(b, bits) }

// pageRows is how many rows a page has, as in files of other writers.
const pageRows = 20_000

// write encodes the column as pages.
func (c *groupColumn) write(pager file.PageWriter) error {
	encoding := parquet.Encodings.Plain
	if !c.plain {
		encoding = parquet.Encodings.RLEDict
		words := memory.NewBufferBytes(c.appendValues(nil, 0, c.entries()))
		if _, err := pager.WriteDictionaryPage(file.NewDictionaryPage(words, int32(c.entries()), parquet.Encodings.Plain)); err != nil {
			return err
		}
	}
	var body []byte
	var packed bytes.Buffer
	at := 0 // among the values
	for from := 0; from < len(c.levels); from += pageRows {
		levels := c.levels[from:min(from+pageRows, len(c.levels))]
		values := at
		for _, level := range levels {
			values += int(level)
		}
		body = appendRuns(append(body[:0], 0, 0, 0, 0), levels, 1)
		binary.LittleEndian.PutUint32(body, uint32(len(body)-4))
		if c.plain {
			body = c.appendValues(body, at, values)
		} else {
			width := max(1, bits.Len(uint(max(c.entries(), 1)-1)))
			body = appendRuns(append(body, byte(width)), c.codes[at:values], width)
		}
		at = values
		packed.Reset()
		page := file.NewDataPageV1(memory.NewBufferBytes(pager.Compress(&packed, body)), int32(len(levels)), encoding, parquet.Encodings.RLE, parquet.Encodings.RLE, int32(len(body)))
		_, err := pager.WriteDataPage(page)
		page.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// appendValues appends values from to to in the encoding PLAIN.
func (c *groupColumn) appendValues(b []byte, from, to int) []byte {
	switch c.kind {
	case Number:
		for _, x := range c.numbers[from:to] {
			b = appendPlain(b, math.Float64bits(x))
		}
	case Boolean:
		start := len(b)
		b = append(b, make([]byte, (to-from+7)/8)...)
		for i, x := range c.numbers[from:to] {
			b[start+i/8] |= byte(x) << (i % 8)
		}
	case Time:
		for _, us := range c.times[from:to] {
			b = appendPlain(b, uint64(us))
		}
	default:
		for _, s := range c.texts[from:to] {
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
		}
	}
	return b
}

// appendRuns appends whole numbers of so many bits (1 to 24) in Parquet's hybrid of
// runs and packed groups of eight (Parquet format, Encodings, RLE).
func appendRuns(b []byte, xs []int32, width int) []byte {
	const mostGroups = 63   // whose header is one byte
	header, groups := -1, 0 // of the packed run being written
	for i := 0; i < len(xs); {
		run := i + 1
		for run < len(xs) && xs[run] == xs[i] {
			run++
		}
		if run-i >= 8 {
			b = binary.AppendUvarint(b, uint64(run-i)<<1)
			for shift := 0; shift < width; shift += 8 {
				b = append(b, byte(xs[i]>>shift))
			}
			i, header = run, -1
			continue
		}
		if header < 0 || groups == mostGroups {
			header, groups = len(b), 0
			b = append(b, 0)
		}
		var acc uint64
		have := 0
		for k := range 8 { // the last group is filled up with zeros
			if i+k < len(xs) {
				acc |= uint64(xs[i+k]) << have
			}
			for have += width; have >= 8; have -= 8 {
				b = append(b, byte(acc))
				acc >>= 8
			}
		}
		groups++
		b[header] = byte(groups<<1 | 1)
		i += 8
	}
	return b
}
