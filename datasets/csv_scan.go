package datasets

import "strings"

// csvScanner walks the records of CSV text. The grammar is that of RFC 4180 with
// what its relatives do: any delimiter byte, a byte order mark (cut off before),
// records ended by LF, CR or CRLF, empty lines between records skipped. A quote
// counts only as the first byte of a field; inside it quotes are doubled.
type csvScanner struct {
	data  string
	comma byte
	most  int  // bytes of a record
	skim  bool // find the records, do not split those without quotes
	pos   int  // where the next record starts
	// The record just read.
	start  int
	fields []string
	ended  bool // by a line end, not by the end of the data
	single bool // it is one quoted field and nothing else
	// The next quote and carriage return at or after pos, found once each.
	quote, cr int
}

func newCSVScanner(data string, comma byte, most int) *csvScanner {
	return &csvScanner{data: data, comma: comma, most: most, quote: -1, cr: -1}
}

// next reads the record at pos into fields; false at the end of the data or at a
// fault, whose Line is left open: it belongs to the record at start.
func (s *csvScanner) next() (bool, *ParseError) {
	for s.pos < len(s.data) && (s.data[s.pos] == '\n' || s.data[s.pos] == '\r') {
		s.pos++
	}
	s.start, s.single = s.pos, false
	s.fields = s.fields[:0]
	if s.pos >= len(s.data) {
		return false, nil
	}
	end := s.lineEnd(s.pos)
	if s.quote < s.pos {
		s.quote = indexFrom(s.data, '"', s.pos)
	}
	if s.quote < end {
		var fault *ParseError
		if end, fault = s.quoted(); fault != nil {
			if fault.Err != ErrTruncated || len(s.data)-s.start <= s.most {
				return false, fault
			}
			end = len(s.data)
		}
	} else if !s.skim {
		s.fields = splitFields(s.fields, s.data[s.pos:end], s.comma)
	}
	if end-s.start > s.most {
		return false, &ParseError{Err: ErrTooLong, Value: s.data[s.start:min(s.start+40, end)],
			Hint: "look for a quote that is never closed, or raise the limit of a record"}
	}
	s.ended = end < len(s.data)
	s.pos = end
	if s.ended {
		s.pos++
		if s.data[end] == '\r' && s.pos < len(s.data) && s.data[s.pos] == '\n' {
			s.pos++
		}
	}
	return true, nil
}

// quoteLine is the end of the lines from pos on that have no quote.
func (s *csvScanner) quoteLine() int {
	if s.quote < s.pos {
		s.quote = indexFrom(s.data, '"', s.pos)
	}
	if s.quote == len(s.data) {
		return s.quote
	}
	return s.pos + 1 + strings.LastIndexByte(s.data[s.pos:s.quote], '\n')
}

// whole reports whether the record just read surely ends where it does, whatever
// follows the data: a carriage return at its end may be half of a line end.
func (s *csvScanner) whole() bool {
	return s.ended && (s.pos < len(s.data) || s.data[s.pos-1] != '\r')
}

// lineEnd is the first line end at or after i.
func (s *csvScanner) lineEnd(i int) int {
	if s.cr < i {
		s.cr = indexFrom(s.data, '\r', i)
	}
	if n := strings.IndexByte(s.data[i:s.cr], '\n'); n >= 0 {
		return i + n
	}
	return s.cr
}

func indexFrom(s string, c byte, i int) int {
	if n := strings.IndexByte(s[i:], c); n >= 0 {
		return i + n
	}
	return len(s)
}

// splitFields cuts a record without quotes.
func splitFields(fields []string, record string, comma byte) []string {
	for {
		n := strings.IndexByte(record, comma)
		if n < 0 {
			return append(fields, record)
		}
		fields = append(fields, record[:n])
		record = record[n+1:]
	}
}

// quoted reads a record that may hold quoted fields and gives its end.
func (s *csvScanner) quoted() (end int, fault *ParseError) {
	i := s.pos
	for {
		quotes := i < len(s.data) && s.data[i] == '"'
		if quotes {
			field, after, closed := unquote(s.data, i+1)
			if !closed {
				return 0, &ParseError{Err: ErrTruncated, Value: s.data[i:min(i+40, len(s.data))],
					Hint: "the quote that opens this field is never closed"}
			}
			if after < len(s.data) && s.data[after] != s.comma && s.data[after] != '\n' && s.data[after] != '\r' {
				return 0, &ParseError{Err: ErrValue, Value: s.data[i:min(after+10, len(s.data))],
					Hint: "text follows a closing quote; inside quotes a quote is written twice"}
			}
			s.fields = append(s.fields, field)
			i = after
		} else {
			end := s.lineEnd(i)
			if n := strings.IndexByte(s.data[i:end], s.comma); n >= 0 {
				end = i + n
			}
			s.fields = append(s.fields, s.data[i:end])
			i = end
		}
		if i >= len(s.data) || s.data[i] != s.comma {
			s.single = quotes && len(s.fields) == 1
			return i, nil
		}
		i++
	}
}

// unquote reads a quoted field whose content starts at i, up to after its
// closing quote.
func unquote(data string, i int) (field string, after int, closed bool) {
	start, doubled := i, false
	for {
		i = indexFrom(data, '"', i)
		if i == len(data) {
			return "", i, false
		}
		if i+1 < len(data) && data[i+1] == '"' {
			doubled = true
			i += 2
			continue
		}
		field = data[start:i]
		if doubled {
			field = strings.ReplaceAll(field, `""`, `"`)
		}
		return field, i + 1, true
	}
}

// unwrap reads a record that a tool quoted as a whole: one quoted field that
// itself splits into n fields.
func unwrap(field string, comma byte, n int) ([]string, bool) {
	inner := newCSVScanner(field, comma, len(field))
	if ok, fault := inner.next(); !ok || fault != nil || inner.ended || inner.start > 0 || len(inner.fields) != n {
		return nil, false
	}
	return inner.fields, true
}

// findComma is the delimiter of a file: of comma, semicolon, tab and bar the one
// that its first line holds most often outside quotes.
func findComma(data string) byte {
	const commas = ",;\t|"
	var counts [len(commas)]int
	quoted := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		if c == '"' {
			quoted = !quoted
		}
		if quoted {
			continue
		}
		if c == '\n' || c == '\r' {
			if i > 0 && data[i-1] != '\n' && data[i-1] != '\r' {
				break
			}
			continue
		}
		if k := strings.IndexByte(commas, c); k >= 0 {
			counts[k]++
		}
	}
	best := 0
	for k := range counts {
		if counts[k] > counts[best] {
			best = k
		}
	}
	return commas[best]
}
