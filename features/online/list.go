package online

import (
	"context"
	"fmt"
	"iter"
)

// listed is a store that can tell its accounts.
type listed interface {
	// accounts gives the accounts of which there are facts, from <= account < to, in the
	// order of their bytes; to "" is no bound. One whose first fact comes meanwhile, or
	// whose last one goes, may be among them or not. After an error there is no more.
	accounts(ctx context.Context, from, to string) iter.Seq2[string, error]
}

// List gives the accounts of which the store has facts of their own, in the order of the
// bytes of their ids, from after the given one on; "" is before all. It takes the memory
// of a page of them, but for a store in memory, of whose ids it makes a list. An account
// whose first fact comes meanwhile may be among them or not. The error wraps
// ErrUnavailable, or is that of ctx, and nothing comes after it.
func (a *Accounts) List(ctx context.Context, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s, ok := a.store.(listed)
		if !ok {
			yield("", fmt.Errorf("%T: the accounts of this store cannot be listed", a.store))
			return
		}
		// The names of users and merged accounts lie between.
		for _, part := range [][2]string{{"\x00", "\x01"}, {"\x02", ""}} {
			from, to := max(part[0], next(after)), part[1]
			if to != "" && from >= to {
				continue
			}
			for account, err := range s.accounts(ctx, from, to) {
				if !yield(account, err) || err != nil {
					return
				}
			}
		}
	}
}

// next is the first text after another.
func next(text string) string { return text + "\x00" }

// listPage is how many accounts are read at once.
const listPage = 1000

// pages reads accounts a page at a time: read gives at most listPage of them from one on,
// in order, and none at the end.
func pages(from, to string, read func(from string) ([]string, error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for {
			page, err := read(from)
			if err != nil {
				yield("", err)
				return
			}
			for _, account := range page {
				if to != "" && account >= to || !yield(account, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			from = next(page[len(page)-1])
		}
	}
}
