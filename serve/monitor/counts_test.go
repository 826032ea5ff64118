package monitor

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"propensity/features"
	"propensity/models"
)

// BenchmarkCount is what a score of 40 columns costs its request.
func BenchmarkCount(b *testing.B) {
	w := &world{numbers: 34}
	scorer := w.scorer(b, 5000, 1)
	l := NewLive(NewShape("churn", 1, scorer))
	rng := rand.New(rand.NewPCG(1, 1))
	answers := make([]*models.Answer, 256)
	for i := range answers {
		answers[i] = answerAt(b, w, scorer, rng)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Count(answers[i%256], "A-123456")
	}
}

// A cell is where a search from the first cut on finds it.
func TestBinIsTheFirstCutThatIsNotBelow(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for n := 1; n < 40; n++ {
		cuts, keys := make([]float64, n), make([]uint64, n)
		for k := range cuts {
			cuts[k] = float64(2*k - n)
			keys[k] = key(cuts[k])
		}
		for range 200 {
			x := float64(rng.IntN(2*n+4)-n-2) + 0
			want := 0
			for want < n && cuts[want] < x {
				want++
			}
			if got := bin(keys, x); got != want {
				t.Fatalf("%v in %v: bin %d, want %d", x, cuts, got, want)
			}
		}
	}
}

// The training rows themselves, counted, are the baseline.
func TestTrainingRowsAreTheBaseline(t *testing.T) {
	w := &world{numbers: 6}
	scorer := w.scorer(t, 4000, 3)
	s := NewShape("churn", 1, scorer)
	table := w.table(4000, rand.New(rand.NewPCG(3, 7))) // as scorer makes them
	columns, err := scorer.Encoder().EncodeTable(table, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLive(s)
	a := models.Answer{Probability: 0.5, Encoded: make([]float64, len(columns)), States: make([]features.State, len(columns))}
	for i := range 4000 {
		for j, c := range columns {
			a.Encoded[j] = c[i]
		}
		l.Count(&a, "")
	}
	counts := l.Take()
	for j := range s.columns {
		c := &s.columns[j]
		for g, n := range c.groups(counts.cells) {
			if n != c.base[g] {
				t.Errorf("%s, %s up to %v: %v counted, %v in the baseline", c.name, c.names[g], c.upper, n, c.base[g])
			}
		}
		if got := psi(c.groups(counts.cells), c.base, 4000, 4000, 4000, 4000); got != 0 {
			t.Errorf("%s: PSI %v", c.name, got)
		}
	}
}

// Counts do not depend on who counts what when, and survive being written.
func TestCountsAddUp(t *testing.T) {
	w := &world{numbers: 3}
	scorer := w.scorer(t, 2000, 1)
	s := NewShape("churn", 1, scorer)
	rng := rand.New(rand.NewPCG(8, 8))
	var answers []*models.Answer
	for range 600 {
		answers = append(answers, answerAt(t, w, scorer, rng))
	}
	name := func(i int) string {
		if i%5 == 0 {
			return ""
		}
		return "A-" + number(float64(i%37))
	}
	one := NewLive(s)
	for i, a := range answers {
		one.Count(a, name(i))
	}
	want := one.Take()
	many, sum := NewLive(s), s.NewCounts()
	var mu sync.Mutex
	var group sync.WaitGroup
	for k := range 6 {
		group.Go(func() {
			for i := k; i < len(answers); i += 6 {
				many.Count(answers[i], name(i))
				if i%100 == k {
					part, err := s.Parse(many.Take().Append(nil))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					sum.Add(part)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	sum.Add(many.Take())
	if a, b := want.Append(nil), sum.Append(nil); !bytes.Equal(a, b) {
		t.Errorf("%d bytes counted by one, %d by many", len(a), len(b))
	}
	if want.Rows != 600 || many.Take().Rows != 0 {
		t.Errorf("%d rows", want.Rows)
	}
	p := 0.0
	for _, a := range answers {
		p += a.Probability
	}
	if got := float64(want.probability) / nano; math.Abs(got-p) > 1e-6 {
		t.Errorf("probabilities add up to %v, want %v", got, p)
	}
}

// A file of the database that was damaged gives an error or counts, never a panic.
func FuzzParse(f *testing.F) {
	w := &world{}
	scorer := w.scorer(f, 500, 1)
	s := NewShape("churn", 1, scorer)
	l := NewLive(s)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		l.Count(answerAt(f, w, scorer, rng), "A")
	}
	f.Add(l.Take().Append(nil))
	f.Add(s.NewCounts().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := s.Parse(b)
		if err != nil {
			return
		}
		again, err := s.Parse(c.Append(nil))
		if err != nil || !bytes.Equal(again.Append(nil), c.Append(nil)) {
			t.Fatalf("%v", err)
		}
		s.Judge(c, Span{}, nil)
	})
}

// BenchmarkJudge is what a judgement of 40 columns costs.
func BenchmarkJudge(b *testing.B) {
	w := &world{numbers: 34}
	scorer := w.scorer(b, 5000, 1)
	s := NewShape("churn", 1, scorer)
	counts := w.count(b, scorer, s, 5000, rand.New(rand.NewPCG(1, 1)))
	for b.Loop() {
		s.Judge(counts, Span{}, nil)
	}
}
