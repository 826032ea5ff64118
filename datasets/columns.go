package datasets

import (
	"fmt"
	"slices"
)

// Columns reads a Parquet file column by column, for tables that are larger than
// memory: what it holds itself is the footer of the file. Column may be called by
// several goroutines at once.
type Columns struct {
	src     *source
	parquet *parquetReader
}

// OpenColumns opens a Parquet file to read its columns one by one; o means what
// it means to Read. A file of another format is refused: its columns do not lie
// apart. A compressed file is first taken into memory.
func OpenColumns(path string, o ReadOptions) (*Columns, error) {
	src, err := openSource(path, nil, &o)
	if err != nil {
		return nil, err
	}
	c := &Columns{src: src}
	if src.format != Parquet {
		err = &ParseError{File: src.name, Err: ErrEncoding, Hint: fmt.Sprintf("a %s file cannot be read by columns: write it as Parquet, or read it whole", src.format)}
	} else {
		c.parquet, err = openParquet(src, &o, true)
	}
	if err != nil {
		src.close()
		return nil, err
	}
	return c, nil
}

// Names are the names of the wanted columns, in the order of the file.
func (c *Columns) Names() []string { return c.parquet.columns() }

// Rows is the number of rows.
func (c *Columns) Rows() int { return int(c.parquet.total) }

// Column reads one column whole: the very column that Read gives. A name that is
// not among Names is ErrColumn.
func (c *Columns) Column(name string) (Column, error) {
	k := slices.Index(c.Names(), name)
	if k < 0 {
		return Column{}, &ParseError{File: c.src.name, Err: ErrColumn, Hint: fmt.Sprintf("%q", name)}
	}
	b, err := c.parquet.whole(k)
	if err != nil {
		return Column{}, err
	}
	return tableOf([]*builder{b}, true).Columns[0], nil
}

// Fingerprint is that of the Table that Read gives. It reads every column; a
// caller that reads them anyway may use Column.Sum and FingerprintOf.
func (c *Columns) Fingerprint() (string, error) {
	sums := make([]Sum, len(c.Names()))
	for k, name := range c.Names() {
		column, err := c.Column(name)
		if err != nil {
			return "", err
		}
		sums[k] = column.Sum()
	}
	return FingerprintOf(sums), nil
}

// Close lets go of the file.
func (c *Columns) Close() error { return c.src.close() }
