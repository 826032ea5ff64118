package models

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features"
)

// phrase is what the sentences about a feature are made of, the same for every row.
type phrase struct {
	kind    datasets.Kind
	name    string         // in words
	counted string         // of a name such as logins_28d: "logins in 28 days"
	typical datasets.Value // and in words, as a sentence ends:
	usual   string
	ahead   string // of a time: how a sentence about one ends
	missing string // sentences that no value changes
	empty   string

	// The same of warnings, which name the column as it is spelt.
	field                   string
	detailStart             string
	detailMissing           string
	detailEmpty             string
	detailUnseen, detailOut string // how they end
}

// windowed is a name such as logins_28d: what was counted, over how long.
var windowed = regexp.MustCompile(`^(.+)_(\d+)(d|h|mo)$`)

func newPhrase(c *features.Column) phrase {
	p := phrase{kind: c.Kind, name: strings.ReplaceAll(c.Name, "_", " "), typical: c.Typical(), field: "row." + c.Name}
	usual := string(appendWords(nil, p.typical))
	p.usual = " (typical: " + usual + ")"
	if c.Kind == datasets.Time {
		p.ahead = " (typical: " + daysBefore(p.typical.Number) + ")"
	}
	p.missing = p.name + " is missing" + p.usual
	p.empty = p.name + " is empty" + p.usual
	if m := windowed.FindStringSubmatch(c.Name); m != nil && c.Kind == datasets.Number {
		unit := map[string]string{"d": "days", "h": "hours", "mo": "months"}[m[3]]
		p.counted = fmt.Sprintf(" %s in %s %s", strings.ReplaceAll(m[1], "_", " "), m[2], unit)
	}
	p.detailStart = c.Name + " "
	p.detailMissing = fmt.Sprintf("%s is missing; %s of training rows were", c.Name, percent(c.MissingShare()))
	p.detailEmpty = c.Name + " is empty text, which is not the same as missing"
	p.detailUnseen = fmt.Sprintf(" was never seen in training (%d categories were)", len(c.Levels))
	p.detailOut = fmt.Sprintf("; training had %s to %s", short(c.Min), short(c.Max))
	if c.Kind == datasets.Time {
		p.detailOut += " days before the moment"
	}
	return p
}

// appendSentence puts a feature's value into plain words beside a typical one.
func (p *phrase) appendSentence(b []byte, value datasets.Value, state features.State) []byte {
	switch state {
	case features.Missing:
		return append(b, p.missing...)
	case features.Empty:
		return append(b, p.empty...)
	case features.Unseen:
		b = appendWords(append(append(b, p.name...), " is "...), value)
		return append(append(b, ", never seen in training"...), p.usual...)
	}
	switch {
	case p.kind == datasets.Time && value.Number < 0:
		b = appendShort(append(append(b, p.name...), " is "...), -value.Number)
		return append(append(b, " days ahead"...), p.ahead...)
	case p.kind == datasets.Time:
		b = appendWords(append(append(b, p.name...), " was "...), value)
		return append(append(b, " days before"...), p.ahead...)
	case p.counted != "":
		return append(append(appendWords(b, value), p.counted...), p.usual...)
	}
	b = appendWords(append(append(b, p.name...), " is "...), value)
	if value == p.typical {
		return append(b, ", as is typical"...)
	}
	return append(b, p.usual...)
}

// sentence is appendSentence as a string; buf is memory to work in.
func (p *phrase) sentence(buf *[]byte, value datasets.Value, state features.State) string {
	switch state {
	case features.Missing:
		return p.missing
	case features.Empty:
		return p.empty
	}
	*buf = p.appendSentence((*buf)[:0], value, state)
	return string(*buf)
}

// appendDetail says what is out of the ordinary about a value whose state is not Known.
func (p *phrase) appendDetail(b []byte, value datasets.Value, state features.State) []byte {
	switch state {
	case features.Missing:
		return append(b, p.detailMissing...)
	case features.Empty:
		return append(b, p.detailEmpty...)
	case features.Unseen:
		b = append(b, p.detailStart...)
		return append(strconv.AppendQuote(b, clip(value.String())), p.detailUnseen...)
	}
	b = append(append(b, p.detailStart...), "is "...)
	return append(datasets.AppendValue(b, value), p.detailOut...)
}

// detail is appendDetail as a string; buf is memory to work in.
func (p *phrase) detail(buf *[]byte, value datasets.Value, state features.State) string {
	switch state {
	case features.Missing:
		return p.detailMissing
	case features.Empty:
		return p.detailEmpty
	}
	*buf = p.appendDetail((*buf)[:0], value, state)
	return string(*buf)
}

// daysBefore spells a typical time so that one ahead of the moment is not taken
// for one before it.
func daysBefore(days float64) string {
	if days < 0 {
		return short(-days) + " ahead"
	}
	return short(days)
}

// appendWords spells a value for people, briefly.
func appendWords(b []byte, v datasets.Value) []byte {
	switch v.Kind {
	case 0:
		return append(b, "missing"...)
	case datasets.Number:
		return appendShort(b, v.Number)
	case datasets.Boolean:
		return datasets.AppendValue(b, v)
	default:
		return strconv.AppendQuote(b, clip(v.String()))
	}
}

// short rounds to four significant digits, but keeps all before the point.
func short(x float64) string { return string(appendShort(nil, x)) }

func appendShort(b []byte, x float64) []byte {
	switch a := math.Abs(x); {
	case a < 1e15 && (a >= 1000 || x == math.Trunc(x)):
		return datasets.AppendNumber(b, math.Round(x))
	case 1e-4 <= a && a < 1000: // so few digits are spelt as they are
		return strconv.AppendFloat(b, x, 'g', 4, 64)
	}
	y, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		y = x
	}
	return datasets.AppendNumber(b, y)
}

// percent spells a share so that little does not read as none.
func percent(share float64) string {
	switch p := share * 100; {
	case p == 0:
		return "none"
	case p < 1:
		return "under 1 %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

// clip keeps what a caller sent from flooding a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
