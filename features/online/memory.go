package online

import (
	"context"
	"maps"
	"slices"
	"sync"

	"propensity/features/facts"
)

// Memory is a store in memory: what it has ends with it.
type Memory struct {
	clock
	mu    sync.RWMutex // of the map
	known map[string]*account
}

// account is what the store knows of one account.
type account struct {
	mu      sync.Mutex
	version uint64
	// facts are the versions of each fact, in order; Facts sorts the facts.
	facts map[name][]record
}

type name struct{ source, id string }

// NewMemory gives an empty store.
func NewMemory() *Memory {
	return &Memory{known: map[string]*account{}}
}

// Append adds facts; of one account, all at once.
func (m *Memory) Append(ctx context.Context, list []facts.Fact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	records, err := recordsOf(list, m.now())
	if err != nil {
		return err
	}
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].account == records[0].account {
			n++
		}
		m.account(records[0].account).add(records[:n])
		records = records[n:]
	}
	return nil
}

// account gives the account of that id, a new one if need be.
func (m *Memory) account(id string) *account {
	m.mu.RLock()
	a := m.known[id]
	m.mu.RUnlock()
	if a != nil {
		return a
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if a = m.known[id]; a == nil {
		a = &account{facts: map[name][]record{}}
		m.known[id] = a
	}
	return a
}

func (a *account) add(list []record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range list {
		key := name{r.source, r.id}
		have := a.facts[key]
		if r.now && len(have) > 0 {
			newest := &have[len(have)-1]
			if slices.Equal(newest.content, r.content) {
				continue
			}
			r.arrived = max(r.arrived, newest.arrived+1)
		}
		if at, found := slices.BinarySearchFunc(have, r, compareVersions); !found {
			r.now = false
			a.facts[key] = slices.Insert(have, at, r)
			a.version++
		}
	}
}

// Facts gives the facts of an account.
func (m *Memory) Facts(ctx context.Context, id string, since Since) ([]facts.Fact, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	a := m.known[id]
	m.mu.RUnlock()
	if a == nil {
		return nil, nil
	}
	a.mu.Lock()
	var list []record
	for _, versions := range a.facts { // sorted below
		list = append(list, versions...)
	}
	a.mu.Unlock()
	slices.SortFunc(list, compareVersions)
	return factsOf(list, since)
}

func (m *Memory) versions(_ context.Context, accounts []string) ([]uint64, error) {
	out := make([]uint64, len(accounts))
	for i, id := range accounts {
		m.mu.RLock()
		a := m.known[id]
		m.mu.RUnlock()
		if a != nil {
			a.mu.Lock()
			out[i] = a.version
			a.mu.Unlock()
		}
	}
	return out, nil
}

// Close forgets nothing: the store may be used on.
func (m *Memory) Close() error { return nil }

func (m *Memory) accounts(context.Context) ([]string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Sorted(maps.Keys(m.known)), nil
}

func (m *Memory) remove(_ context.Context, id string, list []record) error {
	a := m.account(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range list {
		key := name{r.source, r.id}
		if at, found := slices.BinarySearchFunc(a.facts[key], r, compareVersions); found {
			if a.facts[key] = slices.Delete(a.facts[key], at, at+1); len(a.facts[key]) == 0 {
				delete(a.facts, key)
			}
			a.version++
		}
	}
	return nil
}
