package datasets

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"unicode/utf8"
)

// csvLayout is what the header of a CSV file settles.
type csvLayout struct {
	opts   *ReadOptions
	comma  byte
	header []string
	places []int // of the wanted columns in a record
}

// readCSVHeader reads the header record of data and gives where the next starts.
func readCSVHeader(data, name string, o *ReadOptions) (*csvLayout, int, error) {
	l := &csvLayout{opts: o, comma: o.Comma}
	if l.comma == 0 {
		l.comma = findComma(data)
	}
	s := newCSVScanner(data, l.comma, o.MaxLine)
	ok, fault := s.next()
	if fault != nil {
		fault.File, fault.Line = name, lineOf(data, s.start)
		return nil, 0, fault
	}
	if !ok {
		return nil, 0, &ParseError{File: name, Err: ErrEmpty, Hint: "there is no header line"}
	}
	for _, field := range s.fields {
		l.header = append(l.header, strings.Clone(field))
	}
	if err := checkHeader(l.header, name, lineOf(data, s.start)); err != nil {
		return nil, 0, err
	}
	if err := o.lacking(name, l.header); err != nil {
		return nil, 0, err
	}
	for j, column := range l.header {
		if o.wants(column) {
			l.places = append(l.places, j)
		}
	}
	return l, s.pos, nil
}

// checkHeader refuses columns that cannot be told apart by name.
func checkHeader(header []string, file string, line int) error {
	places := make(map[string]int, len(header))
	for j, column := range header {
		if trimBlanks(column) == "" {
			return &ParseError{File: file, Line: line, Err: ErrHeader,
				Hint: fmt.Sprintf("column %d of %d has no name: give every column one", j+1, len(header))}
		}
		if !utf8.ValidString(column) {
			return &ParseError{File: file, Line: line, Column: column, Err: ErrEncoding, Hint: "the name of the column is not UTF-8"}
		}
		if first, ok := places[column]; ok {
			return &ParseError{File: file, Line: line, Column: column, Err: ErrHeader,
				Hint: fmt.Sprintf("columns %d and %d have the same name: rename one", first+1, j+1)}
		}
		places[column] = j
	}
	return nil
}

// readCSV reads a whole file. A first look at its front says what the columns may
// be; then blocks of records are parsed in parallel into the whole columns, and the
// few columns that turn out to be something else are read once more. Nothing in
// the result depends on the size of the blocks (0: chosen here), on that look or
// on the workers: the fault reported is that of the first record that has one.
func readCSV(f *textFile, name string, o *ReadOptions, size int) (*Table, error) {
	return (&csvReader{file: f, name: name, opts: o}).read(size)
}

// csvReader reads one file whole.
type csvReader struct {
	file   *textFile
	name   string
	opts   *ReadOptions
	layout *csvLayout
	blocks []csvBlock
	rows   []int // before each block
	total  int
	slowly bool // every record the slow way
}

func (r *csvReader) read(size int) (*Table, error) {
	start, err := r.header()
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = int(min(1<<20, max(64<<10, r.file.size/int64(4*runtime.GOMAXPROCS(0)))))
	}
	if r.blocks, err = r.layout.survey(r.file, start, int64(size)); err != nil {
		return nil, r.failed(err)
	}
	for _, b := range r.blocks {
		r.rows = append(r.rows, r.total)
		r.total += b.rows
	}
	plans, err := r.look()
	if err != nil {
		return nil, err
	}
	return r.table(plans)
}

// failed gives an error of reading the file its name.
func (r *csvReader) failed(err error) error { return (&source{name: r.name}).fault(err) }

// at completes the fault of a record at off.
func (r *csvReader) at(fault *ParseError, off int64) error {
	line, err := r.file.lineAt(off)
	if err != nil {
		return r.failed(err)
	}
	fault.File, fault.Line, fault.Value = r.name, line, strings.Clone(fault.Value)
	return fault
}

// header reads the header and gives where the records start.
func (r *csvReader) header() (start int64, err error) {
	f, o := r.file, r.opts
	if f.size == 0 {
		return 0, checkText("", r.name)
	}
	for n := int64(64 << 10); ; n *= 2 {
		var buf []byte
		data, err := f.read(f.at, &buf, 0, n)
		if err != nil {
			return 0, r.failed(err)
		}
		all := int64(len(data)) == f.size
		comma := o.Comma
		if comma == 0 {
			comma = findComma(view(data))
		}
		end, _, fault := scanCSV(view(data), comma, all, o.MaxLine, 1)
		if fault != nil {
			return 0, r.at(fault, int64(end))
		}
		if end == 0 && !all {
			continue
		}
		if err := checkText(string(data[:end]), r.name); err != nil {
			return 0, err
		}
		l, end, err := readCSVHeader(string(data[:end]), r.name, o)
		r.layout = l
		return int64(end), err
	}
}

// look takes the classes of the columns from the first records.
func (r *csvReader) look() ([]csvPlan, error) {
	const most = 256 << 10
	l, o := r.layout, r.opts
	plans := make([]csvPlan, len(l.places))
	for k, j := range l.places {
		plans[k] = csvPlan{col: Column{Name: l.header[j], Kind: o.Kinds[l.header[j]]}, place: j, set: o.Kinds[l.header[j]] != 0}
	}
	if len(r.blocks) > 0 {
		var buf []byte
		b := r.blocks[0]
		data, err := r.file.read(r.file.at, &buf, b.from, b.to-b.from)
		if err != nil {
			return nil, r.failed(err)
		}
		s := newCSVScanner(view(data), l.comma, o.MaxLine)
		for s.pos < most {
			if ok, _ := s.next(); !ok || len(s.fields) != len(l.header) {
				break // at the end, or odd in a way that is met again
			}
			for k := range plans {
				if p := &plans[k]; !p.set {
					p.class = p.class.see(s.fields[p.place], o)
				}
			}
		}
	}
	for k := range plans {
		p := &plans[k]
		if !p.set {
			p.col.Kind = p.class.kind()
		}
		p.reserve(r.total)
	}
	return plans, nil
}

// reserve makes room for n rows.
func (p *csvPlan) reserve(n int) {
	p.col.Numbers, p.col.Times, p.col.Codes = nil, nil, nil
	switch p.col.Kind {
	case Number, Boolean:
		p.col.Numbers = make([]float64, n)
	case Time:
		p.col.Times = make([]int64, n)
	default:
		p.col.Codes = make([]int32, n)
	}
}

// parse reads the columns of the plans and gives the workers, and which of them
// read each block.
func (r *csvReader) parse(plans []csvPlan, from io.ReaderAt) (workers []*csvWorker, by []*csvWorker, err error) {
	workers = make([]*csvWorker, workersFor(len(r.blocks)))
	for i := range workers {
		workers[i] = newCSVWorker(r.layout, plans)
		workers[i].slowly = r.slowly
	}
	by = make([]*csvWorker, len(r.blocks))
	err = onWorkers(workers, len(r.blocks), func(w **csvWorker, i int) error {
		b := r.blocks[i]
		by[i] = *w
		data, err := r.file.read(from, &(*w).buf, b.from, b.to-b.from)
		if err != nil {
			return r.failed(err)
		}
		rows, off, fault := (*w).parse(data, r.rows[i], b.rows)
		if fault != nil {
			return r.at(fault, b.from+int64(off))
		}
		if rows != b.rows {
			return fmt.Errorf("%s: the file changed while it was read", r.name)
		}
		if b.fault != nil {
			return r.at(b.fault, b.faultAt)
		}
		return nil
	})
	return workers, by, err
}

// table reads the columns and joins what the workers found.
func (r *csvReader) table(plans []csvPlan) (*Table, error) {
	workers, by, err := r.parse(plans, r.file.told)
	if err != nil {
		return nil, err
	}
	unwrapped := 0
	for _, w := range workers {
		unwrapped += w.unwrapped
	}
	var notes []string
	var again []csvPlan
	var at []int
	for k := range plans {
		p := &plans[k]
		if p.set {
			continue
		}
		broken := false
		if p.class != words {
			for _, w := range workers {
				p.class = p.class.meet(w.columns[k].seen)
				broken = broken || w.columns[k].broken
			}
		}
		if p.class == mixedTimes {
			notes = append(notes, mixedNote(p.col.Name))
		}
		if broken {
			again, at = append(again, *p), append(at, k)
			p.col = Column{} // let go of
		}
	}
	r.join(plans, workers, by)
	if len(again) > 0 {
		for i := range again {
			p := &again[i]
			p.col.Kind = p.class.kind()
			p.reserve(r.total)
		}
		if workers, by, err = r.parse(again, r.file.at); err != nil {
			return nil, err
		}
		r.join(again, workers, by)
		for i, k := range at {
			plans[k] = again[i]
		}
	}
	t := &Table{Notes: append(unwrappedNote(unwrapped), notes...)}
	for k := range plans {
		t.Columns = append(t.Columns, plans[k].col)
		t.Notes = append(t.Notes, plans[k].notes...)
	}
	return t, nil
}

// join gives the codes of each text column one list of values, in the order of
// their first row, and gathers the notes.
func (r *csvReader) join(plans []csvPlan, workers, by []*csvWorker) {
	_ = inParallel(len(plans), func(k int) error {
		p := &plans[k]
		all := builder{col: Column{Name: p.col.Name}}
		first := r.total
		for _, w := range workers {
			c := &w.columns[k]
			all.blanks += c.b.blanks
			if c.b.tokens > 0 && c.tokenRow < first {
				first, all.token = c.tokenRow, c.b.token
			}
			all.tokens += c.b.tokens
		}
		p.notes = all.notes()
		if p.col.Codes == nil {
			return nil
		}
		var words dictionary
		codes := make(map[*csvWorker][]int32, len(workers)) // plus one; 0 is not met yet
		for _, w := range workers {
			codes[w] = make([]int32, len(w.columns[k].b.words.values))
		}
		for i, b := range r.blocks {
			if by[i] == nil {
				continue
			}
			to, values := codes[by[i]], by[i].columns[k].b.words.values
			for row, code := range p.col.Codes[r.rows[i] : r.rows[i]+b.rows] {
				if code < 0 {
					continue
				}
				if to[code] == 0 {
					to[code] = number(&words, values[code]) + 1
				}
				p.col.Codes[r.rows[i]+row] = to[code] - 1
			}
		}
		p.col.Values = words.values
		if p.set {
			p.col.canonical()
		}
		return nil
	})
}

func unwrappedNote(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d records were quoted as a whole; they were read as if they were not", n)}
}

func mixedNote(column string) string {
	return fmt.Sprintf("column %q mixes times with and without a time of day or an offset, so it was read as a category; set its type to time to read it", column)
}

func sum(xs []int) (n int) {
	for _, x := range xs {
		n += x
	}
	return n
}
