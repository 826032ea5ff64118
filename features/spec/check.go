package spec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"propensity/datasets"
	"propensity/features/expr"
)

// Uses are the columns of a source that the project names, roles apart: by its
// features, conditions, labels, moments and contracts, or by types. In the order of
// their names.
func (p *Project) Uses(source string) []Column {
	if s := p.Source(source); s != nil {
		return s.Columns
	}
	return nil
}

// useColumns adds to the columns of each source those that the project uses. A kind
// that follows from the use is set where none is declared: sums are of numbers.
func (p *Project) useColumns() {
	use := func(stream, column string, kind datasets.Kind) {
		name, _, _ := strings.Cut(stream, ".")
		if s := p.Source(name); s != nil && column != "" {
			s.use(column, kind)
		}
	}
	vars := func(stream string, e *expr.Expr) {
		if e != nil {
			for _, v := range e.Vars {
				use(stream, v, 0)
			}
		}
	}
	for i := range p.Features {
		f := &p.Features[i]
		kind := datasets.Kind(0)
		if t, _ := f.Agg.traits(); t.number {
			kind = datasets.Number
		}
		use(f.From, f.Value, kind)
		use(f.From, f.Over, datasets.Number)
		use(f.From, f.By, datasets.Category)
		vars(f.From, f.Where)
	}
	for i := range p.Models {
		m := &p.Models[i]
		vars(m.Moments.On, m.Moments.OnWhere)
		if s := p.Source(m.Moments.Of); s != nil {
			use(s.Name, s.Renews, 0)
		}
		vars(m.Label.From, m.Label.Where)
		use(m.Label.From, m.Label.Value, datasets.Number)
	}
	for i := range p.Sources {
		s := &p.Sources[i]
		vars(s.Name, s.Where)
		c := &s.Checks
		for _, column := range slices.Concat(c.Unique, c.Required) {
			use(s.Name, column, 0)
		}
		for _, column := range slices.Sorted(maps.Keys(c.Ranges)) {
			use(s.Name, column, datasets.Number)
		}
		for _, column := range slices.Sorted(maps.Keys(c.Values)) {
			use(s.Name, column, 0)
		}
		for _, column := range slices.Sorted(maps.Keys(c.References)) {
			use(s.Name, column, 0)
			use(cut(c.References[column]))
		}
		for _, a := range c.After {
			stream, column, _ := strings.Cut(a, " by ")
			use(s.Name, strings.TrimSpace(column), 0)
			use(strings.TrimSpace(stream), strings.TrimSpace(column), 0)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Agree)) {
			vars(s.Name, c.Agree[name])
		}
	}
	for i := range p.Sources {
		s := &p.Sources[i]
		// Columns settle ties of the total order, which must not hang on what is not known
		// yet: those of AtEnd come last.
		late := func(c Column) int {
			if slices.Contains(s.AtEnd, c.Name) {
				return 1
			}
			return 0
		}
		slices.SortFunc(s.Columns, func(a, b Column) int { return cmp.Or(late(a)-late(b), strings.Compare(a.Name, b.Name)) })
	}
}

// cut splits source.column, for a use of no kind.
func cut(s string) (stream, column string, kind datasets.Kind) {
	stream, column, _ = strings.Cut(s, ".")
	return stream, column, 0
}

func (s *Source) use(column string, kind datasets.Kind) {
	r := s.role(column)
	if r.apart {
		return
	}
	if r.key != "" {
		kind = r.kind
	}
	for i := range s.Columns {
		if c := &s.Columns[i]; c.Name == column {
			if c.Kind == 0 {
				c.Kind = kind
			}
			return
		}
	}
	s.Columns = append(s.Columns, Column{Name: column, Kind: kind})
}

// Check checks the types of everything again and compiles the expressions anew:
// after facts.Resolve has found the kinds of the sources' columns. What is wrong
// comes back as Faults.
func (p *Project) Check() error {
	at := func(_ string, line int) place { return place{line: line} }
	if faults := p.check(at); len(faults) > 0 {
		return faultsError(faults)
	}
	return faultsError(p.checkRows(at))
}

// checker holds the columns of sources against what is done with them.
type checker struct {
	p      *Project
	at     func(path string, line int) place
	faults []Fault
}

func (c *checker) fault(path string, line int, format string, args ...any) {
	at := c.at(path, line)
	c.faults = append(c.faults, Fault{Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)})
}

// check is of what stands on columns of sources, checkRows of what stands on columns
// of the row; the second needs the first.
func (p *Project) check(at func(path string, line int) place) []Fault {
	c := &checker{p: p, at: at}
	for i := range p.Sources {
		s := &p.Sources[i]
		path := fmt.Sprintf("sources/%d/", i)
		c.condition(s.Name, &s.Where, "source "+s.Name+": where", path+"where", s.Line)
		for _, name := range slices.Sorted(maps.Keys(s.Checks.Agree)) {
			e := s.Checks.Agree[name]
			c.condition(s.Name, &e, "source "+s.Name+": checks: agree with "+name, path+"agree/"+name, s.Checks.Line)
			s.Checks.Agree[name] = e
		}
	}
	for i := range p.Features {
		f := &p.Features[i]
		path := fmt.Sprintf("features/%d", i)
		c.condition(f.From, &f.Where, "feature "+f.Name+": where", path+"/where", f.Line)
		if t, _ := f.Agg.traits(); t.number {
			c.number(f.From, f.Value, fmt.Sprintf("feature %s: %s", f.Name, f.Agg), path+"/value", f.Line)
		}
		c.number(f.From, f.Over, fmt.Sprintf("feature %s: %s", f.Name, f.Agg), path+"/over", f.Line)
		switch kind := p.columnKind(f.From, f.By); kind {
		case 0, datasets.Category, datasets.Text:
		default:
			c.fault(path+"/by", f.Line, "feature %s: by is of categories, and column %q is a %s: declare it (types: {%s: category})", f.Name, f.By, kind, f.By)
		}
	}
	for i := range p.Models {
		m := &p.Models[i]
		path := fmt.Sprintf("models/%d/", i)
		c.condition(m.Moments.On, &m.Moments.OnWhere, "model "+m.Name+": moments: where", path+"moments/where", m.Line)
		c.condition(m.Label.From, &m.Label.Where, "model "+m.Name+": label: where", path+"label/where", m.Label.Line)
		c.number(m.Label.From, m.Label.Value, "model "+m.Name+": label: a change", path+"label", m.Label.Line)
	}
	return c.faults
}

// number asks that a column is a number, if it is known.
func (c *checker) number(stream, column, what, path string, line int) {
	if column == "" {
		return
	}
	if kind := c.p.columnKind(stream, column); kind != 0 && kind != datasets.Number {
		c.fault(path, line, "%s is of numbers, and column %q is a %s", what, column, kind)
	}
}

// condition compiles one over the columns of a stream.
func (c *checker) condition(stream string, e **expr.Expr, what, path string, line int) {
	if *e == nil {
		return
	}
	name, _, _ := strings.Cut(stream, ".")
	s := c.p.Source(name)
	if s == nil {
		return // told where it was named
	}
	for _, v := range (*e).Vars {
		if r := s.role(v); r.apart {
			c.fault(path, line, "%s: column %q is the %s of source %s: conditions are on its other columns", what, v, r.key, s.Name)
			return
		}
	}
	vars := make([]expr.Var, 0, len((*e).Vars)) // all of them are columns of the source
	for _, v := range (*e).Vars {
		vars = append(vars, expr.Var{Name: v, Type: typeOf(c.p.columnKind(name, v))})
	}
	c.boolean(e, vars, what, path, line)
}

func (c *checker) boolean(e **expr.Expr, vars []expr.Var, what, path string, line int) {
	compiled, err := expr.CompileCondition((*e).Source, vars)
	for _, detail := range details(err) {
		c.fault(path, line, "%s: %s", what, detail)
	}
	if err == nil {
		*e = compiled
	}
}

// only are the variables of those names, or all where one of them is missing, so that
// the nearest can be told.
func only(vars []expr.Var, names []string) []expr.Var {
	out := make([]expr.Var, 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(vars, func(v expr.Var) bool { return v.Name == name })
		if i < 0 {
			return vars
		}
		out = append(out, vars[i])
	}
	return out
}

// checkRows compiles what stands on columns of the row. Nothing stands on a column
// that comes after it, so that nothing goes round in a circle.
func (p *Project) checkRows(at func(path string, line int) place) []Fault {
	c := &checker{p: p, at: at}
	var vars []expr.Var
	var derived []string
	for _, d := range p.Derived {
		derived = append(derived, d.Name)
	}
	for _, o := range p.Outputs() {
		if o.Feature >= 0 {
			vars = append(vars, expr.Var{Name: o.Name, Type: typeOf(o.Kind)})
		}
	}
	for i := range p.Derived {
		d := &p.Derived[i]
		path := fmt.Sprintf("derived/%d/expr", i)
		if d.Expr == nil {
			continue
		}
		known := expr.Var{Name: d.Name} // of a type that is not known, if it is at fault
		early := false
		for _, v := range d.Expr.Vars {
			switch at := slices.Index(derived, v); {
			case at == i:
				early = true
				c.fault(path, d.Line, "derived %s refers to itself", d.Name)
			case at > i:
				early = true
				c.fault(path, d.Line, "derived %s refers to %s, which comes after it: put that first", d.Name, v)
			}
		}
		if !early {
			compiled, err := expr.Compile(d.Expr.Source, only(vars, d.Expr.Vars))
			for _, detail := range details(err) {
				c.fault(path, d.Line, "derived %s: %s", d.Name, detail)
			}
			if err == nil {
				d.Expr, known.Type = compiled, compiled.Root.Type
			}
		}
		vars = append(vars, known)
	}
	for i := range p.Populations {
		n := &p.Populations[i]
		if n.Expr != nil {
			c.boolean(&n.Expr, only(vars, n.Expr.Vars), "population "+n.Name, fmt.Sprintf("populations/%d", i), n.Line)
		}
	}
	return c.faults
}
