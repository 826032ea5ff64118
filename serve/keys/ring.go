package keys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ring is the keys of a file as a server uses them. It looks at the file with each
// request, so that a change, above all a revocation, holds from the next request on.
// A file that cannot be read any more leaves the keys as they were: see Cause.
type Ring struct {
	path    string
	now     func() time.Time
	changed func(Change)
	held    atomic.Pointer[held]
	mu      sync.Mutex // of who reads the file
}

// held is one state of the file.
type held struct {
	stamp   stamp
	settled bool // the file cannot have changed since without another stamp
	bytes   []byte
	list    []Key
	byID    map[string]*Holder
	cause   error // why a later state of the file is not used
}

// stamp tells one state of a file from another, nearly always.
type stamp struct {
	info fs.FileInfo // nil: it is not there
	size int64
	at   time.Time
}

func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return s.size == o.size && s.at.Equal(o.at) && os.SameFile(s.info, o.info)
}

// Change is how the file came to differ by the hand of another: the IDs of keys.
type Change struct {
	Added, Revoked, Changed []string
	// Err: it cannot be used, and the keys stay as they were.
	Err error
}

// Open reads a file of keys. The clock is time.Now if now is nil; changed, which may be
// nil, is told of each change of the file that the Ring did not make, and must not wait.
func Open(path string, now func() time.Time, changed func(Change)) (*Ring, error) {
	if now == nil {
		now = time.Now
	}
	r := &Ring{path: path, now: now, changed: changed}
	h := r.read(nil)
	if h.cause != nil {
		return nil, h.cause
	}
	r.held.Store(h)
	return r, nil
}

// Holder is a key in use.
type Holder struct {
	Key    Key // not to be changed
	hashes [][sha256.Size]byte
	usage  *usage
	scopes [4]bool
	now    func() time.Time
}

func (r *Ring) holder(k Key, before *held) *Holder {
	h := &Holder{Key: k, now: r.now}
	for i, s := range Scopes() {
		h.scopes[i] = slices.Contains(k.Scopes, s) || slices.Contains(k.Scopes, Admin)
	}
	for _, s := range k.Secrets {
		var sum [sha256.Size]byte
		_, _ = hex.Decode(sum[:], []byte(s.Hash)) // was checked
		h.hashes = append(h.hashes, sum)
	}
	if before != nil && before.byID[k.ID] != nil {
		h.usage = before.byID[k.ID].usage
	} else {
		h.usage = new(usage)
	}
	return h
}

// May says whether the key has a scope.
func (h *Holder) May(scope string) bool {
	i := slices.Index(Scopes(), scope)
	return i >= 0 && h.scopes[i]
}

// Take takes one request from the key's rate, and n of its day: see Limits.
func (h *Holder) Take(n int64) Limits { return h.usage.take(&h.Key, h.now(), n) }

// Spend takes n of the key's day; false if it has not as much.
func (h *Holder) Spend(n int64) bool { return h.usage.spend(&h.Key, h.now(), n) }

// Find gives the key of a text. The error is ErrUnknown or ErrExpired.
func (r *Ring) Find(text string) (*Holder, error) {
	id, ok := idOf(text)
	if !ok {
		return nil, ErrUnknown
	}
	h := r.current().byID[id]
	if h == nil {
		return nil, ErrUnknown
	}
	i := find(h.hashes, text)
	if i < 0 {
		return nil, ErrUnknown
	}
	now := r.now()
	if k := &h.Key; !k.Expires.IsZero() && !now.Before(k.Expires) || k.Secrets[i].over(now) {
		return nil, ErrExpired
	}
	return h, nil
}

// Used is what a key has taken of its day so far.
func (r *Ring) Used(id string) int64 {
	h := r.current().byID[id]
	if h == nil {
		return 0
	}
	h.usage.mu.Lock()
	defer h.usage.mu.Unlock()
	today, _, _ := h.usage.today(&h.Key, r.now())
	return today.used + today.others
}

// List is all keys, also those revoked, in the order in which they were made.
func (r *Ring) List() []Key { return slices.Clone(r.current().list) }

// Cause is why the file as it is now is not used; nil if it is.
func (r *Ring) Cause() error { return r.current().cause }

// Create makes a key, as the function of this name does; it holds at once.
func (r *Ring) Create(ctx context.Context, like Key) (k Key, text string, err error) {
	r.apply(func() { k, text, err = Create(ctx, r.path, like, r.now()) })
	return k, text, err
}

// Revoke ends a key at once.
func (r *Ring) Revoke(ctx context.Context, id string) (k Key, err error) {
	r.apply(func() { k, err = Revoke(ctx, r.path, id, r.now()) })
	return k, err
}

// Rotate gives a key a new text, which holds at once.
func (r *Ring) Rotate(ctx context.Context, id string, overlap time.Duration) (k Key, text string, err error) {
	r.apply(func() { k, text, err = Rotate(ctx, r.path, id, overlap, r.now()) })
	return k, text, err
}

// apply takes up a change of our own without a word to changed.
func (r *Ring) apply(do func()) {
	r.current() // what others did before is told
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	r.held.Store(r.read(r.held.Load()))
}

// current is the keys as the file has them now.
func (r *Ring) current() *held {
	h := r.held.Load()
	if h.settled && r.stamp().same(h.stamp) {
		return h
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.held.Load() // another request may have read it while this one waited
	now := r.read(was)
	r.held.Store(now)
	if c := difference(was, now); r.changed != nil && c != nil {
		r.changed(*c)
	}
	return now
}

func (r *Ring) stamp() stamp {
	info, err := os.Stat(r.path)
	if err != nil {
		return stamp{}
	}
	return stamp{info, info.Size(), info.ModTime()}
}

// read reads the file, unless it is as it was.
func (r *Ring) read(was *held) *held {
	h := &held{stamp: r.stamp()}
	h.settled = settled(h.stamp, time.Now())
	if was != nil && was.settled && h.stamp.same(was.stamp) {
		return was
	}
	b, _, err := read(r.path)
	if err == nil && was != nil && was.cause == nil && bytes.Equal(b, was.bytes) {
		h.bytes, h.list, h.byID = b, was.list, was.byID
		return h
	}
	if err == nil {
		if h.list, err = parse(b); err != nil {
			err = fmt.Errorf("%s: %w", r.path, err)
		}
	}
	if err != nil {
		if h.cause = err; was != nil {
			h.bytes, h.list, h.byID = was.bytes, was.list, was.byID
		}
		return h
	}
	h.bytes, h.byID = b, make(map[string]*Holder, len(h.list))
	for _, k := range h.list {
		if k.Revoked.IsZero() {
			h.byID[k.ID] = r.holder(k, was)
		}
	}
	return h
}

// settled says that a file of this stamp, if it were changed after now, would have
// another one. Clocks of file systems step by up to 10 ms, and some by 2 s.
func settled(s stamp, now time.Time) bool {
	step := 50 * time.Millisecond
	if s.at.Nanosecond() == 0 {
		step = 2 * time.Second
	}
	return s.info == nil || now.Sub(s.at) > step
}

// difference is what changed between two states; nil if nothing did.
func difference(was, now *held) *Change {
	if now.cause != nil {
		if was.cause != nil && was.cause.Error() == now.cause.Error() {
			return nil
		}
		return &Change{Err: now.cause}
	}
	var c Change
	before := make(map[string]*Key, len(was.list))
	for i := range was.list {
		before[was.list[i].ID] = &was.list[i]
	}
	for i := range now.list {
		k := &now.list[i]
		old := before[k.ID]
		delete(before, k.ID)
		switch {
		case old == nil:
			c.Added = append(c.Added, k.ID)
		case old.Revoked.IsZero() && !k.Revoked.IsZero():
			c.Revoked = append(c.Revoked, k.ID)
		case !sameKey(old, k):
			c.Changed = append(c.Changed, k.ID)
		}
	}
	for i := range was.list { // taken out of the file altogether
		if k := &was.list[i]; before[k.ID] != nil && k.Revoked.IsZero() {
			c.Revoked = append(c.Revoked, k.ID)
		}
	}
	if c.Added == nil && c.Revoked == nil && c.Changed == nil {
		return nil
	}
	return &c
}

func sameKey(a, b *Key) bool {
	return a.Name == b.Name && slices.Equal(a.Scopes, b.Scopes) && a.Rate == b.Rate && a.Burst == b.Burst && a.Daily == b.Daily &&
		a.Expires.Equal(b.Expires) && a.Revoked.Equal(b.Revoked) && slices.EqualFunc(a.Secrets, b.Secrets, func(x, y Secret) bool {
		return x.Hash == y.Hash && x.Until.Equal(y.Until)
	})
}
