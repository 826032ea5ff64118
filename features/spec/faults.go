package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrProject is what every fault of a project file is; test with errors.Is.
var ErrProject = errors.New("invalid project file")

// Fault is one thing that is wrong with a project file.
type Fault struct {
	Line, Column int // from 1; Column 0 is unknown
	Message      string
}

func (f Fault) String() string { return fmt.Sprintf("line %d: %s", f.Line, f.Message) }

// mostFaults are told: after so many it is no slip of the pen.
const mostFaults = 100

// Faults is everything that is wrong with a project file, in its order. It is never
// empty.
type Faults struct {
	List []Fault
}

// Error has a line for each fault.
func (f *Faults) Error() string {
	var b strings.Builder
	b.WriteString(ErrProject.Error() + ":")
	for _, fault := range f.List {
		if len(f.List) > 1 {
			b.WriteString("\n ")
		}
		b.WriteString(" " + fault.String())
	}
	return b.String()
}

// Unwrap gives ErrProject to errors.Is.
func (f *Faults) Unwrap() error { return ErrProject }

// faultsError is nil without faults.
func faultsError(list []Fault) error {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	list = slices.Compact(list)
	if more := len(list) - mostFaults; more > 0 {
		list = append(list[:mostFaults], Fault{Line: list[mostFaults].Line, Message: fmt.Sprintf("and %d faults more", more)})
	}
	return &Faults{List: list}
}

// nearest is a hint at the name that was perhaps meant: the known one with the
// fewest edits, if those are few; else all of them.
func nearest(name string, known []string) string {
	best, distance := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := edits(strings.ToLower(name), k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %s?", best)
	case len(known) == 0:
		return "there is none"
	}
	return "use " + oneOf(known)
}

// oneOf lists names as "a, b or c".
func oneOf(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// edits is the number of letters to insert, delete or change to make one text of
// the other (Levenshtein's distance).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
