package datasets

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/decimal256"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// arrowReader opens a file by the library's own way to Arrow.
func arrowReader(t testing.TB, data []byte) *pqarrow.FileReader {
	t.Helper()
	f, err := file.NewParquetReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// parquetOf opens a file in memory below the API, leaving the quick way out.
func parquetOf(t testing.TB, data []byte) *parquetReader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.parquet")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return openTest(t, path)
}

// Each column of each file that others wrote is read as the library's way to Arrow reads
// it, and its type is the same but for what no kind depends on.
func TestParquetAsArrow(t *testing.T) {
	for _, name := range []string{"typed.parquet", "typed_old.parquet", "mixed.parquet", "mixed_v2.parquet"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		sameAsArrow(t, name, data, 1000)
	}
}

func sameAsArrow(t testing.TB, name string, data []byte, step int64) {
	t.Helper()
	oracle := arrowReader(t, data)
	p := parquetOf(t, data)
	fields := oracle.Manifest.Fields
	for k, c := range p.cols {
		got, want := p.cols[k].builder(p.opts), p.cols[k].builder(p.opts)
		reader, err := p.records(k)
		if err != nil {
			t.Fatal(err)
		}
		for from := int64(0); from < p.total; from += step {
			n := min(step, p.total-from)
			if read, err := reader.read(n); err != nil || read != n {
				t.Fatalf("%s: %s: %d of %d rows: %v", name, c.name, read, n, err)
			}
			if row, value := reader.appendTo(got); row >= 0 {
				break // told below
			} else if value != "" {
				t.Fatal(value)
			}
		}
		column, err := oracle.GetColumn(context.Background(), fields[c.place].ColIndex)
		if err != nil {
			t.Fatal(err)
		}
		chunks, err := column.NextBatch(p.total)
		if err != nil {
			t.Fatal(err)
		}
		for _, chunk := range chunks.Chunks() {
			if row, _ := want.appendArray(chunk); row >= 0 {
				break
			}
		}
		if d := cmp.Diff(spell(tableOf([]*builder{want}, true)), spell(tableOf([]*builder{got}, true))); d != "" {
			t.Errorf("%s: %s (%s): %s", name, c.name, p.fields[c.place].Type, d)
		}
		own, ok := kindOfType(p.fields[c.place].Type)
		theirs, also := kindOfType(fields[c.place].Field.Type)
		if own != theirs || ok != also {
			t.Errorf("%s: %s is %s, and %s for the library", name, c.name, p.fields[c.place].Type, fields[c.place].Field.Type)
		}
	}
}

// A table of all types, nulls and row groups of any number, written by the library.
func TestParquetAsArrowAnyTable(t *testing.T) {
	types := []arrow.DataType{
		arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Int16, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64,
		arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint64,
		arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64, arrow.FixedWidthTypes.Boolean, arrow.BinaryTypes.String,
		arrow.FixedWidthTypes.Date32, arrow.FixedWidthTypes.Timestamp_ms, arrow.FixedWidthTypes.Timestamp_us, arrow.Null,
		&arrow.Decimal128Type{Precision: 5, Scale: 2}, &arrow.Decimal128Type{Precision: 15, Scale: 3}, &arrow.Decimal128Type{Precision: 30, Scale: 4},
		&arrow.Decimal256Type{Precision: 60, Scale: 6},
	}
	rapid.Check(t, func(rt *rapid.T) {
		rows := rapid.IntRange(0, 40).Draw(rt, "rows")
		var fields []arrow.Field
		var columns []arrow.Array
		for i, typ := range types {
			nullable := typ == arrow.Null || rapid.Bool().Draw(rt, "nullable")
			fields = append(fields, arrow.Field{Name: string(rune('a' + i)), Type: typ, Nullable: nullable})
			columns = append(columns, drawArray(rt, typ, rows, nullable))
		}
		schema := arrow.NewSchema(fields, nil)
		record := array.NewRecord(schema, columns, int64(rows))
		options := []parquet.WriterProperty{
			parquet.WithMaxRowGroupLength(int64(rapid.IntRange(1, 50).Draw(rt, "group"))),
			parquet.WithDictionaryDefault(rapid.Bool().Draw(rt, "dictionary")),
			parquet.WithDataPageSize(int64(rapid.IntRange(1, 200).Draw(rt, "page"))),
			parquet.WithStoreDecimalAsInteger(rapid.Bool().Draw(rt, "integer")),
		}
		var out bytes.Buffer
		w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(options...), pqarrow.DefaultWriterProps())
		if err == nil {
			err = w.WriteBuffered(record)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			rt.Fatal(err)
		}
		sameAsArrow(t, "drawn", out.Bytes(), int64(rapid.IntRange(1, 41).Draw(rt, "step")))
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func drawArray(t *rapid.T, typ arrow.DataType, rows int, nullable bool) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, typ)
	defer b.Release()
	for range rows {
		if nullable && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
			b.AppendNull()
			continue
		}
		v := rapid.Int64Range(-99_999, 99_999).Draw(t, "v")
		switch b := b.(type) {
		case *array.Int8Builder:
			b.Append(int8(v))
		case *array.Int16Builder:
			b.Append(int16(v))
		case *array.Int32Builder:
			b.Append(int32(v))
		case *array.Int64Builder:
			b.Append(v << rapid.IntRange(0, 30).Draw(t, "wide"))
		case *array.Uint8Builder:
			b.Append(uint8(v))
		case *array.Uint16Builder:
			b.Append(uint16(v))
		case *array.Uint32Builder:
			b.Append(uint32(v))
		case *array.Uint64Builder:
			b.Append(uint64(v&0xFFFFF) << 30)
		case *array.Float32Builder:
			b.Append(float32(v) / 7)
		case *array.Float64Builder:
			b.Append(float64(v) / 7)
		case *array.BooleanBuilder:
			b.Append(v > 0)
		case *array.StringBuilder:
			b.Append([]string{"", "a", "bc", "é", "a longer text of many letters"}[v&3])
		case *array.Date32Builder:
			b.Append(arrow.Date32(v))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(v * 1_000_003))
		case *array.Decimal128Builder:
			b.Append(decimal128.FromI64(v))
		case *array.Decimal256Builder:
			b.Append(decimal256.FromBigInt(new(big.Int).Mul(big.NewInt(v), big.NewInt(1e15))))
		default:
			b.AppendNull()
		}
	}
	return b.NewArray()
}

// A table is written under the schema that the library's way from Arrow makes of it, and
// stores the schema of Arrow as it does.
func TestParquetSchemaWritten(t *testing.T) {
	table := &Table{Columns: []Column{{Name: "n", Kind: Number}, {Name: "b", Kind: Boolean}, {Name: "t", Kind: Time}, {Name: "c", Kind: Category}, {Name: "x", Kind: Text}}}
	props := parquet.NewWriterProperties()
	got, err := parquetSchema(table, props)
	if err != nil {
		t.Fatal(err)
	}
	want, err := pqarrow.ToParquet(schemaOf(table), props, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equals(want) || got.String() != want.String() {
		t.Errorf("got %s\nwant %s", got, want)
	}
	var out bytes.Buffer
	e, err := newParquetEncoder(&out, table)
	if err == nil {
		err = e.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	stored := arrowReader(t, out.Bytes()).ParquetReader().MetaData().KeyValueMetadata().FindValue("ARROW:schema")
	if stored == nil || *stored != base64.StdEncoding.EncodeToString(flight.SerializeSchema(schemaOf(table), memory.DefaultAllocator)) {
		t.Error("the stored schema is another")
	}
}

// 2024-01-02T03:04:05.000006 and the edges, worked by hand: Julian day 2440588 is 1970-01-01.
func TestJulian(t *testing.T) {
	at := func(of uint64, day uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, of), day)
	}
	want := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC).UnixMicro()
	of := uint64((3*3600+4*60+5)*1_000_000_000 + 6000)
	for name, c := range map[string]struct {
		b  []byte
		us int64
		ok bool
	}{
		"1970":             {at(0, 2_440_588), 0, true},
		"the day before":   {at(86_399_999_999_999, 2_440_587), -1, true},
		"2024":             {at(of, 2_440_588+19_724), want, true},
		"no Julian day":    {at(0, 0), -2_440_588 * 86_400_000_000, true},
		"nanoseconds gone": {at(1<<63, 2_440_588), 0, false},
	} {
		if us, ok := julian(c.b); ok != c.ok || ok && us != c.us {
			t.Errorf("%s: %d %v, want %d %v", name, us, ok, c.us, c.ok)
		}
	}
}
