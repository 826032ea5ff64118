package serve

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"propensity/datasets"
)

// pair is a champion and its challenger, with what was found of them since the two met
// in this server.
type pair struct {
	champion, challenger *version
	since                time.Time

	scored, unfit, failed, dropped tally
	difference                     prometheus.Observer

	mu sync.Mutex
	agreement
}

// tally is a count of a pair, and of its model for the metrics.
type tally struct {
	own atomic.Int64
	all prometheus.Counter
}

func (t *tally) add() {
	t.own.Add(1)
	t.all.Inc()
}

// agreement compares the probabilities of two versions for the same requests. Means and
// sums of products are brought up to date score by score (Welford 1962, Note on a method
// for calculating corrected sums of squares and products), so that many probabilities of
// much the same size lose no digits.
type agreement struct {
	n                  int64
	meanX, meanY       float64 // champion, challenger
	sxx, syy, sxy      float64 // sums of products of the deviations from the means
	sumAbsolute        float64 // of the differences, without sign
	maxAbsolute        float64
	champion, newcomer []string  // names of their bands
	table              [][]int64 // champion's band, challenger's band
}

func newAgreement(champion, challenger *version) agreement {
	a := agreement{champion: bandNames(champion), newcomer: bandNames(challenger)}
	for range a.champion {
		a.table = append(a.table, make([]int64, len(a.newcomer)))
	}
	return a
}

func bandNames(v *version) []string {
	names := []string{}
	for _, b := range v.scorer.Artifact().Manifest.Bands {
		names = append(names, b.Name)
	}
	return names
}

// add takes in one request: the champion's probability and band, and the challenger's.
func (a *agreement) add(x float64, bandX string, y float64, bandY string) {
	a.n++
	dx, dy := x-a.meanX, y-a.meanY
	a.meanX += dx / float64(a.n)
	a.meanY += dy / float64(a.n)
	a.sxx += dx * (x - a.meanX)
	a.syy += dy * (y - a.meanY)
	a.sxy += dx * (y - a.meanY)
	d := math.Abs(y - x)
	a.sumAbsolute += d
	a.maxAbsolute = max(a.maxAbsolute, d)
	if i, j := slices.Index(a.champion, bandX), slices.Index(a.newcomer, bandY); i >= 0 && j >= 0 {
		a.table[i][j]++
	}
}

// shadowAnswer is how far a challenger agrees with its champion.
type shadowAnswer struct {
	Model      string `json:"model"`
	Champion   int    `json:"champion"`
	Challenger int    `json:"challenger"`
	Since      string `json:"since"` // when this server began to compare the two
	// Scored requests are compared. Of the others the challenger needs other columns than
	// they have (unfit), could not be scored (failed), or found no room (dropped).
	Scored  int64 `json:"scored"`
	Unfit   int64 `json:"unfit"`
	Failed  int64 `json:"failed"`
	Dropped int64 `json:"dropped"`
	// The rest is null as long as nothing was scored.
	MeanProbability *sides      `json:"mean_probability"`
	Difference      *difference `json:"difference"`
	// Correlation is Pearson's, of the probabilities; null also where one of the two does
	// not vary.
	Correlation *float64 `json:"correlation"`
	Bands       *crossed `json:"bands"`
}

type sides struct {
	Champion   float64 `json:"champion"`
	Challenger float64 `json:"challenger"`
}

// difference is the challenger's probability less the champion's.
type difference struct {
	Mean         float64 `json:"mean"`
	MeanAbsolute float64 `json:"mean_absolute"`
	MaxAbsolute  float64 `json:"max_absolute"`
}

// crossed counts requests by the bands that both put them in.
type crossed struct {
	Champion   []string  `json:"champion"`
	Challenger []string  `json:"challenger"`
	Counts     [][]int64 `json:"counts"`  // a row per band of the champion
	Changed    float64   `json:"changed"` // share of requests whose band has another name
}

func (p *pair) report() shadowAnswer {
	out := shadowAnswer{
		Model: p.champion.name, Champion: p.champion.number, Challenger: p.challenger.number, Since: datasets.FormatTime(p.since.UnixMicro()),
		Unfit: p.unfit.own.Load(), Failed: p.failed.own.Load(), Dropped: p.dropped.own.Load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.agreement
	if out.Scored = a.n; a.n == 0 {
		return out
	}
	n := float64(a.n)
	out.MeanProbability = &sides{a.meanX, a.meanY}
	out.Difference = &difference{a.meanY - a.meanX, a.sumAbsolute / n, a.maxAbsolute}
	if a.sxx > 0 && a.syy > 0 {
		r := min(1, max(-1, a.sxy/(math.Sqrt(a.sxx)*math.Sqrt(a.syy))))
		out.Correlation = &r
	}
	out.Bands = &crossed{Champion: a.champion, Challenger: a.newcomer}
	same := int64(0)
	for i, row := range a.table {
		out.Bands.Counts = append(out.Bands.Counts, slices.Clone(row))
		for j, count := range row {
			if a.champion[i] == a.newcomer[j] {
				same += count
			}
		}
	}
	out.Bands.Changed = float64(a.n-same) / n
	return out
}

// compare is add under the lock; it gives the difference without its sign.
func (p *pair) compare(x float64, bandX string, y float64, bandY string) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(x, bandX, y, bandY)
	return math.Abs(y - x)
}
