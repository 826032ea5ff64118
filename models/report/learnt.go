package report

import (
	"fmt"
	"strings"

	"propensity/models"
	"propensity/models/evaluate"
)

// Most of what charts show; tables go on.
const (
	mostDrivers = 15
	mostEffects = 20
	mostShapes  = 10
	mostLevels  = 14 // of one shape
)

func (r *reporter) driversSection() (section, error) {
	s := section{ID: "drivers", Title: "What it looks at"}
	l := r.e.Learnt
	if l == nil || len(l.Drivers) == 0 {
		return r.importance(s)
	}
	t := &table{Head: []string{"question", "share", "moves the log-odds by", "log loss without it rises by", "worth asking", "columns"}, Left: 1}
	var names, idle []string
	var sizes []evaluate.Interval
	for _, d := range l.Drivers {
		mark, worth := "", "yes"
		if !d.Worth {
			worth = "no proof"
			idle = append(idle, d.Question)
		}
		t.add(mark, d.Question, percent(d.Share), ranged(d.SHAP, 3), ranged(d.Permutation, 4), worth, short(strings.Join(d.Features, ", "), 60))
		if len(names) < mostDrivers {
			names, sizes = append(names, d.Question), append(sizes, d.SHAP)
		}
	}
	first := l.Drivers[0]
	caption := fmt.Sprintf("%s comes first: it moves the log-odds by %s in the mean, %s of all.", first.Question, ranged(first.SHAP, 2), percent(first.Share))
	if len(l.Drivers) > len(names) {
		caption += fmt.Sprintf(" The first %d of %d are shown.", len(names), len(l.Drivers))
	}
	s.Text = []string{fmt.Sprintf("Measured on %s that the model did not learn from. A question is one column, or all columns made of one source. It is worth asking if the model gets worse, beyond doubt, when its values are dealt anew.", many(l.Rows, "row"))}
	if len(idle) > 0 {
		s.Text = append(s.Text, "No proof that these are worth asking: "+someOf(idle, 12)+".")
	}
	if x := l.Stability; x != nil {
		s.Text = append(s.Text, fmt.Sprintf("Fitted again %s on other accounts drawn from the same, the order of the drivers correlates by %s, and %s of a row's three largest reasons come again.", many(x.Refits, "time"), decimal(x.Correlation, 2), percent(x.TopThree)))
	}
	chart, err := dots(whole, axis{label: "mean change in log-odds, 95 % interval", high: 1e-9}, "Drivers. "+caption, names, sizes, true)
	s.Blocks = []block{figure("How much each question moves the answer", caption, chart, t)}
	return s, err
}

// importance is what there is where nothing was measured on other rows.
func (r *reporter) importance(s section) (section, error) {
	t := &table{Head: []string{"column", "share"}, Left: 1}
	var names []string
	var shares []evaluate.Interval
	for _, i := range r.e.Importance {
		t.add("", i.Feature, percent(i.Share))
		if len(names) < mostDrivers {
			names, shares = append(names, i.Feature), append(shares, point(i.Share))
		}
	}
	if len(names) == 0 {
		return s, nil
	}
	caption := fmt.Sprintf("%s comes first, with %s of all.", names[0], percent(shares[0].Value))
	x := percentAxis("share")
	x.high = 1e-9
	chart, err := dots(whole, x, "Importance. "+caption, names, shares, false)
	s.Blocks = []block{figure("Share of each column in what the model says", caption, chart, t)}
	return s, err
}

func (r *reporter) effectsSection() (section, error) {
	s := section{ID: "effects", Title: "Levels that stand out"}
	l := r.e.Learnt
	if l == nil || l.Tested == 0 {
		return s, nil
	}
	s.Text = []string{fmt.Sprintf("Levels that differ from the middle level of their column, all other columns being equal: %d of %d tested. The chance that even one of them is there by luck is at most %s (Holm).", len(l.Effects), l.Tested, percent(l.Alpha))}
	if len(l.Effects) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"column", "level", "rows", "log-odds", "95 % interval", "p"}, Left: 2}
	var names []string
	var values []evaluate.Interval
	for _, e := range l.Effects {
		p := decimal(e.P, 4)
		if e.P < 0.0001 {
			p = "under 0.0001"
		}
		t.add("", e.Feature, e.Level, count(e.Rows), decimal(e.LogOdds.Value, 2), between(e.LogOdds, 2), p)
		if len(names) < mostEffects {
			names, values = append(names, e.Feature+": "+e.Level), append(values, e.LogOdds)
		}
	}
	first := l.Effects[0]
	caption := fmt.Sprintf("Right of the dashed line the outcome is more probable, left of it less. %s = %s: %s.", first.Feature, first.Level, ranged(first.LogOdds, 2))
	chart, err := dots(whole, axis{label: "log-odds against the middle level, 95 % interval"}, "Level effects. "+caption, names, values, true, level{0, text2})
	s.Blocks = []block{figure("Levels beyond doubt", caption, chart, t)}
	return s, err
}

func (r *reporter) shapesSection() (section, error) {
	s := section{ID: "shapes", Title: "How the answer changes with a value"}
	if r.e.Learnt == nil || len(r.e.Learnt.Shapes) == 0 {
		return s, nil
	}
	s.Text = []string{"The mean probability if every row had this value, all else as it is."}
	for i := range r.e.Learnt.Shapes {
		if i == mostShapes {
			s.Text = append(s.Text, fmt.Sprintf("The first %d of %d columns are shown.", mostShapes, len(r.e.Learnt.Shapes)))
			break
		}
		f, err := shapeFigure(&r.e.Learnt.Shapes[i])
		if err != nil {
			return s, err
		}
		s.Blocks = append(s.Blocks, f)
	}
	return s, nil
}

func shapeFigure(shape *models.Shape) (block, error) {
	t := &table{Head: []string{"value", "probability", "log-odds against the mean", "rows"}, Left: 1}
	line := &series{ink: series1}
	var names []string
	var values []evaluate.Interval
	missing := ""
	low, high := models.ShapePoint{Probability: 2}, models.ShapePoint{Probability: -1}
	for _, p := range shape.Points {
		name := pointName(&p)
		t.add("", name, percent(p.Probability), decimal(p.LogOdds, 2), count(p.Rows))
		switch {
		case p.Missing:
			missing = fmt.Sprintf(" Where it is missing: %s.", percent(p.Probability))
			continue
		case p.Level != "":
			if len(names) < mostLevels {
				names, values = append(names, p.Level), append(values, point(p.Probability))
			}
		default:
			line.add(p.X, point(p.Probability))
		}
		if p.Probability < low.Probability {
			low = p
		}
		if p.Probability > high.Probability {
			high = p
		}
	}
	if low.Probability > 1 {
		return figure(shape.Feature, missing, "", t), nil
	}
	caption := fmt.Sprintf("Lowest %s at %s, highest %s at %s.", percent(low.Probability), pointName(&low), percent(high.Probability), pointName(&high)) + missing
	if shape.Exact {
		caption += " This is all that the model makes of the column."
	}
	label, err := "Shape of "+shape.Feature+". "+caption, error(nil)
	f := figure(shape.Feature, caption, "", t)
	if len(names) > 0 {
		f.Chart, err = dots(half, percentAxis("mean probability"), label, names, values, false)
	} else {
		line.plain = len(line.x) > 25
		f.Chart, err = lines(half, axis{label: short(shape.Feature, 40)}, percentAxis("mean probability"), label, line)
	}
	f.Half, f.Folded = true, f.Chart != ""
	return f, err
}

func pointName(p *models.ShapePoint) string {
	switch {
	case p.Missing:
		return "missing"
	case p.Level != "":
		return p.Level
	}
	return number(p.X)
}

func (r *reporter) pairsSection() (section, error) {
	s := section{ID: "pairs", Title: "Columns that matter together"}
	if r.e.Learnt == nil || len(r.e.Learnt.Pairs) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"columns", "share of their joint effect", "size in log-odds"}, Left: 1}
	for _, p := range r.e.Learnt.Pairs {
		t.add("", p.Features[0]+" with "+p.Features[1], percent(p.Strength), decimal(p.Size, 3))
	}
	s.Text = []string{"How much of what two columns do together is not the sum of what each does alone."}
	s.Blocks = []block{{Table: t}}
	return s, nil
}

func (r *reporter) coefficientsSection() (section, error) {
	s := section{ID: "coefficients", Title: "Coefficients"}
	if len(r.e.Coefficients) == 0 {
		return s, nil
	}
	t := &table{Head: []string{"column", "level", "log-odds", "95 % interval", "standard error"}, Left: 2}
	for _, c := range r.e.Coefficients {
		feature, level, se := c.Feature, c.Level, "–"
		if feature == "" {
			feature = "intercept"
		}
		if c.Missing {
			level = "missing"
		}
		if c.SE != nil {
			se = decimal(*c.SE, 3)
		}
		t.add("", feature, level, decimal(c.Estimate, 3), between(evaluate.Interval{Low: c.Low, High: c.High}, 3), se)
	}
	s.Text = []string{"The weights of the linear model. Where there is no standard error a penalty holds the weights back, and the intervals come from resampled accounts."}
	s.Blocks = []block{{Table: t, Folded: len(t.Rows) > 25}}
	return s, nil
}

func (r *reporter) scorecardSection() (section, error) {
	s := section{ID: "scorecard", Title: "Scorecard"}
	c := r.e.Scorecard
	if c == nil || len(c.Rows) == 0 {
		return s, nil
	}
	s.Text = []string{fmt.Sprintf("%s points are odds of %s to 1 against the outcome; each %s points more double them.", number(c.Base), number(c.Odds), number(c.Double))}
	t := &table{Head: []string{"column", "bin", "points", "rows", "positives", "weight of evidence", "information value"}, Left: 2}
	for i, row := range c.Rows {
		feature := row.Feature
		if i > 0 && c.Rows[i-1].Feature == feature {
			feature = ""
		}
		t.add("", feature, row.Bin, decimal(row.Points, 1), count(row.Rows), count(row.Positives), decimal(row.WOE, 3), decimal(row.IV, 4))
	}
	s.Blocks = []block{{Table: t}}
	return s, nil
}
