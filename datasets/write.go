package datasets

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// WriteOptions say how to write a file.
type WriteOptions struct {
	// Format of the file; zero: from its extension, CSV for stdout. A .tsv is CSV
	// with tabs. Names that end in .gz or .zst are compressed.
	Format Format
}

// Write writes a table to a file, which appears under its name only when it is
// whole and on disk; "-" is stdout.
func Write(path string, t *Table, o WriteOptions) error {
	w, err := Create(path, o)
	if err != nil {
		return err
	}
	if err := w.Write(t); err != nil {
		w.Abort()
		return err
	}
	return w.Commit()
}

// Writer writes a file batch by batch. Nothing shows under its name before
// Commit; after Abort, or a write that failed, nothing is left behind. It is not
// safe for concurrent use.
type Writer struct {
	name   string
	format Format
	comma  byte
	out    *bufio.Writer
	zip    io.WriteCloser // nil if not compressed
	file   *outFile       // nil if the writer was made on an io.Writer
	enc    tableEncoder   // nil before the first batch
	names  []string
	kinds  []Kind
	empty  int // empty texts written to CSV
	err    error
	done   bool
}

// tableEncoder is one output format.
type tableEncoder interface {
	write(t *Table) error
	close() error
}

// Create starts a file; "-" is stdout. It is written beside its final place, in
// the same directory. A path that is no regular file (a device, a pipe) is
// written directly.
func Create(path string, o WriteOptions) (*Writer, error) {
	format, compression := formatOfPath(path)
	if o.Format != 0 {
		format = o.Format
	}
	if path == "-" {
		if format == 0 {
			format = CSV
		}
		return NewWriter(os.Stdout, format), nil
	}
	if format == 0 {
		return nil, fmt.Errorf("%s: the extension names no format: use .csv, .tsv, .parquet, .arrow, .arrows or .ndjson, or say which", path)
	}
	f, err := createFile(path)
	if err != nil {
		return nil, err
	}
	w := NewWriter(f, format)
	w.name, w.file = path, f
	switch compression {
	case ".gz":
		w.zip = gzip.NewWriter(f)
	case ".zst":
		w.zip, err = zstd.NewWriter(f, zstd.WithEncoderConcurrency(1))
		if err != nil {
			f.abort()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if w.zip != nil {
		w.out = bufio.NewWriterSize(w.zip, writeBuffer)
	}
	if filepath.Ext(trimCompression(path)) == ".tsv" {
		w.comma = '\t'
	}
	return w, nil
}

func trimCompression(path string) string {
	if _, compression := formatOfPath(path); compression != "" {
		return path[:len(path)-len(compression)]
	}
	return path
}

const writeBuffer = 256 << 10

// NewWriter writes to out, which Commit flushes and does not close.
func NewWriter(out io.Writer, f Format) *Writer {
	return &Writer{name: "output", format: f, comma: ',', out: bufio.NewWriterSize(out, writeBuffer)}
}

// Write appends the rows of a table. All tables of a file must have the same
// columns. Infinite numbers, text that is not UTF-8, times beyond four-digit
// years and, in CSV, zero bytes are ErrValue. After an error the output is given
// up: only Abort is left.
//
// CSV cannot tell empty text from a missing value: it is written as "" and reads
// back as missing; Notes counts such fields.
func (w *Writer) Write(t *Table) error {
	if w.err != nil {
		return w.err
	}
	if w.done {
		return errors.New("write after the end of the output")
	}
	w.err = w.write(t)
	if w.err != nil {
		w.discard()
	}
	return w.err
}

func (w *Writer) write(t *Table) error {
	if err := w.check(t); err != nil {
		return err
	}
	if w.enc == nil {
		if err := w.begin(t); err != nil {
			return err
		}
	}
	if err := guarded(w.name, func() error { return w.enc.write(t) }); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *Writer) begin(t *Table) error {
	w.names = t.Names()
	for j := range t.Columns {
		w.kinds = append(w.kinds, t.Columns[j].Kind)
	}
	var err error
	switch w.format {
	case CSV:
		w.enc, err = newCSVEncoder(w.out, w.comma, w.names)
	case NDJSON:
		w.enc = newJSONEncoder(w.out, w.names)
	case ArrowFile, ArrowStream:
		w.enc, err = newArrowEncoder(w.out, w.format, t)
	case Parquet:
		w.enc, err = newParquetEncoder(w.out, t)
	default:
		return fmt.Errorf("%s: unknown %s", w.name, w.format)
	}
	if err != nil {
		return w.failed(err)
	}
	return nil
}

// Flush passes on to the output what was written so far, as far as the format can: all
// of it in CSV, NDJSON and an Arrow stream that is not compressed.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	if err := w.out.Flush(); err != nil {
		w.err = w.failed(err)
		w.discard()
	}
	return w.err
}

// check refuses a table that the output could not give back.
func (w *Writer) check(t *Table) error {
	if err := checkHeader(t.Names(), w.name, 0); err != nil {
		return err
	}
	if len(t.Columns) == 0 {
		return &ParseError{File: w.name, Err: ErrEmpty, Hint: "a table without columns cannot be written"}
	}
	if w.names != nil && !slices.Equal(w.names, t.Names()) {
		return &ParseError{File: w.name, Err: ErrColumn, Hint: fmt.Sprintf("the columns changed from %q to %q", w.names, t.Names())}
	}
	for j := range t.Columns {
		c := &t.Columns[j]
		if w.kinds != nil && w.kinds[j] != c.Kind {
			return &ParseError{File: w.name, Column: c.Name, Err: ErrValue, Hint: fmt.Sprintf("its kind changed from %s to %s", w.kinds[j], c.Kind)}
		}
		if c.Len() != t.Rows() {
			return &ParseError{File: w.name, Column: c.Name, Err: ErrRagged, Hint: fmt.Sprintf("it has %d rows, the table %d", c.Len(), t.Rows())}
		}
		if value, ok := c.writable(w.format); !ok {
			return &ParseError{File: w.name, Column: c.Name, Value: value, Err: ErrValue, Hint: "it cannot be written so that it reads back the same"}
		}
		if w.format == CSV {
			w.empty += c.emptyTexts()
		}
	}
	return nil
}

// writable finds a value of a column that no file should hold.
func (c *Column) writable(f Format) (value string, ok bool) {
	if c.Kind < Number || c.Kind > Text {
		return c.Kind.String(), false
	}
	for _, x := range c.Numbers {
		if math.IsInf(x, 0) || (c.Kind == Boolean && x != 0 && x != 1 && !math.IsNaN(x)) {
			return FormatNumber(x), false
		}
	}
	for _, us := range c.Times {
		if us != MissingTime && (us < earliestTime || us > latestTime) {
			return FormatTime(us), false
		}
	}
	for _, k := range c.Codes {
		if int(k) >= len(c.Values) || k < -1 {
			return fmt.Sprintf("code %d", k), false
		}
	}
	for _, s := range c.Values {
		if !writableText(s, f) {
			return s, false
		}
	}
	return c.Name, writableText(c.Name, f)
}

func writableText(s string, f Format) bool {
	return utf8.ValidString(s) && (f != CSV || strings.IndexByte(s, 0) < 0)
}

func (c *Column) emptyTexts() (n int) {
	empty := int32(slices.Index(c.Values, ""))
	if empty < 0 {
		return 0
	}
	for _, k := range c.Codes {
		if k == empty {
			n++
		}
	}
	return n
}

// Notes say what the format could not hold.
func (w *Writer) Notes() []string {
	if w.empty == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d empty texts were written as empty fields, which CSV reads back as missing", w.empty)}
}

// failed names the output in an error of writing.
func (w *Writer) failed(err error) error {
	var parse *ParseError
	if errors.As(err, &parse) || errors.As(err, new(*os.PathError)) {
		return err
	}
	return fmt.Errorf("write %s: %w", w.name, err)
}

// Commit ends the output; a file is then on disk under its name. Without a Write
// before it there is nothing to commit: write an empty table for an empty file.
func (w *Writer) Commit() error {
	if w.err != nil {
		return w.err
	}
	if w.done {
		return nil
	}
	if w.enc == nil {
		w.err = &ParseError{File: w.name, Err: ErrEmpty, Hint: "nothing was written, not even columns"}
	} else {
		w.err = w.commit()
	}
	if w.err != nil {
		w.discard()
		return w.err
	}
	w.done = true
	return nil
}

func (w *Writer) commit() error {
	if err := guarded(w.name, w.enc.close); err != nil {
		return w.failed(err)
	}
	if err := w.out.Flush(); err != nil {
		return w.failed(err)
	}
	if w.zip != nil {
		if err := w.zip.Close(); err != nil {
			return w.failed(err)
		}
	}
	if w.file != nil {
		return w.file.commit()
	}
	return nil
}

// Abort gives the output up and leaves nothing behind. After Commit it does
// nothing, so it can be deferred.
func (w *Writer) Abort() {
	if !w.done {
		w.done = true
		if w.err == nil {
			w.err = errors.New("the output was given up")
			w.discard()
		}
	}
}

func (w *Writer) discard() {
	if w.file != nil {
		w.file.abort()
	}
}

// outFile is a file that takes its name when it is complete.
type outFile struct {
	*os.File
	path   string // its name in the end
	direct bool   // a device or pipe, written directly
	closed bool
}

func createFile(path string) (*outFile, error) {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to // replace what a link points to, not the link
	}
	mode := os.FileMode(0o666)
	if info, err := os.Stat(path); err == nil {
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a directory: name a file in it", path)
		}
		if !info.Mode().IsRegular() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			return &outFile{File: f, path: path, direct: true}, err
		}
		mode = info.Mode().Perm()
	}
	dir, base := filepath.Split(path)
	for n := 0; ; n++ {
		temp := filepath.Join(dir, fmt.Sprintf(".%s.%d.%d.tmp", base, os.Getpid(), n))
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, os.ErrExist) && n < 1000 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
		return &outFile{File: f, path: path}, nil
	}
}

func (f *outFile) commit() error {
	if f.direct {
		f.closed = true
		return f.Close()
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.closed = true
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(f.path))
}

// syncDirectory puts a rename on disk, where the system can.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil // not readable: the rename stands, its durability is up to the system
	}
	defer d.Close()
	_ = d.Sync() // some systems refuse it for directories
	return nil
}

func (f *outFile) abort() {
	if !f.closed {
		f.closed = true
		f.Close()
	}
	if !f.direct {
		os.Remove(f.Name())
	}
}
