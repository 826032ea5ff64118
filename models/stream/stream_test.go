package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
	"propensity/models/evaluate"
	"propensity/models/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const day = int64(24 * 60 * 60 * 1e6)

// scorer is of a linear model over logins, plan and since, whose training table
// had an account, a moment, a label and a note.
func scorer(t testing.TB) *models.Scorer {
	t.Helper()
	in := rows(60)
	moments := in.Column("moment").Times
	e, left, err := features.FitEncoder(&datasets.Table{Columns: []datasets.Column{*in.Column("logins"), *in.Column("plan"), *in.Column("since")}}, moments)
	if err != nil || len(left) > 0 {
		t.Fatal(err, left)
	}
	ranking, err := evaluate.NewRanking([]float64{-2, -1, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	a := &models.Artifact{
		Manifest: models.Manifest{
			Name: "churn", Learner: "logistic", Account: "id", Moment: "moment", Label: models.Label{Column: "churned", Positive: "yes"},
			Bands: []models.Band{{Name: "A", From: 0.5}, {Name: "B"}}, LeftOut: []features.LeftOut{{Column: "note", Reason: "it is text"}},
		},
		Encoder: e,
		Model: &models.Linear{Terms: []models.Term{
			{Scale: 10, Weight: -0.5, Missing: 0.3, Spread: 1}, {Levels: []float64{0.25, -0.25}, Missing: 0.1, Spread: 1}, {Scale: 100, Weight: 0.7, Spread: 1},
		}},
		Calibration: models.Calibration{Kind: models.CalibrationNone}, Ranking: ranking,
	}
	f, err := a.Files()
	if err != nil {
		t.Fatal(err)
	}
	s, err := models.NewScorer(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rows are n of the training table, some of them strange.
func rows(n int) *datasets.Table {
	id := datasets.Column{Name: "id", Kind: datasets.Text}
	at := datasets.Column{Name: "moment", Kind: datasets.Time}
	logins := datasets.Column{Name: "logins", Kind: datasets.Number}
	plan := datasets.Column{Name: "plan", Kind: datasets.Category, Values: []string{"free", "pro"}}
	since := datasets.Column{Name: "since", Kind: datasets.Time}
	label := datasets.Column{Name: "churned", Kind: datasets.Category, Values: []string{"no", "yes"}}
	note := datasets.Column{Name: "note", Kind: datasets.Text, Values: []string{"hello"}}
	for i := range n {
		id.Values = append(id.Values, fmt.Sprintf("A-%03d", i))
		id.Codes = append(id.Codes, int32(i))
		at.Times = append(at.Times, int64(1000+i%7)*day)
		logins.Numbers = append(logins.Numbers, float64(i*i%31))
		if i%11 == 5 {
			logins.Numbers[i] = math.NaN()
		}
		plan.Codes = append(plan.Codes, int32(i%3-1))
		since.Times = append(since.Times, int64(1000-i%50)*day)
		label.Codes = append(label.Codes, int32(i%2))
		note.Codes = append(note.Codes, 0)
	}
	return &datasets.Table{Columns: []datasets.Column{id, at, logins, plan, since, label, note}}
}

// batches cuts a table; fail, if not nil, comes at its end.
type batches struct {
	table    *datasets.Table
	size, at int
	fail     error
}

func (b *batches) Columns() []string { return b.table.Names() }

func (b *batches) Next() (*datasets.Table, error) {
	var part []int
	for ; len(part) < b.size && b.at < b.table.Rows(); b.at++ {
		part = append(part, b.at)
	}
	switch {
	case len(part) > 0:
		return b.table.Take(part), nil
	case b.fail != nil:
		return nil, b.fail
	}
	return nil, io.EOF
}

// kept holds all that is written; fail, if not nil, is what the third write gives.
type kept struct {
	tables []*datasets.Table
	fail   error
}

func (k *kept) Write(t *datasets.Table) error {
	if len(k.tables) == 2 && k.fail != nil {
		return k.fail
	}
	k.tables = append(k.tables, t)
	return nil
}

// lines spells everything written, row by row.
func (k *kept) lines() (out []string) {
	for _, t := range k.tables {
		for i := range t.Rows() {
			var line []string
			for j := range t.Columns {
				line = append(line, t.Columns[j].Name+"="+t.Columns[j].At(i).String())
			}
			out = append(out, strings.Join(line, "|"))
		}
	}
	return out
}

// Every row's line is what Score says of it, in the order of the rows, however
// the table is cut.
func TestRun(t *testing.T) {
	s, in := scorer(t), rows(60)
	var want []string
	sum := stream.Summary{Rows: 60, Bands: map[string]int{}, States: map[string]int{}, Ignored: []string{}, Absent: []string{}}
	for i := range in.Rows() {
		at := func(column string) datasets.Value { return in.Column(column).At(i) }
		var a models.Answer
		if err := s.Score(&a, []datasets.Value{at("logins"), at("plan"), at("since")}, at("moment").Time, 2); err != nil {
			t.Fatal(err)
		}
		line := []string{"account=" + at("id").Text, "model=churn", "version=7", "as_of=" + at("moment").String()}
		for _, f := range []struct {
			name string
			x    float64
		}{{"probability", a.Probability}, {"score", float64(a.Score)}, {"percentile", a.Percentile}, {"reference", a.Reference}, {"coverage", a.Coverage}} {
			line = append(line, f.name+"="+datasets.FormatNumber(f.x))
		}
		line = append(line, "band="+a.Band)
		for k := range 2 {
			feature, points, text := "", "", ""
			if k < len(a.Reasons) {
				feature, points, text = a.Reasons[k].Feature, datasets.FormatNumber(a.Reasons[k].Points), a.Reasons[k].Text
			}
			n := fmt.Sprint("reason_", k+1)
			line = append(line, n+"_feature="+feature, n+"_points="+points, n+"="+text)
		}
		var details []string
		for _, w := range a.Warnings {
			details = append(details, w.Detail)
			sum.States[w.State]++
		}
		sum.Bands[a.Band]++
		want = append(want, strings.Join(append(line, "warnings="+strings.Join(details, "; ")), "|"))
	}
	for _, size := range []int{1, 7, 59, 60, 100} {
		var out kept
		last := 0
		got, err := stream.Run(t.Context(), s, &batches{table: in, size: size}, &out, stream.Options{Model: "churn", Version: 7, Reasons: 2}, func(n int) {
			if n <= last {
				t.Errorf("told of %d rows after %d", n, last)
			}
			last = n
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, out.lines()); d != "" {
			t.Errorf("in batches of %d: %s", size, d)
		}
		if d := cmp.Diff(&sum, got); d != "" || last != 60 {
			t.Errorf("in batches of %d, told of %d rows: %s", size, last, d)
		}
	}
}

func TestColumns(t *testing.T) {
	s := scorer(t)
	run := func(in *datasets.Table, o stream.Options) (*stream.Summary, *kept, error) {
		var out kept
		sum, err := stream.Run(t.Context(), s, &batches{table: in, size: 10}, &out, o, nil)
		return sum, &out, err
	}
	without := func(names ...string) *datasets.Table {
		in := rows(20)
		in.Columns = slices.DeleteFunc(in.Columns, func(c datasets.Column) bool { return slices.Contains(names, c.Name) })
		return in
	}
	_, _, err := run(without("logins", "plan"), stream.Options{})
	if !errors.Is(err, stream.ErrColumns) || !strings.Contains(err.Error(), `"logins", "plan"`) {
		t.Errorf("two columns absent: %v", err)
	}
	sum, out, err := run(without("logins", "plan"), stream.Options{AllowMissing: true})
	if err != nil || sum.States["missing"] != 40 || !slices.Equal(sum.Absent, []string{"logins", "plan"}) || out.tables[0].Column("reason_1") != nil {
		t.Errorf("two columns allowed to be absent: %v, %+v", err, sum)
	}
	more := without("churned")
	more.Columns = append(more.Columns, datasets.Column{Name: "stranger", Kind: datasets.Number, Numbers: make([]float64, 20)})
	if sum, _, err = run(more, stream.Options{}); err != nil || !slices.Equal(sum.Ignored, []string{"stranger"}) {
		t.Errorf("a stranger: %v, %+v", err, sum)
	}
	// Without ids and moments: no account, and the moment of the options.
	sum, out, err = run(without("id", "moment"), stream.Options{AsOf: 1003 * day})
	if err != nil || sum.Rows != 20 || out.tables[0].Column("account") != nil || out.tables[0].Column("as_of").Times[0] != 1003*day {
		t.Errorf("no id, no moment: %v, %+v", err, sum)
	}
	if _, out, err = run(rows(20), stream.Options{Account: "note"}); err != nil || out.tables[0].Column("account").At(0).Text != "hello" {
		t.Errorf("another account: %v", err)
	}
	if _, _, err = run(rows(20), stream.Options{Account: "nobody"}); !errors.Is(err, stream.ErrColumns) || !strings.Contains(err.Error(), `"nobody"`) {
		t.Errorf("no such account: %v", err)
	}
	if _, _, err = run(rows(20), stream.Options{Reasons: -1}); err == nil {
		t.Error("reasons may be negative")
	}
	want := map[string]datasets.Kind{
		"id": datasets.Text, "moment": datasets.Time, "logins": datasets.Number, "plan": datasets.Category, "since": datasets.Time,
	}
	if d := cmp.Diff(want, stream.Kinds(s, stream.Options{})); d != "" {
		t.Error(d)
	}
}

// What ends a run is told, with the row; nothing goes on behind it.
func TestRunEnds(t *testing.T) {
	s := scorer(t)
	bad := rows(60)
	bad.Column("logins").Numbers[33] = math.Inf(1)
	late := rows(60)
	late.Column("moment").Times[44] = datasets.MissingTime
	both := rows(60) // in one batch of five: what comes first counts
	both.Column("logins").Numbers[42] = math.Inf(1)
	both.Column("logins").Numbers[44] = math.Inf(1)
	both.Column("moment").Times[43] = datasets.MissingTime
	text := rows(60)
	*text.Column("moment") = datasets.Column{Name: "moment", Kind: datasets.Text, Codes: make([]int32, 60), Values: []string{"2026"}}
	broken := errors.New("broken")
	for _, c := range []struct {
		what string
		in   *batches
		out  *kept
		is   error
		says string
	}{
		{"a cell", &batches{table: bad}, &kept{}, features.ErrType, `row 34: column "logins"`},
		{"no moment", &batches{table: late}, &kept{}, nil, `row 45 has no moment in "moment"`},
		{"a cell before a moment", &batches{table: both}, &kept{}, features.ErrType, `row 43: column "logins"`},
		{"a moment of text", &batches{table: text}, &kept{}, features.ErrType, `column "moment" wants a time`},
		{"the source", &batches{table: rows(60), fail: broken}, &kept{}, broken, "broken"},
		{"the sink", &batches{table: rows(60)}, &kept{fail: broken}, broken, "broken"},
	} {
		c.in.size = 5
		_, err := stream.Run(t.Context(), s, c.in, c.out, stream.Options{}, nil)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q", c.what, err, c.says)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	_, err := stream.Run(ctx, s, &batches{table: rows(60), size: 1}, &kept{}, stream.Options{}, func(n int) {
		if n == 10 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// Batches say of each batch what Run writes.
func TestBatches(t *testing.T) {
	s, in := scorer(t), rows(60)
	o := stream.Options{Model: "churn", Version: 7, Reasons: 2}
	var want, got kept
	sum, err := stream.Run(t.Context(), s, &batches{table: in, size: 7}, &want, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := stream.NewBatches(s, in.Names(), o)
	if err != nil {
		t.Fatal(err)
	}
	for from := (&batches{table: in, size: 7}); ; {
		part, err := from.Next()
		if err == io.EOF {
			break
		}
		batch, err := b.Score(part)
		if err != nil {
			t.Fatal(err)
		}
		if batch.Rows != part || len(batch.Moments) != part.Rows() || len(batch.Answers.Probability) != part.Rows() {
			t.Fatalf("%d moments, %d answers of %d rows", len(batch.Moments), len(batch.Answers.Probability), part.Rows())
		}
		got.tables = append(got.tables, batch.Scored)
	}
	if d := cmp.Diff(want.lines(), got.lines()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(sum, b.Summary()); d != "" {
		t.Error(d)
	}
	bad := rows(5)
	bad.Column("logins").Numbers[3] = math.Inf(1)
	if _, err := b.Score(bad); err == nil || !strings.Contains(err.Error(), "row 64: ") {
		t.Errorf("a bad cell: %v", err)
	}
	none, err := b.None()
	if err != nil || none.Rows() != 0 || !slices.Equal(none.Names(), got.tables[0].Names()) {
		t.Errorf("no rows: %v, %v", none, err)
	}
	if _, err := stream.NewBatches(s, []string{"plan"}, o); !errors.Is(err, stream.ErrColumns) {
		t.Error(err)
	}
}
