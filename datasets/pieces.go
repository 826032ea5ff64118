package datasets

import (
	"context"
	"io"
)

// Pieces reads a file in pieces that do not need one another: the row groups of a
// Parquet file. A file of another format, and an answer of a database, is one
// piece. Pieces may be read by several goroutines at once.
type Pieces struct {
	path    string
	opts    ReadOptions
	src     *source
	parquet *parquetReader // nil: the file is one piece,
	reader  *Reader        // which has been opened
}

// OpenPieces opens a file to read it in pieces; o means what it means to Open.
func OpenPieces(path string, o ReadOptions) (*Pieces, error) {
	src, err := openSource(path, nil, &o)
	if err != nil {
		return nil, err
	}
	p := &Pieces{path: path, opts: o, src: src}
	if src.format == Parquet {
		if p.parquet, err = openParquet(src, &o, true); err != nil {
			src.close()
			return nil, err
		}
		return p, nil
	}
	if err := src.close(); err != nil {
		return nil, err
	}
	p.src = nil
	p.reader, err = Open(path, o)
	return p, err
}

// OpenSQLPieces is OpenPieces of records of a database, which are one piece.
func OpenSQLPieces(ctx context.Context, s SQLSource, o ReadOptions) (*Pieces, error) {
	r, err := OpenSQL(ctx, s, o)
	if err != nil {
		return nil, err
	}
	return &Pieces{path: s.String(), opts: o, reader: r}, nil
}

// Len is the number of pieces.
func (p *Pieces) Len() int {
	if p.parquet == nil {
		return 1
	}
	return p.parquet.file.NumRowGroups()
}

// Rows is the number of rows of all pieces; -1 is not known.
func (p *Pieces) Rows() int64 {
	if p.parquet == nil {
		return -1
	}
	return p.parquet.total
}

// Columns are the names of the columns of every batch, in order.
func (p *Pieces) Columns() []string {
	if p.parquet == nil {
		return p.reader.Columns()
	}
	return p.parquet.columns()
}

// Typed says that the file itself has types, so that a column that was not set by
// hand has its own; in a text file it is Text.
func (p *Pieces) Typed() bool {
	return p.parquet != nil || p.reader.src.format != CSV && p.reader.src.format != NDJSON
}

// Keeps says that within a piece a text has the same code in every batch: Values
// are those met so far.
func (p *Pieces) Keeps() bool { return p.parquet != nil }

// Read gives the batches of piece i to each, in order, with the number of the first
// row of the batch in the file, from 1. A batch is lent: what it holds, its Values
// apart, is written over afterwards. An error of each ends the reading.
func (p *Pieces) Read(i int, each func(t *Table, row int) error) error {
	if p.parquet == nil {
		return readPieces(p.reader.batch, each, 1)
	}
	piece := *p.parquet
	piece.open, piece.rows = nil, 0
	piece.piece(i)
	defer piece.close()
	return readPieces(&piece, each, int(piece.before)+1)
}

func readPieces(b batchReader, each func(t *Table, row int) error, row int) error {
	for {
		t, err := b.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(t, row); err != nil {
			return err
		}
		row += t.Rows()
	}
}

// Close lets go of the file.
func (p *Pieces) Close() error {
	if p.reader != nil {
		return p.reader.Close()
	}
	return p.src.close()
}

// piece narrows the reader to one row group, whose batches it lends.
func (p *parquetReader) piece(i int) {
	f := p.file
	p.lends, p.groups = true, []int{i}
	for g := range i {
		p.before += f.RowGroup(g).NumRows()
	}
	p.total = f.RowGroup(i).NumRows()
}
