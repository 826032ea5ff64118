package spec

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"propensity/datasets"
	"propensity/features/expr"
)

// Outputs are the columns of the row, in order: those of each feature as they stand
// in the file, then the derived ones. A feature has, for each of its Values (or
// once, without By), one column a window in their order, then one a trend. Their
// names are
//
//	name                 of all time
//	name_28d             of a window
//	name_28d_trend       of a trend
//	name_login_28d       of the value "login"; name_login of all time
//
// where what is neither a letter nor a digit of a value is written _. The Kind is
// 0 where that of the column in the data is not known yet.
func (p *Project) Outputs() []Output {
	var out []Output
	for i := range p.Features {
		f := &p.Features[i]
		kind := f.kind(p.columnKind(f.From, f.Value))
		add := func(category string) {
			name := f.Name
			if f.By != "" {
				name += "_" + part(category)
			}
			o := Output{Name: name, Feature: i, Derived: -1, Category: category, Kind: kind}
			if len(f.Windows) == 0 {
				out = append(out, o)
			}
			for _, w := range f.Windows {
				o.Name, o.Window = name+"_"+w.String(), w
				out = append(out, o)
			}
			o.Trend = true
			for _, w := range f.Trend {
				o.Name, o.Window = name+"_"+w.String()+"_trend", w
				out = append(out, o)
			}
		}
		if f.By == "" {
			add("")
			continue
		}
		for _, v := range f.Values {
			add(v)
		}
	}
	for i := range p.Derived {
		d := &p.Derived[i]
		o := Output{Name: d.Name, Feature: -1, Derived: i}
		if d.Expr != nil {
			o.Kind = kindOf(d.Expr.Root.Type)
		}
		out = append(out, o)
	}
	return out
}

// part is a value as a part of a name.
func part(value string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return '_'
		}
		return r
	}, value)
}

// columnKind is the kind of a column of a stream, 0 if it is not known.
func (p *Project) columnKind(from, column string) datasets.Kind {
	name, _, _ := strings.Cut(from, ".")
	if s := p.Source(name); s != nil {
		for _, c := range s.Columns {
			if c.Name == column {
				return c.Kind
			}
		}
	}
	return 0
}

// typeOf is the type that a column has in expressions.
func typeOf(k datasets.Kind) expr.Type {
	switch k {
	case datasets.Number:
		return expr.Number
	case datasets.Boolean:
		return expr.Boolean
	case datasets.Category, datasets.Text:
		return expr.Text
	case datasets.Time:
		return expr.Time
	}
	return expr.Any
}

// kindOf is the kind of a column that an expression makes; 0 of a type that is not
// known or that no column has.
func kindOf(t expr.Type) datasets.Kind {
	switch t {
	case expr.Number:
		return datasets.Number
	case expr.Boolean:
		return datasets.Boolean
	case expr.Text:
		return datasets.Category
	case expr.Time:
		return datasets.Time
	}
	return 0
}
