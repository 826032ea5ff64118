package convert

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// What bounds a LightGBM file.
const (
	maxLine    = 1 << 26 // bytes of a line
	maxNodes   = 1 << 23 // nodes of all trees
	maxCodes   = 1 << 26 // codes in all sets of categories
	endOfTrees = "end of trees"
)

// lines reads a text line by line.
type lines struct {
	scanner *bufio.Scanner
	number  int // of the line, from 1
	text    string
}

func newLines(r io.Reader) *lines {
	l := &lines{scanner: bufio.NewScanner(r)}
	l.scanner.Buffer(nil, maxLine)
	return l
}

func (l *lines) next() bool {
	l.text = ""
	if !l.scanner.Scan() {
		return false
	}
	l.number++
	l.text = l.scanner.Text()
	return true
}

// fault is a line that is not as it should be, or what kept it from being read.
func (l *lines) fault(format string, args ...any) error {
	if err := l.scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%w: line %d is longer than %d MiB", ErrFormat, l.number+1, maxLine>>20)
	} else if err != nil {
		return fmt.Errorf("line %d: %w", l.number+1, err)
	}
	return fmt.Errorf("%w: line %d: "+format, append([]any{ErrFormat, l.number}, args...)...)
}

func (l *lines) unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: line %d: "+format, append([]any{ErrUnsupported, l.number}, args...)...)
}

// section is a run of lines "name=value", up to the next tree or the end of all.
type section map[string]field

type field struct {
	line int
	text string
}

// section reads one; the line that ends it is the current one then.
func (l *lines) section() (section, error) {
	s := section{}
	for l.next() {
		if l.text == endOfTrees || strings.HasPrefix(l.text, "Tree=") {
			return s, nil
		}
		name, text, _ := strings.Cut(l.text, "=")
		if name == "" {
			continue
		}
		if f, ok := s[name]; ok {
			return nil, l.fault("%s: line %d gave it already", clip(name), f.line)
		}
		s[name] = field{l.number, text}
	}
	return nil, l.fault("the file ends before %q: it is cut short", endOfTrees)
}

func (s section) fault(name, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %s: "+format, append([]any{ErrFormat, s[name].line, name}, args...)...)
}

func (s section) unsupported(name, format string, args ...any) error {
	if _, ok := s[name]; !ok {
		return fmt.Errorf("%w: %s: "+format, append([]any{ErrUnsupported, name}, args...)...)
	}
	return fmt.Errorf("%w: line %d: %s: "+format, append([]any{ErrUnsupported, s[name].line, name}, args...)...)
}

func (s section) text(name string) (string, error) {
	f, ok := s[name]
	if !ok {
		return "", s.absent(name)
	}
	return f.text, nil
}

// absent names the last line of a section that lacks a field.
func (s section) absent(name string) error {
	last := 0
	for _, f := range s {
		last = max(last, f.line)
	}
	return fmt.Errorf("%w: %s is not given by line %d", ErrFormat, name, last)
}

// words are the n words of a field; any number of them if n is negative.
func (s section) words(name string, n int) ([]string, error) {
	text, err := s.text(name)
	if err != nil {
		return nil, err
	}
	words := strings.Fields(text)
	if n >= 0 && len(words) != n {
		return nil, s.fault(name, "%d values, want %d", len(words), n)
	}
	return words, nil
}

func (s section) ints(name string, n int) ([]int, error) {
	words, err := s.words(name, n)
	out := make([]int, len(words))
	for i, word := range words {
		x, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, s.fault(name, "%q is no whole number", clip(word))
		}
		out[i] = int(x)
	}
	return out, err
}

func (s section) floats(name string, n int) ([]float64, error) {
	words, err := s.words(name, n)
	out := make([]float64, len(words))
	for i, word := range words {
		if out[i], err = strconv.ParseFloat(word, 64); err != nil {
			return nil, s.fault(name, "%q is no number", clip(word))
		}
	}
	return out, err
}

// optionalInt is 0 if the field is absent.
func (s section) optionalInt(name string) (int, error) {
	if _, ok := s[name]; !ok {
		return 0, nil
	}
	x, err := s.ints(name, 1)
	if err != nil {
		return 0, err
	}
	return x[0], nil
}

// clip shortens what is shown of a file in an error.
func clip(text string) string {
	const most = 60
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
