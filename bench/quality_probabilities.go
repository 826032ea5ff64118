package main

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"propensity/models/evaluate"
	"propensity/train"
)

// Two Brier scores tie if they differ by no more than one in the last place that
// peers' figures have; two calibration errors if they differ by no more than one
// standard deviation of what chance makes of them.
const (
	brierTie       = 0.0001
	calibrationTie = 1.0
	chanceDraws    = 200
	chanceSeed     = 1
	errorBins      = 10
)

// promised are our probabilities beside those of others.
type promised struct {
	tuned  bool
	rows   [][]string // the head, then one per table and learner
	behind int        // figures that are behind
	counts map[string]int
	means  map[string]*lead // of boosting, by peer
}

// lead is by how much boosting is lower than a peer, summed over tables.
type lead struct{ brier, calibrationError, tables float64 }

func newPromised(tuned bool) *promised {
	return &promised{tuned: tuned, counts: map[string]int{}, means: map[string]*lead{}, rows: [][]string{{
		"table", "learner", "Brier", "peer", "lower", "verdict", "calibration error", "peer", "lower", "verdict", "if true", "calibrated"}}}
}

// everyPeer are all libraries there are figures of, at their defaults, and tuned if so.
func everyPeer(tuned bool) []string {
	all := append([]string{"logistic"}, boosters()...)
	all = append(all, "forest500")
	if tuned {
		all = append(all, "lightgbm_tuned")
	}
	return all
}

// add compares one learner with the best of all peers, logistic with its twin.
func (q *promised) add(p peerTable, r train.CrossValidation) {
	among := everyPeer(q.tuned)
	if r.Learner == "logistic" {
		among = []string{"logistic"}
	}
	brier, gap := math.Inf(1), math.Inf(1)
	var brierOf, gapOf string
	for _, name := range among {
		f, known := p.Peers[name]
		if known && r.Learner != "logistic" {
			m := cmp.Or(q.means[name], &lead{})
			q.means[name] = &lead{m.brier + f.Brier - r.Brier, m.calibrationError + f.CalibrationError - r.CalibrationError, m.tables + 1}
		}
		if known && f.Brier < brier {
			brier, brierOf = f.Brier, name
		}
		if known && f.CalibrationError < gap {
			gap, gapOf = f.CalibrationError, name
		}
	}
	mean, deviation := ifTrue(r.Probabilities, chanceSeed)
	q.rows = append(q.rows, []string{p.name(), r.Learner,
		four(r.Brier), four(brier) + " " + brierOf, signed(brier - r.Brier), q.judge(brier-r.Brier, brierTie),
		four(r.CalibrationError), four(gap) + " " + gapOf, signed(gap - r.CalibrationError), q.judge(gap-r.CalibrationError, calibrationTie*deviation),
		four(mean) + " ± " + four(deviation), kinds(r.Calibrations)})
}

// judge says what a difference is, above 0 where ours is the lower.
func (q *promised) judge(lower, tie float64) string {
	word := "tie"
	switch {
	case lower > tie:
		word = "ahead"
	case !(lower >= -tie):
		word = "behind"
		q.behind++
	}
	q.counts[word]++
	return word
}

// ifTrue is the calibration error, in the mean of the folds, that probabilities
// show by chance if every one of them is true: its mean and standard deviation over
// draws of the labels.
func ifTrue(folds [][]float64, seed uint64) (mean, deviation float64) {
	rng := rand.New(rand.NewPCG(seed, chanceDraws))
	errors := make([]float64, chanceDraws)
	for _, p := range folds {
		sorted := slices.Sorted(slices.Values(p)) // so that no draw has to sort again
		y := make([]float64, len(p))
		for d := range errors {
			for i, x := range sorted {
				y[i] = 0
				if rng.Float64() < x {
					y[i] = 1
				}
			}
			errors[d] += evaluate.CalibrationError(y, sorted, errorBins) / float64(len(folds))
		}
	}
	for _, e := range errors {
		mean += e / chanceDraws
	}
	for _, e := range errors {
		deviation += (e - mean) * (e - mean) / (chanceDraws - 1)
	}
	return mean, math.Sqrt(deviation)
}

// kinds counts the calibrations kept in the folds: "none 4, platt 1".
func kinds(kept []string) string {
	var out []string
	for _, kind := range slices.Compact(slices.Sorted(slices.Values(kept))) {
		n := 0
		for _, k := range kept {
			if k == kind {
				n++
			}
		}
		out = append(out, fmt.Sprintf("%s %d", kind, n))
	}
	return strings.Join(out, ", ")
}

func (q *promised) legend() string {
	var means []string
	for _, name := range everyPeer(q.tuned) {
		if m := q.means[name]; m != nil {
			means = append(means, fmt.Sprintf("%s by %+.5f in Brier and %+.5f in calibration error (%.0f tables)", name, m.brier/m.tables, m.calibrationError/m.tables, m.tables))
		}
	}
	return fmt.Sprintf("Peer: for logistic that of scikit-learn; for boosting the lowest figure of %s, each figure for itself. "+
		"Calibration error: %d bins of equal count in each fold. If true: what it would be by chance, mean ± standard deviation of %d draws, "+
		"if every probability of ours were true and only the labels were drawn again; below that mean it is luck, and the lowest of several peers is the luckiest too. "+
		"A tie: Brier within %v, calibration error within %v standard deviation. Calibrated: the calibrators kept, by folds. "+
		"Of %d figures %d are ahead, %d tie and %d are behind. "+
		"In the mean of the tables boosting is lower than %s.",
		strings.Join(everyPeer(q.tuned), ", "), errorBins, chanceDraws, brierTie, calibrationTie,
		q.counts["ahead"]+q.counts["tie"]+q.counts["behind"], q.counts["ahead"], q.counts["tie"], q.counts["behind"], strings.Join(means, "; "))
}
