package scorecard

import (
	"context"
	"fmt"
	"math"
	"slices"

	"propensity/features"
	"propensity/train/logistic"
)

// regress weighs the variables and gives the intercept of the regression.
func (r *Result) regress(ctx context.Context, m *features.Matrix, all totals, penalty float64) (float64, error) {
	places, err := r.places(ctx, m)
	if err != nil {
		return 0, err
	}
	for len(r.Variables) > 0 {
		woe := r.woe(m, places)
		fitted, err := logistic.Fit(ctx, &woe, logistic.Options{L2: penalty})
		if err != nil {
			return 0, err
		}
		line := fitted.Model
		intercept, lowest := line.Intercept, 0
		for j := range line.Terms {
			t := &line.Terms[j]
			intercept -= t.Weight * t.Center / t.Scale
			r.Variables[j].Weight = t.Weight / t.Scale
			if t.Weight < line.Terms[lowest].Weight {
				lowest = j
			}
		}
		if line.Terms[lowest].Weight > 0 {
			return intercept, nil
		}
		r.LeftOut = append(r.LeftOut, features.LeftOut{
			Column: m.Features[r.Variables[lowest].Feature].Name,
			Reason: fmt.Sprintf("its weight beside the other features is %.2f: it would count against what its own bins say", r.Variables[lowest].Weight),
		})
		r.Variables, places = slices.Delete(r.Variables, lowest, lowest+1), slices.Delete(places, lowest, lowest+1)
	}
	return math.Log(all.positive / all.negative), nil
}

// places are the bins of every row by variable, plus one; 0: in no bin.
func (r *Result) places(ctx context.Context, m *features.Matrix) ([][]uint8, error) {
	out := make([][]uint8, len(r.Variables))
	return out, features.Parallel(len(out), func(k int) error {
		v := &r.Variables[k]
		xs, err := column(ctx, m, v.Feature)
		if err != nil {
			return err
		}
		place := v.term(r.levels[v.Feature], func(bin int) float64 { return float64(bin + 1) }, 0)
		out[k] = make([]uint8, len(xs))
		for i, x := range xs {
			out[k][i] = uint8(place.At(x))
		}
		return nil
	})
}

// woe is the matrix of the weights of evidence, made as it is read.
func (r *Result) woe(m *features.Matrix, places [][]uint8) features.Matrix {
	out := features.Matrix{Label: m.Label, Group: m.Group, Weight: m.Weight, Index: make([]int, m.Rows())}
	for i := range out.Index {
		out.Index[i] = i
	}
	values := make([][]float64, len(r.Variables)) // by place
	for k := range r.Variables {
		v := &r.Variables[k]
		out.Features = append(out.Features, features.Feature{Name: m.Features[v.Feature].Name})
		values[k] = make([]float64, len(v.Bins)+1)
		for b := range v.Bins {
			values[k][b+1] = v.Bins[b].WOE
		}
	}
	out.Load = func(dst []float64, k int, rows []int) error {
		for i, row := range rows {
			dst[i] = values[k][places[k][row]]
		}
		return nil
	}
	return out
}
