package models_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"propensity/datasets"
	"propensity/models"
)

// All points add up to how far the probability is from the reference.
func TestPointsAddUp(t *testing.T) {
	each(t, func(t *testing.T, a *models.Artifact) {
		s := scorer(t, a)
		in := strange(a.Encoder, 5, 1000)
		rapid.Check(t, func(t *rapid.T) {
			row := cells(a.Encoder, in, rapid.IntRange(0, in.Rows()-1).Draw(t, "row"))
			var got models.Answer
			if err := s.Score(&got, row, moment, -1); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for i, r := range got.Reasons {
				sum += r.Points
				if r.LogOdds == 0 || r.Points != 0 && math.Signbit(r.Points) != math.Signbit(r.LogOdds) || math.Signbit(r.Points) && r.Points == 0 {
					t.Errorf("%s: %v points of %v", r.Feature, r.Points, r.LogOdds)
				}
				if i > 0 {
					before := got.Reasons[i-1]
					size, sizeBefore := math.Abs(r.LogOdds), math.Abs(before.LogOdds)
					if size > sizeBefore || size == sizeBefore && a.Encoder.Find(r.Feature) < a.Encoder.Find(before.Feature) {
						t.Errorf("%s (%v) after %s (%v)", r.Feature, r.LogOdds, before.Feature, before.LogOdds)
					}
				}
			}
			if want := 100 * (got.Probability - got.Reference); math.Abs(sum-want) > 1e-9 {
				t.Errorf("points sum to %v, probability %v, reference %v", sum, got.Probability, got.Reference)
			}
			all := slices.Clone(got.Reasons)
			for most := range len(all) + 2 {
				if err := s.Score(&got, row, moment, most); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Reasons, all[:min(most, len(all))]) {
					t.Errorf("the first %d of %v are %v", most, all, got.Reasons)
				}
			}
		})
	})
}

// Where the parts cancel out, points are the parts times the slope there.
func TestPointsAtTheBase(t *testing.T) {
	for _, calibration := range calibrations() {
		a := onlyLogins(t)
		a.Calibration = calibration
		m := a.Model.(*models.Linear)
		m.Intercept = 0.25
		m.Terms[a.Encoder.Find("plan")].Levels = []float64{0, 0, -0.5, 0.5} // "", free, pro, team
		s := scorer(t, a)
		slope := calibration.Derivative(0.25)
		for _, off := range []float64{0, 1e-10, -5e-10} {
			row := ordinary(a.Encoder)
			row[0] = datasets.Value{Kind: datasets.Category, Text: "pro"}
			row[1] = datasets.Value{Kind: datasets.Number, Number: 15 + 10*off}
			var got models.Answer
			if err := s.Score(&got, row, moment, -1); err != nil {
				t.Fatal(err)
			}
			if len(got.Reasons) != 2 {
				t.Fatalf("%s: reasons %v", calibration.Kind, got.Reasons)
			}
			sum := 0.0
			for _, r := range got.Reasons {
				sum += r.Points
				want := map[string]float64{"plan": -50 * slope, "logins_28d": 50 * slope}[r.Feature]
				if math.Abs(r.Points-want) > 1e-7 || r.Points == 0 {
					t.Errorf("%s, %v off: %s has %v points, want %v", calibration.Kind, off, r.Feature, r.Points, want)
				}
			}
			if want := 100 * (got.Probability - got.Reference); math.Abs(sum-want) > 1e-9 {
				t.Errorf("%s, %v off: points sum to %v, want %v", calibration.Kind, off, sum, want)
			}
		}
		// Nothing sets the row apart: no reasons, and a list all the same.
		row := ordinary(a.Encoder)
		row[0] = datasets.Value{Kind: datasets.Category, Text: "free"}
		row[1] = datasets.Value{Kind: datasets.Number, Number: 10}
		var got models.Answer
		if err := s.Score(&got, row, moment, -1); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(got)
		if err != nil || len(got.Reasons) > 0 || !strings.Contains(string(b), `"reasons":[]`) || got.Probability != got.Reference {
			t.Errorf("%s: %v in %s", calibration.Kind, err, b)
		}
	}
}

// Equal parts stand in the order of the columns.
func TestReasonsOfEqualSize(t *testing.T) {
	a := onlyLogins(t)
	m := a.Model.(*models.Linear)
	m.Terms[0].Levels = []float64{0, 0, -0.5, 0.5}
	m.Terms[2] = models.Term{Scale: 1, Missing: 0.5}
	row := ordinary(a.Encoder)
	row[0] = datasets.Value{Kind: datasets.Category, Text: "pro"}
	row[1] = datasets.Value{Kind: datasets.Number, Number: 15}
	row[2] = datasets.Value{}
	var got models.Answer
	if err := scorer(t, a).Score(&got, row, moment, -1); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range got.Reasons {
		names = append(names, r.Feature)
	}
	if want := []string{"plan", "logins_28d", "paid_seats"}; !slices.Equal(names, want) {
		t.Errorf("reasons %v, want %v", names, want)
	}
}

func TestReasonTexts(t *testing.T) {
	s := scorer(t, artifact(t, "linear", calibrations()[1]))
	e := s.Encoder()
	texts := map[string]map[string]string{}
	for what, v := range map[string]map[string]datasets.Value{
		"typical": {},
		"missing": {"plan": {}, "logins_28d": {}, "paid_seats": {}, "sso": {}, "created_at": {}, "tier": {}},
		"unseen": {
			"plan": {Kind: datasets.Category, Text: "a \"gold\" plan\n" + strings.Repeat("!", 60)},
			"tier": {Kind: datasets.Number, Number: 7}, "logins_28d": {Kind: datasets.Number, Number: 123456789.25},
			"created_at": {Kind: datasets.Time, Time: moment + day/3},
		},
		"empty": {"plan": {Kind: datasets.Category}, "sso": {Kind: datasets.Boolean, Number: 1}, "paid_seats": {Kind: datasets.Number, Number: 0.123456}},
	} {
		row := make([]datasets.Value, len(e.Columns))
		for j := range row {
			row[j] = e.Columns[j].Typical()
			if e.Columns[j].Kind == datasets.Time {
				row[j] = datasets.Value{Kind: datasets.Time, Time: moment - int64(row[j].Number*float64(day))}
			}
			if set, ok := v[e.Columns[j].Name]; ok {
				row[j] = set
			}
		}
		var got models.Answer
		if err := s.Score(&got, row, moment, -1); err != nil {
			t.Fatal(err)
		}
		texts[what] = map[string]string{}
		for _, r := range got.Reasons {
			b, err := json.Marshal([]datasets.Value{r.Value, r.Typical})
			if err != nil {
				t.Fatal(err)
			}
			texts[what][r.Feature] = r.Text + " " + string(b)
		}
	}
	golden(t, "reasons.json", texts)
}
