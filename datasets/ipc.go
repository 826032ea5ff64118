package datasets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// mostBuffer is the greatest buffer taken from a file of Arrow or Parquet.
const mostBuffer = 1 << 30

// ipcReader reads Arrow IPC. The file format is the stream format between a mark
// and a footer, and is read as that: the footer is only checked to be there.
type ipcReader struct {
	name  string
	opts  *ReadOptions
	cols  []arrowColumn
	r     *ipc.Reader
	whole bool  // the whole table is being read
	ours  bool  // written by MarshalIPC: infinite numbers pass, compression does not
	plain bool  // compression is refused
	only  bool  // columns with a kind set alone are read
	most  int64 // bytes of a message; 0: no bound
	rows  int   // read so far

	rec  arrow.Record // not yet handed out from row at on
	at   int
	line int
}

func openIPC(s *source, o *ReadOptions) (*ipcReader, error) {
	r := s.r
	if s.format == ArrowFile {
		at, size, err := s.random()
		if err != nil {
			return nil, err
		}
		if r, err = ipcBody(at, size, s.name); err != nil {
			return nil, err
		}
	}
	a := &ipcReader{name: s.name, opts: o}
	return a, a.open(r, &boundedAllocator{most: mostBuffer})
}

// ipcBody is the stream inside a file: what lies between its mark and its footer.
func ipcBody(at io.ReaderAt, size int64, name string) (io.Reader, error) {
	const head, tail = 8, 10 // the mark padded; the footer's length and the mark
	var first [6]byte
	if n, _ := at.ReadAt(first[:], 0); n == 6 && string(first[:]) != magicArrowFile {
		return nil, &ParseError{File: name, Err: ErrEncoding, Hint: "it is not an Arrow file"}
	}
	var last [tail]byte
	if size >= head+tail {
		if _, err := at.ReadAt(last[:], size-tail); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	footer := int64(binary.LittleEndian.Uint32(last[:4]))
	if string(last[4:]) != magicArrowFile || footer > size-head-tail {
		return nil, &ParseError{File: name, Err: ErrTruncated, Hint: "the Arrow file has no footer; write it again"}
	}
	return io.NewSectionReader(at, head, size-head-tail-footer), nil
}

func (a *ipcReader) open(r io.Reader, mem memory.Allocator) error {
	return guarded(a.name, func() (err error) {
		a.r, err = ipc.NewReaderFromMessageReader(&messages{r: r, plain: a.ours || a.plain, most: a.most}, ipc.WithAllocator(mem))
		if err != nil {
			return a.fault(err)
		}
		if a.only {
			fields := a.r.Schema().Fields()
			names := make([]string, len(fields))
			for i := range fields {
				names[i] = fields[i].Name
			}
			if a.opts.Columns, err = a.known(names); err != nil {
				return err
			}
		}
		a.cols, err = arrowColumns(a.r.Schema().Fields(), a.name, a.opts)
		return err
	})
}

func (a *ipcReader) fault(err error) error {
	if errors.Is(err, ErrTooLong) {
		return &ParseError{File: a.name, Err: ErrTooLong, Hint: fmt.Sprintf("a message may have %d bytes; send record batches of fewer rows", a.most)}
	}
	if errors.Is(err, ErrTruncated) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &ParseError{File: a.name, Err: ErrTruncated, Hint: "the Arrow stream ends in the middle of a message; write it again"}
	}
	return &ParseError{File: a.name, Err: ErrEncoding, Hint: "it is damaged or no Arrow (" + shorten(err.Error()) + ")"}
}

// advance makes rec the next record with rows; io.EOF at the end.
func (a *ipcReader) advance() error {
	for a.rec == nil || a.at == int(a.rec.NumRows()) {
		if !a.r.Next() {
			if err := a.r.Err(); err != nil {
				return a.fault(err)
			}
			return io.EOF
		}
		a.rec, a.at = a.r.Record(), 0
		if err := checkRecord(a.rec); err != nil {
			return a.fault(err)
		}
	}
	return nil
}

// checkRecord refuses rows out of nothing: columns of nulls need no bytes.
func checkRecord(rec arrow.Record) error {
	const most = 1 << 20
	if rec.NumRows() < 0 {
		return fmt.Errorf("%d rows", rec.NumRows())
	}
	for _, c := range rec.Columns() {
		if int64(c.Len()) != rec.NumRows() {
			return fmt.Errorf("%d rows, a column of %d", rec.NumRows(), c.Len())
		}
		if c.DataType().ID() != arrow.NULL {
			return nil
		}
	}
	if rec.NumRows() > most {
		return fmt.Errorf("%d rows without a value", rec.NumRows())
	}
	return nil
}

// appendRows appends rows of the current record.
func (a *ipcReader) appendRows(into []*builder, n int) error {
	for k, c := range a.cols {
		part := a.rec.Column(c.place)
		if a.at > 0 || n < part.Len() {
			part = array.NewSlice(part, int64(a.at), int64(a.at+n))
		}
		if row, value := into[k].appendArray(part); row >= 0 {
			e := into[k].refusal(value)
			e.File, e.Row = a.name, a.rows+row+1
			return e
		}
	}
	a.at += n
	a.rows += n
	return nil
}

func (a *ipcReader) builders() []*builder {
	into := make([]*builder, len(a.cols))
	for k := range a.cols {
		into[k] = a.cols[k].builder(a.opts)
		into[k].open = a.whole && !a.cols[k].set
		into[k].infinite = a.ours
	}
	return into
}

func (a *ipcReader) all() (t *Table, err error) {
	a.whole = true
	err = guarded(a.name, func() error {
		into := a.builders()
		for {
			if err := a.advance(); err == io.EOF {
				t = tableOf(into, true)
				return nil
			} else if err != nil {
				return err
			}
			if err := a.appendRows(into, int(a.rec.NumRows())-a.at); err != nil {
				return err
			}
		}
	})
	return t, err
}

func (a *ipcReader) next() (t *Table, err error) {
	err = guarded(a.name, func() error {
		into := a.builders()
		left := a.opts.Batch
		a.line = a.rows + 1
		for left > 0 {
			err := a.advance()
			if err == io.EOF && left < a.opts.Batch {
				break
			}
			if err != nil {
				return err
			}
			n := min(left, int(a.rec.NumRows())-a.at)
			if err := a.appendRows(into, n); err != nil {
				return err
			}
			left -= n
		}
		t = tableOf(into, false)
		return nil
	})
	return t, err
}

func (a *ipcReader) columns() []string { return arrowNames(a.cols) }
func (a *ipcReader) first() int        { return a.line }
func (a *ipcReader) close() error      { return nil }

func arrowNames(cols []arrowColumn) []string {
	out := make([]string, len(cols))
	for k := range cols {
		out[k] = cols[k].name
	}
	return out
}

// tableOf closes builders of equal length; whole says that they hold whole columns.
func tableOf(into []*builder, whole bool) *Table {
	t := &Table{}
	for _, b := range into {
		c := b.column()
		if whole && b.set {
			c.canonical()
		}
		t.Columns = append(t.Columns, c)
		t.Notes = append(t.Notes, b.notes()...)
	}
	return t
}

// messages reads the messages of a stream without believing the sizes that it
// states: memory grows with what is really there.
type messages struct {
	r     io.Reader
	plain bool  // compressed ones are refused
	most  int64 // bytes of one; 0: no bound
	views int   // columns of the schema whose number of buffers varies
}

func (m *messages) Retain()  {}
func (m *messages) Release() {}

func (m *messages) Message() (*ipc.Message, error) {
	var word [4]byte
	n, err := io.ReadFull(m.r, word[:])
	if n == 0 && err == io.EOF {
		return nil, io.EOF
	}
	marked := string(word[:]) == magicArrowStream
	if err == nil && marked {
		_, err = io.ReadFull(m.r, word[:])
	}
	if err != nil {
		return nil, cutOff(err)
	}
	if m.most > 0 && !marked { // text would be taken for a size
		return nil, errUnmarked
	}
	size := int32(binary.LittleEndian.Uint32(word[:]))
	if size == 0 {
		return nil, io.EOF // the mark at the end of a stream
	}
	if size < 8 {
		return nil, sized(int64(size))
	}
	meta, err := m.bytes(int64(size))
	if err != nil {
		return nil, err
	}
	length, err := m.check(meta)
	if err != nil {
		return nil, err
	}
	body, err := m.bytes(length)
	if err != nil {
		return nil, err
	}
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

func (m *messages) bytes(n int64) ([]byte, error) {
	if m.most > 0 && n > m.most {
		return nil, ErrTooLong
	}
	var b bytes.Buffer
	b.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	if _, err := io.CopyN(&b, m.r, n); err != nil {
		return nil, cutOff(err)
	}
	return b.Bytes(), nil
}

// cutOff tells an end within a message from the end of the stream.
func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}
