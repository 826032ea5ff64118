package train

import (
	"math/rand/v2"
	"slices"
	"testing"

	"propensity/features"
)

// candidatesOf judges nothing: it is models by their probabilities alone.
func candidatesOf(probabilities ...[]float64) []*judged {
	var out []*judged
	for k, p := range probabilities {
		out = append(out, &judged{fitted: &fitted{name: LearnerNames()[k]}, probability: p})
	}
	return out
}

// oneEach makes every row an account.
func oneEach(label []float64) *features.Matrix {
	m := &features.Matrix{Label: label}
	for i := range label {
		m.Group = append(m.Group, i)
	}
	return m
}

// said gives rows with label 1 the probability yes, the others no.
func said(label []float64, yes, no float64) []float64 {
	out := make([]float64, len(label))
	for i, y := range label {
		if out[i] = no; y == 1 {
			out[i] = yes
		}
	}
	return out
}

// The simple one is kept unless the interval of the gain excludes zero.
func TestChoose(t *testing.T) {
	label := make([]float64, 100)
	for i := range label {
		label[i] = float64(i % 2)
	}
	m := oneEach(label)
	fair := said(label, 0.6, 0.4)
	better := said(label, 0.7, 0.3)
	lucky := slices.Clone(fair) // better on two rows of a hundred: no proof
	lucky[1], lucky[2] = 0.9, 0.1
	worse := said(label, 0.55, 0.45)
	for _, c := range []struct {
		name       string
		candidates []*judged
		want       int
	}{
		{"alone", candidatesOf(fair), 0},
		{"the same", candidatesOf(fair, fair), 0},
		{"a better one", candidatesOf(fair, better), 1},
		{"a worse one", candidatesOf(fair, worse), 0},
		{"better by luck", candidatesOf(fair, lucky), 0},
		{"the third must beat the second", candidatesOf(fair, better, better), 1},
		{"the third beats the first where the second did not", candidatesOf(fair, lucky, better), 2},
	} {
		best, err := choose(c.candidates, m)
		if err != nil || best != c.candidates[c.want] {
			t.Errorf("%s: chose %v, %v", c.name, best, err)
		}
		if c.candidates[0].gain != nil {
			t.Error("the first has a gain over nothing")
		}
		for _, j := range c.candidates[1:] {
			if j.gain == nil || (j.gain.Mean > 0) != (j.gain.High+j.gain.Low > 0) {
				t.Errorf("%s: gain %+v", c.name, j.gain)
			}
		}
	}
	if c := candidatesOf(fair, lucky); func() bool { choose(c, m); return c[1].gain.Mean <= 0 || c[1].gain.Low >= 0 }() { //nolint:errcheck // only the gain counts
		t.Errorf("luck has the gain %+v: the case proves nothing", c[1].gain)
	}
}

func TestCutBands(t *testing.T) {
	var p []float64
	for i := range 101 {
		p = append(p, float64((i*37)%101)/200)
	}
	if got := cutBands(p); !slices.Equal(got, []float64{0.45, 0.35, 0.2, 0.075, 0}) {
		t.Errorf("%v", got)
	}
	for name, c := range map[string]struct{ p, want []float64 }{
		"one probability":  {[]float64{0.3, 0.3, 0.3}, []float64{0.3, 0}},
		"two":              {[]float64{0.1, 0.1, 0.1, 0.1, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6}, []float64{0.6, 0.1, 0}},
		"nothing above 0":  {[]float64{0, 0, 0}, []float64{0}},
		"zero at the foot": {[]float64{0, 0, 0, 0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8}, []float64{0.6, 0.2, 0}},
		"one row":          {[]float64{0.2}, []float64{0.2, 0}},
	} {
		if got := cutBands(c.p); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Every row is in one band: the first whose start it reaches.
func TestObserve(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	from := []float64{0.7, 0.5, 0.499, 0}
	p, label := make([]float64, 300), make([]float64, 300)
	for i := range p {
		p[i] = float64(rng.IntN(40)) / 100 // none in band A, whose rate is then unknown
		if i%10 == 0 {
			p[i] = 0.5
		}
		label[i] = float64(rng.IntN(2))
	}
	bands, err := observe(from, p, oneEach(label))
	if err != nil {
		t.Fatal(err)
	}
	rows, positives := make([]int, len(from)), make([]int, len(from))
	for i := range p {
		k := slices.IndexFunc(from, func(f float64) bool { return p[i] >= f })
		rows[k]++
		positives[k] += int(label[i])
	}
	for k, b := range bands {
		if b.Name != bandNames[k] || b.From != from[k] || b.Rows != rows[k] || b.Positives != positives[k] {
			t.Errorf("band %+v, expected %d rows, %d positive", b, rows[k], positives[k])
		}
		if b.Rate.Low > b.Rate.Value || b.Rate.Value > b.Rate.High {
			t.Errorf("band %s: rate %+v", b.Name, b.Rate)
		}
	}
	if a := bands[0]; a.Rows != 0 || a.Rate.High-a.Rate.Low < 0.99 {
		t.Errorf("a band without rows has the rate %+v", a.Rate)
	}
}
