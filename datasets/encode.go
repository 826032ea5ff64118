package datasets

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// csvEncoder writes RFC 4180 with LF: quotes only where they are needed, a
// missing value as nothing, an empty text as "".
type csvEncoder struct {
	out   *bufio.Writer
	comma byte
	line  []byte
}

func newCSVEncoder(out *bufio.Writer, comma byte, names []string) (*csvEncoder, error) {
	e := &csvEncoder{out: out, comma: comma}
	for j, name := range names {
		if j > 0 {
			e.line = append(e.line, comma)
		}
		e.line = e.appendText(e.line, name)
	}
	_, err := out.Write(append(e.line, '\n'))
	return e, err
}

func (e *csvEncoder) write(t *Table) error {
	spelt := make([][]string, len(t.Columns)) // each text quoted once; "" is none yet
	for j := range t.Columns {
		spelt[j] = make([]string, len(t.Columns[j].Values))
	}
	for i := range t.Rows() {
		b := e.line[:0]
		for j := range t.Columns {
			if j > 0 {
				b = append(b, e.comma)
			}
			c := &t.Columns[j]
			if c.Codes != nil {
				if k := c.Codes[i]; k >= 0 {
					if spelt[j][k] == "" {
						spelt[j][k] = string(e.appendText(nil, c.Values[k]))
					}
					b = append(b, spelt[j][k]...)
				}
				continue
			}
			b = appendValue(b, c, i)
		}
		if len(b) == 0 {
			b = append(b, '"', '"') // an empty line would be no record
		}
		e.line = append(b, '\n')
		if _, err := e.out.Write(e.line); err != nil {
			return err
		}
	}
	return nil
}

// appendValue spells a number, boolean or time as Value.String does; nothing for
// a missing one.
func appendValue(b []byte, c *Column, i int) []byte {
	if c.Kind == Number {
		x := c.Numbers[i]
		if n := int64(x); float64(n) == x && -wholeDigits <= n && n <= wholeDigits {
			return strconv.AppendInt(b, n, 10) // as FormatNumber does, faster
		}
	}
	return append(b, c.At(i).String()...)
}

func (e *csvEncoder) appendText(b []byte, s string) []byte {
	if s != "" && !strings.ContainsAny(s, "\"\r\n") && strings.IndexByte(s, e.comma) < 0 && !strings.HasPrefix(s, byteOrderMark) {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}

func (e *csvEncoder) close() error { return nil }

// jsonEncoder writes one object a line, with every key in every line.
type jsonEncoder struct {
	out  *bufio.Writer
	keys [][]byte // with what goes before and after
	line []byte
}

func newJSONEncoder(out *bufio.Writer, names []string) (*jsonEncoder, error) {
	e := &jsonEncoder{out: out}
	for j, name := range names {
		key := []byte{'{'}
		if j > 0 {
			key[0] = ','
		}
		e.keys = append(e.keys, append(appendJSON(key, name), ':'))
	}
	return e, nil
}

func (e *jsonEncoder) write(t *Table) error {
	for i := range t.Rows() {
		b := e.line[:0]
		for j := range t.Columns {
			b = append(b, e.keys[j]...)
			c := &t.Columns[j]
			switch {
			case c.At(i).Missing():
				b = append(b, "null"...)
			case c.Codes != nil:
				b = appendJSON(b, c.Values[c.Codes[i]])
			case c.Kind == Time:
				b = append(b, '"')
				b = append(appendValue(b, c, i), '"')
			default:
				b = appendValue(b, c, i)
			}
		}
		e.line = append(b, '}', '\n')
		if _, err := e.out.Write(e.line); err != nil {
			return err
		}
	}
	return nil
}

func (e *jsonEncoder) close() error { return nil }

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// recordWriter is what the writers of Arrow and Parquet have in common.
type recordWriter interface {
	Write(arrow.Record) error
	Close() error
}

// arrowEncoder writes Arrow IPC or Parquet.
type arrowEncoder struct {
	w      recordWriter
	schema *arrow.Schema
	most   int // rows of a record
}

// Rows of a record in Arrow and of a row group in Parquet.
const (
	recordMost = 1 << 16
	groupMost  = 1 << 17
)

func newArrowEncoder(out io.Writer, f Format, t *Table) (*arrowEncoder, error) {
	e := &arrowEncoder{schema: schemaOf(t), most: recordMost}
	var err error
	switch f {
	case ArrowFile:
		e.w, err = ipc.NewFileWriter(&counter{w: out}, ipc.WithSchema(e.schema))
	case ArrowStream:
		e.w = ipc.NewWriter(out, ipc.WithSchema(e.schema))
	default:
		props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy), parquet.WithMaxRowGroupLength(groupMost))
		var w *pqarrow.FileWriter
		w, err = pqarrow.NewFileWriter(e.schema, onlyWriter{out}, props, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
		e.w = &groupWriter{w}
	}
	return e, err
}

func (e *arrowEncoder) write(t *Table) error {
	from := 0
	for _, to := range recordRows(t, e.most) {
		if to == from {
			continue
		}
		rec := recordOf(t, e.schema, from, to)
		err := e.w.Write(rec)
		rec.Release()
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (e *arrowEncoder) close() error { return e.w.Close() }

// groupWriter fills row groups from several records.
type groupWriter struct{ *pqarrow.FileWriter }

func (g *groupWriter) Write(rec arrow.Record) error { return g.WriteBuffered(rec) }

// onlyWriter hides Close: the library would close what it writes to.
type onlyWriter struct{ io.Writer }

// counter tells the Arrow file writer where it is; it never goes elsewhere.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

func (c *counter) Seek(int64, int) (int64, error) { return c.n, nil }

// MarshalIPC is the table as an Arrow file: the same table, the same bytes.
// Unlike files for others, it may hold infinite numbers.
func MarshalIPC(t *Table) ([]byte, error) {
	var out bytes.Buffer
	err := guarded("table", func() error {
		if err := checkHeader(t.Names(), "table", 0); err != nil {
			return err
		}
		e, err := newArrowEncoder(&out, ArrowFile, t)
		if err != nil {
			return err
		}
		if err := e.write(t); err != nil {
			return err
		}
		return e.close()
	})
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// UnmarshalIPC reads what MarshalIPC wrote. Damaged or hostile bytes are an
// error; the memory taken is at most a small multiple of their number.
func UnmarshalIPC(b []byte) (*Table, error) {
	body, err := ipcBody(bytes.NewReader(b), int64(len(b)), "table")
	if err != nil {
		return nil, err
	}
	o := &ReadOptions{}
	if err := o.check(); err != nil {
		return nil, err
	}
	a := &ipcReader{name: "table", opts: o, ours: true}
	if err := a.open(body, &boundedAllocator{most: len(b) + 64, budget: 16*len(b) + 1<<20}); err != nil {
		return nil, err
	}
	return a.all()
}
