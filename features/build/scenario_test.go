package build_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"propensity/datasets"
	"propensity/features/build"
	"propensity/features/facts"
	"propensity/features/spec"
)

var update = flag.Bool("update", false, "write the results that scenarios have into their files")

// A scenario is a text of blocks, each a line that ends in a colon and indented lines:
//
//	project:                      the project file, without version and account; a later one replaces it
//	facts:                        source, account, time, column=value...; a later block adds facts
//	rows:                         a table: account, moment, and the values of the columns named above them
//	moments MODEL as of TIME:     all the model's moments
//	labels MODEL as of TIME:      account, moment, 1, 0, open, or - where there is no answer
//	keep MODEL:                   account, moment, and whether the row is of the population
//
// The time of an interval is start..end, or start.. where the end has not come; "always"
// is no time. A value may be of the words id=, arrived= and user=. Times without an offset
// are of the project's timezone; - is a missing value. # begins a comment.
type scenario struct {
	t       *testing.T
	name    string
	project *spec.Project
	plan    *build.Plan
	facts   []facts.Fact
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := &scenario{t: t, name: path}
			got := s.run(string(b))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if d := difference(path, string(b), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// difference shows the lines of two texts that differ in more than space.
func difference(path, want, got string) string {
	var b strings.Builder
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		x, y := "", ""
		if i < len(w) {
			x = w[i]
		}
		if i < len(g) {
			y = g[i]
		}
		if !slices.Equal(strings.Fields(x), strings.Fields(y)) {
			fmt.Fprintf(&b, "%s:%d:\n  the file says %s\n  the engine    %s\n", path, i+1, x, y)
		}
	}
	return b.String()
}

// run gives the text with the results that the engine has.
func (s *scenario) run(text string) string {
	lines := strings.Split(text, "\n")
	var out []string
	blocks := 0
	for i := 0; i < len(lines); {
		head := lines[i]
		out = append(out, head)
		i++
		if head == "" || strings.HasPrefix(head, "#") || strings.HasPrefix(head, " ") {
			continue
		}
		from := i
		for i < len(lines) && (strings.HasPrefix(lines[i], "  ") || lines[i] == "" && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ")) {
			i++
		}
		body, at := lines[from:i], from+1
		words := strings.Fields(strings.TrimSuffix(head, ":"))
		switch {
		case words[0] == "project":
			s.read(body)
		case words[0] == "facts":
			for k, line := range body {
				s.fact(line, at+k)
			}
		case words[0] == "rows":
			body, blocks = s.rows(body, at), blocks+1
		case words[0] == "moments" && len(words) == 5:
			body, blocks = s.moments(body, words[1], s.time(words[4], at), at), blocks+1
		case words[0] == "labels" && len(words) == 5:
			body, blocks = s.labels(body, words[1], s.time(words[4], at), at), blocks+1
		case words[0] == "keep" && len(words) == 2:
			body, blocks = s.keep(body, words[1], at), blocks+1
		default:
			s.t.Fatalf("%s:%d: %q is no block", s.name, at-1, head)
		}
		out = append(out, body...)
	}
	if blocks == 0 {
		s.t.Fatalf("%s: nothing is asked", s.name)
	}
	return strings.Join(out, "\n")
}

func (s *scenario) read(body []string) {
	text := strings.ReplaceAll("\n"+strings.Join(body, "\n"), "\n    ", "\n")
	var err error
	if s.project, err = spec.Parse([]byte("version: 1\naccount: account" + text)); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	if s.plan, err = build.Compile(s.project); err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
}

func (s *scenario) time(text string, line int) int64 {
	if text == "always" || text == "" {
		return datasets.MissingTime
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05.999999", "2006-01-02T15:04Z07:00", time.RFC3339Nano} {
		if t, err := time.ParseInLocation(layout, text, s.project.Location()); err == nil {
			return t.UnixMicro()
		}
	}
	s.t.Fatalf("%s:%d: %q is no time", s.name, line, text)
	return 0
}

// spell is the shortest text that time reads back.
func (s *scenario) spell(us int64) string {
	t := time.UnixMicro(us).In(s.project.Location())
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05.999999", "2006-01-02T15:04Z07:00"} {
		text := t.Format(layout)
		if s.time(text, 0) == us {
			return text
		}
	}
	return t.Format(time.RFC3339Nano)
}

func (s *scenario) fact(line string, number int) {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	if len(words) < 3 {
		s.t.Fatalf("%s:%d: a fact has a source, an account and a time", s.name, number)
	}
	source := s.project.Source(words[0])
	if source == nil {
		s.t.Fatalf("%s:%d: no source %q", s.name, number, words[0])
	}
	start, end, _ := strings.Cut(words[2], "..")
	f := facts.Fact{Source: words[0], Account: words[1], Occurred: s.time(start, number), End: s.time(end, number), Values: map[string]datasets.Value{}}
	if f.Account == "-" {
		f.Account = ""
	}
	f.Arrived = f.Occurred + source.Lag.Micros
	for _, word := range words[3:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "id":
			f.ID = value
			continue
		case "arrived":
			f.Arrived = s.time(value, number)
			continue
		}
		kind := datasets.Text
		for _, c := range source.Columns {
			if c.Name == name {
				kind = c.Kind
			}
		}
		if kind == 0 {
			s.t.Fatalf("%s:%d: the type of %s is not known: declare it", s.name, number, name)
		}
		v := datasets.Value{Kind: kind, Text: value}
		var err error
		switch {
		case value == "-":
			continue
		case kind == datasets.Number:
			v = datasets.Value{Kind: kind}
			v.Number, err = strconv.ParseFloat(value, 64)
		case kind == datasets.Boolean:
			v = datasets.Value{Kind: kind}
			if value == "true" {
				v.Number = 1
			}
		case kind == datasets.Time:
			v = datasets.Value{Kind: kind, Time: s.time(value, number)}
		}
		if err != nil {
			s.t.Fatalf("%s:%d: %s: %v", s.name, number, name, err)
		}
		f.Values[name] = v
	}
	s.facts = append(s.facts, f)
}

func (s *scenario) part(list []facts.Fact, accounts []string) *facts.Part {
	part, err := facts.Assemble(s.project, accounts, list)
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	return part
}

// table reads lines of an account, a moment and more words; comments stay.
type tableLine struct {
	words   []string // none: a comment or an empty line
	comment string
	moment  build.Moment
	asked   bool // it has a moment
}

func (s *scenario) table(body []string, at int, part *facts.Part, header bool) (out []tableLine) {
	for k, line := range body {
		text, comment, found := strings.Cut(line, "#")
		if found {
			comment = "#" + comment
		}
		x := tableLine{words: strings.Fields(text), comment: comment}
		if len(x.words) > 0 && !header {
			if len(x.words) < 2 {
				s.t.Fatalf("%s:%d: a row begins with account and moment", s.name, at+k)
			}
			if x.moment = (build.Moment{Account: slices.Index(part.Accounts, x.words[0]), At: s.time(x.words[1], at+k)}); x.moment.Account < 0 {
				s.t.Fatalf("%s:%d: account %q has no facts", s.name, at+k, x.words[0])
			}
			x.asked = true
		}
		header = header && len(x.words) == 0
		out = append(out, x)
	}
	return out
}

// sorted are the moments of a table in order, each once.
func sorted(lines []tableLine) []build.Moment {
	var out []build.Moment
	for _, x := range lines {
		if x.asked {
			out = append(out, x.moment)
		}
	}
	slices.SortFunc(out, compareMoments)
	return slices.Compact(out)
}

func compareMoments(a, b build.Moment) int {
	if a.Account != b.Account {
		return a.Account - b.Account
	}
	switch {
	case a.At < b.At:
		return -1
	case a.At > b.At:
		return 1
	}
	return 0
}

// aligned writes a table with its columns under one another.
func aligned(lines []tableLine) []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 1, 2, ' ', 0)
	for _, x := range lines {
		if x.comment != "" && len(x.words) > 0 {
			x.words = append(slices.Clip(x.words), x.comment)
		} else if x.comment != "" {
			x.words = []string{x.comment}
		}
		if len(x.words) == 0 {
			fmt.Fprintln(w)
			continue
		}
		fmt.Fprintln(w, "    "+strings.Join(x.words, "\t"))
	}
	w.Flush()
	out := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range out {
		out[i] = strings.TrimRight(out[i], " ")
	}
	return out
}

func (s *scenario) rows(body []string, at int) []string {
	part := s.part(s.facts, nil)
	lines := s.table(body, at, part, true)
	moments := sorted(lines)
	columns, err := s.plan.Rows(part, moments)
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.name, at, err)
	}
	s.sameOtherwise(moments, part.Accounts, columns)
	byName := map[string]*datasets.Column{}
	for i := range columns {
		byName[columns[i].Name] = &columns[i]
	}
	var header []string
	for i := range lines {
		x := &lines[i]
		switch {
		case len(x.words) == 0:
		case header == nil:
			if header = x.words; len(header) == 2 { // all columns
				for i := range columns {
					header = append(header, columns[i].Name)
				}
				x.words = header
			}
		default:
			row, _ := slices.BinarySearchFunc(moments, x.moment, compareMoments)
			x.words = slices.Clip(x.words[:2])
			for _, name := range header[2:] {
				c := byName[name]
				if c == nil {
					s.t.Fatalf("%s:%d: no column %q", s.name, at, name)
				}
				x.words = append(x.words, cell(c, row))
			}
		}
	}
	return aligned(lines)
}

func cell(c *datasets.Column, row int) string {
	if v := c.At(row); !v.Missing() {
		return v.String()
	}
	return "-"
}

// sameOtherwise says that the rows are the same bits from facts in another order, and
// from a part of each account.
func (s *scenario) sameOtherwise(moments []build.Moment, accounts []string, want []datasets.Column) {
	shuffled := slices.Clone(s.facts)
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for row, m := range moments {
		part := s.part(shuffled, []string{accounts[m.Account]})
		got, err := s.plan.Rows(part, []build.Moment{{At: m.At}})
		if err != nil {
			s.t.Fatal(err)
		}
		for c := range want {
			if a, b := want[c].At(row), got[c].At(0); a != b {
				s.t.Errorf("%s: %s of %s at %s is %v among others and %v alone", s.name, want[c].Name, accounts[m.Account], s.spell(m.At), a, b)
			}
		}
	}
}

func (s *scenario) moments(body []string, model string, asOf int64, at int) []string {
	part := s.part(s.facts, nil)
	moments, err := s.plan.Moments(model, part, asOf)
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	comments := map[build.Moment]string{}
	for _, x := range s.table(body, at, part, false) {
		comments[x.moment] = x.comment
	}
	var lines []tableLine
	for _, m := range moments {
		lines = append(lines, tableLine{words: []string{part.Accounts[m.Account], s.spell(m.At)}, comment: comments[m]})
	}
	if lines == nil {
		lines = []tableLine{{words: []string{"none"}}}
	}
	return aligned(lines)
}

func (s *scenario) labels(body []string, model string, asOf int64, at int) []string {
	part := s.part(s.facts, nil)
	lines := s.table(body, at, part, false)
	moments := sorted(lines)
	label, open, err := s.plan.Labels(model, part, moments, asOf)
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.name, at, err)
	}
	for i := range lines {
		x := &lines[i]
		if len(x.words) == 0 {
			continue
		}
		row, _ := slices.BinarySearchFunc(moments, x.moment, compareMoments)
		word := strconv.FormatFloat(label[row], 'f', -1, 64)
		switch {
		case open[row] && word == "NaN":
			word = "open"
		case open[row]:
			word = "open " + word
		case word == "NaN":
			word = "-"
		}
		x.words = append(slices.Clip(x.words[:2]), word)
	}
	return aligned(lines)
}

func (s *scenario) keep(body []string, model string, at int) []string {
	part := s.part(s.facts, nil)
	lines := s.table(body, at, part, false)
	moments := sorted(lines)
	columns, err := s.plan.Rows(part, moments)
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.name, at, err)
	}
	keep, err := s.plan.Keep(model, columns)
	if err != nil {
		s.t.Fatalf("%s:%d: %v", s.name, at, err)
	}
	for i := range lines {
		if x := &lines[i]; len(x.words) > 0 {
			row, _ := slices.BinarySearchFunc(moments, x.moment, compareMoments)
			x.words = append(slices.Clip(x.words[:2]), map[bool]string{true: "yes", false: "no"}[keep[row]])
		}
	}
	return aligned(lines)
}
