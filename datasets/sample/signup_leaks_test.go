package sample

import (
	"math"
	"slices"
	"testing"
)

// TestPlantedLeaks holds every leak to its kind.
func TestPlantedLeaks(t *testing.T) {
	s := SignUps(SignUpOptions{Rows: 4000, Seed: 6, Leaks: true})
	y := s.Table.Column("converted").Numbers
	moments := s.Table.Column("moment").Times
	kinds := map[string]int{}
	names := s.Table.Names()
	for k, leak := range s.Leaks {
		kinds[leak.Kind]++
		if at := len(names) - 1 - len(s.Leaks) + k; names[at] != leak.Column {
			t.Errorf("column %d is %s, the leaks tell %s", at, names[at], leak.Column)
		}
		c := s.Table.Column(leak.Column)
		var same, filled, filledPositive, after float64
		for i := range y {
			v := c.At(i)
			if !v.Missing() {
				filled++
				filledPositive += y[i]
			}
			if v.Time > moments[i] {
				after++
			}
			if (v.Text == "customer" || v.Text == "won") == (y[i] == 1) {
				same++
			}
		}
		n := float64(len(y))
		good := true
		switch leak.Kind {
		case LeakCopy:
			good = same == n
		case LeakNearCopy:
			good = math.Abs(same/n-0.995) < 0.004
		case LeakOneClass:
			good = filled == filledPositive && filled > 0
		case LeakDatedAfter:
			good = math.Abs(after/filled-0.75) < 0.03
		case LeakAlone:
			good = math.Abs(rankedRight(c.Numbers, y)-0.97) < 0.008
		case LeakNamed:
			good = slices.Contains([]string{"cancel_at_period_end", "call_duration"}, leak.Column)
		}
		if !good {
			t.Errorf("%+v is none: the same in %v rows, filled in %v, of which %v positive, after in %v", leak, same, filled, filledPositive, after)
		}
	}
	for _, kind := range []string{LeakCopy, LeakNearCopy, LeakOneClass, LeakDatedAfter, LeakNamed, LeakAlone} {
		if kinds[kind] == 0 {
			t.Errorf("no leak of kind %s", kind)
		}
	}
}
