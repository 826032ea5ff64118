package convert

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"propensity/models"
	"propensity/models/tree"
)

// maxContribution is what a number contributes at most, as models.Term has it.
const maxContribution = 1e4

// linearTerm is what a term contributes, of its column x; "" if that is always 0.
func (s sqlText) linearTerm(x string, t *models.Term) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN %s IS NULL THEN %s", x, s.number(t.Missing))
	switch {
	case len(t.Cuts) > 0:
		for k, cut := range t.Cuts {
			fmt.Fprintf(&b, " WHEN %s <= %s THEN %s", x, s.number(cut), s.number(t.Levels[k]))
		}
		fmt.Fprintf(&b, " ELSE %s", s.number(t.Levels[len(t.Cuts)]))
	case len(t.Levels) > 0:
		zero := t.Missing == 0
		for k, level := range t.Levels {
			if level != 0 {
				zero = false
				fmt.Fprintf(&b, " WHEN %s = %d THEN %s", x, k, s.number(level))
			}
		}
		if zero {
			return ""
		}
		fmt.Fprintf(&b, " ELSE %s", s.number(0))
	case t.Weight == 0:
		if t.Missing == 0 {
			return ""
		}
		fmt.Fprintf(&b, " ELSE %s", s.number(0))
	default:
		s.weighted(&b, x, t)
	}
	return b.String() + " END"
}

// weighted writes the contribution of a number, kept within its bounds. An overflow
// on the way there is an error in Postgres, so numbers far beyond come first.
func (s sqlText) weighted(b *strings.Builder, x string, t *models.Term) {
	if s.postgres {
		reach := 2 * maxContribution * t.Scale / math.Abs(t.Weight)
		most := math.Copysign(maxContribution, t.Weight)
		if high := t.Center + reach; !math.IsInf(high, 0) {
			fmt.Fprintf(b, " WHEN %s >= %s THEN %s", x, s.number(high), s.number(most))
		}
		if low := t.Center - reach; !math.IsInf(low, 0) {
			fmt.Fprintf(b, " WHEN %s <= %s THEN %s", x, s.number(low), s.number(-most))
		}
	}
	product := fmt.Sprintf("%s * ((%s - %s) / %s)", s.number(t.Weight), x, s.number(t.Center), s.number(t.Scale))
	fmt.Fprintf(b, " ELSE %s", s.greatest(s.number(-maxContribution), s.least(s.number(maxContribution), product)))
}

// treeTerm is the value of the leaf that a row reaches. A comparison with a missing
// value is NULL, which a CASE takes for no.
func (s *sqlWriter) treeTerm(nodes []tree.Node, levels []int) (sqlTerm, error) {
	var t sqlTerm
	var b strings.Builder
	var write func(at, depth int) error
	write = func(at, depth int) error {
		n := &nodes[at]
		if n.Feature < 0 {
			b.WriteString(s.number(n.Value))
			return nil
		}
		if depth >= sqlDepth {
			return fmt.Errorf("%w: it is more than %d questions deep", ErrUnsupported, sqlDepth)
		}
		if !slices.Contains(t.features, n.Feature) {
			t.features = append(t.features, n.Feature)
		}
		fmt.Fprintf(&b, "CASE WHEN %s THEN ", s.question(n, levels[n.Feature]))
		if err := write(n.Yes, depth+1); err != nil {
			return err
		}
		b.WriteString(" ELSE ")
		if err := write(n.No, depth+1); err != nil {
			return err
		}
		b.WriteString(" END")
		return nil
	}
	err := write(0, 0)
	t.text = b.String()
	return t, err
}

func (s *sqlWriter) question(n *tree.Node, levels int) string {
	x := s.column(n.Feature)
	q := fmt.Sprintf("%s <= %s", x, s.number(n.Threshold))
	if levels > 0 {
		q = inSet(x, n, levels)
	}
	switch {
	case !n.MissingYes:
		return q
	case q == never:
		return x + " IS NULL"
	case q == x+" IS NOT NULL":
		return "1 = 1"
	}
	return fmt.Sprintf("%s OR %s IS NULL", q, x)
}

// never is a question that no value says yes to.
const never = "1 = 0"

// inSet asks for the codes of a set, or for the others if those are fewer; -1 is an
// unseen category.
func inSet(x string, n *tree.Node, levels int) string {
	codes := map[bool][]string{}
	codes[n.UnseenYes] = append(codes[n.UnseenYes], "-1")
	for code := range levels {
		_, in := slices.BinarySearch(n.Set, int32(code))
		codes[in] = append(codes[in], strconv.Itoa(code))
	}
	yes, no := codes[true], codes[false]
	switch {
	case len(yes) == 0:
		return never
	case len(no) == 0:
		return x + " IS NOT NULL"
	case len(no) < len(yes):
		return fmt.Sprintf("%s NOT IN (%s)", x, strings.Join(no, ", "))
	}
	return fmt.Sprintf("%s IN (%s)", x, strings.Join(yes, ", "))
}

// calibrated are the calibrated log-odds, of the column raw.
func (s sqlText) calibrated(c *models.Calibration) string {
	z := "raw"
	switch c.Kind {
	case models.CalibrationPlatt:
		z = fmt.Sprintf("%s * raw + %s", s.number(c.Slope), s.number(c.Intercept))
	case models.CalibrationIsotonic:
		z = s.isotonic(c)
	case models.CalibrationBeta:
		near := fmt.Sprintf("ln(%s + exp(-%s))", s.number(1), s.least("abs(raw)", s.number(sqlExp)))
		z = fmt.Sprintf("%s * (%s + %s) - %s * (%s + %s) + %s",
			s.number(c.Above), s.greatest("raw", s.number(0)), near,
			s.number(c.Below), s.greatest("-raw", s.number(0)), near, s.number(c.Intercept))
	}
	if c.Shift != 0 {
		z += " + " + s.number(c.Shift)
	}
	return z
}

// isotonic goes straight from knot to knot, and on beyond them with slope 1.
func (s sqlText) isotonic(c *models.Calibration) string {
	var b strings.Builder
	last := len(c.Raw) - 1
	fmt.Fprintf(&b, "CASE WHEN raw < %s THEN %s + (raw - %s)", s.number(c.Raw[0]), s.number(c.LogOdds[0]), s.number(c.Raw[0]))
	for k := 1; k <= last; k++ {
		line := fmt.Sprintf("%s + (raw - %s) / %s * %s", s.number(c.LogOdds[k-1]), s.number(c.Raw[k-1]), s.number(c.Raw[k]-c.Raw[k-1]), s.number(c.LogOdds[k]-c.LogOdds[k-1]))
		fmt.Fprintf(&b, "\n      WHEN raw < %s THEN %s", s.number(c.Raw[k]), s.least(line, s.number(c.LogOdds[k])))
	}
	fmt.Fprintf(&b, "\n      ELSE %s + (raw - %s) END", s.number(c.LogOdds[last]), s.number(c.Raw[last]))
	return b.String()
}
