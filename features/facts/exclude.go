package facts

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"propensity/datasets"
)

// Exclusion is records of a source that were left out, and why.
type Exclusion struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	First  string `json:"first"` // where the first of them is
}

// String is a sentence about it.
func (e Exclusion) String() string {
	return fmt.Sprintf("%s: %d left out: %s (first: %s)", e.Source, e.Count, e.Reason, e.First)
}

// earliest is the first instant that a fact may be dated: before 1990 there is no
// history of a company in a database, but there are clocks that were never set.
const earliest int64 = 631_152_000_000_000

// reason is why a record is left out.
type reason uint8

const (
	kept reason = iota
	filteredOut
	noAccount
	noUser
	noTime
	tooEarly
	inFuture
	tooLate
	endFirst
	noMerged
	itself
	reasons
)

func (r reason) words(limit int64) string {
	day := datasets.FormatTime(limit)
	return [...]string{
		filteredOut: "where does not hold",
		noAccount:   "no account id",
		noUser:      "their user is of no account",
		noTime:      "no time, or one that cannot be read",
		tooEarly:    "dated before 1990",
		inFuture:    "dated after " + day,
		tooLate:     "arrived after " + day,
		endFirst:    "ended before they started",
		noMerged:    "no account that was merged",
		itself:      "an account merged into itself",
	}[r]
}

// tally counts what a source left out.
type tally struct {
	mu     sync.Mutex
	counts [reasons]int64
	first  [reasons]place
	kept   int64
	newest int64            // arrival
	money  map[string]place // currencies, and where the first record of each is
}

// add takes the counts of a batch, the first rows of which are at first.
func (t *tally) add(b *batchTally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for r, n := range b.counts {
		if n == 0 {
			continue
		}
		if t.counts[r] == 0 || b.first[r].compare(t.first[r]) < 0 {
			t.first[r] = b.first[r]
		}
		t.counts[r] += n
	}
	t.kept += b.kept
	t.newest = max(t.newest, b.newest)
	for currency, at := range b.money {
		if old, ok := t.money[currency]; !ok || at.compare(old) < 0 {
			if t.money == nil {
				t.money = map[string]place{}
			}
			t.money[currency] = at
		}
	}
}

// batchTally is the same of one batch.
type batchTally struct {
	counts [reasons]int64
	first  [reasons]place
	kept   int64
	newest int64
	money  map[string]place
}

func (b *batchTally) leave(r reason, at place) {
	if b.counts[r] == 0 {
		b.first[r] = at
	}
	b.counts[r]++
}

// exclusions are those of a source, by reason.
func (l *layout) exclusions(t *tally, limit int64) (out []Exclusion) {
	for r := noAccount; r < reasons; r++ {
		if t.counts[r] > 0 {
			out = append(out, Exclusion{Source: l.source.Name, Reason: r.words(limit), Count: t.counts[r], First: l.record(t.first[r])})
		}
	}
	return out
}

// record names a record in messages.
func (l *layout) record(p place) string {
	return fmt.Sprintf("%s, record %d", l.where(p.file), p.row)
}

// oneCurrency is the error about a source whose amount is summed and is in several
// currencies; summed names the feature or label that sums it.
func (l *layout) oneCurrency(t *tally, summed string) error {
	if len(t.money) < 2 || summed == "" {
		return nil
	}
	type found struct {
		currency string
		at       place
	}
	var list []found
	for currency, at := range t.money {
		list = append(list, found{currency, at})
	}
	slices.SortFunc(list, func(a, b found) int { return cmp.Or(a.at.compare(b.at), cmp.Compare(a.currency, b.currency)) })
	return l.fault("%s adds up column %q, which is in %d currencies: %s (%s) and %s (%s) are two of them: convert them, or keep one with where: '%s == %q'",
		summed, l.source.Amount, len(list), list[0].currency, l.record(list[0].at), list[1].currency, l.record(list[1].at),
		l.source.Currency, list[0].currency)
}

// microsOf reads an instant that is a number: seconds, milliseconds or microseconds
// since 1970, told apart by their size, as from 1973 to 5138 they do not overlap.
func microsOf(x float64) int64 {
	const most = 1e11
	switch {
	case x != x:
		return datasets.MissingTime
	case -most < x && x < most:
		return int64(x * float64(time.Second/time.Microsecond))
	case -most*1e3 < x && x < most*1e3:
		return int64(x * float64(time.Millisecond/time.Microsecond))
	case -most*1e6 < x && x < most*1e6:
		return int64(x)
	}
	return datasets.MissingTime
}
