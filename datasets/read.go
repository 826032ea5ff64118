package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// ReadOptions say how to read a file. The zero value reads everything.
type ReadOptions struct {
	// Format of the file. Zero: from its extension (.csv .tsv .parquet .arrow
	// .feather .ipc .arrows .ndjson .jsonl, each optionally .gz or .zst); for
	// stdin or another name from the first bytes. Gzip and Zstandard are known by
	// their first bytes, whatever the name.
	Format Format
	// Kinds set by hand: these columns are not inferred but held to their kind.
	// Names that the file does not have are ignored.
	Kinds map[string]Kind
	// Columns to read, nil for all. The others are not decoded. The order is that
	// of the file. One that the file lacks is ErrColumn.
	Columns []string
	// Missing lists the texts that are missing in every column. Nil stands for
	// DefaultMissing, which count only in columns of numbers, booleans and times:
	// "NA" may be Namibia. An empty CSV field is always missing; a blank one is in
	// columns of numbers, booleans and times.
	Missing []string
	// LooseTimes are columns, set to Time by hand, in which what is no time is missing
	// instead of an error. To tell them apart, count the cells that are missing.
	LooseTimes []string
	// Comma is the delimiter of CSV. 0: whichever of , ; tab | the header line
	// holds most often outside quotes.
	Comma byte
	// MaxLine is the most bytes that a record of a text file may have; 0: 16 MiB.
	MaxLine int
	// Batch is the most rows of a batch of a Reader; 0: 8192.
	Batch int
	// Progress, if not nil, is told of the bytes read, as they lie in the file;
	// total is 0 when unknown. It is called from one goroutine at a time.
	Progress func(read, total int64)
}

const (
	defaultMaxLine = 16 << 20
	defaultBatch   = 8192
)

var defaultMissing = [...]string{"NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", `\N`, "#N/A", "?"}

// DefaultMissing are the texts that mean a missing value in columns whose other
// values are all numbers, booleans or times.
func DefaultMissing() []string { return slices.Clone(defaultMissing[:]) }

func (o *ReadOptions) isToken(s string) bool {
	if o.Missing != nil {
		return slices.Contains(o.Missing, s)
	}
	return len(s) <= 4 && slices.Contains(defaultMissing[:], s)
}

func (o *ReadOptions) wants(column string) bool {
	return o.Columns == nil || slices.Contains(o.Columns, column)
}

// check makes the options whole.
func (o *ReadOptions) check() error {
	if o.MaxLine == 0 {
		o.MaxLine = defaultMaxLine
	}
	if o.Batch == 0 {
		o.Batch = defaultBatch
	}
	switch {
	case o.MaxLine < 0 || o.Batch < 0:
		return fmt.Errorf("record limit %d, batch %d: neither can be negative", o.MaxLine, o.Batch)
	case o.Comma == '"' || o.Comma == '\n' || o.Comma == '\r' || o.Comma >= 0x80:
		return fmt.Errorf("delimiter %q: use a comma, semicolon, tab or bar", o.Comma)
	case o.Format > NDJSON:
		return fmt.Errorf("unknown %s", o.Format)
	}
	for name, k := range o.Kinds {
		if k < Number || k > Text {
			return fmt.Errorf("column %q: unknown %s", name, k)
		}
	}
	return nil
}

// lacking is the error about wanted columns that a file does not have.
func (o *ReadOptions) lacking(file string, have []string) error {
	var missing []string
	for _, name := range o.Columns {
		if !slices.Contains(have, name) {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &ParseError{File: file, Err: ErrColumn, Hint: fmt.Sprintf("%s; the file has %s",
		strings.Join(missing, ", "), shorten(fmt.Sprintf("%q", have)))}
}

// Read reads a whole file into memory; "-" is stdin. The kind of a column that is
// not set by hand comes from the file if the format has types, else from all its
// values:
//
//   - Boolean: all are true or false, in any case;
//   - Number: all are numbers as ParseNumber has them;
//   - Time: all are dates (2006-01-02), or all are dates with a time of day
//     (2006-01-02 15:04:05, a fraction, T for the space), or all are those with Z or an
//     offset; without an offset they are UTC, digits past the microsecond are cut off;
//   - Category otherwise.
//
// In Parquet and Arrow, text is a Category even if it reads like numbers, and
// integers of which one has more than 15 digits are a Category. In NDJSON a
// column that holds values of several JSON types is an error unless it is set by
// hand to category or text; only its strings can be times. Blanks around numbers,
// booleans and times do not count. A CSV file with a header and no records is a
// table without rows.
func Read(path string, o ReadOptions) (*Table, error) {
	src, err := openSource(path, nil, &o)
	if err != nil {
		return nil, err
	}
	defer src.close()
	return src.readAll(&o)
}

// ReadFrom is Read of a stream, to its end; the name stands in errors and its
// extension gives the format, as that of a file does.
func ReadFrom(r io.Reader, name string, o ReadOptions) (*Table, error) {
	src, err := openSource(name, r, &o)
	if err != nil {
		return nil, err
	}
	defer src.close()
	return src.readAll(&o)
}

func (s *source) readAll(o *ReadOptions) (*Table, error) {
	switch s.format {
	case Parquet:
		f, err := openParquet(s, o, false)
		if err != nil {
			return nil, err
		}
		return f.all()
	case ArrowFile, ArrowStream:
		a, err := openIPC(s, o)
		if err != nil {
			return nil, err
		}
		return a.all()
	}
	if s.format == CSV && s.file != nil {
		f, err := s.plainText()
		if err != nil {
			return nil, err
		}
		return readCSV(f, s.name, o, 0)
	}
	data, err := s.text()
	if err != nil {
		return nil, err
	}
	if s.format == NDJSON {
		return readNDJSON(data, s.name, o, 0)
	}
	return readCSV(textIn(data), s.name, o, 0)
}

// plainText is the text of a plain file.
func (s *source) plainText() (*textFile, error) {
	f := &textFile{at: s.file, told: &progressAt{file: s.file, total: s.size, tell: s.progress}, size: s.size}
	var mark [len(byteOrderMark)]byte
	if n, err := s.file.ReadAt(mark[:], 0); err != nil && err != io.EOF {
		return nil, s.fault(err)
	} else if string(mark[:n]) == byteOrderMark {
		f.base = int64(n)
		f.size -= f.base
	}
	return f, nil
}

// text is the whole of a text file.
func (s *source) text() (string, error) {
	var b strings.Builder
	if s.size > 0 {
		b.Grow(int(s.size))
	}
	if _, err := io.Copy(&b, s.r); err != nil {
		return "", s.fault(err)
	}
	return strings.TrimPrefix(b.String(), byteOrderMark), nil
}

// random is the file for readers that jump about in it: itself, or all of it in
// memory if it is a stream or compressed.
func (s *source) random() (io.ReaderAt, int64, error) {
	if s.file != nil {
		return &progressAt{file: s.file, total: s.size, tell: s.progress}, s.size, nil
	}
	data, err := io.ReadAll(s.r)
	if err != nil {
		return nil, 0, s.fault(err)
	}
	return bytes.NewReader(data), int64(len(data)), nil
}

// fault gives an error of reading or decompressing its name and meaning.
func (s *source) fault(err error) error {
	var parse *ParseError
	switch {
	case errors.As(err, &parse):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &ParseError{File: s.name, Err: ErrTruncated, Hint: "its compressed data ends too early; copy or write it again"}
	case s.compressed:
		return &ParseError{File: s.name, Err: fmt.Errorf("%w: %w", ErrEncoding, err), Hint: "its compressed data is damaged"}
	case errors.As(err, new(*os.PathError)):
		return err
	}
	return fmt.Errorf("%s: %w", s.name, err)
}
