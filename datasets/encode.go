package datasets

import (
	"bytes"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// recordWriter is what the writers of Arrow files and streams have in common.
type recordWriter interface {
	Write(arrow.Record) error
	Close() error
}

// arrowEncoder writes Arrow IPC.
type arrowEncoder struct {
	w      recordWriter
	schema *arrow.Schema
}

// recordMost is the rows of a record in Arrow.
const recordMost = 1 << 16

func newArrowEncoder(out io.Writer, f Format, t *Table) (*arrowEncoder, error) {
	e := &arrowEncoder{schema: schemaOf(t)}
	var err error
	if f == ArrowFile {
		e.w, err = ipc.NewFileWriter(&counter{w: out}, ipc.WithSchema(e.schema))
	} else {
		e.w = ipc.NewWriter(out, ipc.WithSchema(e.schema))
	}
	return e, err
}

func (e *arrowEncoder) write(t *Table) error {
	from := 0
	for _, to := range recordRows(t, recordMost) {
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

// counter tells a writer of Arrow or Parquet where it is; it never goes elsewhere.
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

// Tell is where the Parquet writer is.
func (c *counter) Tell() int64 { return c.n }

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
