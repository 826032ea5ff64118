package convert

import (
	"fmt"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features"
)

// sqlText spells what the dialects spell differently.
type sqlText struct{ postgres bool }

// number spells a number so that it reads back the same, as a double.
func (s sqlText) number(x float64) string {
	text := strconv.FormatFloat(x+0, 'g', -1, 64) // -0 + 0 is 0
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	if s.postgres {
		text += "::float8"
	}
	if x < 0 { // two signs in a row start a comment
		return "(" + text + ")"
	}
	return text
}

func (s sqlText) text(t string) string { return "'" + strings.ReplaceAll(t, "'", "''") + "'" }

func (s sqlText) identifier(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// tableName is a name with its schema, if it has one.
func (s sqlText) tableName(name string) string {
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = s.identifier(parts[i])
	}
	return strings.Join(parts, ".")
}

func (s sqlText) least(a, b string) string {
	if s.postgres {
		return "LEAST(" + a + ", " + b + ")"
	}
	return "min(" + a + ", " + b + ")"
}

func (s sqlText) greatest(a, b string) string {
	if s.postgres {
		return "GREATEST(" + a + ", " + b + ")"
	}
	return "max(" + a + ", " + b + ")"
}

// fence ends a SELECT that the planner is to run by itself, row by row: put into one
// another they would be an expression of thousands of levels, and its columns would
// be computed anew wherever they are used.
func (s sqlText) fence() string {
	if s.postgres {
		return "OFFSET 0"
	}
	return "LIMIT -1"
}

// fail is an expression that ends the query with a message, should it be reached.
// It holds a column of the row, so that it is not computed beforehand.
func (s sqlText) fail(message, column string) string {
	if s.postgres {
		return fmt.Sprintf("(%s || coalesce(%s::text, ''))::float8", s.text(message), column)
	}
	return fmt.Sprintf("json_extract('{}', %s || coalesce(%s, ''))", s.text(message), column)
}

// expects is what a column must hold, in words.
func (s sqlText) expects(c *features.Column) string {
	switch c.Kind {
	case datasets.Category:
		if c.Numeric {
			return fmt.Sprintf("category of %d levels, all numbers: a number, or text as %s", len(c.Levels), c.Levels[0])
		}
		return fmt.Sprintf("category of %d levels: text", len(c.Levels))
	case datasets.Time:
		if s.postgres {
			return "time: timestamptz, or timestamp or date, in UTC"
		}
		return "time: text such as 2026-03-01 09:30:00, UTC unless it ends in Z or +01:00"
	case datasets.Boolean:
		if s.postgres {
			return "boolean"
		}
		return "boolean: 0, 1, 'false' or 'true'"
	}
	return "number"
}

// encode is what the encoder of a column makes of its cell; a missing one is NULL.
func (s sqlText) encode(c *features.Column, moment string) string {
	name := s.identifier(c.Name)
	switch c.Kind {
	case datasets.Category:
		if c.Numeric {
			return s.numericCategory(name, c)
		}
		return s.category(name, c)
	case datasets.Time:
		return s.days(name, s.identifier(moment))
	case datasets.Boolean:
		if s.postgres {
			return name + "::boolean::int::float8"
		}
		return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL WHEN %s IN (1, 'true') THEN 1.0 WHEN %s IN (0, 'false') THEN 0.0 ELSE %s END",
			name, name, name, s.fail("a boolean is wanted in "+name+", got ", name))
	}
	if s.postgres { // NaN is missing to the encoder
		return fmt.Sprintf("nullif(%s::float8, 'NaN'::float8)", name)
	}
	return fmt.Sprintf("CASE typeof(%s) WHEN 'null' THEN NULL WHEN 'real' THEN %s WHEN 'integer' THEN CAST(%s AS REAL) ELSE %s END",
		name, name, name, s.fail("a number is wanted in "+name+", got ", name))
}

// category looks the code of a text up; one that is not there is -1.
func (s sqlText) category(name string, c *features.Column) string {
	var b strings.Builder
	if s.postgres {
		fmt.Fprintf(&b, "CASE WHEN %s IS NULL THEN NULL", name)
	} else {
		fmt.Fprintf(&b, "CASE WHEN %s IS NULL THEN NULL WHEN typeof(%s) <> 'text' THEN %s", name, name, s.fail("a text is wanted in "+name+", got ", name))
	}
	b.WriteString(" ELSE ")
	s.lookUp(&b, s.exactly(name), c, s.text)
	b.WriteString(" END")
	return b.String()
}

// exactly is a text that is compared byte by byte, whatever the table says.
func (s sqlText) exactly(name string) string {
	if s.postgres {
		return name + `::text COLLATE "C"`
	}
	return name + " COLLATE BINARY"
}

// lookUp writes the code of a level.
func (s sqlText) lookUp(b *strings.Builder, of string, c *features.Column, spell func(level string) string) {
	fmt.Fprintf(b, "CASE %s", of)
	for k, level := range c.Levels {
		fmt.Fprintf(b, " WHEN %s THEN %d", spell(level), k)
	}
	b.WriteString(" ELSE -1 END")
}

// numericCategory takes numbers, and texts that spell one, by their value, other
// texts by their letters.
func (s sqlText) numericCategory(name string, c *features.Column) string {
	// A number in the spelling of datasets.ParseNumber, short of those that a float8
	// cannot hold.
	is := name + `::text ~ '^-?((0|[1-9][0-9]{0,14})|(0|[1-9][0-9]*)?\.[0-9]+|(0|[1-9][0-9]*)\.)([eE][-+]?[0-9]{1,2})?$'`
	number := name + "::text::float8"
	if !s.postgres {
		// SQLite has no pattern for it: a number, or text as SQLite itself spells one.
		number = fmt.Sprintf("CAST(%s AS REAL)", name)
		is = fmt.Sprintf("typeof(%s) <> 'text' OR %s = CAST(CAST(%s AS INTEGER) AS TEXT) OR %s = CAST(CAST(%s AS REAL) AS TEXT)", name, name, name, name, name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN %s IS NULL THEN NULL WHEN %s THEN ", name, is)
	s.lookUp(&b, number, c, func(level string) string {
		x, _ := datasets.ParseNumber(level) // it is one: the encoder says so
		return s.number(x)
	})
	b.WriteString(" ELSE ")
	s.lookUp(&b, s.exactly(name), c, s.text)
	b.WriteString(" END")
	return b.String()
}

// days are those of a time before the moment.
func (s sqlText) days(name, moment string) string {
	fail := s.fail("a row has no moment in "+moment+" ", moment)
	if s.postgres {
		return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL WHEN %s IS NULL THEN %s ELSE ((extract(epoch FROM %s) - extract(epoch FROM %s)) * 1000000)::float8 / 86400000000::float8 END",
			name, moment, fail, moment, name)
	}
	return fmt.Sprintf("CASE WHEN %s IS NULL THEN NULL WHEN %s IS NULL THEN %s ELSE (CAST(%s AS REAL) - CAST(%s AS REAL)) / 86400000000.0 END",
		name, moment, fail, s.micros(moment), s.micros(name))
}

// micros are the microseconds since 1970 of a text in SQLite, whose own functions
// know milliseconds only: whole seconds by them, the fraction by its digits.
func (s sqlText) micros(name string) string {
	rest := fmt.Sprintf("substr(%s, 20)", name)
	fraction := fmt.Sprintf("CASE WHEN substr(%s, 20, 1) = '.' THEN substr(%s, 21) ELSE '' END", name, name)
	zone := fmt.Sprintf("CASE WHEN substr(%s, 20, 1) = '.' THEN ltrim(substr(%s, 21), '0123456789') ELSE %s END", name, name, rest)
	digits := fmt.Sprintf("CAST(substr(substr(%s, 1, length(%s) - length(%s)) || '000000', 1, 6) AS INTEGER)", fraction, fraction, zone)
	seconds := fmt.Sprintf("unixepoch(substr(%s, 1, 19) || %s)", name, zone)
	return fmt.Sprintf("CASE WHEN typeof(%s) = 'text' AND length(%s) >= 10 AND %s IS NOT NULL THEN 1000000 * %s + CASE WHEN substr(%s, 20, 1) = '.' THEN %s ELSE 0 END ELSE %s END",
		name, name, seconds, seconds, name, digits, s.fail("a time is wanted in "+name+", got ", name))
}
