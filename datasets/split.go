package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ErrSplit is wrapped by every error about rows that cannot be cut as asked.
var ErrSplit = errors.New("cannot split")

// Split is a table cut in two: row indices, ascending, each row in exactly one
// of the three lists.
type Split struct {
	Train, Test []int
	// Purged rows would have been for training, but their horizon reaches into
	// the test part: what happened to them is partly what the test asks.
	Purged []int
	// Note says the cut in words, for reports.
	Note string
}

// Fold is one round of cross-fitting: a model fitted on Train predicts Test.
// Indices are ascending. Every row is in the Test of exactly one fold. Train is
// listed, rather than implied by a fold number, because in time it is less than
// all the other folds.
type Fold struct {
	Train, Test []int
}

// SplitTime makes the newest window the test part: the smallest set of newest
// distinct moments that holds at least share (between 0 and 1) of the rows.
// Moments are microseconds since 1970 UTC, one a row. A training row stays only
// if its horizon ends at or before the first moment of the test part, otherwise
// it is purged. Accounts may recur in both parts, as they will in production.
func SplitTime(moments []int64, horizon time.Duration, share float64) (Split, error) {
	if err := checkShare(len(moments), share); err != nil {
		return Split{}, err
	}
	if err := checkMoments(moments, horizon); err != nil {
		return Split{}, err
	}
	sorted := slices.Clone(moments)
	slices.Sort(sorted)
	first := sorted[len(sorted)-shareOf(len(sorted), share)]
	if first == sorted[0] {
		return Split{}, fmt.Errorf("%w by time: the moments from %s on, the oldest, are needed to fill %g of %d rows, so none is left to train on; take a smaller share or add older rows",
			ErrSplit, FormatTime(first), share, len(moments))
	}
	var s Split
	for i, m := range moments {
		switch {
		case m >= first:
			s.Test = append(s.Test, i)
		case endOf(m, horizon) <= first:
			s.Train = append(s.Train, i)
		default:
			s.Purged = append(s.Purged, i)
		}
	}
	if len(s.Train) == 0 {
		return Split{}, fmt.Errorf("%w by time: the horizon (%s) of all %d rows before the newest window reaches into it (it begins %s); add older rows, or shorten the horizon",
			ErrSplit, days(horizon), len(s.Purged), FormatTime(first))
	}
	s.Note = fmt.Sprintf("by time: tested on the newest %d of %d rows, from %s; trained on %d", len(s.Test), len(moments), FormatTime(first), len(s.Train))
	if len(s.Purged) > 0 {
		s.Note += fmt.Sprintf("; %d purged, their horizon of %s reaches into the test part", len(s.Purged), days(horizon))
	}
	return s, nil
}

// SplitOrder makes the last share (between 0 and 1) of n rows, by position, the
// test part: for files whose order is the order of time.
func SplitOrder(n int, share float64) (Split, error) {
	if err := checkShare(n, share); err != nil {
		return Split{}, err
	}
	cut := n - shareOf(n, share)
	if cut == 0 {
		return Split{}, fmt.Errorf("%w by order: a share of %g of %d rows leaves none to train on", ErrSplit, share, n)
	}
	return Split{
		Train: sequence(0, cut),
		Test:  sequence(cut, n),
		Note:  fmt.Sprintf("by file order: tested on the last %d of %d rows, trained on those before", n-cut, n),
	}, nil
}

// SplitGroup cuts by account and stratified by label. Keys are RowKeys, one a
// row; rows of one key are always in one part. Labels are 0 or 1. Accounts are
// ordered by key within two strata, those with a positive row and those without,
// and the lowest share (between 0 and 1) of each is the test part: which accounts
// are tested depends on no order of rows, and new accounts move only the
// boundary.
//
// Every account with a key below bound is in the test part. A later training
// with the same seed can therefore tell, from bound alone, which accounts this
// one certainly never trained on, those it had never seen among them.
func SplitGroup(keys []uint64, label []float64, share float64) (s Split, bound uint64, err error) {
	if err := checkShare(len(keys), share); err != nil {
		return Split{}, 0, err
	}
	a, err := accountsOf(keys, label)
	if err != nil {
		return Split{}, 0, err
	}
	tested, accounts := make([]bool, len(a.keys)), 0
	bound = math.MaxUint64
	for _, stratum := range a.strata {
		n := 0
		if len(stratum) > 1 {
			n = min(shareOf(len(stratum), share), len(stratum)-1)
		}
		for _, k := range stratum[:n] {
			tested[k] = true
		}
		if n < len(stratum) {
			bound = min(bound, a.keys[stratum[n]])
		}
		accounts += n
	}
	rows := 0
	for _, k := range a.of {
		if tested[k] {
			rows++
		}
	}
	s.Test, s.Train = make([]int, 0, rows), make([]int, 0, len(keys)-rows)
	for i, k := range a.of {
		if tested[k] {
			s.Test = append(s.Test, i)
		} else {
			s.Train = append(s.Train, i)
		}
	}
	if err := s.CheckLabels(label); err != nil {
		return Split{}, 0, err
	}
	s.Note = fmt.Sprintf("by account: tested on %d rows of %d of %d accounts, trained on the other %d rows",
		len(s.Test), accounts, len(a.keys), len(s.Train))
	return s, bound, nil
}

// CheckLabels reports a part that lacks rows of either label. Labels are 0 or 1,
// one a row of the table that was split.
func (s Split) CheckLabels(label []float64) error {
	if err := bothLabels("the training part", s.Train, label); err != nil {
		return err
	}
	return bothLabels("the test part", s.Test, label)
}

// FoldsTime cuts rows into k blocks of adjoining moments, of as even sizes as
// whole moments allow, for predictions out of fold. The model of a block is
// fitted on all other blocks, both older and newer, without the rows whose
// horizon [moment, moment + horizon) overlaps the block's span, [first moment,
// last moment + horizon): purged k-fold cross-validation (López de Prado,
// Advances in Financial Machine Learning, 2018, section 7.4).
//
// A rolling origin would be nearer to production, but leaves the oldest rows
// without a prediction and fits the first models on few. Folds only choose
// settings and the calibrator; a model is judged by SplitTime's newest window.
func FoldsTime(moments []int64, horizon time.Duration, k int) ([]Fold, error) {
	if err := checkFolds(len(moments), k); err != nil {
		return nil, err
	}
	if err := checkMoments(moments, horizon); err != nil {
		return nil, err
	}
	starts, err := blockStarts(moments, k)
	if err != nil {
		return nil, err
	}
	folds := make([]Fold, k)
	first, last := make([]int64, k), make([]int64, k)
	for i := range first {
		first[i], last[i] = math.MaxInt64, math.MinInt64
	}
	for i, m := range moments {
		b := blockOf(starts, m)
		folds[b].Test = append(folds[b].Test, i)
		first[b], last[b] = min(first[b], m), max(last[b], m)
	}
	for b := range folds {
		for i, m := range moments {
			if m < first[b] && endOf(m, horizon) <= first[b] || m > last[b] && m >= endOf(last[b], horizon) {
				folds[b].Train = append(folds[b].Train, i)
			}
		}
		if len(folds[b].Train) == 0 {
			return nil, fmt.Errorf("%w into %d folds by time: the horizon (%s) of every other row overlaps fold %d (%s to %s); use other folds, more history or a shorter horizon",
				ErrSplit, k, days(horizon), b, FormatTime(first[b]), FormatTime(last[b]))
		}
	}
	return folds, nil
}

// FoldsOrder cuts n rows into k blocks of adjoining positions, each predicted
// from all the others.
func FoldsOrder(n, k int) ([]Fold, error) {
	if err := checkFolds(n, k); err != nil {
		return nil, err
	}
	foldOf := make([]int, n)
	for i := range foldOf {
		foldOf[i] = i * k / n
	}
	return FoldsOf(foldOf, k), nil
}

// FoldsGroup cuts by account and stratified by label, in the order of
// SplitGroup: the fold of an account is its place in its stratum mod k. Rows of
// one key are always in one fold. Labels are 0 or 1.
func FoldsGroup(keys []uint64, label []float64, k int) ([]Fold, error) {
	if err := checkFolds(len(keys), k); err != nil {
		return nil, err
	}
	a, err := accountsOf(keys, label)
	if err != nil {
		return nil, err
	}
	if n := len(a.keys); n < k {
		return nil, fmt.Errorf("%w into %d folds by account: there are only %d accounts", ErrSplit, k, n)
	}
	foldOfAccount := make([]int, len(a.keys))
	for _, stratum := range a.strata {
		for place, n := range stratum {
			foldOfAccount[n] = place % k
		}
	}
	foldOf := Take(foldOfAccount, a.of)
	folds := FoldsOf(foldOf, k)
	if err := CheckFolds(folds, label); err != nil {
		return nil, err
	}
	return folds, nil
}

// FoldsRule gives each row, in file order, the number of rows before it that
// have its label, mod k: a stratified fold number without any random choice,
// easily repeated in other software. It keeps no accounts together.
func FoldsRule[L comparable](label []L, k int) []int {
	seen := make(map[L]int)
	foldOf := make([]int, len(label))
	for i, l := range label {
		foldOf[i] = seen[l] % k
		seen[l]++
	}
	return foldOf
}

// FoldsOf turns fold numbers, 0 to k-1, one a row, into folds, each predicted
// from all the others.
func FoldsOf(foldOf []int, k int) []Fold {
	folds := make([]Fold, k)
	for i, of := range foldOf {
		for f := range folds {
			if f == of {
				folds[f].Test = append(folds[f].Test, i)
			} else {
				folds[f].Train = append(folds[f].Train, i)
			}
		}
	}
	return folds
}

// CheckFolds reports a fold that has nothing to predict, or whose training rows
// lack one of the labels. A fold may be tested on one label alone.
func CheckFolds(folds []Fold, label []float64) error {
	for f := range folds {
		if len(folds[f].Test) == 0 {
			return fmt.Errorf("%w into %d folds: fold %d has no row; use fewer folds", ErrSplit, len(folds), f)
		}
		if err := bothLabels(fmt.Sprintf("what trains for fold %d", f), folds[f].Train, label); err != nil {
			return err
		}
	}
	return nil
}

// RowKeys hashes account ids to 64 bits: the first 8 bytes, big endian, of the
// SHA-256 of the seed (8 bytes, big endian) and the id. It will never change, so
// that the parts of a split can be told again years later, and elsewhere.
func RowKeys(seed uint64, accounts []string) []uint64 {
	keys := make([]uint64, len(accounts))
	var text []byte
	for i, account := range accounts {
		if i > 0 && account == accounts[i-1] {
			keys[i] = keys[i-1]
			continue
		}
		text = append(binary.BigEndian.AppendUint64(text[:0], seed), account...)
		sum := sha256.Sum256(text)
		keys[i] = binary.BigEndian.Uint64(sum[:8])
	}
	return keys
}

// Mix makes unrelated numbers of neighbouring ones: the finaliser of SplitMix64
// (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014)
// after one step of its counter. It will never change, as RowKeys will not.
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// blockStarts gives the first moments of k blocks. A block is closed when all
// blocks so far have their share of rows, and at the latest when each block
// still to come needs one of the moments left.
func blockStarts(moments []int64, k int) ([]int64, error) {
	sorted := slices.Clone(moments)
	slices.Sort(sorted)
	distinct := slices.Compact(slices.Clone(sorted))
	if len(distinct) < k {
		return nil, fmt.Errorf("%w into %d folds by time: there are only %d distinct moments", ErrSplit, k, len(distinct))
	}
	starts := []int64{distinct[0]}
	rows := 0
	for d, m := range distinct[:len(distinct)-1] {
		for rows < len(sorted) && sorted[rows] <= m {
			rows++
		}
		enough := rows*k >= len(sorted)*len(starts)
		forced := len(distinct)-1-d == k-len(starts)
		if len(starts) < k && (enough || forced) {
			starts = append(starts, distinct[d+1])
		}
	}
	return starts, nil
}

func blockOf(starts []int64, m int64) int {
	b, found := slices.BinarySearch(starts, m)
	if !found {
		b--
	}
	return b
}

func bothLabels(part string, rows []int, label []float64) error {
	var positive int
	for _, i := range rows {
		if label[i] == 1 {
			positive++
		}
	}
	if positive == 0 || positive == len(rows) {
		return fmt.Errorf("%w: %s has %d positive of %d rows; both labels are needed on each side: add rows, or cut differently",
			ErrSplit, part, positive, len(rows))
	}
	return nil
}

func checkShare(n int, share float64) error {
	if !(share > 0 && share < 1) {
		return fmt.Errorf("%w: the share of the test part is %v, it must be between 0 and 1", ErrSplit, share)
	}
	if n < 2 {
		return fmt.Errorf("%w: %d rows; at least 2 are needed", ErrSplit, n)
	}
	return nil
}

func checkFolds(n, k int) error {
	if k < 2 {
		return fmt.Errorf("%w into %d folds: at least 2 are needed", ErrSplit, k)
	}
	if n < k {
		return fmt.Errorf("%w into %d folds: there are only %d rows", ErrSplit, k, n)
	}
	return nil
}

func checkMoments(moments []int64, horizon time.Duration) error {
	if horizon < 0 {
		return fmt.Errorf("%w by time: the horizon is %s, it must not be negative", ErrSplit, horizon)
	}
	if i := slices.Index(moments, MissingTime); i >= 0 {
		return fmt.Errorf("%w by time: row %d has no moment", ErrSplit, i)
	}
	return nil
}

// shareOf is the least number of rows that is at least that share of n; a share
// such as 0.07 of 100 is 7 rows although the product is a hair above.
func shareOf(n int, share float64) int {
	return max(1, int(math.Ceil(share*float64(n)-1e-9)))
}

// endOf is the end of a row's horizon, in whole microseconds.
func endOf(moment int64, horizon time.Duration) int64 {
	h := horizon.Microseconds()
	if moment > math.MaxInt64-h {
		return math.MaxInt64
	}
	return moment + h
}

func days(horizon time.Duration) string {
	const day = 24 * time.Hour
	if horizon%day == 0 {
		return fmt.Sprintf("%dd", horizon/day)
	}
	return horizon.String()
}

func sequence(from, to int) []int {
	out := make([]int, to-from)
	for i := range out {
		out[i] = from + i
	}
	return out
}
