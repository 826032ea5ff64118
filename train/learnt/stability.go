package learnt

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"propensity/models"
)

const (
	refits = 5 // on resampled accounts
	draws  = 20
	most   = 3 // reasons compared
)

// stability refits the learner on accounts drawn with replacement and compares its
// reasons with the model's on the same rows: would another sample of customers have
// told another story? It is left out where hardly a resample has both labels.
func (x *examiner) stability(ctx context.Context, out *models.Learnt) error {
	n := x.rows.Rows()
	if x.Refit == nil || x.Training.Rows() == 0 || n == 0 || len(x.questions) == 0 {
		return nil
	}
	rows := x.rows.Take(sample(n, stabilityRows, x.Seed, streamStability))
	width := len(rows.Features)
	phi := make([]float64, rows.Rows()*width)
	reasons := func(m models.Model) [][]float64 {
		explainAll(m, phi, rows.Rows(), rows.Columns)
		by := make([][]float64, rows.Rows())
		for i := range by {
			by[i] = make([]float64, len(x.questions))
			for q, of := range x.questions {
				by[i][q] = math.Abs(of.sum(phi[i*width:]))
			}
		}
		return by
	}
	ours := reasons(x.Model)
	s := models.Stability{Refits: refits}
	for k := range refits {
		chosen := x.resample(uint64(k))
		if chosen == nil {
			return nil
		}
		m, err := x.Refit(ctx, x.Training.Take(chosen))
		if err != nil {
			return fmt.Errorf("refit %d on resampled accounts: %w", k+1, err)
		}
		theirs := reasons(m)
		s.Correlation += spearman(importance(ours), importance(theirs)) / refits
		s.TopThree += shared(ours, theirs) / refits
		x.step()
	}
	out.Stability = &s
	return nil
}

// resample draws as many accounts as there are, with replacement, and gives their
// rows; nil if it takes too many draws to have both labels.
func (x *examiner) resample(key uint64) []int {
	c := number(x.Training.Group, x.Training.Rows())
	random := rand.New(rand.NewPCG(x.Seed, streamResample<<32+key))
	times := make([]int, c.count)
	for range draws {
		clear(times)
		for range times {
			times[random.IntN(len(times))]++
		}
		var rows []int
		seen := [2]bool{}
		for i, g := range c.of {
			for range times[g] {
				rows = append(rows, i)
				seen[int(x.Training.Label[i])] = true
			}
		}
		if seen[0] && seen[1] {
			return rows
		}
	}
	return nil
}

// importance is the mean size by question.
func importance(by [][]float64) []float64 {
	out := make([]float64, len(by[0]))
	for _, row := range by {
		for q, v := range row {
			out[q] += v
		}
	}
	return out
}

// spearman is the rank correlation, ties sharing their mean rank. Where all are
// equal in one, nothing is ranked: 1 if they are in the other too, else 0.
func spearman(a, b []float64) float64 {
	a, b = ranks(a), ranks(b)
	middle := float64(len(a)-1) / 2
	var aa, bb, ab float64
	for i := range a {
		aa += (a[i] - middle) * (a[i] - middle)
		bb += (b[i] - middle) * (b[i] - middle)
		ab += (a[i] - middle) * (b[i] - middle)
	}
	switch {
	case aa == 0 && bb == 0:
		return 1
	case aa == 0 || bb == 0:
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// ranks count from 0.
func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(v[i], v[j]) })
	out := make([]float64, len(v))
	for first := 0; first < len(order); {
		end := first + 1
		for end < len(order) && v[order[end]] == v[order[first]] {
			end++
		}
		for _, i := range order[first:end] {
			out[i] = float64(first+end-1) / 2
		}
		first = end
	}
	return out
}

// shared is the mean share of a row's largest reasons that are among the largest
// of the other model too. A row without reasons does not count.
func shared(ours, theirs [][]float64) float64 {
	sum, rows := 0.0, 0
	for i := range ours {
		mine, others := largest(ours[i]), largest(theirs[i])
		if len(mine) == 0 {
			continue
		}
		same := 0
		for _, q := range mine {
			if slices.Contains(others, q) {
				same++
			}
		}
		sum += float64(same) / float64(len(mine))
		rows++
	}
	if rows == 0 {
		return 1
	}
	return sum / float64(rows)
}

// largest are the places of the largest sizes that are not 0, at most so many.
func largest(v []float64) []int {
	var order []int
	for q, x := range v {
		if x > 0 {
			order = append(order, q)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v[b], v[a]) })
	return order[:min(len(order), most)]
}
