package datasets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
)

// errUnusual says that a column holds something that the quick way below does not
// read: another encoding, a value that its kind cannot hold, damage. The library
// reads the column again then, and finds what is to be said about it.
var errUnusual = errors.New("not for the quick way")

// pages reads the plain columns of Parquet, which nearly all are, out of the
// library's decompressed pages straight into a builder: fixed-size values and
// texts, plain or by dictionary, with at most one level of definition.
type pages struct {
	p      *parquetReader
	k      int // of p.cols
	typ    arrow.DataType
	phys   parquet.Type
	levels bool // the column may have missing values
	memory pageMemory

	group   int // the next of the row groups
	reader  file.PageReader
	rows    int64 // of the row group that are not yet in a page
	left    int   // rows of the page not yet taken
	defined hybrid
	plain   []byte // values of the page not yet taken
	bits    int    // of plain[0] taken, if they are booleans
	indices hybrid
	coded   bool // values of the page are in indices, not in plain

	// The dictionary of the row group.
	numbers []float64
	times   []int64
	texts   [][]byte
	codes   []int32  // of the texts in the builder; -1 is not looked up yet
	into    *builder // the one whose codes they are
}

// quick is the reader of column k if its kind and type are plain, nil otherwise.
func (p *parquetReader) quick(k int) *pages {
	f, c := p.file, p.cols[k]
	leaf := f.MetaData().Schema.Column(p.leafs[k])
	typ := p.fields[c.place].Type
	if len(p.opts.Missing) > 0 || leaf.MaxDefinitionLevel() > 1 || leaf.MaxRepetitionLevel() > 0 {
		return nil
	}
	if own, _ := kindOfType(typ); own != c.kind && (own != Category || c.kind != Text) {
		return nil
	}
	wants := map[arrow.Type]parquet.Type{arrow.INT8: parquet.Types.Int32, arrow.INT16: parquet.Types.Int32, arrow.INT32: parquet.Types.Int32,
		arrow.UINT8: parquet.Types.Int32, arrow.UINT16: parquet.Types.Int32, arrow.UINT32: parquet.Types.Int32,
		arrow.INT64: parquet.Types.Int64, arrow.UINT64: parquet.Types.Int64, arrow.FLOAT32: parquet.Types.Float, arrow.FLOAT64: parquet.Types.Double,
		arrow.BOOL: parquet.Types.Boolean, arrow.STRING: parquet.Types.ByteArray,
		arrow.DATE32: parquet.Types.Int32, arrow.TIMESTAMP: parquet.Types.Int64}
	if phys, ok := wants[typ.ID()]; !ok || phys != leaf.PhysicalType() {
		return nil
	}
	for _, g := range p.allGroups() {
		chunk, err := f.RowGroup(g).MetaData().ColumnChunk(p.leafs[k])
		if err != nil || chunk.CryptoMetadata() != nil {
			return nil
		}
		if slices.Contains(chunk.Encodings(), parquet.Encodings.BitPacked) { // of old levels
			return nil
		}
	}
	return &pages{p: p, k: k, typ: typ, phys: leaf.PhysicalType(), levels: leaf.MaxDefinitionLevel() == 1}
}

// pageMemory lends one buffer again and again: of the pages of a column only one
// is alive at a time, and what is kept of it is copied.
type pageMemory struct{ buf []byte }

func (m *pageMemory) Allocate(size int) []byte {
	if size < 0 || size > mostBuffer {
		panic(fmt.Sprintf("a buffer of %d bytes", size))
	}
	if size > cap(m.buf) {
		m.buf = make([]byte, size)
	}
	return m.buf[:size]
}

func (m *pageMemory) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	grown := m.Allocate(size)
	copy(grown, b)
	return grown
}

func (m *pageMemory) Free([]byte) {}

const blockRows = 1024

// take appends n rows to b.
func (q *pages) take(b *builder, n int64) error {
	var defined [blockRows]byte
	var indices [blockRows]uint32
	for n > 0 {
		if q.left == 0 {
			if err := q.page(); err != nil {
				return err
			}
			continue
		}
		rows := int(min(n, int64(q.left), blockRows))
		values := rows
		if q.levels {
			if values = q.defined.flags(defined[:rows]); values < 0 {
				return errUnusual
			}
		}
		if q.coded && !q.indices.read(indices[:values]) {
			return errUnusual
		}
		valid := defined[:rows]
		if values == rows {
			valid = nil
		}
		if err := q.append(b, rows, values, valid, indices[:values]); err != nil {
			return err
		}
		q.left -= rows
		n -= int64(rows)
	}
	return nil
}

// page makes the next page of data the current one.
func (q *pages) page() error {
	for {
		if q.reader == nil || q.rows <= 0 {
			if err := q.nextGroup(); err != nil {
				return err
			}
			continue
		}
		if !q.reader.Next() {
			return errUnusual
		}
		page := q.reader.Page()
		data := page.Data()
		switch page := page.(type) {
		case *file.DictionaryPage:
			if err := q.dictionary(data, int(page.NumValues())); err != nil {
				return err
			}
			continue
		case *file.DataPageV1:
			if q.levels {
				if page.DefinitionLevelEncoding() != parquet.Encodings.RLE || len(data) < 4 {
					return errUnusual
				}
				size := int64(binary.LittleEndian.Uint32(data))
				if data = data[4:]; size > int64(len(data)) {
					return errUnusual
				}
				q.defined = hybrid{data: data[:size], width: 1}
				data = data[size:]
			}
		case *file.DataPageV2:
			size := int(page.DefinitionLevelByteLen())
			if page.RepetitionLevelByteLen() != 0 || size < 0 || size > len(data) {
				return errUnusual
			}
			q.defined = hybrid{data: data[:size], width: 1}
			data = data[size:]
		default:
			continue
		}
		q.left = int(page.NumValues())
		q.rows -= int64(q.left)
		if q.left < 0 || q.rows < 0 {
			return errUnusual
		}
		return q.values(data, parquet.Encoding(page.Encoding()))
	}
}

// values settles how those of the page are encoded.
func (q *pages) values(data []byte, e parquet.Encoding) error {
	q.plain, q.bits, q.coded = nil, 0, false
	switch {
	case e == parquet.Encodings.Plain:
		q.plain = data
		return nil
	case q.phys != parquet.Types.Boolean && (e == byteStreamSplit || e == parquet.Encodings.DeltaBinaryPacked || e == parquet.Encodings.DeltaLengthByteArray || e == parquet.Encodings.DeltaByteArray):
		if q.plain = plainPage(data, e, q.left, q.size()); q.plain == nil {
			return errUnusual
		}
		return nil
	case e == parquet.Encodings.PlainDict || e == parquet.Encodings.RLEDict:
		if len(data) == 0 { // all are missing
			q.indices, q.coded = hybrid{}, true
			return nil
		}
		q.indices, q.coded = hybrid{data: data[1:], width: uint(data[0])}, true
	case e == parquet.Encodings.RLE && q.phys == parquet.Types.Boolean && len(data) >= 4:
		q.indices, q.coded = hybrid{data: data[4:], width: 1}, true
		q.numbers = []float64{0, 1}
	default:
		return errUnusual
	}
	if q.indices.width > 32 {
		return errUnusual
	}
	return nil
}

// nextGroup opens the column in the next row group.
func (q *pages) nextGroup() error {
	groups := q.p.allGroups()
	if q.group == len(groups) {
		return errUnusual
	}
	group := q.p.file.RowGroup(groups[q.group])
	q.group++
	chunk, err := group.MetaData().ColumnChunk(q.p.leafs[q.k])
	if err != nil {
		return errUnusual
	}
	q.rows = group.NumRows()
	if chunk.NumValues() != q.rows || q.rows < 0 {
		return errUnusual
	}
	start := chunk.DataPageOffset()
	if at := chunk.DictionaryPageOffset(); chunk.HasDictionaryPage() && 0 < at && at < start {
		start = at
	}
	props := parquet.NewReaderProperties(&q.memory)
	props.BufferedStreamEnabled, props.BufferSize = true, 64<<10
	stream, err := props.GetStream(q.p.at, start, chunk.TotalCompressedSize())
	if err != nil {
		return errUnusual
	}
	q.numbers, q.times, q.texts, q.codes = nil, nil, nil, nil
	if q.reader == nil {
		q.reader, err = file.NewPageReader(stream, q.rows, chunk.Compression(), &q.memory, nil)
	} else {
		q.reader.Reset(stream, q.rows, chunk.Compression(), nil)
		err = q.reader.Err()
	}
	if err != nil {
		return errUnusual
	}
	return nil
}

// dictionary keeps the n values of a dictionary page.
func (q *pages) dictionary(data []byte, n int) error {
	if q.phys == parquet.Types.Boolean || n < 0 || n > len(data) {
		return errUnusual
	}
	if q.phys == parquet.Types.ByteArray {
		data = bytes.Clone(data)
		q.texts, q.codes = make([][]byte, n), make([]int32, n)
		for i := range n {
			if q.texts[i], data = cutText(data); q.texts[i] == nil {
				return errUnusual
			}
			q.codes[i] = -1
		}
		return nil
	}
	b := builder{col: Column{Kind: q.p.cols[q.k].kind}}
	b.reserve(min(n, len(data)/q.size()))
	q.plain = data
	if err := q.fixed(&b, n); err != nil {
		return err
	}
	q.numbers, q.times = b.col.Numbers, b.col.Times
	return nil
}

// cutText takes a text off data, which leads with its length; nil if it is cut off.
func cutText(data []byte) (text, rest []byte) {
	if len(data) < 4 {
		return nil, nil
	}
	n := int64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > int64(len(data)) {
		return nil, nil
	}
	return data[:n:n], data[n:]
}
