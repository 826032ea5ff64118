package datasets

import (
	"fmt"
	"strings"
)

// jsonColumn is what one chunk of a file, or all of it, shows of one key.
type jsonColumn struct {
	name   string
	wanted bool
	set    Kind
	class  class
	first  [jsonNested]int // where a value of each type first stands, +1; 0: nowhere
	off    int             // where its first record stands
	row    int             // the row it was last seen in, +1
}

// see takes one value into account; off is the place of its record.
func (c *jsonColumn) see(v jsonValue, off int, o *ReadOptions) *ParseError {
	if v.kind == jsonNull {
		return nil
	}
	if v.kind == jsonNested {
		return &ParseError{Column: c.name, Value: v.text, Err: ErrValue, Hint: "nested values are not read: flatten it, or leave the column out"}
	}
	if o.Missing != nil && v.kind != jsonBoolean && o.isToken(v.text) {
		return nil
	}
	if c.first[v.kind] == 0 {
		c.first[v.kind] = off + 1
	}
	if c.set != 0 {
		return nil
	}
	switch v.kind {
	case jsonNumber:
		switch {
		case isNumber(v.text):
			c.class = c.class.meet(numbers)
		case strings.ContainsAny(v.text, ".eE"):
			return &ParseError{Column: c.name, Value: v.text, Err: ErrValue, Hint: "the number is too great for 64 bits of floating point"}
		default:
			c.class = words // a whole number of too many digits: an id
		}
	case jsonBoolean:
		c.class = c.class.meet(booleans)
	case jsonString:
		d := words
		if c.class != words {
			if d = classOf(v.text); !d.isTime() {
				d = words
			}
		}
		c.class = c.class.meet(d)
	}
	return nil
}

// join adds what a later chunk shows of the same key.
func (c *jsonColumn) join(d *jsonColumn) {
	c.class = c.class.meet(d.class)
	for k := range c.first {
		if c.first[k] == 0 {
			c.first[k] = d.first[k]
		}
	}
}

// mixed is the error about values of several types, nil if there are none.
func (c *jsonColumn) mixed(name, data string) error {
	if c.set != 0 {
		return nil
	}
	early, late := -1, -1 // the types of the two first
	for k, off := range c.first {
		if off == 0 {
			continue
		}
		switch {
		case early < 0:
			early = k
		case off < c.first[early]:
			early, late = k, early
		case late < 0 || off < c.first[late]:
			late = k
		}
	}
	if late < 0 {
		return nil
	}
	return &ParseError{File: name, Line: lineOf(data, c.first[late]-1), Column: c.name, Err: ErrValue,
		Hint: fmt.Sprintf("a %s here, a %s on line %d: set its type to category or text to read both",
			jsonTypeNames[late], jsonTypeNames[early], lineOf(data, c.first[early]-1))}
}

// jsonKeys are the keys of a file or chunk, in the order they first occur.
type jsonKeys struct {
	list   []*jsonColumn
	index  map[string]int
	stream bool // kinds are not inferred
}

func newJSONKeys(stream bool) *jsonKeys {
	return &jsonKeys{index: make(map[string]int), stream: stream}
}

// column is the column of that name, new if it is first met at off.
func (k *jsonKeys) column(name string, off int, o *ReadOptions) *jsonColumn {
	if i, ok := k.index[name]; ok {
		return k.list[i]
	}
	name = strings.Clone(name)
	c := &jsonColumn{name: name, wanted: o.wants(name), set: o.Kinds[name], off: off}
	if c.set == 0 && k.stream {
		c.set = Text
	}
	k.index[name] = len(k.list)
	k.list = append(k.list, c)
	return c
}

// jsonLines walks the lines of data that are not blank. A fault comes with the
// place of its line.
func jsonLines(data string, most int, visit func(line string, off int) *ParseError) (off int, fault *ParseError) {
	for off < len(data) {
		end := indexFrom(data, '\n', off)
		line := data[off:end]
		if len(line) > most {
			return off, &ParseError{Err: ErrTooLong, Value: line[:min(40, len(line))], Hint: "every line must be one record; raise the limit of a record if it is"}
		}
		if strings.Trim(line, " \t\r") != "" {
			if fault := visit(line, off); fault != nil {
				return off, fault
			}
		}
		off = end + 1
	}
	return 0, nil
}

// scan looks at every value of data, which lies at base in the file.
func (k *jsonKeys) scan(data string, base int, o *ReadOptions) (rows, off int, fault *ParseError) {
	off, fault = jsonLines(data, o.MaxLine, func(line string, off int) *ParseError {
		rows++
		return scanObject(line, func(key string, v jsonValue) *ParseError {
			c := k.column(key, base+off, o)
			if c.row == rows {
				return &ParseError{Column: c.name, Err: ErrHeader, Hint: "the key occurs twice in one object"}
			}
			c.row = rows
			if !c.wanted {
				return nil
			}
			if trimBlanks(key) == "" {
				return &ParseError{Err: ErrHeader, Hint: "an empty or blank key names no column"}
			}
			return c.see(v, base+off, o)
		})
	})
	return rows, off, fault
}

// fillJSON reads the values of data into builders, by name.
func fillJSON(data string, o *ReadOptions, into []*builder, index map[string]int) (off int, fault *ParseError) {
	row := 0
	return jsonLines(data, o.MaxLine, func(line string, _ int) *ParseError {
		fault := scanObject(line, func(key string, v jsonValue) *ParseError {
			j, ok := index[key]
			if !ok {
				return nil // left out
			}
			b, good := into[j], true
			switch v.kind {
			case jsonNull:
				b.null()
			case jsonString:
				good = b.text(v.text)
			case jsonNumber:
				good = b.digits(v.text)
			case jsonBoolean:
				good = b.boolean(v.text == "true")
			}
			if !good {
				return b.refusal(v.text)
			}
			return nil
		})
		if fault != nil {
			return fault
		}
		row++
		for _, b := range into {
			if b.col.Len() < row {
				b.null()
			}
		}
		return nil
	})
}

// readNDJSON reads a whole file as readCSV does.
func readNDJSON(data, name string, o *ReadOptions, size int) (*Table, error) {
	if err := checkText(data, name); err != nil {
		return nil, err
	}
	ends := cutLines(data, chunkSize(len(data), size))
	chunk := func(i int) (string, int) {
		from := 0
		if i > 0 {
			from = ends[i-1]
		}
		return data[from:ends[i]], from
	}
	at := func(fault *ParseError, off int) error {
		fault.File, fault.Line = name, lineOf(data, off)
		return fault
	}

	rows := make([]int, len(ends))
	found := make([]*jsonKeys, len(ends))
	err := inParallel(len(ends), func(i int) error {
		part, from := chunk(i)
		var off int
		var fault *ParseError
		found[i] = newJSONKeys(false)
		if rows[i], off, fault = found[i].scan(part, from, o); fault != nil {
			return at(fault, from+off)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := newJSONKeys(false)
	for _, keys := range found {
		for _, c := range keys.list {
			all.column(c.name, c.off, o).join(c)
		}
	}
	var names, notes []string
	g := newGather(rows, o)
	index := make(map[string]int)
	for _, c := range all.list {
		names = append(names, c.name)
		if !c.wanted {
			continue
		}
		if err := c.mixed(name, data); err != nil {
			return nil, err
		}
		if c.set == 0 && c.class == mixedTimes {
			notes = append(notes, mixedNote(c.name))
		}
		index[c.name] = len(index)
		g.add(c.name, c.set, c.class.kind())
	}
	if len(names) == 0 {
		return nil, &ParseError{File: name, Err: ErrEmpty, Hint: "there is no record with a key"}
	}
	if err := o.lacking(name, names); err != nil {
		return nil, err
	}
	err = inParallel(len(ends), func(i int) error {
		part, from := chunk(i)
		if off, fault := fillJSON(part, o, g.parts[i], index); fault != nil {
			return at(fault, from+off)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t := g.table()
	t.Notes = append(notes, t.Notes...)
	return t, nil
}

// cutLines finds ends of lines about size bytes apart.
func cutLines(data string, size int) (ends []int) {
	for at := 0; at < len(data); {
		end := len(data)
		if at+size < len(data) {
			end = min(indexFrom(data, '\n', at+size)+1, len(data))
		}
		ends = append(ends, end)
		at = end
	}
	return ends
}
