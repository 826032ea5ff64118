package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/registry"
	"propensity/models/stream"
)

// evaluateOptions are the flags of the evaluate command for a model on new data.
type evaluateOptions struct {
	data, format string
	by, missing  []string
	allowMissing bool
}

// evaluated is how a version does on new data.
type evaluated struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
	Data    string `json:"data"`
	Rows    int    `json:"rows"` // with a label
	// Unlabelled rows were left out.
	Unlabelled int `json:"unlabelled"`
	Accounts   int `json:"accounts"`
	// Observed is the share of positives, MeanProbability what was promised.
	Observed        evaluate.Interval `json:"observed"`
	MeanProbability float64           `json:"mean_probability"`
	// Report is absent where all rows have one label or are of one account: then
	// there are the losses alone.
	Report  *evaluate.Report `json:"report,omitempty"`
	LogLoss float64          `json:"log_loss"`
	Brier   float64          `json:"brier"`
	// Trained is the quality when the version was judged.
	Trained  evaluate.Report  `json:"trained"`
	Bands    []evaluatedBand  `json:"bands"`
	Segments []models.Segment `json:"segments,omitempty"`
	// Notes say what is to be known of the figures, the first first.
	Notes []string `json:"notes"`
}

// evaluatedBand is a band on new data beside what was stated of it.
type evaluatedBand struct {
	Name      string            `json:"name"`
	From      float64           `json:"from"`
	Stated    evaluate.Interval `json:"stated"`
	Rows      int               `json:"rows"`
	Positives int               `json:"positives"`
	Observed  evaluate.Interval `json:"observed"`
	// Off says that the two intervals have nothing in common.
	Off bool `json:"off"`
}

// labelled are the rows of a table whose outcome is known, with their answers.
type labelled struct {
	table     *datasets.Table
	unlabeled int
	group     []int
	value     []float64
	y, raw, p []float64
}

// evaluate judges a version on a table of new rows.
func (a *app) evaluate(ctx context.Context, name string, o evaluateOptions) error {
	ref, err := registry.ParseRef(name)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	format, err := parseFormat("--format", o.format)
	if err != nil {
		return err
	}
	scorer, ref, err := a.open().Load(ref)
	if err != nil {
		return err
	}
	tick, wait := a.progress()
	defer wait()
	kinds := stream.Kinds(scorer, stream.Options{})
	if v := scorer.Artifact().Manifest.Value; v != "" {
		kinds[v] = datasets.Number
	}
	table, err := a.readTable(ctx, o.data, datasets.ReadOptions{Format: format, Kinds: kinds, Missing: o.missing, Progress: bytesTick(tick)})
	if err != nil {
		return inFile(o.data, err)
	}
	e, err := a.judgeNew(scorer, table, o)
	if err != nil {
		return inFile(o.data, err)
	}
	e.Model, e.Version, e.Data = ref.Name, ref.Version, o.data
	wait()
	if a.json {
		return a.printJSON(e)
	}
	a.showEvaluated(e)
	return nil
}

// readTable reads a whole table.
func (a *app) readTable(ctx context.Context, path string, o datasets.ReadOptions) (*datasets.Table, error) {
	if path == "-" {
		return datasets.ReadFrom(a.input(ctx), "stdin", o)
	}
	return datasets.Read(path, o)
}

// judgeNew holds what was promised of the rows against what came.
func (a *app) judgeNew(scorer *models.Scorer, table *datasets.Table, o evaluateOptions) (*evaluated, error) {
	art := scorer.Artifact()
	for _, c := range o.by {
		if table.Column(c) == nil {
			return nil, fmt.Errorf("no column %q for --by; there are %s", c, strings.Join(table.Names(), ", "))
		}
	}
	if err := lacks(scorer, table.Names(), o.allowMissing); err != nil {
		return nil, err
	}
	notes := known(table, &art.Manifest)
	rows, err := labelledRows(scorer, table)
	if err != nil {
		return nil, err
	}
	promise, err := evaluate.JudgePromise(rows.y, rows.p, rows.group)
	if err != nil {
		return nil, err
	}
	e := &evaluated{
		Rows: len(rows.y), Unlabelled: rows.unlabeled, Accounts: promise.Accounts, Observed: promise.Observed, MeanProbability: promise.Promised,
		LogLoss: evaluate.LogLoss(rows.y, rows.p), Brier: evaluate.Brier(rows.y, rows.p),
		Trained: art.Metrics.Candidate(art.Metrics.Chosen).Report, Notes: notes,
	}
	e.Report, err = evaluate.Judge(rows.y, rows.raw, rows.p, rows.value, rows.group, evaluate.Options{Seed: a.seed})
	switch {
	case errors.Is(err, evaluate.ErrOneClass):
		e.note("every row is %s: how the model ranks cannot be told", map[bool]string{true: "positive", false: "negative"}[rows.y[0] == 1])
	case errors.Is(err, evaluate.ErrFewAccounts):
		e.note("all rows are of one account: no figure has an interval")
	case err != nil:
		return nil, err
	}
	e.compare(promise)
	if e.Bands, err = bandsOf(&art.Manifest, rows); err != nil {
		return nil, err
	}
	for _, b := range e.Bands {
		if b.Off {
			e.note("band %s promised %s and %s came", b.Name, percents(b.Stated), percents(b.Observed))
		}
	}
	var by []models.SegmentColumn
	for _, c := range o.by {
		by = append(by, models.SegmentColumn{Name: c, Values: models.SegmentValues(rows.table.Column(c))})
	}
	all := models.SegmentRows{Y: rows.y, Raw: rows.raw, P: rows.p, Group: rows.group, Seed: a.seed}
	if e.Report != nil {
		all.ROCAUC = e.Report.ROCAUC
	}
	e.Segments, err = models.Segments(by, all)
	return e, err
}

func (e *evaluated) note(format string, args ...any) {
	e.Notes = append(e.Notes, fmt.Sprintf(format, args...))
}

const (
	// mostDoubt is the chance below which a base rate has moved, leastShift by how
	// much of what was promised it has then moved enough to matter.
	mostDoubt  = 0.05
	leastShift = 0.1
)

// compare says where the new figures are no longer those of the training.
func (e *evaluated) compare(promise evaluate.Promise) {
	gap := promise.Observed.Value - promise.Promised
	if promise.P < mostDoubt && math.Abs(gap) >= leastShift*min(promise.Promised, 1-promise.Promised) {
		e.note("the base rate has moved: %.1f %% were promised on average and %s came; retrain on newer rows, or set the prior to %.1f %%",
			100*promise.Promised, percents(promise.Observed), 100*promise.Observed.Value)
	}
	if e.Report != nil && e.Report.ROCAUC.High < e.Trained.ROCAUC.Low {
		e.note("it ranks less well than at training: ROC AUC %s, it was %s", interval(e.Report.ROCAUC), interval(e.Trained.ROCAUC))
	}
}

// known warns of rows that the model may have learnt from.
func known(table *datasets.Table, m *models.Manifest) []string {
	notes := []string{}
	if table.Fingerprint() == m.Data.Fingerprint {
		return append(notes, "this is the very table that the model was trained from: the figures flatter it")
	}
	until, err := datasets.ParseTime(m.Split.TrainedUntil)
	moment := table.Column(m.Moment)
	if err != nil || moment == nil || moment.Kind != datasets.Time {
		return notes
	}
	old := 0
	for _, t := range moment.Times {
		if t != datasets.MissingTime && t <= until {
			old++
		}
	}
	if old > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d rows are not newer than %s, up to which the model learnt: it may know them", old, len(moment.Times), m.Split.TrainedUntil))
	}
	return notes
}

// labelledRows scores the rows that have a label.
func labelledRows(scorer *models.Scorer, table *datasets.Table) (*labelled, error) {
	m := &scorer.Artifact().Manifest
	label := table.Column(m.Label.Column)
	if label == nil {
		return nil, fmt.Errorf("%w: no column %q of the outcome", stream.ErrColumns, m.Label.Column)
	}
	places, y, err := labels(label, m.Label.Positive)
	if err != nil {
		return nil, err
	}
	moments := make([]int64, table.Rows())
	if c := table.Column(m.Moment); c != nil {
		moments = c.Times
	} else if slices.ContainsFunc(scorer.Encoder().Columns, func(c features.Column) bool { return c.Kind == datasets.Time }) {
		return nil, fmt.Errorf("%w: no column %q of moments, before which the model counts the days of its times", stream.ErrColumns, m.Moment)
	}
	for _, i := range places {
		if moments[i] == datasets.MissingTime {
			return nil, fmt.Errorf("row %d has no moment in %q", i+1, m.Moment)
		}
	}
	r := &labelled{table: table.Take(places), unlabeled: table.Rows() - len(places), y: y}
	answers, err := scorer.ScoreTable(r.table, datasets.Take(moments, places), 0)
	if err != nil {
		if row := (*features.RowError)(nil); errors.As(err, &row) {
			err = fmt.Errorf("row %d: %w", places[row.Row]+1, row.Err)
		}
		return nil, err
	}
	r.raw, r.p = answers.Raw, answers.Probability
	if c := r.table.Column(m.Account); c != nil {
		r.group = groups(c)
	}
	if c := r.table.Column(m.Value); c != nil {
		r.value = c.Numbers
	}
	return r, nil
}

// groups number the accounts; a row without one stands for itself.
func groups(c *datasets.Column) []int {
	number, first := c.Distinct()
	out := make([]int, len(number))
	for i, k := range number {
		out[i] = int(k)
		if k < 0 {
			out[i] = len(first) + i
		}
	}
	return out
}

// labels are 1 for the positive value and 0 for the other, of the rows that have one.
func labels(c *datasets.Column, positive string) (rows []int, y []float64, err error) {
	number, first := c.Distinct()
	var texts, others []string
	for _, i := range first {
		text := c.At(i).String()
		texts = append(texts, text)
		if !samePositive(text, positive) {
			others = append(others, text)
		}
	}
	slices.Sort(others)
	switch {
	case len(first) == 0:
		return nil, nil, fmt.Errorf("column %q, the outcome, is missing in every row", c.Name)
	case len(others) > 1:
		more := ""
		if len(others) > 5 {
			others, more = others[:5], ", ..."
		}
		return nil, nil, fmt.Errorf("column %q, the outcome, has beside %q, which is positive, the values %q%s: one other value is expected; leave such rows out or their label empty",
			c.Name, positive, others, more)
	case len(others) == 1 && len(first) == 1 && strings.EqualFold(strings.TrimSpace(others[0]), positive):
		return nil, nil, fmt.Errorf("column %q, the outcome, has %q where the model was taught %q: spell it alike", c.Name, others[0], positive)
	}
	for i, k := range number {
		if k < 0 {
			continue
		}
		label := 0.0
		if samePositive(texts[k], positive) {
			label = 1
		}
		rows, y = append(rows, i), append(y, label)
	}
	return rows, y, nil
}

// samePositive says whether a label is the positive one: true and 1 are the same, as
// formats tell booleans in either way.
func samePositive(text, positive string) bool {
	one := func(s string) bool { return s == "1" || s == "true" }
	return text == positive || one(text) && one(positive)
}

// bandsOf counts the rows of each band.
func bandsOf(m *models.Manifest, rows *labelled) ([]evaluatedBand, error) {
	var out []evaluatedBand
	above := math.Inf(1)
	for _, b := range m.Bands {
		band := evaluatedBand{Name: b.Name, From: b.From, Stated: b.Rate, Observed: evaluate.Wilson(0, 0)}
		var y []float64
		var group []int
		for i, p := range rows.p {
			if p < b.From || p >= above {
				continue
			}
			y = append(y, rows.y[i])
			if rows.group != nil {
				group = append(group, rows.group[i])
			}
			band.Positives += int(rows.y[i])
		}
		above = b.From
		if band.Rows = len(y); band.Rows > 0 {
			var err error
			if band.Observed, err = evaluate.Rate(y, group); err != nil {
				return nil, err
			}
		}
		band.Off = band.Rows > 0 && b.Rows > 0 && (band.Observed.High < b.Rate.Low || band.Observed.Low > b.Rate.High)
		out = append(out, band)
	}
	return out, nil
}

func percents(v evaluate.Interval) string {
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*v.Value, 100*v.Low, 100*v.High)
}

// showEvaluated prints the figures for people.
func (a *app) showEvaluated(e *evaluated) {
	a.print("%s@%d on %s: %d rows of %d accounts, %s positive, %.1f %% promised", e.Model, e.Version, e.Data, e.Rows, e.Accounts, percents(e.Observed), 100*e.MeanProbability)
	if e.Unlabelled > 0 {
		a.print("  %d rows without a label were left out", e.Unlabelled)
	}
	for _, n := range e.Notes {
		a.print("  %s", n)
	}
	a.print("")
	t := &e.Trained
	if r := e.Report; r != nil {
		rows := [][]string{{"", "here", "at training"}}
		for _, f := range []struct {
			name      string
			here, was evaluate.Interval
		}{
			{"ROC AUC", r.ROCAUC, t.ROCAUC}, {"PR AUC", r.PRAUC, t.PRAUC}, {"log loss", r.LogLoss, t.LogLoss}, {"Brier", r.Brier, t.Brier},
			{"calibration error", r.CalibrationError, t.CalibrationError}, {"precision top 10 %", r.PrecisionTop10, t.PrecisionTop10}, {"base rate", r.BaseRate, t.BaseRate},
		} {
			rows = append(rows, []string{f.name, interval(f.here), interval(f.was)})
		}
		a.table(rows)
		a.showDeciles(r)
	} else {
		a.table([][]string{{"", "here", "at training"}, {"log loss", fmt.Sprintf("%.3f", e.LogLoss), interval(t.LogLoss)}, {"Brier", fmt.Sprintf("%.3f", e.Brier), interval(t.Brier)}})
	}
	a.print("")
	rows := [][]string{{"band", "from", "rows", "observed", "stated", ""}}
	for _, b := range e.Bands {
		observed, off := "", ""
		if b.Rows > 0 {
			observed = percents(b.Observed)
		}
		if b.Off {
			off = "OFF"
		}
		rows = append(rows, []string{b.Name, fmt.Sprintf("%.1f %%", 100*b.From), strconv.Itoa(b.Rows), observed, percents(b.Stated), off})
	}
	a.table(rows)
	a.showSegments(e.Segments)
}

// mostSegments of a column are shown.
const mostSegments = 20

// showSegments prints the segments, column by column.
func (a *app) showSegments(segments []models.Segment) {
	for len(segments) > 0 {
		column := segments[0].Column
		n := slices.IndexFunc(segments, func(s models.Segment) bool { return s.Column != column })
		if n < 0 {
			n = len(segments)
		}
		a.print("")
		rows := [][]string{{column, "rows", "accounts", "observed", "promised", "ROC AUC", ""}}
		for k, s := range segments[:n] {
			if k >= mostSegments && s.Weak == "" {
				continue
			}
			ranks := ""
			if s.ROCAUC != nil {
				ranks = interval(*s.ROCAUC)
			}
			rows = append(rows, []string{s.Value, strconv.Itoa(s.Rows), strconv.Itoa(s.Accounts), percents(s.Observed), fmt.Sprintf("%.1f %%", 100*s.MeanProbability), ranks, remark(&s)})
		}
		a.table(rows)
		if hidden := n + 1 - len(rows); hidden > 0 {
			a.print("and %d smaller ones; --json has all", hidden)
		}
		segments = segments[n:]
	}
}

// remark is what Weak says, without the figures beside it.
func remark(s *models.Segment) string {
	if s.Few {
		return "too few accounts to tell"
	}
	var out []string
	for part := range strings.SplitSeq(s.Weak, "; ") {
		switch {
		case strings.Contains(part, ", more than"):
			out = append(out, "MORE than promised")
		case strings.Contains(part, ", less than"):
			out = append(out, "LESS than promised")
		case part != "":
			out = append(out, "RANKS less well")
		}
	}
	return strings.Join(out, ", ")
}
