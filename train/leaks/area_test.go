package leaks

import (
	"math"
	"math/rand/v2"
	"testing"

	"propensity/models/evaluate"
)

// drawn is a court over rows with bins that rank a little, some rows not judging.
func drawn(r *rand.Rand, rows, accounts, bins int) (*court, binned, []float64) {
	c := &court{n: [2]int{}, judged: make([]bool, rows), each: float64(accounts) / float64(rows)}
	b := binned{bins: bins}
	for i := range rows {
		y := float64(r.IntN(2))
		c.Label = append(c.Label, y)
		if accounts < rows {
			c.Group = append(c.Group, r.IntN(accounts))
		}
		b.of = append(b.of, int32(min(float64(bins-1), float64(r.IntN(bins))+y)))
		if c.judged[i] = r.IntN(3) > 0; c.judged[i] {
			c.judges[int(y)]++
		}
	}
	score := make([]float64, bins)
	for k := range score {
		score[k] = float64(r.IntN(bins)) / 2 // ties among bins too
	}
	return c, b, score
}

// The area and its variance against every pair of rows.
func TestAreaOfEveryPair(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 40 {
		rows := 60 + r.IntN(60)
		accounts := []int{rows, rows / 4}[r.IntN(2)]
		c, b, score := drawn(r, rows, accounts, 3+r.IntN(9))
		_, judges := c.count(b)
		got := c.area(b, score, judges)

		var y, s []float64
		var of []int
		for i := range rows {
			if c.judged[i] {
				y, s = append(y, c.Label[i]), append(s, score[b.of[i]])
				if c.Group != nil {
					of = append(of, c.Group[i])
				} else {
					of = append(of, i)
				}
			}
		}
		want := evaluate.ROCAUC(y, s)
		if math.Abs(got.value-want) > 1e-12 {
			t.Errorf("area %v, want %v", got.value, want)
		}
		// The influence of a row: how it fares against the other class, less the area.
		influence := map[int]float64{}
		for i := range y {
			fares, against := 0.0, 0.0
			for j := range y {
				if y[i] == y[j] {
					continue
				}
				against++
				switch above := (s[i] - s[j]) * (2*y[i] - 1); {
				case above > 0:
					fares++
				case above == 0:
					fares += 0.5
				}
			}
			same := float64(c.judges[int(y[i])])
			influence[of[i]] += (fares/against - want) / same
		}
		variance := 0.0
		for _, v := range influence {
			variance += v * v
		}
		floor := leastVariance(want, float64(c.judges[1])*c.each, float64(c.judges[0])*c.each)
		if se := math.Sqrt(max(variance, floor)); math.Abs(got.se-se) > 1e-12 {
			t.Errorf("standard error %v, want %v", got.se, se)
		}
	}
}

// A standard error is what areas of drawn rows spread by.
func TestAreaSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	score := []float64{0, 1, 2, 3, 4, 5}
	var sum, squares, variance float64
	const draws = 3000
	for range draws {
		c := &court{judged: make([]bool, 150), each: 1}
		b := binned{bins: len(score)}
		for i := range c.judged {
			y := 0.0
			if i < 50 {
				y = 1
			}
			c.judged[i], c.Label = true, append(c.Label, y)
			c.judges[int(y)]++
			b.of = append(b.of, int32(min(5, float64(r.IntN(5))+y*float64(r.IntN(3)))))
		}
		_, judges := c.count(b)
		a := c.area(b, score, judges)
		sum, squares, variance = sum+a.value, squares+a.value*a.value, variance+a.se*a.se
	}
	spread := squares/draws - sum/draws*sum/draws
	if ratio := math.Sqrt(variance / draws / spread); math.Abs(ratio-1) > 0.05 { // chance is 1.3 %
		t.Errorf("standard errors are %.3f of the spread", ratio)
	}
}

// A handful of rows in perfect order is no certainty: the variance of a rank sum by
// chance is (m + n + 1) / 12mn.
func TestAreaOfFewRows(t *testing.T) {
	c := &court{judged: []bool{true, true, true, true, true, true}, each: 1, judges: [2]int{3, 3}, Input: Input{Label: []float64{0, 0, 0, 1, 1, 1}}}
	b := binned{of: []int32{0, 0, 0, 1, 1, 1}, bins: 2}
	_, judges := c.count(b)
	if a := c.area(b, []float64{0, 1}, judges); a.value != 1 || math.Abs(a.se-math.Sqrt(7./12/9)) > 1e-12 {
		t.Errorf("%+v", a)
	}
}

// At the normal quantile of 95 % it is evaluate.Wilson; the other end is that of the rest.
func TestWilsonLow(t *testing.T) {
	for _, c := range [][2]int{{0, 10}, {3, 10}, {10, 10}, {250, 1000}} {
		want := evaluate.Wilson(c[0], c[1])
		if got := wilsonLow(float64(c[0]), float64(c[1]), normal); math.Abs(got-want.Low) > 1e-12 {
			t.Errorf("%v: %v, want %v", c, got, want.Low)
		}
		if got := 1 - wilsonLow(float64(c[1]-c[0]), float64(c[1]), normal); math.Abs(got-want.High) > 1e-12 {
			t.Errorf("%v: %v, want %v", c, got, want.High)
		}
	}
}

// Newcombe (1998) has 56 of 70 and 48 of 80 in his table II, by method 10: 0.0524 to 0.3339.
func TestGap(t *testing.T) {
	c := &court{each: 1}
	got := c.gap([2]int{48, 56}, [2]int{80, 70}, normal)
	if math.Abs(got.Value-0.2) > 1e-12 || math.Abs(got.Low-0.0524) > 5e-5 || math.Abs(got.High-0.3339) > 5e-5 {
		t.Errorf("%+v", got)
	}
	if none := c.gap([2]int{8, 0}, [2]int{8, 4}, 4); none.High < 0 { // one order of 495
		t.Errorf("%+v", none)
	}
}

// Of 50 rows 35 agree, 25 are positive and 30 are said to be: (0.7 - 0.5) / (1 - 0.5).
func TestAgreement(t *testing.T) {
	if got := agreement(15, [2]int{25, 25}, 30, 2, 1); math.Abs(got.value-0.4) > 1e-12 || got.se <= 0 {
		t.Errorf("%+v", got)
	}
}
