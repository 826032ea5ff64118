package datasets

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// textFile is the text of a file, read at random.
type textFile struct {
	at   io.ReaderAt
	told io.ReaderAt // the same; what is read through it counts as progress
	base int64       // where the text starts: after a byte order mark
	size int64       // of the text
}

// textIn is text in memory.
func textIn(data string) *textFile {
	r := strings.NewReader(data)
	return &textFile{at: r, told: r, size: int64(len(data))}
}

// read reads from from on, n bytes or up to the end, into buf, which grows.
func (f *textFile) read(r io.ReaderAt, buf *[]byte, from, n int64) ([]byte, error) {
	n = min(n, f.size-from)
	if int64(cap(*buf)) < n {
		*buf = make([]byte, n)
	}
	data := (*buf)[:n]
	if k, err := r.ReadAt(data, f.base+from); int64(k) < n {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return data, nil
}

// lineAt is the number, from 1, of the line on which the text at off stands.
func (f *textFile) lineAt(off int64) (int, error) {
	line := 1
	var buf []byte
	for from, half := int64(0), false; from < off; {
		data, err := f.read(f.at, &buf, from, min(1<<20, off-from))
		if err != nil {
			return 0, err
		}
		line += lineBreaks(view(data))
		if half && data[0] == '\n' {
			line-- // the other half of a line end
		}
		half = data[len(data)-1] == '\r'
		from += int64(len(data))
	}
	return line, nil
}

// view is b as a string without a copy: it is good as long as b is not written to.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// csvBlock is a piece of a file: whole records, and maybe a fault after them.
type csvBlock struct {
	from, to int64
	rows     int
	fault    *ParseError // of the record at faultAt
	faultAt  int64
}

// slack is what is read past the limit of a block for its last record to end in.
const slack = 16 << 10

// survey cuts the records from start on into blocks of about size bytes and counts
// them. The blocks are scanned in parallel on the guess that a record starts after
// the first line end at or past the byte before the block; where the block before
// turns out to end elsewhere, as in the middle of a quoted field, it is scanned
// again from there. The last block may hold a fault.
func (l *csvLayout) survey(f *textFile, start int64, size int64) ([]csvBlock, error) {
	blocks := make([]csvBlock, (f.size-start+size-1)/size)
	limit := func(i int) int64 { return min(start+int64(i+1)*size, f.size) }
	err := onWorkers(make([][]byte, workersFor(len(blocks))), len(blocks), func(buf *[]byte, i int) error {
		from := start
		if i > 0 {
			data, err := f.read(f.at, buf, limit(i-1)-1, slack)
			if err != nil {
				return err
			}
			n := bytes.IndexByte(data, '\n')
			if n < 0 {
				blocks[i].from = -1
				return nil
			}
			from = limit(i-1) + int64(n)
		}
		var err error
		if blocks[i], err = l.scan(f, buf, from, limit(i), true); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	from := start
	var buf []byte
	for i := range blocks {
		b := &blocks[i]
		switch {
		case from >= limit(i): // a record reaches over all of it
			*b = csvBlock{from: from, to: from}
		case b.from != from:
			if *b, err = l.scan(f, &buf, from, limit(i), false); err != nil {
				return nil, err
			}
		}
		if b.fault != nil {
			return blocks[:i+1], nil
		}
		from = b.to
	}
	return blocks, nil
}

// scan finds the records that start at from, up to the first that ends at limit or
// later. A guess is given up, its from -1, where it leads far.
func (l *csvLayout) scan(f *textFile, buf *[]byte, from, limit int64, guess bool) (csvBlock, error) {
	for n := limit - from + slack; ; n *= 2 {
		data, err := f.read(f.at, buf, from, n)
		if err != nil {
			return csvBlock{}, err
		}
		if b, ok := l.scanWindow(data, from, limit, from+int64(len(data)) == f.size); ok {
			if b.to < b.from {
				b.to = b.from
			}
			l.checkBlock(data[:b.to-from], &b)
			return b, nil
		}
		if guess && n > 4*(limit-from)+8*slack {
			return csvBlock{from: -1}, nil
		}
	}
}

// scanWindow is scan of data; false if there is too little of it.
func (l *csvLayout) scanWindow(data []byte, from, limit int64, all bool) (b csvBlock, ok bool) {
	s := newCSVScanner(view(data), l.comma, l.opts.MaxLine)
	s.skim = true
	b = csvBlock{from: from, to: from}
	for b.to < limit {
		ok, fault := s.next()
		switch {
		case fault != nil:
			if !all && fault.Err == ErrTruncated {
				return b, false
			}
			fault.Value = strings.Clone(fault.Value)
			b.fault, b.faultAt = fault, from+int64(s.start)
			return b, true
		case !ok && all:
			b.to = from + int64(len(data))
			return b, true
		case !ok || !all && !s.whole():
			return b, false
		}
		b.rows++
		b.to = from + int64(s.pos)
	}
	return b, true
}

// checkBlock makes a fault of the first record that is no text.
func (l *csvLayout) checkBlock(data []byte, b *csvBlock) {
	if utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 {
		return
	}
	fault, off := badText(view(data))
	s := newCSVScanner(view(data), l.comma, l.opts.MaxLine)
	s.skim = true
	b.rows = 0
	for b.to = b.from; ; b.rows++ {
		if ok, _ := s.next(); !ok || s.pos > off {
			break
		}
		b.to = b.from + int64(s.pos)
	}
	fault.Value = strings.Clone(fault.Value)
	b.fault, b.faultAt = fault, b.from+int64(off)
}
