package datasets

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
)

// parquetReader reads the flat columns of a Parquet file.
type parquetReader struct {
	name   string
	opts   *ReadOptions
	cols   []arrowColumn
	file   *file.Reader
	fields []parquetField
	at     io.ReaderAt
	size   int64
	leafs  []int // the leaf of each of cols
	total  int64 // rows
	// Of one piece: its row groups, nil is all, and the rows before them; its batches
	// are lent, so that their memory is used again.
	groups []int
	before int64
	lends  bool

	open []*parquetColumn // in a stream
	rows int64            // read so far
	line int
}

// openParquet opens a file; in a stream column chunks are not read as a whole.
func openParquet(s *source, o *ReadOptions, stream bool) (*parquetReader, error) {
	at, size, err := s.random()
	if err != nil {
		return nil, err
	}
	if err := checkParquetMarks(at, size, s.name); err != nil {
		return nil, err
	}
	p := &parquetReader{name: s.name, opts: o, at: at, size: size}
	err = guarded(s.name, func() error {
		props := parquet.NewReaderProperties(&boundedAllocator{most: mostBuffer})
		props.BufferedStreamEnabled = stream
		if p.file, err = file.NewParquetReader(io.NewSectionReader(at, 0, size), file.WithReadProps(props)); err != nil {
			return p.fault(err)
		}
		if p.fields, err = parquetFields(p.file); err != nil {
			return p.fault(err)
		}
		return p.layout()
	})
	return p, err
}

func checkParquetMarks(at io.ReaderAt, size int64, name string) error {
	var mark [4]byte
	if n, _ := at.ReadAt(mark[:], 0); n < 4 || string(mark[:]) != magicParquet {
		return &ParseError{File: name, Err: ErrEncoding, Hint: "it is not a Parquet file, or one with an encrypted footer"}
	}
	if size >= 12 {
		if _, err := at.ReadAt(mark[:], size-4); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if size < 12 || string(mark[:]) != magicParquet {
		return &ParseError{File: name, Err: ErrTruncated, Hint: "the Parquet file has no footer; write it again"}
	}
	return nil
}

// layout settles the wanted columns.
func (p *parquetReader) layout() error {
	list := make([]arrow.Field, len(p.fields))
	for i := range p.fields {
		list[i] = p.fields[i].Field
	}
	var err error
	if p.cols, err = arrowColumns(list, p.name, p.opts); err != nil {
		return err
	}
	for _, c := range p.cols {
		p.leafs = append(p.leafs, p.fields[c.place].leaf)
	}
	if p.total = p.file.NumRows(); p.total < 0 {
		return p.fault(fmt.Errorf("%d rows", p.total))
	}
	return nil
}

func (p *parquetReader) fault(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &ParseError{File: p.name, Err: ErrTruncated, Hint: "the Parquet file is incomplete; write it again"}
	}
	return &ParseError{File: p.name, Err: ErrEncoding, Hint: "it is damaged or uses something of Parquet that is not read (" + shorten(err.Error()) + ")"}
}

// parquetColumn is one column that is being read, the quick way as far as that goes.
type parquetColumn struct {
	p       *parquetReader
	k       int
	quick   *pages   // nil: by the library
	library *records // opened when it is needed
	rows    int64    // read so far
	lent    *builder // of the batch before, if it was lent
}

func (p *parquetReader) column(k int) *parquetColumn {
	c := &parquetColumn{p: p, k: k}
	_ = guarded(p.name, func() error { c.quick = p.quick(k); return nil }) // damage is left to the library
	return c
}

// take reads the next n rows; whole says that they are all.
func (c *parquetColumn) take(n int64, whole bool) (*builder, error) {
	p := c.p
	fresh := func() *builder {
		if c.lent != nil {
			return c.lent.again()
		}
		b := p.cols[c.k].builder(p.opts)
		b.open = whole && !p.cols[c.k].set
		b.reserve(int(min(n, 64*p.size))) // a damaged file may state any number of rows
		return b
	}
	b := fresh()
	if c.quick != nil {
		// Damage may well be a panic of the library.
		if err := guarded(p.name, func() error { return c.quick.take(b, n) }); err == nil {
			c.rows += n
			c.lend(b)
			return b, nil
		}
		c.quick, b = nil, fresh()
	}
	c.lend(b)
	return b, guarded(p.name, func() error {
		const step = 1 << 16
		if c.library == nil {
			var err error
			if c.library, err = p.records(c.k); err != nil {
				return p.fault(err)
			}
			for from := int64(0); from < c.rows; from += step {
				if err := c.skip(min(step, c.rows-from)); err != nil {
					return err
				}
			}
		}
		for end := c.rows + n; c.rows < end; {
			if err := c.append(b, min(step, end-c.rows)); err != nil {
				return err
			}
		}
		return nil
	})
}

// lend keeps the builder of a batch that is lent for the next.
func (c *parquetColumn) lend(b *builder) {
	if c.p.lends {
		c.lent = b
	}
}

// allGroups are the row groups to read.
func (p *parquetReader) allGroups() []int {
	if p.groups != nil {
		return p.groups
	}
	groups := make([]int, p.file.NumRowGroups())
	for i := range groups {
		groups[i] = i
	}
	return groups
}

// skip passes over rows that the quick way has read.
func (c *parquetColumn) skip(n int64) error {
	if _, err := c.library.read(n); err != nil {
		return c.p.fault(err)
	}
	return nil
}

// append appends the next n rows by the library.
func (c *parquetColumn) append(b *builder, n int64) error {
	p := c.p
	got, err := c.library.read(n)
	if err != nil {
		return p.fault(err)
	}
	if got != n {
		return &ParseError{File: p.name, Column: p.cols[c.k].name, Err: ErrTruncated,
			Hint: fmt.Sprintf("the column ends before row %d of %d", c.rows+n, p.total)}
	}
	if row, value := c.library.appendTo(b); row >= 0 {
		e := b.refusal(value)
		e.File, e.Row = p.name, int(p.before+c.rows)+row+1
		return e
	}
	c.rows += n
	return nil
}

func (c *parquetColumn) close() error {
	if c.library == nil {
		return nil
	}
	return guarded(c.p.name, func() error {
		c.library.r.Release()
		c.library = nil
		return nil
	})
}

// all reads the columns in parallel.
func (p *parquetReader) all() (*Table, error) {
	into := make([]*builder, len(p.cols))
	err := inParallel(len(p.cols), func(k int) (err error) {
		into[k], err = p.whole(k)
		return err
	})
	if err != nil {
		return nil, err
	}
	return tableOf(into, true), nil
}

// whole reads column k of all row groups.
func (p *parquetReader) whole(k int) (*builder, error) {
	c := p.column(k)
	b, err := c.take(p.total, true)
	if closed := c.close(); err == nil {
		err = closed
	}
	return b, err
}

func (p *parquetReader) next() (*Table, error) {
	n := min(int64(p.opts.Batch), p.total-p.rows)
	p.line = int(p.rows) + 1
	if n == 0 {
		return nil, io.EOF
	}
	into := make([]*builder, len(p.cols))
	for k := range p.cols {
		if len(p.open) <= k {
			p.open = append(p.open, p.column(k))
		}
		var err error
		if into[k], err = p.open[k].take(n, false); err != nil {
			return nil, err
		}
	}
	p.rows += n
	return tableOf(into, false), nil
}

func (p *parquetReader) columns() []string { return arrowNames(p.cols) }
func (p *parquetReader) first() int        { return p.line }

func (p *parquetReader) close() error {
	var errs []error
	for _, c := range p.open {
		errs = append(errs, c.close())
	}
	p.open = nil
	return errors.Join(errs...)
}
