package datasets

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
)

// Reader reads a file batch by batch in bounded memory. It is not safe for
// concurrent use. A Parquet or Arrow file is read as it lies if it is a plain
// file; from a stream or compressed it is first taken into memory, except for
// an Arrow stream.
type Reader struct {
	src   *source
	batch batchReader
	err   error // what ended it
}

// batchReader is one format read batch by batch.
type batchReader interface {
	next() (*Table, error)
	columns() []string
	first() int // line or row of the batch last given
	close() error
}

// Open opens a file to read it batch by batch; "-" is stdin. Columns with a kind
// in o.Kinds are held to it. The others have the type that the file gives them
// (in Parquet and Arrow text is a Category; an integer of more than 15 digits is
// an error) or, in CSV and NDJSON, are Text, since what they hold further on is
// not known. Nothing is spelt anew: a Category set by hand keeps its numbers as
// they are. The columns of NDJSON are the keys of the first batch and those in
// o.Columns; another key later on is ErrColumn unless o.Columns is set.
func Open(path string, o ReadOptions) (*Reader, error) { return open(path, nil, o) }

// OpenFrom is Open of a stream; the name stands in errors and its extension
// gives the format.
func OpenFrom(r io.Reader, name string, o ReadOptions) (*Reader, error) { return open(name, r, o) }

func open(name string, r io.Reader, o ReadOptions) (*Reader, error) {
	src, err := openSource(name, r, &o)
	if err != nil {
		return nil, err
	}
	out := &Reader{src: src}
	switch src.format {
	case Parquet:
		out.batch, err = openParquet(src, &o, true)
	case ArrowFile, ArrowStream:
		out.batch, err = openIPC(src, &o)
	case NDJSON:
		out.batch, err = openJSONStream(src, &o)
	default:
		out.batch, err = openCSVStream(src, &o)
	}
	if err != nil {
		src.close()
		return nil, err
	}
	return out, nil
}

// Columns are the names of the columns of every batch, in order.
func (r *Reader) Columns() []string { return r.batch.columns() }

// Next gives the next batch: at least one row, at most o.Batch; io.EOF at the
// end. After an error it gives the same error again.
func (r *Reader) Next() (*Table, error) {
	if r.err != nil {
		return nil, r.err
	}
	t, err := r.batch.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return t, nil
}

// Line is the line of a text file on which the first record of the last batch
// starts, or its row in a Parquet or Arrow file, from 1.
func (r *Reader) Line() int { return r.batch.first() }

// Close lets go of the file. Next fails afterwards.
func (r *Reader) Close() error {
	if r.src == nil {
		return nil
	}
	err := errors.Join(r.batch.close(), r.src.close())
	r.src, r.err = nil, errors.New("the reader is closed")
	return err
}

// textStream gives whole records of a text file.
type textStream struct {
	src  *source
	most int // bytes of a record
	buf  []byte
	end  bool // all of the file is in buf
	line int  // on which buf starts
}

const textBlock = 4 << 20

func newTextStream(s *source, o *ReadOptions) (*textStream, error) {
	t := &textStream{src: s, most: o.MaxLine, line: 1}
	if err := t.more(textBlock); err != nil {
		return nil, err
	}
	t.buf = bytes.TrimPrefix(t.buf, []byte(byteOrderMark))
	return t, nil
}

// more reads until n bytes are there or the file ends. Bytes once given out are
// never written to again.
func (t *textStream) more(n int) error {
	if t.end || len(t.buf) >= n {
		return nil
	}
	grown := make([]byte, len(t.buf), n)
	copy(grown, t.buf)
	t.buf = grown
	for len(t.buf) < n {
		k, err := t.src.r.Read(t.buf[len(t.buf):n])
		t.buf = t.buf[:len(t.buf)+k]
		if err == io.EOF {
			t.end = true
			return nil
		}
		if err != nil {
			return t.src.fault(err)
		}
	}
	return nil
}

// take gives whole records from the front of the file and the line they start
// on; io.EOF at its end. The function scan finds the end of as many as it wants,
// 0 if the data ends within the first; a fault counts only if all is there.
func (t *textStream) take(scan func(data string, all bool) (int, *ParseError)) (data []byte, line int, err error) {
	for n := textBlock; ; n *= 2 {
		if len(t.buf) < n/4 || n > textBlock {
			if err := t.more(n); err != nil {
				return nil, 0, err
			}
		}
		data = t.buf
		if t.end && len(bytes.Trim(data, "\r\n")) == 0 {
			return nil, 0, io.EOF
		}
		end, fault := scan(view(data), t.end)
		if fault != nil {
			fault.File, fault.Line = t.src.name, t.line+lineBreaks(view(data[:end]))
			return nil, 0, fault
		}
		if end > 0 {
			data, line = data[:end], t.line
			t.buf = t.buf[end:]
			t.line += lineBreaks(view(data))
			if err := checkText(view(data), t.src.name); err != nil {
				return nil, 0, shifted(err, line)
			}
			first := bytes.TrimLeft(data, "\r\n") // empty lines before it
			return first, line + lineBreaks(view(data[:len(data)-len(first)])), nil
		}
		if t.end {
			return nil, 0, io.EOF
		}
		if len(t.buf) > t.most+textBlock {
			return nil, 0, &ParseError{File: t.src.name, Line: t.line, Err: ErrTooLong, Value: view(data[:40]),
				Hint: "look for a quote that is never closed, or raise the limit of a record"}
		}
	}
}

// shifted adds the lines before a piece to an error that counts within it.
func shifted(err error, line int) error {
	var parse *ParseError
	if errors.As(err, &parse) && parse.Line > 0 {
		parse.Line += line - 1
	}
	return err
}

// csvStream reads CSV batch by batch.
type csvStream struct {
	text   *textStream
	layout *csvLayout
	line   int
}

func openCSVStream(s *source, o *ReadOptions) (*csvStream, error) {
	t, err := newTextStream(s, o)
	if err != nil {
		return nil, err
	}
	c := &csvStream{text: t}
	comma := o.Comma
	header, line, err := t.take(func(data string, all bool) (int, *ParseError) {
		if comma == 0 {
			comma = findComma(data)
		}
		end, _, fault := scanCSV(data, comma, all, o.MaxLine, 1)
		return end, fault
	})
	if err == io.EOF {
		return nil, &ParseError{File: s.name, Err: ErrEmpty, Hint: "there is no header line"}
	}
	if err != nil {
		return nil, err
	}
	if c.layout, _, err = readCSVHeader(view(header), s.name, o); err != nil {
		return nil, shifted(err, line)
	}
	c.line = t.line
	return c, nil
}

// scanCSV finds the end of the last of at most most whole records, and counts them.
func scanCSV(data string, comma byte, all bool, longest, most int) (end, rows int, fault *ParseError) {
	s := newCSVScanner(data, comma, longest)
	s.skim = true
	for range most {
		ok, fault := s.next()
		if fault != nil {
			if end > 0 || (!all && fault.Err == ErrTruncated) {
				return end, rows, nil // it will be met again, or more of it
			}
			return s.start, rows, fault
		}
		if !ok {
			if all && end == 0 {
				return len(data), rows, nil
			}
			break
		}
		if !all && !s.whole() {
			break
		}
		end = s.pos
		rows++
	}
	return end, rows, nil
}

func (c *csvStream) next() (*Table, error) {
	l := c.layout
	rows := 0
	data, line, err := c.text.take(func(data string, all bool) (end int, fault *ParseError) {
		end, rows, fault = scanCSV(data, l.comma, all, l.opts.MaxLine, l.opts.Batch)
		return end, fault
	})
	if err != nil {
		return nil, err
	}
	c.line = line
	plans := make([]csvPlan, len(l.places))
	for k, name := range c.columns() {
		plans[k] = csvPlan{col: Column{Name: name, Kind: l.opts.Kinds[name]}, place: l.places[k], set: true}
		if plans[k].col.Kind == 0 {
			plans[k].col.Kind = Text
		}
		plans[k].reserve(rows)
	}
	w := newCSVWorker(l, plans)
	if _, off, fault := w.parse(data, 0, rows); fault != nil {
		fault.File, fault.Line = c.text.src.name, line+lineBreaks(view(data[:off]))
		return nil, fault
	}
	t := &Table{Notes: unwrappedNote(w.unwrapped)}
	for k := range w.columns {
		column := plans[k].col
		column.Values = w.columns[k].b.words.values
		t.Columns = append(t.Columns, column)
		t.Notes = append(t.Notes, w.columns[k].b.notes()...)
	}
	return t, nil
}

// textBuilders are builders of the kinds set by hand, Text for the others.
func textBuilders(names []string, o *ReadOptions) []*builder {
	into := make([]*builder, len(names))
	for j, name := range names {
		kind := o.Kinds[name]
		if kind == 0 {
			kind = Text
		}
		into[j] = newBuilder(name, kind, o)
		into[j].set = o.Kinds[name] != 0
	}
	return into
}

func (c *csvStream) columns() []string {
	out := make([]string, len(c.layout.places))
	for k, j := range c.layout.places {
		out[k] = c.layout.header[j]
	}
	return out
}

func (c *csvStream) first() int   { return c.line }
func (c *csvStream) close() error { return nil }

// jsonStream reads NDJSON batch by batch.
type jsonStream struct {
	text  *textStream
	opts  *ReadOptions
	names []string
	index map[string]int
	ahead *Table // the first batch, which gave the names
	line  int
}

func openJSONStream(s *source, o *ReadOptions) (*jsonStream, error) {
	t, err := newTextStream(s, o)
	if err != nil {
		return nil, err
	}
	j := &jsonStream{text: t, opts: o}
	j.ahead, err = j.read()
	if err == io.EOF {
		err = &ParseError{File: s.name, Err: ErrEmpty, Hint: "there is no record"}
	}
	return j, err
}

func (j *jsonStream) next() (*Table, error) {
	if t := j.ahead; t != nil {
		j.ahead = nil
		return t, nil
	}
	return j.read()
}

func (j *jsonStream) read() (*Table, error) {
	text, line, err := j.text.take(j.scan)
	data := view(text)
	if err != nil {
		return nil, err
	}
	at := func(fault *ParseError, off int) error {
		fault.File, fault.Line = j.text.src.name, line+lineBreaks(data[:off])
		return fault
	}
	j.line = line
	keys := newJSONKeys(true)
	if _, off, fault := keys.scan(data, 0, j.opts); fault != nil {
		return nil, at(fault, off)
	}
	if j.index == nil {
		if err := j.settle(keys); err != nil {
			return nil, err
		}
	}
	for _, c := range keys.list {
		if _, ok := j.index[c.name]; !ok && c.wanted {
			return nil, at(&ParseError{Column: c.name, Err: ErrColumn,
				Hint: "the key does not occur in the first batch of the stream; list the columns to read"}, c.off)
		}
	}
	into := textBuilders(j.names, j.opts)
	if off, fault := fillJSON(data, j.opts, into, j.index); fault != nil {
		return nil, at(fault, off)
	}
	return tableOf(into, false), nil
}

// settle takes the columns of the stream from its first batch and the options.
func (j *jsonStream) settle(keys *jsonKeys) error {
	for _, c := range keys.list {
		if c.wanted {
			j.names = append(j.names, c.name)
		}
	}
	for _, name := range j.opts.Columns {
		if !slices.Contains(j.names, name) {
			j.names = append(j.names, name)
		}
	}
	if len(j.names) == 0 {
		return &ParseError{File: j.text.src.name, Err: ErrEmpty, Hint: "there is no record with a key"}
	}
	j.index = make(map[string]int, len(j.names))
	for k, name := range j.names {
		j.index[name] = k
	}
	return nil
}

// scan finds the end of at most a batch of lines that are not blank.
func (j *jsonStream) scan(data string, all bool) (end int, fault *ParseError) {
	for rows := 0; rows < j.opts.Batch && end < len(data); {
		stop := indexFrom(data, '\n', end)
		if stop-end > j.opts.MaxLine {
			if rows > 0 {
				break // it will be met again
			}
			return end, &ParseError{Err: ErrTooLong, Value: data[end : end+min(40, stop-end)], Hint: "every line must be one record; raise the limit of a record if it is"}
		}
		if stop == len(data) && !all {
			break
		}
		if strings.Trim(data[end:stop], " \t\r") != "" {
			rows++
		}
		end = min(stop+1, len(data))
	}
	return end, nil
}

func (j *jsonStream) columns() []string { return j.names }
func (j *jsonStream) first() int        { return j.line }
func (j *jsonStream) close() error      { return nil }
