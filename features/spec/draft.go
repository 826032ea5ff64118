package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"propensity/datasets"
)

// Sample is what was read of a file, to draft a project file from.
type Sample struct {
	Path  string          // as the project file is to name it
	Table *datasets.Table // the first rows, or all
	Whole bool            // it is all of the file
	Fault error           // why it could not be read: Table is nil then
}

// drafting is a project file in the making.
type drafting struct {
	account  string
	files    []*looked
	linked   *looked  // the file through which users are joined to accounts, if it has another kind itself
	byColumn string   // of the users
	project  Project  // what was written of it so far, for the names of columns
	out      []string // files that nothing can be made of, and why
	text     strings.Builder
}

// Draft writes a project file for what the files seem to be: by the names of their
// columns and what is in them. It is meant to be read and corrected: comments say
// what was guessed, and why. Parse reads it without faults. An error says that there
// is nothing to be guessed from.
func Draft(samples []Sample) (string, error) {
	d := &drafting{}
	var unread []error
	for _, s := range samples {
		if s.Fault != nil {
			unread = append(unread, s.Fault)
			d.out = append(d.out, fmt.Sprintf("%s is left out: it cannot be read: %v", s.Path, s.Fault))
		} else if s.Table.Rows() == 0 {
			d.out = append(d.out, s.Path+" is left out: it has no rows")
		}
	}
	samples = slices.DeleteFunc(slices.Clone(samples), func(s Sample) bool { return s.Table == nil || s.Table.Rows() == 0 })
	if len(samples) == 0 {
		return "", errors.Join(append(unread, errors.New("there are no rows in these files: name files of a company's accounts, events or subscriptions"))...)
	}
	for _, s := range samples {
		d.files = append(d.files, look(s))
	}
	d.name()
	d.pickAccount()
	d.classify()
	d.line("# What propensity init made of %d %s. It is a guess, to be read and corrected:", len(samples), plural(len(samples), "file", "files"))
	d.line("# look at what is said behind each # before anything is built on it.")
	if slices.ContainsFunc(samples, func(s Sample) bool { return !s.Whole }) {
		d.line("# Of large files only the first rows were looked at, of several of one kind one.")
	}
	for _, out := range d.out {
		d.line("# %s.", remark(out))
	}
	d.line("version: 1")
	if d.finished() {
		return d.text.String(), nil
	}
	if d.account != "" {
		n := 0
		for _, l := range d.files {
			if l.owner(d.account) != nil {
				n++
			}
		}
		d.line("account: %s # the column of the account's id: %d of %d files have it", quote(d.account), n, len(d.files))
	}
	d.line("timezone: UTC # where days and months begin: name your own, such as Europe/Berlin")
	d.sources()
	d.features()
	d.models()
	return d.text.String(), nil
}

func (d *drafting) line(format string, args ...any) {
	fmt.Fprintf(&d.text, format+"\n", args...)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// remark is a text that stays on the line of a comment.
func remark(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == '\uFFFD' {
			return ' '
		}
		return r
	}, s)
}

// name gives each file a name of its own: that of the file without what all of them
// begin with.
func (d *drafting) name() {
	prefix := ""
	for i, l := range d.files {
		base := l.path[strings.LastIndexByte(l.path, '/')+1:]
		if cut := strings.LastIndexAny(base, "_-"); cut >= 0 {
			base = base[:cut+1]
		} else {
			base = ""
		}
		if i == 0 {
			prefix = base
		}
		for !strings.HasPrefix(base, prefix) {
			prefix = prefix[:strings.LastIndexAny(strings.TrimRight(prefix, "_-"), "_-")+1]
		}
	}
	if len(d.files) == 1 {
		prefix = ""
	}
	taken := map[string]bool{}
	for _, l := range d.files {
		name := sourceName(l.path, prefix)
		if name == "" {
			name = "source"
		}
		l.name = name
		for i := 2; taken[l.name]; i++ {
			l.name = fmt.Sprintf("%s_%d", name, i)
		}
		taken[l.name] = true
	}
}

// pickAccount takes the name of an account's id that the most files have.
func (d *drafting) pickAccount() {
	most := 0
	for _, name := range accountNames {
		n, spelt := 0, ""
		for _, l := range d.files {
			if c := l.find([]string{name}, (*column).holdsIDs); c != nil {
				if n++; spelt == "" {
					spelt = c.Name
				}
			}
		}
		if n > most {
			most, d.account = n, spelt
		}
	}
	if most > 0 {
		return
	}
	for _, l := range d.files { // none goes by such a name: the first that is called an id
		for i := range l.columns {
			if c := &l.columns[i]; isID(c.Name) && c.holdsIDs() && c.present > 0 && d.account == "" {
				d.account = c.Name
			}
		}
	}
}

// classify looks at each file: first for what joins users to accounts.
func (d *drafting) classify() {
	var orphans []*looked
	for _, l := range d.files {
		if owner := l.owner(d.account); owner == nil {
			orphans = append(orphans, l)
		} else if l.people(owner) && d.byColumn == "" {
			d.byColumn = l.user().Name
		}
		if e := l.exported(); e != nil && e.kind == Users && d.byColumn == "" {
			d.byColumn = e.user
		}
	}
	for _, l := range orphans {
		for i := range l.columns {
			name := l.columns[i].Name
			for _, f := range d.files {
				if c := f.named(name); d.byColumn == "" && c != nil && c.unique() && c.holdsIDs() && f.owner(d.account) != nil && c != f.owner(d.account) && isID(c.Name) && c.key != "id" && c.key != "uuid" {
					d.byColumn, d.linked = name, f
				}
			}
		}
	}
	people := false
	for _, l := range d.files {
		by := ""
		if c := l.named(d.byColumn); c != nil {
			by = c.Name
		} else if d.byColumn != "" && d.linked == nil {
			by = nameOf(l.find(userNames[:], (*column).holdsIDs))
		}
		l.classify(d.account, by)
		if l.source.Kind == Users && l.unused == "" {
			if people {
				l.unused = "there are users in another file already"
			}
			people = true
		}
		l.distinctRoles()
		if s := &l.source; s.Account != "" && key(s.Account) != key(d.account) {
			l.remarks = append(l.remarks, "Its accounts are in "+s.Account+": check that they are the ids that are called "+d.account+" elsewhere")
		}
		if l.unused == "" && l.lacks() {
			l.unused = "its columns do not tell whose it is and when it was"
		}
	}
}

// lacks says that a role is not found which the kind needs.
func (l *looked) lacks() bool {
	s := &l.source
	switch s.Kind {
	case Events, Snapshots:
		return s.Time == ""
	case Intervals:
		return s.Start == "" || s.End == ""
	case Users:
		return s.User == ""
	case Merges:
		return s.Time == "" || s.FromAccount == "" || s.Into == ""
	}
	return false
}

// distinctRoles lets no column have two roles.
func (l *looked) distinctRoles() {
	s := &l.source
	taken := map[string]bool{}
	for _, role := range [...]*string{&s.Account, &s.Start, &s.End, &s.Time, &s.FromAccount, &s.Into, &s.User, &s.ID, &s.Arrived, &s.Amount, &s.Currency, &s.Renews} {
		if taken[*role] {
			*role = ""
		}
		taken[*role] = *role != ""
	}
	if s.Currency != "" && s.Amount == "" {
		s.Currency = ""
	}
}

// finished writes the model of a single table that is finished already: a row an
// account, with a column that says what became of it.
func (d *drafting) finished() bool {
	if len(d.files) != 1 {
		return false
	}
	l := d.files[0]
	id := l.owner(d.account)
	if id == nil || !id.unique() || l.unused == "" && l.source.Kind != Attributes {
		return false
	}
	label := l.find([]string{"churn", "churned", "converted", "conversion", "upsell", "expanded", "exited", "attrition", "renewed", "label", "target", "outcome"}, func(c *column) bool {
		return c.distinct == 2 && c != id && c.Kind != datasets.Time
	})
	if label == nil {
		return false
	}
	name := "churn"
	switch {
	case contains(label.Name, "conver"):
		name = "conversion"
	case contains(label.Name, "upsell", "expand"):
		name = "upsell"
	}
	d.line("models:")
	d.line("  # %s has a row an account and says what became of it: a finished table.", remark(l.path))
	d.line("  # Look for columns that were only filled in afterwards: propensity doctor does too.")
	d.line("  %s:", name)
	d.line("    data: %s", quote(l.path))
	d.line("    id: %s", quote(id.Name))
	d.line("    label: {column: %s, positive: %s} # check which value is the positive one", quote(label.Name), quote(positive(label)))
	return true
}

// positive is the value of two that is meant: yes, true or 1, or else the rarer one.
func positive(c *column) string {
	_, first := c.Distinct()
	count := map[string]int{}
	for i := range c.Len() {
		count[c.At(i).String()]++
	}
	a, b := c.At(first[0]).String(), c.At(first[1]).String()
	for _, v := range [...]string{a, b} {
		switch key(v) {
		case "yes", "true", "1", "y", "churned", "converted":
			return v
		}
	}
	if count[b] < count[a] {
		return b
	}
	return a
}

// sources writes the sources: those of which nothing can be made as comments.
func (d *drafting) sources() {
	d.line("sources:")
	some := false
	for _, l := range d.files {
		if l.unused != "" {
			d.line("  # %s is left out: %s.", remark(l.path), remark(l.unused))
			continue
		}
		some = true
		s := &l.source
		d.line("  # %s: %s.", remark(l.path), remark(l.why))
		if s.Export == "" && s.Time == "" && s.Start == "" && s.Kind == Attributes {
			d.line("  # No date says since when that was so: it counts as known always. Check that it was not filled in afterwards.")
		}
		if s.Kind == Intervals && len(s.AtEnd) > 0 && s.Export == "" {
			d.line("  # at_end: what is only known when it ends; it is missing until then.")
		}
		for _, r := range l.remarks {
			d.line("  # %s.", remark(r))
		}
		d.line("  %s", d.sourceLine(s))
		d.project.Sources = append(d.project.Sources, *s)
	}
	if f := d.linked; f != nil {
		name := "users"
		for d.project.Source(name) != nil {
			name = "join_" + name
		}
		s := Source{Name: name, Path: f.path, Kind: Users, Account: f.owner(d.account).Name, User: d.byColumn}
		d.line("  # Through %s, what names no account finds it.", remark(d.byColumn))
		d.line("  %s", d.sourceLine(&s))
		d.project.Sources = append(d.project.Sources, s)
		some = true
	}
	if !some {
		d.text.WriteString("  {}\n")
	}
}

// sourceLine writes a source as short as Parse reads it back.
func (d *drafting) sourceLine(s *Source) string {
	var f flow
	f.text("path", s.Path)
	if s.Export != "" {
		f.text("export", s.Export)
		if s.Kind == Users {
			f.text("kind", string(s.Kind))
		}
		return quote(s.Name) + ": " + f.String()
	}
	if guessKind(s) != s.Kind {
		f.text("kind", string(s.Kind))
	}
	if s.Kind != Merges && s.Account != "" && (s.Account != d.account || s.User != "" && s.Kind != Users) {
		f.text("account", s.Account)
	}
	s.roles(&f)
	f.texts("at_end", s.AtEnd)
	return quote(s.Name) + ": " + f.String()
}
