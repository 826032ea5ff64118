package logistic

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"propensity/features"
	"propensity/models"
)

// reference is what testdata/reference.py writes.
type reference struct {
	Levels  []int
	Columns [][]*float64
	Label   []float64
	Weights []float64
	Fits    []struct {
		Weighted                                 bool
		LogLikelihood, Intercept, InterceptError float64
		Coefficients                             []struct {
			Feature      int
			Part         string
			Value, Error float64
		}
	}
	Paths []struct {
		Weighted bool
		Alpha    float64
		Lambdas  []float64
		Parts    []struct {
			Feature int
			Part    string
		}
		Points []struct {
			Lambda_, Intercept float64
			Values             []float64
		}
	}
}

func readReference(t *testing.T, name string) (r reference, plain, weighted features.Matrix) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain = matrixOf(r.Levels, r.Label, numbers(r.Columns)...)
	weighted = plain
	weighted.Weight = r.Weights
	return r, plain, weighted
}

// numbers are columns whose nulls are missing.
func numbers(in [][]*float64) (out [][]float64) {
	for _, xs := range in {
		col := make([]float64, len(xs))
		for i, x := range xs {
			if col[i] = math.NaN(); x != nil {
				col[i] = *x
			}
		}
		out = append(out, col)
	}
	return out
}

// TestFreeAgreesWithStatsmodels: coefficients, standard errors and log-likelihood.
func TestFreeAgreesWithStatsmodels(t *testing.T) {
	r, plain, weighted := readReference(t, "free.json")
	for _, want := range r.Fits {
		m := &plain
		if want.Weighted {
			m = &weighted
		}
		got, err := Fit(t.Context(), m, Options{L2: -1})
		if err != nil {
			t.Fatal(err)
		}
		if !near(got.LogLikelihood, want.LogLikelihood, 1e-9) {
			t.Errorf("weighted %v: log-likelihood %v, want %v", want.Weighted, got.LogLikelihood, want.LogLikelihood)
		}
		names, levels := []string{"a", "b", "c", "d", "e", "f"}, [][]string{3: {"0", "1", "2", "3"}, 4: {"0", "1", "2", "3", "4", "5"}, 5: nil}
		all := got.PerUnit(names, levels)
		find := func(feature, level string, missing bool) models.Coefficient {
			for _, c := range all {
				if c.Feature == feature && c.Level == level && c.Missing == missing {
					return c
				}
			}
			t.Fatalf("no coefficient %s %s %v", feature, level, missing)
			return models.Coefficient{}
		}
		if c := find("", "", false); !near(c.Estimate, want.Intercept, 1e-6) || !near(*c.SE, want.InterceptError, 1e-6) {
			t.Errorf("weighted %v: intercept %v, %v; want %v, %v", want.Weighted, c.Estimate, *c.SE, want.Intercept, want.InterceptError)
		}
		if len(all) != len(want.Coefficients)+1 {
			t.Errorf("weighted %v: %d coefficients, want %d", want.Weighted, len(all), len(want.Coefficients)+1)
		}
		scaled := got.Coefficients(names, levels)
		for _, w := range want.Coefficients {
			level := w.Part
			if _, err := strconv.Atoi(level); err != nil {
				level = ""
			}
			c := find(names[w.Feature], level, w.Part == "missing")
			if !near(c.Estimate, w.Value, 1e-8) || !near(*c.SE, w.Error, 1e-8) {
				t.Errorf("weighted %v: %s %s: %v, %v; want %v, %v", want.Weighted, names[w.Feature], w.Part, c.Estimate, *c.SE, w.Value, w.Error)
			}
			if want := 1.959963984540054 * w.Error; !near(c.High-c.Estimate, want, 1e-8) || !near(c.Estimate-c.Low, want, 1e-8) {
				t.Errorf("%s: bounds %v to %v", names[w.Feature], c.Low, c.High)
			}
		}
		for k, c := range scaled {
			scale := 1.0
			if j := int(0); c.Feature != "" && c.Level == "" && !c.Missing {
				for names[j] != c.Feature {
					j++
				}
				scale = got.Model.Terms[j].Scale
			}
			if c.Feature != "" && (!near(c.Estimate, all[k].Estimate*scale, 1e-12) || !near(*c.SE, *all[k].SE*scale, 1e-12)) {
				t.Errorf("%s %s: %v by standard deviation, %v per unit", c.Feature, c.Level, c.Estimate, all[k].Estimate)
			}
		}
	}
}

// weightOf is the weight of a part, as the references name it, in a model.
func weightOf(m *models.Linear, d *design, feature int, part string) float64 {
	term := &m.Terms[feature]
	switch {
	case part == "missing" && len(term.Levels) == 0:
		return term.Missing - term.At(d.columns[feature].fill)
	case part == "missing":
		return term.Missing
	case part != "weight":
		return term.Levels[part[0]-'0']
	}
	return term.Weight
}

// TestPathAgreesWithGlmnet on glmnet's own sequence, and at each penalty by itself.
func TestPathAgreesWithGlmnet(t *testing.T) {
	r, plain, weighted := readReference(t, "path.json")
	for _, want := range r.Paths {
		m := &plain
		if want.Weighted {
			m = &weighted
		}
		d, err := newDesign(t.Context(), m, false)
		if err != nil {
			t.Fatal(err)
		}
		own, err := Path(t.Context(), m, PathOptions{Alpha: want.Alpha, Count: 40, Ratio: 1e-3})
		if err != nil {
			t.Fatal(err)
		}
		for k, lambda := range want.Lambdas {
			if k < len(own) && !near(own[k].Lambda, lambda, 1e-9*lambda) {
				t.Errorf("alpha %v: Lambda %d is %v, want %v", want.Alpha, k, own[k].Lambda, lambda)
			}
		}
		if len(own) < len(want.Lambdas)-1 {
			t.Errorf("alpha %v: %d points, glmnet has %d", want.Alpha, len(own), len(want.Lambdas))
		}
		points, err := Path(t.Context(), m, PathOptions{Alpha: want.Alpha, Lambdas: want.Lambdas})
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, p := range want.Points {
			for points[at].Lambda != p.Lambda_ {
				at++
			}
			alone, err := Learner{Lambda: p.Lambda_, Alpha: want.Alpha}.Fit(t.Context(), *m, features.Matrix{})
			if err != nil {
				t.Fatal(err)
			}
			for name, model := range map[string]*models.Linear{"path": points[at].Model, "alone": alone.(*models.Linear)} {
				if !near(model.Intercept, p.Intercept, 1e-5) {
					t.Errorf("%s, alpha %v, Lambda %v: intercept %v, want %v", name, want.Alpha, p.Lambda_, model.Intercept, p.Intercept)
				}
				for k, part := range want.Parts {
					if got := weightOf(model, d, part.Feature, part.Part); !near(got, p.Values[k], 1e-5) {
						t.Errorf("%s, alpha %v, Lambda %v, feature %d %s: %v, want %v", name, want.Alpha, p.Lambda_, part.Feature, part.Part, got, p.Values[k])
					}
				}
			}
		}
	}
}
