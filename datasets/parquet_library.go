package datasets

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"strconv"
	"sync"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/bitutil"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
)

// records reads any flat column, value by value, by the library's record reader.
type records struct {
	p     *parquetReader
	leaf  int
	typ   arrow.DataType
	r     file.RecordReader
	group int // the next of the row groups
}

func (p *parquetReader) records(k int) (*records, error) {
	f := p.fields[p.cols[k].place]
	leaf := p.file.MetaData().Schema.Column(f.leaf)
	r := &records{p: p, leaf: f.leaf, typ: f.Type}
	read := f.Type
	if read.ID() == arrow.STRING { // a text that repeats is looked up once
		read = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: read}
	}
	info := file.LevelInfo{NullSlotUsage: 1, DefLevel: leaf.MaxDefinitionLevel()}
	r.r = file.NewRecordReader(leaf, info, read, &boundedAllocator{most: mostBuffer}, &sync.Pool{
		New: func() any { return memory.NewResizableBuffer(memory.DefaultAllocator) },
	})
	return r, r.nextGroup()
}

// nextGroup goes on to the column in the next row group; after the last there is nothing.
func (r *records) nextGroup() error {
	groups := r.p.allGroups()
	if r.group == len(groups) {
		r.r.SetPageReader(nil)
		return nil
	}
	pages, err := r.p.file.RowGroup(groups[r.group]).GetColumnPageReader(r.leaf)
	if err != nil {
		return err
	}
	r.group++
	r.r.SetPageReader(pages)
	return nil
}

// read makes the next rows, n at most, the current ones and counts them.
func (r *records) read(n int64) (int64, error) {
	r.r.Reset()
	if err := r.r.Reserve(n); err != nil {
		return 0, err
	}
	left := n
	for left > 0 && r.r.HasMore() {
		got, err := r.r.ReadRecords(left)
		if err != nil {
			return 0, err
		}
		if left -= got; got == 0 {
			if err := r.nextGroup(); err != nil {
				return 0, err
			}
		}
	}
	return n - left, nil
}

// appendTo appends the current rows; row is the first that the builder could not hold,
// -1 if there is none.
func (r *records) appendTo(b *builder) (row int, value string) {
	if text, ok := r.r.(file.BinaryRecordReader); ok {
		return r.appendBinary(b, text)
	}
	n, physical := r.r.ValuesWritten(), r.r.Type()
	valid, values := r.r.ReleaseValidBits(), r.r.ReleaseValues()
	data := values.Bytes()
	missing := func(i int) bool { return valid != nil && !bitutil.BitIsSet(valid.Bytes(), i) }
	typ := r.typ
	switch t := typ.(type) {
	case *arrow.NullType:
		for range n {
			b.null()
		}
		return -1, ""
	case *arrow.BooleanType:
		return appendRows(b, n, missing, func(i int) bool { return b.boolean(data[i] != 0) }, func(i int) string { return strconv.FormatBool(data[i] != 0) })
	case arrow.DecimalType:
		text := func(i int) string {
			v := int64(int32(binary.LittleEndian.Uint32(data[4*i:])))
			if physical == parquet.Types.Int64 {
				v = int64(binary.LittleEndian.Uint64(data[8*i:]))
			}
			return decimalText(big.NewInt(v), t.GetScale())
		}
		return appendRows(b, n, missing, func(i int) bool { return b.digits(text(i)) }, text)
	case *arrow.TimestampType:
		if physical == parquet.Types.Int96 {
			instant := func(i int) (int64, bool) { return julian(data[12*i:]) }
			return appendRows(b, n, missing, func(i int) bool { us, ok := instant(i); return ok && b.instant(us) }, func(i int) string {
				us, _ := instant(i)
				return time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
			})
		}
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Uint8Type, *arrow.Uint16Type:
		typ = arrow.PrimitiveTypes.Int32 // as it is stored
	}
	// In memory the others are what they are in Arrow.
	part := array.NewData(typ, n, []*memory.Buffer{valid, values}, nil, array.UnknownNullCount, 0)
	return b.appendArray(array.MakeFromData(part))
}

// appendBinary appends texts, and decimals that are bytes.
func (r *records) appendBinary(b *builder, chunks file.BinaryRecordReader) (row int, value string) {
	before := 0
	for _, chunk := range chunks.GetBuilderChunks() {
		row, value := 0, ""
		if t, ok := r.typ.(arrow.DecimalType); ok {
			text := func(i int) string { return decimalText(twosComplement(bytesAt(chunk, i)), t.GetScale()) }
			row, value = appendRows(b, chunk.Len(), chunk.IsNull, func(i int) bool { return len(bytesAt(chunk, i)) > 0 && b.digits(text(i)) }, text)
		} else {
			row, value = b.appendArray(chunk)
		}
		if row >= 0 {
			return before + row, value
		}
		before += chunk.Len()
	}
	return -1, ""
}

func bytesAt(a arrow.Array, i int) []byte {
	if fixed, ok := a.(*array.FixedSizeBinary); ok {
		return fixed.Value(i)
	}
	return a.(*array.Binary).Value(i)
}

func appendRows(b *builder, n int, missing func(i int) bool, put func(i int) bool, text func(i int) string) (row int, value string) {
	for i := range n {
		if missing(i) {
			b.null()
		} else if !put(i) {
			return i, text(i)
		}
	}
	return -1, ""
}

// julian is an instant of old writers: nanoseconds of the day in 8 bytes, then the
// Julian day in 4.
func julian(b []byte) (us int64, ok bool) {
	const epoch, day = 2_440_588, 86_400_000_000 // 1970-01-01; µs
	of, days := binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint32(b[8:]))
	hi, lo := bits.Mul64(uint64(days), day)
	if hi != 0 || of > 1<<62 {
		return 0, false
	}
	return int64(lo) - epoch*day + int64(of)/1000, lo < 1<<62
}

// twosComplement is a whole number of which the highest byte comes first.
func twosComplement(b []byte) *big.Int {
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v
}
