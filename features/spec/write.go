package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"propensity/datasets"
	"propensity/features/expr"
)

// YAML writes the project in its one resolved form: exports, presets, defaults and
// the kinds of columns written out, without comments and without where the facts are
// (paths, URLs, queries), so that no secret is in it. The same project gives the same
// bytes, and Parse reads them back to an equal project, lines and those places apart.
// It goes into a model's artifact: a server makes live rows by the very features
// that the model learnt with.
func (p *Project) YAML() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("version: 1\n")
	if p.Account != "" {
		fmt.Fprintf(&b, "account: %s\n", quote(p.Account))
	}
	fmt.Fprintf(&b, "timezone: %s\n", quote(p.Timezone))
	section := func(name string, n int, line func(i int) string) {
		if n == 0 {
			return
		}
		b.WriteString(name + ":\n")
		for i := range n {
			b.WriteString("  " + line(i) + "\n")
		}
	}
	section("sources", len(p.Sources), func(i int) string { return p.Sources[i].yaml() })
	section("features", len(p.Features), func(i int) string { return "- " + p.Features[i].yaml() })
	section("derived", len(p.Derived), func(i int) string {
		d := &p.Derived[i]
		var f flow
		f.text("name", d.Name)
		f.expr("expr", d.Expr)
		f.text("label", d.Label)
		return "- " + f.String()
	})
	section("populations", len(p.Populations), func(i int) string {
		return quote(p.Populations[i].Name) + ": " + quote(p.Populations[i].Expr.Source)
	})
	section("models", len(p.Models), func(i int) string { return p.Models[i].yaml() })
	return b.Bytes(), nil
}

// Of is the part of the project that the rows of one model need: its features, those
// that its derived columns and its population stand on, and their sources, with all
// the columns that the project uses of them, since these order facts that are
// otherwise equal. Moments and label stay for the record: moments without while
// begin at the first fact of any source, so that they are those of the whole
// project. nil if there is no such model.
func (p *Project) Of(model string) *Project {
	i := slices.IndexFunc(p.Models, func(m Model) bool { return m.Name == model })
	if i < 0 {
		return nil
	}
	m := p.Models[i]
	out := &Project{Account: p.Account, Timezone: p.Timezone, Models: []Model{m}}
	outputs := p.Outputs()
	needed := map[string]bool{m.Value: true}
	for _, o := range outputs {
		needed[o.Name] = needed[o.Name] || m.Features == nil || slices.Contains(m.Features, o.Name)
	}
	for _, n := range p.Populations {
		if n.Name == m.Population {
			out.Populations = []Population{n}
			for _, v := range n.Expr.Vars {
				needed[v] = true
			}
		}
	}
	for j := len(p.Derived) - 1; j >= 0; j-- { // each stands on those before it
		if d := p.Derived[j]; needed[d.Name] {
			out.Derived = append(out.Derived, d)
			for _, v := range d.Expr.Vars {
				needed[v] = true
			}
		}
	}
	slices.Reverse(out.Derived)
	sources := map[string]bool{}
	keep := func(stream string) {
		name, _, _ := strings.Cut(stream, ".")
		sources[name] = true
	}
	for j, f := range p.Features {
		if slices.ContainsFunc(outputs, func(o Output) bool { return o.Feature == j && needed[o.Name] }) {
			out.Features = append(out.Features, f)
			keep(f.From)
		}
	}
	for _, stream := range []string{m.Moments.Of, m.Moments.On, m.Moments.While, m.Label.From} {
		keep(stream)
	}
	for _, s := range p.Sources {
		// Whose fact it is, and when an account signed up, is asked of any row.
		if sources[s.Name] || s.Kind == Users || s.Kind == Merges || s.Kind == Attributes {
			s.Columns = slices.Clone(s.Columns)
			s.Checks = Checks{}
			out.Sources = append(out.Sources, s)
		}
	}
	return out
}

// Locate takes over from another project where the sources are. It is an error if that
// has not all of them.
func (p *Project) Locate(in *Project) error {
	for i := range p.Sources {
		s := &p.Sources[i]
		from := in.Source(s.Name)
		if from == nil {
			return fmt.Errorf("%w: there is no source %s, whose facts are needed", ErrProject, s.Name)
		}
		s.Path, s.From, s.Query, s.Table = from.Path, from.From, from.Query, from.Table
	}
	return nil
}

// roles writes the columns that have one, the account's apart.
func (s *Source) roles(f *flow) {
	f.text("user", s.User)
	f.text("id", s.ID)
	f.text("time", s.Time)
	f.text("arrived", s.Arrived)
	f.text("start", s.Start)
	f.text("end", s.End)
	f.text("amount", s.Amount)
	f.text("currency", s.Currency)
	f.text("renews", s.Renews)
	f.text("from_account", s.FromAccount)
	f.text("into", s.Into)
}

func (s *Source) yaml() string {
	var f flow
	f.text("kind", string(s.Kind))
	f.text("account", s.Account)
	s.roles(&f)
	f.text("lag", s.Lag.String())
	f.texts("at_end", s.AtEnd)
	f.text("bridge", s.Bridge.String())
	f.expr("where", s.Where)
	var types flow
	for _, c := range s.Columns {
		if c.Kind != 0 {
			types.text(c.Name, c.Kind.String())
		}
	}
	f.flow("types", types)
	if s.Missing != nil {
		f.raw("missing", list(s.Missing))
	}
	f.flow("checks", s.Checks.yaml())
	return quote(s.Name) + ": " + f.String()
}

func (c *Checks) yaml() flow {
	var f flow
	f.texts("unique", c.Unique)
	f.texts("required", c.Required)
	var ranges, values, references, agree flow
	for _, column := range slices.Sorted(maps.Keys(c.Ranges)) {
		sides := c.Ranges[column]
		ranges.raw(column, "["+bound(sides[0])+", "+bound(sides[1])+"]")
	}
	f.flow("ranges", ranges)
	for _, column := range slices.Sorted(maps.Keys(c.Values)) {
		values.raw(column, list(c.Values[column]))
	}
	f.flow("values", values)
	f.text("fresh", Window{Micros: c.Fresh.Microseconds()}.String())
	f.text("late", Window{Micros: c.Late.Microseconds()}.String())
	for _, column := range slices.Sorted(maps.Keys(c.References)) {
		references.text(column, c.References[column])
	}
	f.flow("references", references)
	f.texts("after", c.After)
	for _, source := range slices.Sorted(maps.Keys(c.Agree)) {
		agree.expr(source, c.Agree[source])
	}
	f.flow("agree", agree)
	return f
}

func bound(x float64) string {
	if math.IsNaN(x) {
		return "null"
	}
	return datasets.FormatNumber(x)
}

func (f *Feature) yaml() string {
	var out flow
	out.text("name", f.Name)
	out.text("from", f.From)
	out.expr("where", f.Where)
	out.text("agg", string(f.Agg))
	out.text("value", f.Value)
	out.text("over", f.Over)
	out.text("by", f.By)
	out.texts("values", f.Values)
	out.windows("windows", f.Windows)
	out.windows("trend", f.Trend)
	out.text("every", f.Every.String())
	if f.Calendar {
		out.raw("calendar", "true")
	}
	out.text("label", f.Label)
	return out.String()
}

func (m *Model) yaml() string {
	var f, moments, label flow
	moments.text("every", m.Moments.Every.String())
	moments.windows("after", m.Moments.After)
	moments.windows("before", m.Moments.Before)
	moments.text("of", m.Moments.Of)
	moments.text("on", m.Moments.On)
	moments.expr("where", m.Moments.OnWhere)
	if m.Moments.While != "" {
		moments.text("while", m.Moments.While+".active")
	}
	f.flow("moments", moments)
	f.instant("since", m.Moments.Since)
	f.instant("until", m.Moments.Until)
	f.text("population", m.Population)
	switch l := &m.Label; l.Kind {
	case LabelEvent:
		label.text("event", l.From)
		label.expr("where", l.Where)
		label.text("within", l.Horizon.String())
	case LabelState:
		label.text("state", l.From+".active")
		label.raw("is", strconv.FormatBool(l.Is))
		label.text("after", l.Horizon.String())
	case LabelChange:
		label.text("change", l.From+"."+l.Value)
		label.raw("by", datasets.FormatNumber(l.By))
		label.text("after", l.Horizon.String())
	}
	f.flow("label", label)
	f.text("gap", m.Gap.String())
	f.texts("features", m.Features)
	f.text("value", m.Value)
	return quote(m.Name) + ": " + f.String()
}

// flow is a mapping on one line.
type flow struct{ pairs []string }

func (f *flow) raw(key, value string) { f.pairs = append(f.pairs, quote(key)+": "+value) }

func (f *flow) text(key, value string) {
	if value != "" {
		f.raw(key, quote(value))
	}
}

func (f *flow) texts(key string, values []string) {
	if len(values) > 0 {
		f.raw(key, list(values))
	}
}

func (f *flow) windows(key string, windows []Window) {
	var values []string
	for _, w := range windows {
		values = append(values, w.String())
	}
	f.texts(key, values)
}

func (f *flow) expr(key string, e *expr.Expr) {
	if e != nil {
		f.text(key, e.Source)
	}
}

func (f *flow) instant(key string, us int64) {
	if us != 0 {
		f.text(key, time.UnixMicro(us).UTC().Format(time.RFC3339Nano))
	}
}

func (f *flow) flow(key string, inner flow) {
	if len(inner.pairs) > 0 {
		f.raw(key, inner.String())
	}
}

func (f flow) String() string { return "{" + strings.Join(f.pairs, ", ") + "}" }

func list(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = quote(v)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./]*$|^[0-9]+(d|h|m|s|mo)$`)

// quote spells a text as YAML reads it back: as it is where it is a word, else as a
// JSON string, which YAML takes too.
func quote(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
	default:
		if plain.MatchString(s) {
			return s
		}
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s) // no text is refused
	}
	return strings.TrimSuffix(b.String(), "\n")
}
