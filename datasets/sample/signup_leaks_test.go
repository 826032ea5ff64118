package sample

import (
	"math"
	"slices"
	"testing"
)

// TestPlantedLeaks holds every leak to what it is said to be.
func TestPlantedLeaks(t *testing.T) {
	s := SignUps(SignUpOptions{Rows: 5000, Seed: 6, Leaks: true})
	y := s.Table.Column("converted").Numbers
	moments := s.Table.Column("moment").Times
	positives := sum(y)
	newest := moments[len(moments)*4/5]
	var columns []string
	for _, leak := range s.Leaks {
		columns = append(columns, leak.Column)
		c := s.Table.Column(leak.Column)
		var filled, filledPositive, filledNew, after, signed, signedPositive, agree float64
		for i := range y {
			v := c.At(i)
			if v.Time > moments[i] {
				after++
			}
			if v.Text == "sent contract" {
				signed++
				signedPositive += y[i]
			}
			if (v.Text == "customer" || v.Number == 1) == (y[i] == 1) {
				agree++
			}
			if !v.Missing() {
				filled++
				filledPositive += y[i]
				if moments[i] >= newest {
					filledNew++
				}
			}
		}
		n := float64(len(y))
		good := map[string]bool{
			"stage":                agree == n,
			"active_contract":      agree < n && agree > 0.996*n,
			"discount":             filled == filledPositive && filled > 0.7*positives && filledNew > 0.1*filled,
			"review":               filled == filledPositive && filled > 0.5*positives && filledNew < 0.02*filled,
			"last_contact_at":      math.Abs(after/n-0.75) < 0.03,
			"last_note":            signedPositive > 0.5*positives && signedPositive > 0.95*signed && signedPositive < signed,
			"cancel_at_period_end": mean(c.Numbers) > 0.02,
			"call_duration":        rankedRight(c.Numbers, y) < 0.8,
			"fit_score":            math.Abs(rankedRight(c.Numbers, y)-0.97) < 0.008,
		}
		if !good[leak.Column] {
			t.Errorf("%+v is none: filled in %v rows, %v of them positive and %v new, after in %v, agrees in %v", leak, filled, filledPositive, filledNew, after, agree)
		}
	}
	names := s.Table.Names()
	if told := names[len(names)-1-len(columns) : len(names)-1]; !slices.Equal(told, columns) {
		t.Errorf("columns %v, said to be %v", told, columns)
	}
	sorted := SignUps(SignUpOptions{Rows: 50, Sorted: true})
	if want := []PlantedLeak{{RowOrder, "order", "suspect"}}; !slices.Equal(sorted.Leaks, want) {
		t.Errorf("sorted rows: leaks %v, want %v", sorted.Leaks, want)
	}
}
