package spec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"propensity/datasets"
	"propensity/features/expr"
)

var (
	sourceKeys = [...]string{
		"path", "from", "query", "table", "kind", "export", "account", "user", "id", "time", "arrived", "start", "end",
		"amount", "currency", "renews", "from_account", "into", "lag", "at_end", "bridge", "where", "types", "missing", "checks",
	}
	checkKeys = [...]string{"unique", "required", "ranges", "values", "fresh", "late", "references", "after", "agree"}
	kindNames = [...]string{string(Events), string(Attributes), string(Snapshots), string(Intervals), string(Users), string(Merges)}
)

// source reads one entry of sources.
func (w *writer) source(e entry) {
	i := len(w.p.Sources)
	f := w.fields(e.value, e.at, "source "+e.key, sourceKeys[:])
	path := fmt.Sprintf("sources/%d/", i)
	if !identifier.MatchString(e.key) {
		w.fault(e.at, "source %q: a name has letters, digits and _, and does not begin with a digit", e.key)
	}
	s := Source{
		Name: e.key, Line: e.at.line,
		Path: f.text("path"), From: f.text("from"), Query: f.text("query"), Table: f.text("table"),
		Missing: f.texts("missing"),
		Export:  f.text("export"),
		Account: f.text("account"), User: f.text("user"), ID: f.text("id"),
		Time: f.text("time"), Arrived: f.text("arrived"), Start: f.text("start"), End: f.text("end"),
		Amount: f.text("amount"), Currency: f.text("currency"), Renews: f.text("renews"),
		FromAccount: f.text("from_account"), Into: f.text("into"),
		Lag: f.window("lag"), AtEnd: f.names("at_end"), Bridge: f.window("bridge"),
		Where: w.expression(f, "where", path+"where"),
	}
	if s.Missing == nil && f.has("missing") {
		s.Missing = []string{} // no text is
	}
	switch {
	case s.Path != "" && s.From != "":
		f.fault("from", "it has a path and a from: keep the one where its facts are")
	case s.From != "" && (s.Query == "") == (s.Table == ""):
		f.fault("from", "of a database name either a table or a query")
	case s.From == "" && (s.Query != "" || s.Table != ""):
		f.fault("query", "a table or query needs from: the URL of a database, such as postgres://host/db or sqlite:file.db")
	}
	if s.Lag.Months != 0 {
		f.fault("lag", "lag %s: use days or hours, which are exact", s.Lag)
	}
	known := w.applyExport(&s, f)
	if kind := f.text("kind"); kind != "" {
		s.Kind = Kind(kind)
	}
	switch {
	case s.Kind == "":
		s.Kind = guessKind(&s)
	case !slices.Contains(kindNames[:], string(s.Kind)):
		f.fault("kind", "unknown kind %q: use %s", s.Kind, oneOf(kindNames[:]))
		s.Kind = guessKind(&s)
	}
	if known && !f.none {
		w.roles(&s, f)
	}
	w.types(&s, f)
	if c, ok := f.find("checks"); ok {
		s.Checks = w.checks(c, "source "+s.Name+": checks", path)
	}
	w.p.Sources = append(w.p.Sources, s)
}

// guessKind is the kind of a source that does not say it.
func guessKind(s *Source) Kind {
	switch {
	case s.Start != "":
		return Intervals
	case s.FromAccount != "" || s.Into != "":
		return Merges
	case s.Name == "accounts":
		return Attributes
	case s.Name == "users":
		return Users
	}
	return Events
}

// roles says which roles the kind of a source needs, and which it has no use for.
func (w *writer) roles(s *Source, f fields) {
	need := func(key, column, meaning string) {
		if column == "" {
			w.fault(f.at, "source %s: %s need %s: the column of %s", s.Name, s.Kind, key, meaning)
		}
	}
	refuse := func(kinds string, keys ...string) {
		for _, key := range keys {
			if f.has(key) {
				f.fault(key, "%s is for %s, and this is a source of %s", key, kinds, s.Kind)
			}
		}
	}
	switch s.Kind {
	case Events, Snapshots:
		need("time", s.Time, "the instant")
	case Intervals:
		need("start", s.Start, "the start")
		need("end", s.End, "the end")
	case Users:
		need("user", s.User, "the user's id")
	case Merges:
		need("time", s.Time, "the instant of the merge")
		need("from_account", s.FromAccount, "the account that ends")
		need("into", s.Into, "the account that goes on")
	}
	if s.Kind != Intervals {
		refuse("intervals", "start", "end", "renews", "at_end", "bridge")
	} else {
		refuse("sources that are no intervals (they have a start and an end)", "time")
	}
	if s.Kind != Intervals && s.Kind != Events {
		refuse("intervals and events", "amount", "currency")
	}
	if s.Kind != Merges {
		refuse("merges", "from_account", "into")
	} else {
		refuse("other sources (merges have from_account and into)", "account", "user")
	}
	if s.Currency != "" && s.Amount == "" {
		f.fault("currency", "a currency needs amount: the column of the money")
	}
	taken := map[string]string{}
	for _, role := range s.roleColumns() {
		if other, ok := taken[role.column]; ok {
			f.fault(role.key, "column %q cannot be both %s and %s", role.column, other, role.key)
			continue
		}
		taken[role.column] = role.key
	}
}

// role is a column with a role: the key that names it, and the kind that it has.
type role struct {
	key, column string
	kind        datasets.Kind
	apart       bool // not a value: it has a place of its own in facts
}

// roleColumns are the roles that a source names.
func (s *Source) roleColumns() []role {
	all := [...]role{
		{"account", s.Account, datasets.Text, true},
		{"user", s.User, datasets.Text, false},
		{"id", s.ID, datasets.Text, false},
		{"time", s.Time, datasets.Time, true},
		{"arrived", s.Arrived, datasets.Time, true},
		{"start", s.Start, datasets.Time, true},
		{"end", s.End, datasets.Time, true},
		{"amount", s.Amount, datasets.Number, false},
		{"currency", s.Currency, datasets.Category, false},
		{"renews", s.Renews, datasets.Time, false},
		{"from_account", s.FromAccount, datasets.Text, true},
		{"into", s.Into, datasets.Text, true},
	}
	var out []role
	for _, r := range all {
		if r.column != "" {
			out = append(out, r)
		}
	}
	return out
}

// role is the role of a column; its key is "" if it has none.
func (s *Source) role(column string) role {
	for _, r := range s.roleColumns() {
		if r.column == column {
			return r
		}
	}
	return role{}
}

// settleSources fills in what depends on other sources: where the account is.
func (w *writer) settleSources() {
	users := -1
	for i := range w.p.Sources {
		if s := &w.p.Sources[i]; s.Kind == Users {
			if users >= 0 {
				w.fault(place{line: s.Line}, "source %s: there are users in %s already: keep one source of users", s.Name, w.p.Sources[users].Name)
			}
			users = i
		}
	}
	for i := range w.p.Sources {
		s := &w.p.Sources[i]
		switch {
		case s.Kind == Merges || s.Account != "":
			continue
		case s.Kind != Users && s.User != "" && users >= 0:
			continue // found through the users
		case w.p.Account == "":
			w.fault(place{line: s.Line}, "source %s: it has no account: name the column of its id here or, for all sources, at the top (account: account_id)", s.Name)
			continue
		}
		s.Account = w.p.Account
		if r := slices.IndexFunc(s.roleColumns()[1:], func(r role) bool { return r.column == s.Account }); r >= 0 {
			w.fault(place{line: s.Line}, "source %s: column %q is the account of the project: it cannot be the %s here", s.Name, s.Account, s.roleColumns()[1:][r].key)
		}
	}
	for i := range w.p.Sources {
		s := &w.p.Sources[i]
		slices.SortFunc(s.Columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	}
}

// types reads the kinds that are declared.
func (w *writer) types(s *Source, f fields) {
	for _, e := range f.pairs("types") {
		text, ok := w.scalar(e.value, e.at, f.what+": the type of "+e.key)
		if !ok {
			continue
		}
		kind, err := datasets.ParseKind(text)
		if err != nil {
			w.fault(placeOf(e.value), "%s: column %q: %v", f.what, e.key, err)
			continue
		}
		r := s.role(e.key)
		if r.key != "" && kind != r.kind && !(r.kind == datasets.Text && kind == datasets.Category && !r.apart) {
			w.fault(placeOf(e.value), "%s: column %q is the %s, which is always a %s: leave its type out", f.what, e.key, r.key, r.kind)
			continue
		}
		if !r.apart {
			s.Columns = append(s.Columns, Column{Name: e.key, Kind: kind})
		}
	}
}

// checks reads the contracts of a source.
func (w *writer) checks(e entry, what, path string) Checks {
	f := w.fields(e.value, e.at, what, checkKeys[:])
	c := Checks{Line: e.at.line, Unique: f.names("unique"), Required: f.names("required")}
	for _, p := range f.pairs("ranges") {
		if c.Ranges == nil {
			c.Ranges = map[string][2]float64{}
		}
		c.Ranges[p.key] = w.bounds(p, what)
	}
	for _, p := range f.pairs("values") {
		if c.Values == nil {
			c.Values = map[string][]string{}
		}
		one := fields{r: &w.reader, what: what + ": values", at: p.at, list: []entry{p}}
		c.Values[p.key] = one.texts(p.key)
	}
	duration := func(key string) time.Duration {
		d := f.window(key)
		if d.Months != 0 {
			f.fault(key, "%s %s: use days or hours, which are exact", key, d)
		}
		return time.Duration(d.Micros) * time.Microsecond
	}
	c.Fresh, c.Late = duration("fresh"), duration("late")
	for _, p := range f.pairs("references") {
		if c.References == nil {
			c.References = map[string]string{}
		}
		if c.References[p.key], _ = w.scalar(p.value, p.at, what+": references"); !strings.Contains(c.References[p.key], ".") {
			w.fault(p.at, "%s: references: write column: source.column", what)
		}
	}
	for _, a := range f.names("after") {
		stream, column, ok := strings.Cut(a, " by ")
		if c.After = append(c.After, a); !ok || strings.TrimSpace(stream) == "" || strings.TrimSpace(column) == "" {
			f.fault("after", "after %q: write \"source.start by column\"", a)
		}
	}
	for _, p := range f.pairs("agree") {
		text, _ := w.scalar(p.value, p.at, what+": agree")
		if x := w.compileLater(text, placeOf(p.value), what+": agree with "+p.key, path+"agree/"+p.key); x != nil {
			if c.Agree == nil {
				c.Agree = map[string]*expr.Expr{}
			}
			c.Agree[p.key] = x
		}
	}
	return c
}

// bounds reads a range: two numbers, of which null or ~ is an open side.
func (w *writer) bounds(e entry, what string) [2]float64 {
	out := [2]float64{math.NaN(), math.NaN()}
	s, ok := w.bare(e.value).(*ast.SequenceNode)
	if !ok || len(s.Values) != 2 {
		w.fault(e.at, "%s: ranges: %s is two numbers, such as [0, 100] or [0, null]", what, e.key)
		return out
	}
	for i, v := range s.Values {
		if w.bare(v) == nil {
			continue
		}
		text, _ := w.scalar(v, placeOf(v), what+": ranges: "+e.key)
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			w.fault(placeOf(v), "%s: ranges: %s: %q is no number; null leaves a side open", what, e.key, text)
			continue
		}
		out[i] = x
	}
	if out[0] > out[1] {
		w.fault(e.at, "%s: ranges: %s: %v is above %v", what, e.key, out[0], out[1])
	}
	return out
}

// checkReferences looks up the other sources that contracts name.
func (w *writer) checkReferences() {
	for i := range w.p.Sources {
		s := &w.p.Sources[i]
		c := &s.Checks
		known := func(name, key string) {
			if w.p.Source(name) == nil {
				w.fault(place{line: c.Line}, "source %s: checks: %s: there is no source %q: %s", s.Name, key, name, nearest(name, w.p.sourceNames()))
			}
		}
		for _, column := range slices.Sorted(maps.Keys(c.References)) {
			name, _, _ := strings.Cut(c.References[column], ".")
			known(name, "references")
		}
		for _, a := range c.After {
			name, _, _ := strings.Cut(strings.Fields(a + " ?")[0], ".")
			known(name, "after")
		}
		for _, name := range slices.Sorted(maps.Keys(c.Agree)) {
			known(name, "agree")
		}
	}
}
