package check

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
)

// WriteText writes the report for people: what is the matter with each source, with
// examples, and in one line what is not.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for i := range r.Sources {
		s := &r.Sources[i]
		fmt.Fprintf(&b, "%s: %s %s of %s accounts", s.Name, thousands(s.Records), plural(s.Records, "record"), thousands(int64(s.Accounts)))
		if s.Filtered > 0 {
			fmt.Fprintf(&b, ", %s left out by where", thousands(s.Filtered))
		}
		if s.First != "" {
			fmt.Fprintf(&b, ", %s to %s", s.First, s.Last)
		}
		b.WriteByte('\n')
		var fine []string
		for k := range s.Findings {
			f := &s.Findings[k]
			if f.Severity == OK {
				if name := f.name(); !slices.Contains(fine, name) {
					fine = append(fine, name)
				}
				continue
			}
			fmt.Fprintf(&b, "  %-7s  %s: %s%s\n", f.Severity, f.name(), f.amount(), f.Detail)
			for _, e := range f.Examples {
				fmt.Fprintf(&b, "             %s\n", e)
			}
		}
		if len(fine) > 0 {
			fmt.Fprintf(&b, "  ok       %s\n", strings.Join(fine, ", "))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d %s, %d %s, %d %s\n", r.Errors, plural(int64(r.Errors), "error"), r.Warnings, plural(int64(r.Warnings), "warning"), r.Notes, plural(int64(r.Notes), "note"))
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Finding) name() string {
	if f.Column == "" {
		return f.Check
	}
	return f.Check + " " + f.Column
}

// amount is the count with its share; of a single thing there is nothing to say.
func (f *Finding) amount() string {
	if f.Of <= 1 {
		return ""
	}
	of := fmt.Sprintf("%s of %s (%s)", thousands(f.Count), thousands(f.Of), percent(f.Share))
	if f.OneIn > 1 {
		of += fmt.Sprintf(" in a sample of one in %d", f.OneIn)
	}
	return of + ": "
}

// percent has as many digits as tell a few from none.
func percent(share float64) string {
	switch p := 100 * share; {
	case p > 0 && p < 0.1:
		return strconv.FormatFloat(p, 'g', 2, 64) + " %"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
}

// String is the place and the value.
func (e Example) String() string {
	var parts []string
	if e.File != "" {
		place := e.File
		if e.Record > 0 {
			place += fmt.Sprintf(", record %d", e.Record)
		}
		parts = append(parts, place)
	}
	if e.Account != "" {
		parts = append(parts, "account "+e.Account)
	}
	if e.Value != "" {
		parts = append(parts, plain(e.Value))
	}
	return strings.Join(parts, ": ")
}

// when is an instant; of midnight, the date.
func when(us int64) string { return strings.TrimSuffix(datasets.FormatTime(us), "T00:00:00Z") }

func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// thousands puts commas into a count.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plain is text as it is, in quotes if it has what would not show, and not too long.
func plain(s string) string {
	const most = 120
	if letters := []rune(s); len(letters) > most {
		s = string(letters[:most]) + "..."
	}
	if quoted := strconv.Quote(s); strings.Contains(quoted, `\`) {
		return quoted
	}
	return s
}
