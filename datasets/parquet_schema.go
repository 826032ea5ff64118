package datasets

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/decimal128"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/schema"
)

// The library has a reader and a schema of its own that give Arrow (pqarrow). They bring
// Arrow's whole engine of computations with them, a fifth of the program; what they do
// with flat columns is small, and is here. The tests hold it against them.

// parquetField is one column of a file, at its root.
type parquetField struct {
	arrow.Field
	leaf int // -1: it is nested
}

// parquetFields are the columns of a file.
func parquetFields(f *file.Reader) ([]parquetField, error) {
	stored, err := storedSchema(f)
	if err != nil {
		return nil, err
	}
	tree := f.MetaData().Schema
	root := tree.Root()
	if len(stored) != root.NumFields() {
		stored = nil // of another table
	}
	fields := make([]parquetField, root.NumFields())
	for i := range fields {
		node := root.Field(i)
		fields[i] = parquetField{arrow.Field{Name: node.Name(), Type: arrow.StructOf()}, -1}
		if stored != nil {
			fields[i].Metadata = stored[i].Metadata
		}
		leaf, flat := node.(*schema.PrimitiveNode)
		if !flat || leaf.RepetitionType() == parquet.Repetitions.Repeated {
			continue
		}
		fields[i].leaf = tree.ColumnIndexByNode(leaf)
		if fields[i].Type, err = arrowType(leaf); err != nil {
			return nil, fmt.Errorf("%s: %w", shorten(node.Name()), err)
		}
	}
	return fields, nil
}

// storedSchema are the fields of the Arrow schema that writers put beside that of
// Parquet; nil if there is none. The library would read it without a look at its sizes.
func storedSchema(f *file.Reader) ([]arrow.Field, error) {
	text := f.MetaData().KeyValueMetadata().FindValue("ARROW:schema")
	if text == nil {
		return nil, nil
	}
	b, err := base64.StdEncoding.DecodeString(*text)
	if err != nil {
		b, err = base64.RawStdEncoding.DecodeString(*text)
	}
	if err == nil {
		_, err = (&messages{r: bytes.NewReader(b)}).Message()
	}
	if err != nil {
		return nil, fmt.Errorf("the stored Arrow schema: %v", err) // whatever ends it, the file goes on
	}
	r, err := ipc.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("the stored Arrow schema: %v", err)
	}
	defer r.Release()
	return r.Schema().Fields(), nil
}

// arrowType is the type of Arrow that a leaf stands for (LogicalTypes.md).
func arrowType(leaf *schema.PrimitiveNode) (arrow.DataType, error) {
	logical, bytes := leaf.LogicalType(), false
	if !logical.IsValid() || logical.Equals(schema.NullLogicalType{}) {
		return arrow.Null, nil
	}
	switch leaf.PhysicalType() {
	case parquet.Types.Boolean:
		return arrow.FixedWidthTypes.Boolean, nil
	case parquet.Types.Int96: // what old writers made of an instant
		return arrow.FixedWidthTypes.Timestamp_ns, nil
	case parquet.Types.Float:
		return arrow.PrimitiveTypes.Float32, nil
	case parquet.Types.Double:
		return arrow.PrimitiveTypes.Float64, nil
	case parquet.Types.ByteArray, parquet.Types.FixedLenByteArray:
		bytes = true
	}
	wide := leaf.PhysicalType() == parquet.Types.Int64
	switch l := logical.(type) {
	case schema.NoLogicalType:
		switch {
		case bytes:
			return binaryType(leaf), nil
		case wide:
			return arrow.PrimitiveTypes.Int64, nil
		}
		return arrow.PrimitiveTypes.Int32, nil
	case *schema.DecimalLogicalType:
		if l.Precision() <= decimal128.MaxPrecision {
			return &arrow.Decimal128Type{Precision: l.Precision(), Scale: l.Scale()}, nil
		}
		return &arrow.Decimal256Type{Precision: l.Precision(), Scale: l.Scale()}, nil
	case *schema.IntLogicalType:
		if !bytes && wide == (l.BitWidth() == 64) {
			return integerType(int(l.BitWidth()), l.IsSigned())
		}
	case schema.StringLogicalType:
		if bytes {
			return arrow.BinaryTypes.String, nil
		}
	case schema.EnumLogicalType, schema.JSONLogicalType, schema.BSONLogicalType, schema.UUIDLogicalType, schema.IntervalLogicalType, schema.Float16LogicalType:
		if bytes {
			return binaryType(leaf), nil
		}
	case schema.DateLogicalType:
		if !bytes && !wide {
			return arrow.FixedWidthTypes.Date32, nil
		}
	case *schema.TimeLogicalType:
		switch {
		case !bytes && !wide:
			return arrow.FixedWidthTypes.Time32ms, nil
		case wide:
			return arrow.FixedWidthTypes.Time64us, nil
		}
	case *schema.TimestampLogicalType:
		units := map[schema.TimeUnitType]arrow.TimeUnit{schema.TimeUnitMillis: arrow.Millisecond, schema.TimeUnitMicros: arrow.Microsecond, schema.TimeUnitNanos: arrow.Nanosecond}
		if unit, ok := units[l.TimeUnit()]; ok && wide {
			return &arrow.TimestampType{Unit: unit, TimeZone: "UTC"}, nil
		}
	}
	return nil, fmt.Errorf("%s does not go with %s", logical, leaf.PhysicalType())
}

func binaryType(leaf *schema.PrimitiveNode) arrow.DataType {
	if leaf.PhysicalType() == parquet.Types.FixedLenByteArray {
		return &arrow.FixedSizeBinaryType{ByteWidth: leaf.TypeLength()}
	}
	return arrow.BinaryTypes.Binary
}

func integerType(bits int, signed bool) (arrow.DataType, error) {
	types := map[int][2]arrow.DataType{
		8: {arrow.PrimitiveTypes.Uint8, arrow.PrimitiveTypes.Int8}, 16: {arrow.PrimitiveTypes.Uint16, arrow.PrimitiveTypes.Int16},
		32: {arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Int32}, 64: {arrow.PrimitiveTypes.Uint64, arrow.PrimitiveTypes.Int64},
	}
	pair, ok := types[bits]
	if !ok {
		return nil, errors.New("a whole number of an unknown width")
	}
	if signed {
		return pair[1], nil
	}
	return pair[0], nil
}

// parquetSchema is the schema that a table is written with.
func parquetSchema(t *Table, props *parquet.WriterProperties) (*schema.Schema, error) {
	nodes := make(schema.FieldList, len(t.Columns))
	for j := range t.Columns {
		var logical schema.LogicalType = schema.NoLogicalType{}
		physical := parquet.Types.ByteArray
		switch t.Columns[j].Kind {
		case Number:
			physical = parquet.Types.Double
		case Boolean:
			physical = parquet.Types.Boolean
		case Time:
			physical, logical = parquet.Types.Int64, schema.NewTimestampLogicalTypeForce(true, schema.TimeUnitMicros)
		default:
			logical = schema.StringLogicalType{}
		}
		var err error
		if nodes[j], err = schema.NewPrimitiveNodeLogical(t.Columns[j].Name, parquet.Repetitions.Optional, logical, physical, -1, -1); err != nil {
			return nil, err
		}
	}
	root, err := schema.NewGroupNode(props.RootName(), props.RootRepetition(), nodes, -1)
	if err != nil {
		return nil, err
	}
	return schema.NewSchema(root), nil
}
