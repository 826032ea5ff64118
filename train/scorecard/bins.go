package scorecard

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"propensity/features"
	"propensity/models"
)

// Bin is a range of values of a variable that are scored alike.
type Bin struct {
	// From and To bound a number x, From < x <= To; infinite where nothing does.
	From, To float64
	// Codes are the levels of a category, rising. Other says that the bin also holds
	// Others, those too rare to stand by themselves and those without a training row.
	Codes  []int
	Other  bool
	Others []int
	// Missing says that the bin is that of missing values alone.
	Missing bool

	Rows, Positives int
	// WOE is the weight of evidence, in log-odds, and IV what the bin adds to the
	// information value of its variable: see Fit.
	WOE, IV float64
	// Points are what the bin adds to the score of an account.
	Points float64

	positive, negative float64 // the weight of the rows of either label
}

// Variable is one feature in bins: of a number from the lowest up, of a category
// from the least to the most probable, missing values last.
type Variable struct {
	Feature  int // its place in the matrix and in the encoder
	Category bool
	IV       float64 // information value, the sum over the bins
	Weight   float64 // of the WOE in the regression; 0 of a table
	Bins     []Bin
}

// term is the variable as a term of a model, with a value of each of its bins for
// what it contributes, and none for missing values that have no bin. There are so
// many levels; those in no bin contribute 0.
func (v *Variable) term(levels int, value func(bin int) float64, none float64) models.Term {
	t := models.Term{Missing: none}
	if v.Category {
		t.Levels = make([]float64, levels)
	}
	for k := range v.Bins {
		b := &v.Bins[k]
		switch {
		case b.Missing:
			t.Missing = value(k)
		case v.Category:
			for _, codes := range [][]int{b.Codes, b.Others} {
				for _, code := range codes {
					t.Levels[code] = value(k)
				}
			}
		default:
			t.Levels = append(t.Levels, value(k))
			if !math.IsInf(b.To, 1) {
				t.Cuts = append(t.Cuts, b.To)
			}
		}
	}
	switch {
	case !v.Category && len(t.Levels) == 0: // none but missing values have a bin
		t.Scale = 1
	case !v.Category && len(t.Cuts) == 0: // one bin of all numbers: what is above the cut never comes
		t.Cuts, t.Levels = []float64{math.MaxFloat64}, append(t.Levels, t.Levels[0])
	}
	return t
}

// totals are the weights of all rows by their label, the mean weight of a row, and
// how many rows of equal weight tell as much.
type totals struct {
	rows, positive, negative float64
	mean, effective          float64
	positives, negatives     int
}

// weigh sets the weight of evidence and the information value of every bin.
func (v *Variable) weigh(all totals) {
	v.IV = 0
	for k := range v.Bins {
		b := &v.Bins[k]
		b.WOE, b.IV = 0, 0
		if b.Rows > 0 && !(b.Missing && b.Rows < leastMissing) {
			b.WOE, b.IV = evidence(b.positive, b.negative, all)
		}
		v.IV += b.IV
	}
}

// leastMissing is how many rows without a value it takes to say anything of them.
const leastMissing = 20

// evidence is the weight of evidence of a bin and its information value. One that
// lacks a class takes half a row of either, or it would be infinite (Haldane 1956).
func evidence(positive, negative float64, all totals) (woe, iv float64) {
	if positive == 0 || negative == 0 {
		positive, negative = positive+all.mean/2, negative+all.mean/2
	}
	p, n := positive/all.positive, negative/all.negative
	woe = math.Log(p / n)
	return woe, (p - n) * woe
}

// count fills in the rows of every bin.
func (v *Variable) count(m *features.Matrix, xs []float64) {
	for k := range v.Bins {
		b := &v.Bins[k]
		b.Rows, b.Positives, b.positive, b.negative = 0, 0, 0, 0
	}
	place := v.term(m.Features[v.Feature].Levels, func(bin int) float64 { return float64(bin + 1) }, 0)
	for i, x := range xs {
		k := int(place.At(x)) - 1
		if k < 0 {
			continue // in no bin
		}
		b, w := &v.Bins[k], weightOf(m, i)
		b.Rows++
		if m.Label[i] == 1 {
			b.Positives++
			b.positive += w
		} else {
			b.negative += w
		}
	}
}

func weightOf(m *features.Matrix, i int) float64 {
	if m.Weight == nil {
		return 1
	}
	return m.Weight[i]
}

// prebins cut a column into more bins than are wanted, from which the best are
// then made. The bin of missing values, if there are any, is the last.
func prebins(m *features.Matrix, j int, xs []float64, o *Options) Variable {
	v := Variable{Feature: j, Category: m.Features[j].Levels > 0}
	if v.Category {
		v.Bins = categoryBins(m, j, xs, o)
	} else {
		v.Bins = numberBins(xs, o.Prebins)
	}
	if slices.ContainsFunc(xs, math.IsNaN) {
		v.Bins = append(v.Bins, Bin{Missing: true})
	}
	v.count(m, xs)
	return v
}

// numberBins hold about as many rows each; a value that fills one by itself has
// one of its own.
func numberBins(xs []float64, most int) []Bin {
	known := slices.DeleteFunc(slices.Clone(xs), math.IsNaN)
	if len(known) == 0 {
		return nil
	}
	features.SortNumbers(known)
	full := (len(known) + most - 1) / most
	var cuts []float64
	held := 0
	for first := 0; first < len(known); {
		end := first + 1
		for end < len(known) && known[end] == known[first] {
			end++
		}
		if first > 0 && (held >= full || end-first >= full) {
			cuts, held = append(cuts, cutBetween(known[first-1], known[first])), 0
		}
		held += end - first
		first = end
	}
	return numberRanges(cuts)
}

// numberRanges are the bins between cuts.
func numberRanges(cuts []float64) []Bin {
	out := make([]Bin, len(cuts)+1)
	for k := range out {
		out[k].From, out[k].To = math.Inf(-1), math.Inf(1)
		if k > 0 {
			out[k].From = cuts[k-1]
		}
		if k < len(cuts) {
			out[k].To = cuts[k]
		}
	}
	return out
}

// cutBetween is the number with the fewest digits, from low up to high without
// high itself, near low or in the middle: a card is read by people.
func cutBetween(low, high float64) float64 {
	middle := low/2 + high/2
	for digits := range 15 {
		for _, x := range []float64{low, middle} {
			c, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', digits, 64), 64)
			if err == nil && c >= low && c < high {
				return c + 0 // not -0
			}
		}
	}
	return low
}

// categoryBins are the levels from the least to the most probable, the rare ones
// together in one bin, and if there are still too many, neighbours together.
func categoryBins(m *features.Matrix, j int, xs []float64, o *Options) []Bin {
	v := Variable{Feature: j, Category: true}
	for code := range m.Features[j].Levels {
		v.Bins = append(v.Bins, Bin{Codes: []int{code}})
	}
	v.count(m, xs)
	rare := o.Rare * float64(len(xs))
	var bins []Bin
	other := Bin{Other: true}
	for _, b := range v.Bins {
		if b.Rows > 0 && float64(b.Rows) >= rare {
			bins = append(bins, b)
		} else {
			other.Others = append(other.Others, b.Codes...)
			other.add(&b)
		}
	}
	if other.Rows > 0 {
		bins = append(bins, other)
	}
	slices.SortStableFunc(bins, func(a, b Bin) int {
		return cmp.Or(cmp.Compare(a.rate(), b.rate()), slices.Compare(a.Codes, b.Codes))
	})
	if len(bins) > o.Prebins {
		bins = neighbours(bins, o.Prebins)
	}
	if other.Rows == 0 && len(other.Others) > 0 {
		bins = append(bins, other)
	}
	return bins
}

// neighbours puts bins together till each but the last holds its share of rows.
func neighbours(bins []Bin, most int) []Bin {
	rows := 0
	for _, b := range bins {
		rows += b.Rows
	}
	var out []Bin
	held := Bin{}
	for _, b := range bins {
		if held = together(held, b); held.Rows*most >= rows {
			out, held = append(out, held), Bin{}
		}
	}
	if held.Rows > 0 {
		out = append(out, held)
	}
	return out
}

// rate is the share of positives.
func (b *Bin) rate() float64 { return b.positive / (b.positive + b.negative) }

// together is two bins as one, a below b.
func together(a, b Bin) Bin {
	out := a
	out.To = b.To
	out.Codes = slices.Sorted(slices.Values(slices.Concat(a.Codes, b.Codes)))
	out.Other, out.Others = a.Other || b.Other, append(slices.Clone(a.Others), b.Others...)
	out.add(&b)
	return out
}

// add adds the rows of another bin.
func (b *Bin) add(other *Bin) {
	b.Rows += other.Rows
	b.Positives += other.Positives
	b.positive += other.positive
	b.negative += other.negative
}
