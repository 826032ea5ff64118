package online

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"slices"
	"sync"

	"propensity/features/facts"
)

// Memory is a store in memory: what it has ends with it.
type Memory struct {
	clock
	mu    sync.RWMutex // of the map
	known map[string]*account
	seed  maphash.Seed
}

// account is what the store knows of one account. There may be millions of facts, which
// the garbage collector would have to look at again and again: they are bytes without a
// pointer among them.
type account struct {
	mu      sync.Mutex
	version uint64
	seed    maphash.Seed
	log     []byte         // the versions, as they came: see put
	newest  map[uint64]int // by the hash of source and id: where the last one that came begins, plus one
}

// NewMemory gives an empty store.
func NewMemory() *Memory {
	return &Memory{known: map[string]*account{}, seed: maphash.MakeSeed()}
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
		a = &account{seed: m.seed, newest: map[uint64]int{}}
		m.known[id] = a
	}
	return a
}

func (a *account) add(list []record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range list {
		hash := a.hash(r.source, r.id)
		if last, again := a.find(hash, &r); r.now && last != nil {
			if bytes.Equal(last.content, r.content) {
				continue
			}
			r.arrived = max(r.arrived, last.arrived+1)
		} else if again {
			continue
		}
		a.put(hash, &r)
		a.version++
	}
}

// find gives the version of a fact that arrived last, nil if there is none, and whether
// the very version is there.
func (a *account) find(hash uint64, r *record) (last *logged, again bool) {
	for at := a.newest[hash]; at > 0; {
		v := a.at(at - 1)
		at = v.before
		if string(v.source) != r.source || string(v.id) != r.id {
			continue
		}
		again = again || v.arrived == r.arrived && bytes.Equal(v.content, r.content)
		if last == nil || last.arrived < v.arrived || last.arrived == v.arrived && bytes.Compare(last.content, v.content) < 0 {
			last = &v
		}
	}
	return last, again
}

// put appends a version: where the one before it of the same hash begins, plus one; when it
// arrived; the lengths of source, id and content; and these.
func (a *account) put(hash uint64, r *record) {
	at := len(a.log)
	a.log = binary.AppendUvarint(a.log, uint64(a.newest[hash]))
	a.log = binary.AppendVarint(a.log, r.arrived)
	for _, n := range [...]int{len(r.source), len(r.id), len(r.content)} {
		a.log = binary.AppendUvarint(a.log, uint64(n))
	}
	a.log = append(append(append(a.log, r.source...), r.id...), r.content...)
	a.newest[hash] = at + 1
}

// logged is a version in the log, which is only ever appended to.
type logged struct {
	source, id, content []byte
	arrived             int64
	before              int // where the one before it of the same hash begins, plus one
	name, next          int // where source and id stand, and where the next version begins
}

// at reads the version that begins somewhere.
func (a *account) at(start int) (v logged) {
	b := a.log[start:]
	number := func() int {
		x, n := binary.Uvarint(b)
		b = b[n:]
		return int(x)
	}
	v.before = number()
	var n int
	v.arrived, n = binary.Varint(b)
	b = b[n:]
	source, id, content := number(), number(), number()
	v.name = len(a.log) - len(b)
	v.source, v.id, b = b[:source], b[source:source+id], b[source+id:]
	v.content = b[:content:content]
	v.next = len(a.log) - len(b) + content
	return v
}

// hash names a fact.
func (a *account) hash(source, id string) uint64 {
	return maphash.Comparable(a.seed, [2]string{source, id})
}

// all are the versions of the account, in order.
func (a *account) all(id string) []record {
	list := make([]record, 0, len(a.newest))
	names := string(a.log) // once, not for each
	for at := 0; at < len(a.log); {
		v := a.at(at)
		source := v.name + len(v.source)
		list = append(list, record{account: id, source: names[v.name:source], id: names[source : source+len(v.id)], arrived: v.arrived, content: v.content})
		at = v.next
	}
	slices.SortFunc(list, compareVersions)
	return list
}

// Facts gives the facts of an account.
func (m *Memory) Facts(ctx context.Context, account string, since Since) ([]facts.Fact, error) {
	return factsOf(ctx, m, account, since)
}

func (m *Memory) records(ctx context.Context, id string) ([]record, error) {
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
	defer a.mu.Unlock()
	return a.all(id), nil
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

func (m *Memory) accounts(ctx context.Context, from, to string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		m.mu.RLock()
		for id := range m.known { // sorted below
			if id >= from && (to == "" || id < to) {
				ids = append(ids, id)
			}
		}
		m.mu.RUnlock()
		slices.Sort(ids)
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if a := m.account(id); a.any() && !yield(id, nil) {
				return
			}
		}
	}
}

// any says whether there is a fact.
func (a *account) any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.log) > 0
}

func (m *Memory) remove(_ context.Context, id string, list []record) error {
	a := m.account(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := a.all(id)
	for _, r := range list {
		if at, found := slices.BinarySearchFunc(kept, r, compareVersions); found {
			kept = slices.Delete(kept, at, at+1)
			a.version++
		}
	}
	a.log, a.newest = nil, map[uint64]int{}
	for i := range kept {
		a.put(a.hash(kept[i].source, kept[i].id), &kept[i])
	}
	return nil
}
