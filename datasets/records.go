package datasets

import (
	"fmt"
	"io"
)

// Records are the record batches of an Arrow stream, one by one, as they come: no more
// of it is read, or held, than the batch that is asked for. It is not safe for
// concurrent use.
type Records struct {
	r     *ipcReader
	names []string
	most  int
	err   error // what ended it
}

// RecordOptions say what is taken of a stream.
type RecordOptions struct {
	// Kinds are the columns to read, by name, and what they are held to, as in
	// ReadOptions. The other columns of the stream are not decoded.
	Kinds map[string]Kind
	// MaxBytes bounds one message of the stream (a record batch, a dictionary); 0:
	// 1 GiB. MaxRows bounds the rows that Next gives; 0: 65,536.
	MaxBytes int64
	MaxRows  int
}

// mostCells bounds the cells that Next gives: bits of a stream become float64.
const mostCells = 1 << 22

// OpenRecords reads the schema of an Arrow stream; the name stands in errors. A stream
// with none of the columns is ErrColumn; compressed batches are ErrEncoding, a message
// beyond MaxBytes is ErrTooLong. The form before Arrow 0.15 is not read. An error of r itself comes as one of these too.
func OpenRecords(r io.Reader, name string, o RecordOptions) (*Records, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = mostBuffer
	}
	if o.MaxRows <= 0 {
		o.MaxRows = recordMost
	}
	read := &ReadOptions{Kinds: o.Kinds}
	if err := read.check(); err != nil {
		return nil, err
	}
	a := &ipcReader{name: name, opts: read, plain: true, most: o.MaxBytes, only: true}
	if err := a.open(r, &boundedAllocator{most: mostBuffer}); err != nil {
		return nil, err
	}
	out := &Records{r: a, most: max(1, min(o.MaxRows, mostCells/len(a.cols)))}
	for _, f := range a.r.Schema().Fields() {
		out.names = append(out.names, f.Name)
	}
	return out, nil
}

// Columns are the names of all columns of the stream, in order.
func (r *Records) Columns() []string { return r.names }

// Next gives the wanted columns of the next record batch: of one with more rows than
// MaxRows, or of more than 4 Mi wanted cells, a part at a time. Batches without rows are
// passed over. At the end of the stream it is io.EOF; after an error it gives the same
// error again.
func (r *Records) Next() (*Table, error) {
	if r.err != nil {
		return nil, r.err
	}
	var t *Table
	r.err = guarded(r.r.name, func() error {
		if err := r.r.advance(); err != nil {
			return err
		}
		into := r.r.builders()
		if err := r.r.appendRows(into, min(r.most, int(r.r.rec.NumRows())-r.r.at)); err != nil {
			return err
		}
		t = tableOf(into, false)
		return nil
	})
	if r.err != nil {
		return nil, r.err
	}
	return t, nil
}

// known are the columns of a stream that have a kind set.
func (a *ipcReader) known(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		if a.opts.Kinds[name] != 0 {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, &ParseError{File: a.name, Err: ErrColumn, Hint: fmt.Sprintf("of its %d columns none is wanted", len(names))}
	}
	return out, nil
}
