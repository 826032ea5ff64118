package check

import (
	"math"
	"math/bits"
	"time"

	"propensity/datasets"
)

// sample bounds how many values are remembered: when there are too many, only those
// whose hash ends in one more 0 are, so that what is seen of them stays whole.
type sample struct {
	mask uint64
	most int
}

func (s *sample) keeps(h uint64) bool { return h&s.mask == 0 }

// full says that n values are too many, and halves what is kept.
func (s *sample) full(n int) bool {
	if n <= s.most {
		return false
	}
	s.mask = s.mask<<1 | 1
	return true
}

// oneIn is 0 where everything is remembered.
func (s *sample) oneIn() int64 {
	if s.mask == 0 {
		return 0
	}
	return int64(s.mask) + 1
}

// hashText is FNV-1a, its bits mixed once more because the sample looks at the last.
func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 29
	return max(h, 1)
}

// cells hashes the cells of a column; a text of it once.
type cells struct {
	column *datasets.Column
	known  []uint64
}

func newCells(c *datasets.Column) *cells { return &cells{c, make([]uint64, len(c.Values))} }

// hash of a cell as it is spelt; 0 is missing.
func (c *cells) hash(row int32) uint64 {
	if textual(c.column.Kind) {
		k := c.column.Codes[row]
		if k < 0 {
			return 0
		}
		if c.known[k] == 0 {
			c.known[k] = hashText(c.column.Values[k])
		}
		return c.known[k]
	}
	v := c.column.At(int(row))
	if v.Missing() {
		return 0
	}
	return hashText(v.String())
}

// same is a hash of a cell that tells it from others of its column.
func (c *cells) same(row int32) uint64 {
	switch {
	case textual(c.column.Kind):
		return c.hash(row)
	case c.column.Kind == datasets.Time:
		return mix(uint64(c.column.Times[row]))
	}
	return mix(math.Float64bits(c.column.Numbers[row]))
}

// repeats finds values that are on several records.
type repeats struct {
	sample
	first    map[uint64]seen
	examples []Example
}

// seen is what is remembered of a value.
type seen struct {
	content uint64
	account int32
	flags   uint8
}

const (
	again     uint8 = 1 << iota // on several records
	elsewhere                   // of which one is of another account,
	changed                     // or is of the same and says something else
)

func newRepeats(most int) *repeats {
	return &repeats{sample: sample{most: most}, first: map[uint64]seen{}}
}

// add takes a record with a value; the example is asked for if it is a repetition.
func (r *repeats) add(h, content uint64, account int32, example func() Example) {
	if !r.keeps(h) {
		return
	}
	old, ok := r.first[h]
	if !ok {
		r.first[h] = seen{content: content, account: account}
		if r.full(len(r.first)) {
			r.halve()
		}
		return
	}
	if len(r.examples) < examplesOf {
		r.examples = append(r.examples, example())
	}
	old.flags |= again
	switch {
	case old.account != account:
		old.flags |= elsewhere
	case old.content != content:
		old.flags |= changed
	}
	r.first[h] = old
}

func (r *repeats) halve() {
	for h := range r.first {
		if !r.keeps(h) {
			delete(r.first, h)
		}
	}
}

// count gives the values that are on several records: all, those of several
// accounts, and of the others those that say different things.
func (r *repeats) count() (all, otherAccount, different int64) {
	for _, s := range r.first {
		all += int64(s.flags & again)
		switch {
		case s.flags&elsewhere != 0:
			otherAccount++
		case s.flags&changed != 0:
			different++
		}
	}
	return all, otherAccount, different
}

// lateness counts lengths of time, each bin a sixteenth wide.
type lateness struct {
	bins  [64 * 16]int64
	count int64 // above 0
	total int64
	most  int64
}

func (l *lateness) add(us int64) {
	l.total++
	if us <= 0 {
		return
	}
	l.count++
	l.most = max(l.most, us)
	l.bins[lateBin(us)]++
}

func lateBin(us int64) int {
	log := bits.Len64(uint64(us)) - 1
	part := 0
	if log >= 4 {
		part = int(us>>(log-4)) & 15
	} else {
		part = int(us<<(4-log)) & 15
	}
	return log*16 + part
}

// quantile is within a sixteenth of the length that a share of the records is at
// most late.
func (l *lateness) quantile(share float64) int64 {
	rank := int64(math.Ceil(share * float64(l.total)))
	seen := l.total - l.count
	if seen >= rank {
		return 0
	}
	for i, n := range l.bins {
		if seen += n; seen >= rank {
			log, part := i/16, int64(i%16)
			return min(l.most, int64(math.Ldexp(float64(16+part+1), log-4)))
		}
	}
	return l.most
}

// spell writes a length of time in its largest unit.
func spell(us int64) string {
	const day = 24 * time.Hour
	switch d := time.Duration(us) * time.Microsecond; {
	case us > math.MaxInt64/1000:
		return datasets.FormatNumber(math.Round(float64(us)/float64(day.Microseconds()))) + "d"
	case d >= 2*day:
		return datasets.FormatNumber(math.Round(float64(d)/float64(day)*10)/10) + "d"
	case d >= 2*time.Hour:
		return datasets.FormatNumber(math.Round(d.Hours()*10)/10) + "h"
	case d >= 2*time.Minute:
		return datasets.FormatNumber(math.Round(d.Minutes()*10)/10) + "m"
	}
	return datasets.FormatNumber(math.Round(float64(us)/1e5)/10) + "s"
}
