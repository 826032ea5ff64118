package datasets

import (
	"cmp"
	"fmt"
	"slices"
)

// NumberKeys numbers distinct keys from 0, by their first row. Keys are taken for
// hashes, whose low bits find their place; others are numbered alike, but slowly.
func NumberKeys(keys []uint64) (number []int, distinct int) {
	size := 16
	for size < 2*len(keys) {
		size *= 2
	}
	first := make([]int32, size) // a row with the key, from 1; 0 is none
	number = make([]int, len(keys))
	for i, k := range keys {
		at := k & uint64(size-1)
		for first[at] != 0 && keys[first[at]-1] != k {
			at = (at + 1) & uint64(size-1)
		}
		if first[at] == 0 {
			first[at] = int32(i + 1)
			number[i] = distinct
			distinct++
			continue
		}
		number[i] = number[first[at]-1]
	}
	return number, distinct
}

// accounts are rows by their account.
type accounts struct {
	of   []int    // the account of each row, numbered by NumberKeys
	keys []uint64 // of each account
	// strata are the accounts, in ascending order of their keys: [0] those without
	// a positive row, [1] the others.
	strata [2][]int
}

func accountsOf(keys []uint64, label []float64) (*accounts, error) {
	if len(keys) != len(label) {
		return nil, fmt.Errorf("%w by account: %d keys but %d labels", ErrSplit, len(keys), len(label))
	}
	of, n := NumberKeys(keys)
	a := &accounts{of: of, keys: make([]uint64, n)}
	positive := make([]bool, n)
	for i, y := range label {
		if y != 0 && y != 1 {
			return nil, fmt.Errorf("%w by account: row %d has the label %v, it must be 0 or 1", ErrSplit, i, y)
		}
		a.keys[of[i]] = keys[i]
		positive[of[i]] = positive[of[i]] || y == 1
	}
	for _, k := range ascending(a.keys) {
		s := 0
		if positive[k] {
			s = 1
		}
		a.strata[s] = append(a.strata[s], k)
	}
	return a, nil
}

// ascending are the places of distinct keys in ascending order. They are dealt
// out by their first bits: of hashes, each pile is small.
func ascending(keys []uint64) []int {
	const bits = 16
	var start [1<<bits + 1]int
	for _, k := range keys {
		start[k>>(64-bits)+1]++
	}
	for p := range 1 << bits {
		start[p+1] += start[p]
	}
	out, next := make([]int, len(keys)), start
	for i, k := range keys {
		p := k >> (64 - bits)
		out[next[p]] = i
		next[p]++
	}
	for p := range 1 << bits {
		if pile := out[start[p]:start[p+1]]; len(pile) > 1 {
			slices.SortFunc(pile, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
		}
	}
	return out
}
