package datasets

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// source is an opened input whose format is known.
type source struct {
	name       string
	format     Format
	r          io.Reader // decompressed
	file       *os.File  // set if the input is a plain regular file, to read at random
	size       int64     // of that file; 0 if unknown
	compressed bool
	progress   func(read, total int64)
	closers    []func() error
}

// openSource opens a path, or reads r under that name if r is not nil.
func openSource(path string, r io.Reader, o *ReadOptions) (*source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &source{name: path, format: o.Format, progress: o.Progress}
	if r == nil && path == "-" {
		r, s.name = os.Stdin, "stdin"
	}
	var file *os.File
	var total int64
	if r == nil {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, file.Close)
		info, err := file.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory: name a file in it", path)
		}
		if err != nil {
			s.close()
			return nil, err
		}
		if info.Mode().IsRegular() {
			total = info.Size()
		} else {
			file, r = nil, file // a pipe or device cannot be read at random
		}
	}
	if file != nil {
		r = file
	}
	if err := s.detect(path, &progressReader{r: r, total: total, tell: o.Progress}); err != nil {
		s.close()
		return nil, err
	}
	if !s.compressed {
		s.file, s.size = file, total
	}
	return s, nil
}

// detect decompresses if the first bytes say so, and settles the format.
func (s *source) detect(path string, r io.Reader) error {
	const look = 4096
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(look)
	if err != nil && !errors.Is(err, io.EOF) {
		return s.fault(err)
	}
	if len(head) == 0 {
		return &ParseError{File: s.name, Err: ErrEmpty, Hint: "the file has no bytes"}
	}
	format, compression := formatOfPath(path)
	switch {
	case bytes.HasPrefix(head, []byte(magicGzip)):
		z, err := gzip.NewReader(b)
		s.compressed = true
		if err != nil {
			return s.fault(err)
		}
		b = bufio.NewReaderSize(z, 64<<10)
	case bytes.HasPrefix(head, []byte(magicZstd)):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(512<<20))
		s.compressed = true
		if err != nil {
			return s.fault(err)
		}
		s.closers = append(s.closers, func() error { z.Close(); return nil })
		b = bufio.NewReaderSize(z, 64<<10)
	case compression != "":
		return &ParseError{File: s.name, Err: ErrEncoding, Hint: "it is not compressed as its extension " + compression + " says"}
	}
	s.r = b
	if s.format == 0 {
		s.format = format
	}
	if s.compressed {
		if head, err = b.Peek(look); err != nil && !errors.Is(err, io.EOF) {
			return s.fault(err)
		}
		if len(head) == 0 {
			return &ParseError{File: s.name, Err: ErrEmpty, Hint: "nothing is compressed in it"}
		}
	}
	if found := formatOfContent(head); s.format == 0 || (s.format.isArrow() && found.isArrow()) {
		s.format = found // .arrow is used for both kinds of Arrow
	}
	return nil
}

func (s *source) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// progressReader tells how far a stream has been read.
type progressReader struct {
	r           io.Reader
	read, total int64
	tell        func(read, total int64)
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.read += int64(n)
	if p.tell != nil && n > 0 {
		p.tell(p.read, p.total)
	}
	return n, err
}

// progressAt does the same for a file that is read at random, by several
// goroutines; what is read twice is not told beyond the total.
type progressAt struct {
	file  *os.File
	total int64
	tell  func(read, total int64)

	mu   sync.Mutex
	read int64
}

func (p *progressAt) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.file.ReadAt(b, off)
	if p.tell != nil && n > 0 {
		p.mu.Lock()
		p.read = min(p.read+int64(n), p.total)
		p.tell(p.read, p.total)
		p.mu.Unlock()
	}
	return n, err
}
