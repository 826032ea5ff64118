package serve

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/singleflight"
)

// pinned keeps the versions that were asked for by number and that no alias
// points at: a few, those used last.
type pinned struct {
	most  int
	loads singleflight.Group
	one   chan struct{} // held while loading: one at a time, whoever asks

	mu       sync.Mutex
	versions []*version // the one used last comes last
}

func newPinned(most int) *pinned {
	return &pinned{most: most, one: make(chan struct{}, 1)}
}

// get gives a version, loaded if it is not there; requests for the same one wait
// for one load. A context that ends stops the waiting, not the load.
func (p *pinned) get(ctx context.Context, name string, number int, load func() (*version, error)) (*version, error) {
	if v := p.find(name, number); v != nil {
		return v, nil
	}
	wait := p.loads.DoChan(name+"@"+strconv.Itoa(number), func() (any, error) {
		p.one <- struct{}{}
		defer func() { <-p.one }()
		if v := p.find(name, number); v != nil {
			return v, nil
		}
		v, err := load()
		if err != nil {
			return nil, err
		}
		p.keep(v)
		return v, nil
	})
	select {
	case r := <-wait:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*version), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pinned) find(name string, number int) *version {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, v := range p.versions {
		if v.name == name && v.number == number {
			p.versions = append(slices.Delete(p.versions, i, i+1), v)
			return v
		}
	}
	return nil
}

func (p *pinned) keep(v *version) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions = append(p.versions, v)
	if len(p.versions) > p.most {
		p.versions = slices.Delete(p.versions, 0, 1)
	}
}

// drop forgets the versions that gone says are gone, which may take its time.
func (p *pinned) drop(gone func(name string, number int) bool) {
	p.mu.Lock()
	versions := slices.Clone(p.versions)
	p.mu.Unlock()
	for _, v := range versions {
		if gone(v.name, v.number) {
			p.mu.Lock()
			p.versions = slices.DeleteFunc(p.versions, func(w *version) bool { return w == v })
			p.mu.Unlock()
		}
	}
}

func (p *pinned) has(name string, number int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.versions, func(v *version) bool { return v.name == name && v.number == number })
}
