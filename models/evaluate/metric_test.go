package evaluate

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestByHand(t *testing.T) {
	// From the top: 0.9 (1), 0.6 (0 and 1 tied), 0.2 (0). Pairs: 0.9 beats both
	// negatives, 0.6 beats one and ties one: 3.5 of 4.
	y, p := []float64{0, 1, 0, 1}, []float64{0.6, 0.9, 0.2, 0.6}
	near(t, "ROC AUC", ROCAUC(y, p), 3.5/4)
	near(t, "PR AUC", PRAUC(y, p), 0.5*1+0.5*2/3)
	near(t, "precision of the first", PrecisionAt(y, p, 0.25), 1)
	near(t, "precision of two, the tie in file order", PrecisionAt(y, p, 0.5), 0.5)
	near(t, "precision of all", PrecisionAt(y, p, 1), 0.5)
	near(t, "Brier", Brier(y, p), (0.36+0.01+0.04+0.16)/4)
	near(t, "log loss", LogLoss(y, p), -(math.Log(0.4)+math.Log(0.9)+math.Log(0.8)+math.Log(0.6))/4)
	near(t, "log loss of certain and wrong", LogLoss([]float64{1}, []float64{0}), -math.Log(1e-6))
	// Sorted: 0.2 (0), 0.6 (0) | 0.6 (1), 0.9 (1).
	near(t, "calibration error in two bins", CalibrationError(y, p, 2), (0.8+0.5)/4)
	// Three bins hold 2, 1 and 1 rows.
	near(t, "calibration error in three bins", CalibrationError(y, p, 3), (0.8+0.4+0.1)/4)
	near(t, "calibration error in more bins than rows", CalibrationError(y, p, 9), (0.2+0.6+0.4+0.1)/4)
	hundred := make([]float64, 100)
	hundred[6], hundred[7] = 1, 1
	falling := make([]float64, 100)
	for i := range falling {
		falling[i] = -float64(i)
	}
	near(t, "precision of 7 of 100", PrecisionAt(hundred, falling, 0.07), 1.0/7)
	near(t, "infinite scores", ROCAUC([]float64{0, 1}, []float64{math.Inf(-1), math.Inf(1)}), 1)
}

func TestUndefinedIsNaN(t *testing.T) {
	nan := math.NaN()
	for name, got := range map[string]float64{
		"one class":      ROCAUC([]float64{1, 1}, []float64{1, 2}),
		"one class, PR":  PRAUC([]float64{0, 0}, []float64{1, 2}),
		"no rows":        ROCAUC(nil, nil),
		"NaN score":      ROCAUC([]float64{0, 1}, []float64{nan, 2}),
		"lengths":        PRAUC([]float64{0, 1}, []float64{2}),
		"losses":         LogLoss([]float64{0, 1}, []float64{2}),
		"loss of none":   LogLoss(nil, nil),
		"loss of NaN":    LogLoss([]float64{0, 1}, []float64{0.5, nan}),
		"Brier":          Brier([]float64{0, 1}, []float64{2}),
		"calibration":    CalibrationError([]float64{0, 1}, []float64{nan, 0.2}, 10),
		"no bins":        CalibrationError([]float64{0, 1}, []float64{0.1, 0.2}, 0),
		"share 0":        PrecisionAt([]float64{0, 1}, []float64{0.1, 0.2}, 0),
		"share above 1":  PrecisionAt([]float64{0, 1}, []float64{0.1, 0.2}, 1.1),
		"share NaN":      PrecisionAt([]float64{0, 1}, []float64{0.1, 0.2}, nan),
		"share, no rows": PrecisionAt(nil, nil, 0.1),
	} {
		if !math.IsNaN(got) {
			t.Errorf("%s: %v, want NaN", name, got)
		}
	}
}

// drawn is rows with ties in scores and probabilities, of both classes.
func drawn(t *rapid.T) (y, score []float64) {
	n := rapid.IntRange(2, 60).Draw(t, "n")
	y, score = make([]float64, n), make([]float64, n)
	for i := range y {
		y[i] = float64(rapid.IntRange(0, 1).Draw(t, "y"))
		score[i] = float64(rapid.IntRange(-5, 5).Draw(t, "score")) / 2
	}
	y[0], y[1] = 0, 1
	return y, score
}

func TestTwins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, score := drawn(t)
		won, pairs := 0.0, 0.0
		for i := range y {
			for j := range y {
				if y[i] == 1 && y[j] == 0 {
					pairs++
					switch {
					case score[i] > score[j]:
						won++
					case score[i] == score[j]:
						won += 0.5
					}
				}
			}
		}
		if got := ROCAUC(y, score); math.Abs(got-won/pairs) > 1e-12 {
			t.Fatalf("ROC AUC is %v, by pairs %v", got, won/pairs)
		}
		// By definition: over the thresholds, precision times the gain in recall.
		precision, recall := 0.0, 0.0
		thresholds := slices.Clone(score)
		slices.Sort(thresholds)
		slices.Reverse(thresholds)
		for _, s := range slices.Compact(thresholds) {
			hit, seen, all := 0.0, 0.0, 0.0
			for i := range y {
				all += y[i]
				if score[i] >= s {
					hit, seen = hit+y[i], seen+1
				}
			}
			precision += (hit/all - recall) * hit / seen
			recall = hit / all
		}
		if got := PRAUC(y, score); math.Abs(got-precision) > 1e-12 {
			t.Fatalf("PR AUC is %v, by thresholds %v", got, precision)
		}
	})
}

func TestRankingMetricsIgnoreScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, score := drawn(t)
		other := make([]float64, len(score))
		flipped := make([]float64, len(score))
		for i, s := range score {
			other[i] = math.Exp(s)*3 - 7
			flipped[i] = -s
		}
		if a, b := ROCAUC(y, score), ROCAUC(y, other); a != b {
			t.Fatalf("ROC AUC %v became %v", a, b)
		}
		if a, b := ROCAUC(y, score), ROCAUC(y, flipped); math.Abs(a+b-1) > 1e-12 {
			t.Fatalf("ROC AUC %v and its reverse %v do not sum to 1", a, b)
		}
		if a, b := PRAUC(y, score), PRAUC(y, other); a != b {
			t.Fatalf("PR AUC %v became %v", a, b)
		}
		if a, b := PrecisionAt(y, score, 0.1), PrecisionAt(y, other, 0.1); a != b {
			t.Fatalf("precision %v became %v", a, b)
		}
	})
}

// A replicate must say what the plain functions say of its rows written out.
func TestReplicateTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, score := drawn(t)
		p := make([]float64, len(y))
		group := make([]int, len(y))
		for i, s := range score {
			p[i] = math.Round(10/(1+math.Exp(-s))) / 10 // more ties than the scores have
			group[i] = rapid.IntRange(100, 110).Draw(t, "account")
		}
		c, err := newClusters(group, len(y))
		if err != nil {
			t.Fatal(err)
		}
		r := newResampler(y, score, p, c, 10, 3)
		weight := make([]int32, c.count)
		rows := r.draw(weight, rapid.Uint64().Draw(t, "key"))
		var wy, ws []float64
		total := int32(0)
		for i := range y {
			for range weight[c.of[i]] {
				wy, ws = append(wy, y[i]), append(ws, score[i])
			}
		}
		for _, w := range weight {
			total += w
		}
		if int(total) != c.count || rows != len(wy) {
			t.Fatalf("%d accounts of %d, %d rows of %d", total, c.count, rows, len(wy))
		}
		got := r.judge(weight, rows)
		shift := 0.0
		order := ascending(p)
		for b := range 10 {
			before, after := 0.0, 0.0
			lo, hi := binBounds(len(y), 10, b)
			for _, i := range order[lo:hi] {
				before += y[i] - p[i]
				after += float64(weight[c.of[i]]) * (y[i] - p[i])
			}
			shift += math.Abs(after/float64(rows) - before/float64(len(y)))
		}
		for _, v := range []struct {
			name      string
			got, want float64
		}{
			{"ROC AUC", got.area, ROCAUC(wy, ws)},
			{"PR AUC", got.precision, PRAUC(wy, ws)},
			{"top tenth", got.top, PrecisionAt(wy, ws, 0.1)},
			{"shift of the gaps", got.shift, shift},
		} {
			if !(math.Abs(v.got-v.want) < 1e-12) && !(math.IsNaN(v.got) && math.IsNaN(v.want)) {
				t.Fatalf("%s is %v, of the rows written out %v", v.name, v.got, v.want)
			}
		}
	})
}

func TestRanking(t *testing.T) {
	r, err := NewRanking([]float64{2, -1, 2, 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ raw, want float64 }{
		{-2, 0}, {-1, 12.5}, {0, 25}, {2, 50}, {3, 75}, {5, 87.5}, {6, 100},
		{math.Inf(-1), 0}, {math.Inf(1), 100}, {math.NaN(), math.NaN()},
	} {
		if got := r.Percentile(c.raw); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("Percentile(%v) is %v, want %v", c.raw, got, c.want)
		}
	}
	if !slices.Equal(r.Values(), []float64{-1, 2, 5}) || !slices.Equal(r.Counts(), []float64{1, 2, 1}) {
		t.Errorf("values %v, counts %v", r.Values(), r.Counts())
	}
}

// TestRankingThinned compares a thinned ranking with the exact share, for values
// all distinct and for ones with heavy ties among them.
func TestRankingThinned(t *testing.T) {
	for name, value := range map[string]func(i int) float64{
		"distinct": func(i int) float64 { return math.Sin(float64(i)) },
		"tied":     func(i int) float64 { return math.Round(math.Sin(float64(i))*3e4+float64(i%7)/7*3e4) / 1e4 },
		"heavy": func(i int) float64 {
			if i%3 > 0 {
				return float64(i % 6)
			}
			return float64(i) / 1e4
		},
	} {
		raw := make([]float64, 130_000)
		for i := range raw {
			raw[i] = value(i)
		}
		r, err := NewRanking(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sorted := slices.Clone(raw)
		slices.Sort(sorted)
		if distinct := len(slices.Compact(slices.Clone(sorted))); distinct <= maxPoints {
			t.Fatalf("%s: only %d distinct values", name, distinct)
		}
		last := -1.0
		for k := 0; k < len(sorted); k += 7 {
			x := sorted[k]
			low, _ := slices.BinarySearch(sorted, x)
			high, _ := slices.BinarySearchFunc(sorted, x, func(v, x float64) int {
				if v <= x {
					return -1
				}
				return cmp.Compare(v, x)
			})
			want := 100 * float64(low+high) / 2 / float64(len(sorted))
			got := r.Percentile(x)
			if !(math.Abs(got-want) <= 0.02) || got < last {
				t.Fatalf("%s: Percentile(%v) is %v, exactly %v, after %v", name, x, got, want, last)
			}
			last = got
		}
	}
}

// The place found by the grid is the place found by halving, whatever the values.
func TestPercentileBySearch(t *testing.T) {
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-3, 3), rapid.Map(rapid.IntRange(-5, 5), func(n int) float64 { return float64(n) }),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		r, err := NewRanking(rapid.SliceOfN(number, 1, 60).Draw(t, "raw"))
		if err != nil {
			t.Fatal(err)
		}
		values, total := r.Values(), 0.0
		for _, n := range r.Counts() {
			total += n
		}
		some := append([]float64{math.Inf(-1), math.Inf(1), number.Draw(t, "x")}, values...)
		for _, x := range values {
			some = append(some, math.Nextafter(x, math.Inf(-1)), math.Nextafter(x, math.Inf(1)))
		}
		for _, x := range some {
			i, tied := slices.BinarySearch(values, x)
			rows := 0.0
			for _, n := range r.Counts()[:i] {
				rows += n
			}
			if tied {
				rows += r.Counts()[i] / 2
			}
			if want, got := 100*rows/total, r.Percentile(x); got != want {
				t.Fatalf("Percentile(%v) is %v, want %v", x, got, want)
			}
		}
	})
}

func BenchmarkPercentile(b *testing.B) {
	raw := make([]float64, 100_000)
	for i := range raw {
		raw[i] = math.Sin(float64(i)) + math.Sin(float64(i)*1.7) + math.Sin(float64(i)*0.3)
	}
	r, err := NewRanking(raw)
	if err != nil {
		b.Fatal(err)
	}
	sum, i := 0.0, 0
	for b.Loop() {
		sum += r.Percentile(raw[i])
		if i += 37; i >= len(raw) {
			i -= len(raw)
		}
	}
	if sum == 0 {
		b.Error("every percentile is 0")
	}
}

func TestFromCounts(t *testing.T) {
	for name, c := range map[string]struct{ values, counts []float64 }{
		"empty":          {nil, nil},
		"lengths":        {[]float64{1, 2}, []float64{1}},
		"not increasing": {[]float64{1, 1}, []float64{1, 1}},
		"NaN":            {[]float64{math.NaN()}, []float64{1}},
		"infinite":       {[]float64{math.Inf(1)}, []float64{1}},
		"no rows":        {[]float64{1}, []float64{0}},
		"part of a row":  {[]float64{1}, []float64{1.5}},
		"NaN rows":       {[]float64{1}, []float64{math.NaN()}},
		"too many rows":  {[]float64{1, 2}, []float64{1 << 52, 1 << 52}},
		"too long":       {make([]float64, maxPoints+1), make([]float64, maxPoints+1)},
	} {
		if _, err := FromCounts(c.values, c.counts); !isInputError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, raw := range [][]float64{nil, {math.NaN()}, {math.Inf(1)}} {
		if _, err := NewRanking(raw); !isInputError(err) {
			t.Errorf("%v: %v", raw, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Float64Range(-9, 9), 1, 40).Draw(t, "raw")
		a, err := NewRanking(raw)
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromCounts(a.Values(), a.Counts())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range raw {
			if a.Percentile(x) != b.Percentile(x) {
				t.Fatalf("%v: %v before, %v after", x, a.Percentile(x), b.Percentile(x))
			}
		}
	})
}
