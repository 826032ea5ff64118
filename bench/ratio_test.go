package main

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want spread
	}{
		{[]float64{3}, spread{3, 3, 3, 1}},
		{[]float64{4, 1}, spread{1, 2.5, 4, 2}},
		{[]float64{9, 1, 2}, spread{1, 2, 9, 3}},
		{[]float64{4, 1, 3, 2}, spread{1, 2.5, 4, 4}},
	} {
		if got := spreadOf(c.xs); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.xs, got, c.want)
		}
	}
	if s := spreadOf(nil); s.N != 0 || !math.IsNaN(s.Min) || !math.IsNaN(s.Median) || !math.IsNaN(s.Max) {
		t.Errorf("of nothing: %+v", s)
	}
}

func TestRatiosArePairedByRound(t *testing.T) {
	// The machine slowed to a half in the second round, for both.
	if got := ratios([]float64{1, 2, 1}, []float64{2, 4, 2}); !slices.Equal(got, []float64{0.5, 0.5, 0.5}) {
		t.Error(got)
	}
	if got := ratios([]float64{1, 2}, []float64{4}); !slices.Equal(got, []float64{0.25}) {
		t.Error("rounds that one of them lacks:", got)
	}
	if got := ratios(nil, []float64{4}); got != nil {
		t.Error("without ours:", got)
	}
}

func TestVerdict(t *testing.T) {
	for ratio, want := range map[float64]string{0.5: "ahead", 0.849: "ahead", 0.851: "tie", 1: "tie", 1.149: "tie", 1.151: "behind", 3: "behind"} {
		if got := verdict(ratio); got != want {
			t.Errorf("%v: %s, want %s", ratio, got, want)
		}
	}
	if got := verdict(math.NaN()); got != "" {
		t.Error(got)
	}
}

func TestFigure(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 0.001234: "0.00123", 0.01: "0.0100", 0.2345: "0.234", 1: "1.00", 9.876: "9.88", 45.67: "45.7", 123.4: "123", 2280000: "2280000",
		3e-13: "3.0e-13", 45678912: "4.57e+07", math.NaN(): "",
	} {
		if got := figure(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(1e-3, 1e9).Draw(t, "x")
		back, err := strconv.ParseFloat(figure(x), 64)
		if err != nil || math.Abs(back-x) > 0.0051*x {
			t.Fatalf("%v is told as %s", x, figure(x))
		}
	})
}
