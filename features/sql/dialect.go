package sql

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrUnavailable is wrapped by every error about what cannot be said in SQL with the
// very result that the engine has.
var ErrUnavailable = errors.New("not available in SQL")

// Dialect is the SQL of one warehouse.
type Dialect string

// The dialects.
const (
	DuckDB   Dialect = "duckdb"
	Postgres Dialect = "postgres"
	Spark    Dialect = "spark" // with the session's timezone UTC
)

// Dialects are all there are.
func Dialects() []Dialect { return []Dialect{DuckDB, Postgres, Spark} }

// ParseDialect reads a name of a dialect.
func ParseDialect(s string) (Dialect, error) {
	for _, d := range Dialects() {
		if string(d) == s {
			return d, nil
		}
	}
	return "", fmt.Errorf("unknown dialect %q: use duckdb, postgres or spark", s)
}

// Days are counted from the year 0, so that integer division, which cuts towards
// zero, cuts downwards.
const (
	microsDay = 86_400_000_000
	yearZero  = 719_528 // days from 0000-01-01 to 1970-01-01
)

// longest is the most bytes that PostgreSQL keeps of a name.
const longest = 63

// name quotes an identifier. One that a warehouse would change is an error.
func (d Dialect) name(s string) (string, error) {
	switch {
	case s == "" || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\n\r"):
		return "", fmt.Errorf("%w: %q cannot be a name", ErrUnavailable, s)
	case d == Postgres && len(s) > longest:
		return "", fmt.Errorf("%w: PostgreSQL keeps %d bytes of a name, %q has %d: shorten it", ErrUnavailable, longest, s, len(s))
	case d == Spark && strings.Contains(s, "${"):
		return "", fmt.Errorf("%w: Spark puts variables in the place of ${ in %q: rename it", ErrUnavailable, s)
	case d == Spark:
		return "`" + strings.ReplaceAll(s, "`", "``") + "`", nil
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`, nil
}

// table quotes a table with what stands before its dots; a part that has a dot of its
// own stands in double quotes.
func (d Dialect) table(s string) (string, error) {
	var parts []string
	rest := s
	for {
		var part string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			end := strings.IndexByte(quoted, '"')
			if end < 0 {
				return "", fmt.Errorf("table %q: a quote is not closed", s)
			}
			part, rest = quoted[:end], quoted[end+1:]
		} else if dot := strings.IndexByte(rest, '.'); dot >= 0 {
			part, rest = rest[:dot], rest[dot:]
		} else {
			part, rest = rest, ""
		}
		if part == "" || rest != "" && rest[0] != '.' {
			return "", fmt.Errorf(`table %q: write it as events, raw.events or raw."my.events"`, s)
		}
		quoted, err := d.name(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, quoted)
		if rest == "" {
			return strings.Join(parts, "."), nil
		}
		rest = rest[1:]
	}
}

// text quotes a text, on one line, so that lines can be indented. In Spark, settings
// decide what a backslash, a doubled quote and a dollar mean in one, so that a text with
// these is written byte by byte.
func (d Dialect) text(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("%w: the text %q holds what no warehouse keeps", ErrUnavailable, s)
	}
	if d == Spark && strings.ContainsAny(s, "'\\$\n\r") {
		return "CAST(X'" + strings.ToUpper(hex.EncodeToString([]byte(s))) + "' AS STRING)", nil
	}
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.ContainsAny(s, "\n\r") || d == Postgres && strings.Contains(s, `\`) {
		quoted = "E" + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(quoted)
	}
	return quoted, nil
}

// number is a float64 to the bit.
func (d Dialect) number(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if d == Postgres {
		return "float8 '" + s + "'"
	}
	if !strings.Contains(s, "e") {
		s += "e0"
	}
	if x < 0 {
		s = "(" + s + ")"
	}
	return s
}

// double casts to float64.
func (d Dialect) double(x string) string {
	if d == Postgres {
		return "CAST(" + x + " AS float8)"
	}
	return "CAST(" + x + " AS DOUBLE)"
}

// string casts to text, compared byte by byte.
func (d Dialect) string(x string) string {
	switch d {
	case Postgres:
		return "CAST(" + x + ` AS text) COLLATE "C"`
	case Spark:
		return "CAST(" + x + " AS STRING)"
	}
	return "CAST(" + x + " AS VARCHAR)"
}

// micros gives a time, of a column of any type of time, as microseconds since 1970
// UTC. In Spark a time without a timezone is of the session's, which is UTC.
func (d Dialect) micros(x string) string {
	switch d {
	case Postgres:
		return "CAST(floor(extract(epoch FROM " + x + ") * 1000000) AS bigint)"
	case Spark:
		return "unix_micros(CAST(" + x + " AS TIMESTAMP))"
	}
	return "epoch_us(" + x + ")"
}

// now is the instant of the query.
func (d Dialect) now() string {
	switch d {
	case Postgres:
		return d.micros("now()")
	case Spark:
		return "unix_micros(current_timestamp())"
	}
	return "epoch_us(now())"
}

// instant gives microseconds as a time again.
func (d Dialect) instant(x string) string {
	x = paren(x)
	switch d {
	case Postgres:
		return "TIMESTAMPTZ 'epoch' + " + x + " * INTERVAL '1 microsecond'"
	case Spark:
		return "timestamp_micros(" + x + ")"
	}
	return "make_timestamptz(" + x + ")"
}

// wall gives the reading of a clock on the wall at an instant, as the microseconds
// that it would be in UTC.
func (d Dialect) wall(x, zone string) string {
	if zone == "UTC" {
		return x
	}
	x = paren(x)
	// An IANA name has neither quotes nor backslashes: spec has looked it up.
	switch d {
	case Postgres:
		return "CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + " + x + " * INTERVAL '1 microsecond') AT TIME ZONE '" + zone + "') * 1000000 AS bigint)"
	case Spark:
		return "unix_micros(from_utc_timestamp(timestamp_micros(" + x + "), '" + zone + "'))"
	}
	return "epoch_us(timezone('" + zone + "', make_timestamptz(" + x + ")))"
}

// div is the integer part of the quotient of integers above 0.
func (d Dialect) div(x, y string) string {
	switch d {
	case Postgres:
		return "(" + x + ") / " + y
	case Spark:
		return "(" + x + ") div " + y
	}
	return "(" + x + ") // " + y
}

// day is the number of the calendar day of a wall clock, of 1970-01-01 it is 0.
func (d Dialect) day(wall string) string {
	return "(" + d.div(fmt.Sprintf("%s + %d", wall, yearZero*microsDay), strconv.Itoa(microsDay)) + fmt.Sprintf(" - %d)", yearZero)
}

// months moves a wall clock by calendar months; the day is the last of the month
// where that is shorter. The date is moved, and the time of day put back.
func (d Dialect) months(wall string, n int) string {
	wall = paren(wall)
	switch d {
	case Postgres:
		return fmt.Sprintf("CAST(extract(epoch FROM TIMESTAMP 'epoch' + %s * INTERVAL '1 microsecond' + INTERVAL '%d months') * 1000000 AS bigint)", wall, n)
	case Spark:
		return fmt.Sprintf("unix_micros(timestamp_micros(%s) + INTERVAL '%d' MONTH)", wall, n)
	}
	return fmt.Sprintf("epoch_us(make_timestamp(%s) + INTERVAL '%d months')", wall, n)
}

// latest and earliest give the value of the row with the greatest or least order, of
// those that a condition keeps.
func (d Dialect) latest(value, order, condition string) string {
	if d == Postgres {
		return "(array_agg(" + value + " ORDER BY " + order + " DESC)" + filter(condition) + ")[1]"
	}
	return d.by("max_by", value, order, condition)
}

func (d Dialect) earliest(value, order, condition string) string {
	if d == Postgres {
		return "(array_agg(" + value + " ORDER BY " + order + ")" + filter(condition) + ")[1]"
	}
	return d.by("min_by", value, order, condition)
}

// by in a list, as DuckDB passes over a value that is NULL.
func (d Dialect) by(function, value, order, condition string) string {
	if d == DuckDB {
		return "(" + function + "([" + value + "], " + order + ")" + filter(condition) + ")[1]"
	}
	return function + "(" + value + ", " + order + ")" + filter(condition)
}

// paren keeps an expression together.
func paren(x string) string {
	if strings.Contains(x, " ") {
		return "(" + x + ")"
	}
	return x
}

func filter(condition string) string {
	if condition == "" {
		return ""
	}
	return " FILTER (WHERE " + condition + ")"
}

// monthOf is the number of the month of a wall clock: twelve times the year and the
// month, January being 0.
func (d Dialect) monthOf(wall string) string {
	wall = paren(wall)
	at := "make_timestamp(" + wall + ")"
	switch d {
	case Postgres:
		at = "(TIMESTAMP 'epoch' + " + wall + " * INTERVAL '1 microsecond')"
	case Spark:
		at = "timestamp_micros(" + wall + ")"
	}
	return d.bigint("12 * extract(year FROM " + at + ") + extract(month FROM " + at + ") - 1")
}

// monthStart is the wall clock at the beginning of a month, by its number.
func (d Dialect) monthStart(n string) string {
	date := "make_date(" + d.int(d.div(n, "12")) + ", " + d.int(n+" % 12 + 1") + ", 1)"
	if d == Postgres {
		return "CAST(" + date + " - DATE '1970-01-01' AS bigint) * " + strconv.Itoa(microsDay)
	}
	if d == Spark {
		return "CAST(datediff(" + date + ", DATE '1970-01-01') AS bigint) * " + strconv.Itoa(microsDay)
	}
	return "epoch_us(" + date + ")"
}

func (d Dialect) int(x string) string    { return "CAST(" + x + " AS int)" }
func (d Dialect) bigint(x string) string { return "CAST(" + x + " AS bigint)" }

// series makes a row n a number of a series, where there are lo and hi: a column, or
// what stands behind FROM for it.
func (d Dialect) series(lo, hi string, step int64) string {
	switch d {
	case Postgres:
		return "n"
	case Spark:
		return fmt.Sprintf("explode(sequence(%s, %s, CAST(%d AS bigint))) AS n", lo, hi, step)
	}
	return fmt.Sprintf("unnest(generate_series(%s, %s, CAST(%d AS bigint))) AS n", lo, hi, step)
}

func (d Dialect) seriesFrom(lo, hi string, step int64) string {
	if d == Postgres {
		return fmt.Sprintf(", generate_series(%s, %s, CAST(%d AS bigint)) AS n", lo, hi, step)
	}
	return ""
}
