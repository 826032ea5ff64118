package datasets

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// gather puts together the columns of a table that is read in parts: parts[i]
// are the builders of part i, which write into their share of the whole column.
type gather struct {
	opts  *ReadOptions
	rows  []int // of each part
	whole []Column
	set   []bool
	parts [][]*builder
}

func newGather(rows []int, o *ReadOptions) *gather {
	return &gather{opts: o, rows: rows, parts: make([][]*builder, len(rows))}
}

// add appends a column; the kind set by hand goes before the one inferred.
func (g *gather) add(name string, set, inferred Kind) {
	kind := inferred
	if set != 0 {
		kind = set
	}
	b := newBuilder(name, kind, g.opts)
	b.reserve(sum(g.rows))
	g.whole = append(g.whole, b.col)
	g.set = append(g.set, set != 0)
	from := 0
	for i, n := range g.rows {
		part := newBuilder(name, kind, g.opts)
		part.col.Numbers = share(b.col.Numbers, from, n)
		part.col.Times = share(b.col.Times, from, n)
		part.col.Codes = share(b.col.Codes, from, n)
		g.parts[i] = append(g.parts[i], part)
		from += n
	}
}

// share is the empty slice that grows into places from to from+n of xs.
func share[T any](xs []T, from, n int) []T {
	if xs == nil {
		return nil
	}
	return xs[from : from : from+n]
}

// table joins the parts once all are filled.
func (g *gather) table() *Table {
	total := sum(g.rows)
	_ = inParallel(len(g.whole), func(j int) error {
		c := &g.whole[j]
		c.Numbers, c.Times, c.Codes = upTo(c.Numbers, total), upTo(c.Times, total), upTo(c.Codes, total)
		if c.Codes != nil {
			g.join(j)
		}
		if g.set[j] {
			c.canonical()
		}
		return nil
	})
	t := &Table{Columns: g.whole}
	for j := range g.whole {
		all := builder{col: Column{Name: g.whole[j].Name}}
		for _, part := range g.parts {
			b := part[j]
			all.blanks += b.blanks
			if all.tokens == 0 {
				all.token = b.token
			}
			all.tokens += b.tokens
		}
		t.Notes = append(t.Notes, all.notes()...)
	}
	return t
}

func upTo[T any](xs []T, n int) []T {
	if xs == nil {
		return nil
	}
	return xs[:n]
}

// join gives the codes of all parts of column j one list of values.
func (g *gather) join(j int) {
	c := &g.whole[j]
	var words dictionary
	for _, part := range g.parts {
		b := part[j]
		codes := make([]int32, len(b.words.values))
		for k, s := range b.words.values {
			codes[k] = number(&words, s)
		}
		for i, k := range b.col.Codes {
			if k >= 0 {
				b.col.Codes[i] = codes[k]
			}
		}
	}
	c.Values = words.values
}

// inParallel runs f of 0 to n-1 on all processors and gives the error of the
// lowest number, whichever came first.
func inParallel(n int, f func(i int) error) error {
	return onWorkers(make([]struct{}, workersFor(n)), n, func(_ *struct{}, i int) error { return f(i) })
}

// workersFor is how many goroutines are of use for n pieces of work.
func workersFor(n int) int { return min(n, runtime.GOMAXPROCS(0)) }

// onWorkers is inParallel with as many goroutines as workers, each with a worker of
// its own, whose numbers i only rise.
func onWorkers[W any](workers []W, n int, f func(w *W, i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[i] = f(&workers[k], i); errs[i] != nil {
					next.Store(int64(n)) // those before it are taken already
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// chunkSize is size, or if that is 0 one that keeps all processors busy.
func chunkSize(total, size int) int {
	if size > 0 {
		return size
	}
	return max(256<<10, total/(8*runtime.GOMAXPROCS(0)))
}

// checkText refuses what is no UTF-8 text, naming the line.
func checkText(data, name string) error {
	if data == "" {
		return &ParseError{File: name, Err: ErrEmpty, Hint: "the file has no text"}
	}
	if strings.HasPrefix(data, "\xff\xfe") || strings.HasPrefix(data, "\xfe\xff") {
		return &ParseError{File: name, Err: ErrEncoding, Hint: "it is UTF-16: save it as UTF-8"}
	}
	if fault, off := badText(data); fault != nil {
		fault.File, fault.Line = name, lineOf(data, off)
		return fault
	}
	return nil
}

// badText is the fault of what is no UTF-8 text and its place, nil if there is none.
func badText(data string) (fault *ParseError, off int) {
	bad := strings.IndexByte(data, 0)
	if !utf8.ValidString(data) {
		at := 0
		for at < len(data) {
			r, n := utf8.DecodeRuneInString(data[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		if bad < 0 || at < bad {
			return &ParseError{Value: data[at:min(at+1, len(data))], Err: ErrEncoding,
				Hint: "this byte is not UTF-8: save the file as UTF-8"}, at
		}
	}
	if bad >= 0 {
		return &ParseError{Err: ErrEncoding, Hint: "it holds a zero byte, so it is binary or UTF-16: save it as UTF-8 text"}, bad
	}
	return nil, 0
}

// lineOf is the number, from 1, of the line on which data[off] stands.
func lineOf(data string, off int) int { return 1 + lineBreaks(data[:off]) }

func lineBreaks(s string) int {
	n := strings.Count(s, "\n")
	if strings.IndexByte(s, '\r') < 0 {
		return n
	}
	return n + strings.Count(s, "\r") - strings.Count(s, "\r\n")
}
