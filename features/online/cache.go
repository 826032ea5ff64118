package online

import (
	"container/list"
	"sync"

	"propensity/features/facts"
	"propensity/features/spec"
)

// cache keeps parts, those used last, up to a number of bytes.
type cache struct {
	most  int64
	mu    sync.Mutex
	size  int64
	order list.List // of *entry, the one used last first
	at    map[cacheKey]*list.Element
}

type cacheKey struct {
	project *spec.Project
	account string
}

// entry is a part, with what the store said of the keys that its facts are under
// before they were read.
type entry struct {
	key      cacheKey
	from     int64 // it shows all that counts at this moment or later
	keys     []string
	versions []uint64
	part     *facts.Part
	size     int64
}

// get gives the entry, if there is one that shows all that counts at a moment. Whether
// it has changed is for the caller to find out.
func (c *cache) get(key cacheKey, moment int64) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.at[key]
	if element == nil || element.Value.(*entry).from > moment {
		return nil
	}
	c.order.MoveToFront(element)
	return element.Value.(*entry)
}

// put keeps an entry in the place of the former one. What looks at an earlier moment
// shows more, but one that looks at the present is asked for again.
func (c *cache) put(e *entry) {
	if e.size > c.most/4 {
		return // it would drive out too many others
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[cacheKey]*list.Element{}
	}
	if old := c.at[e.key]; old != nil {
		c.drop(old)
	}
	c.at[e.key] = c.order.PushFront(e)
	c.size += e.size
	for c.size > c.most {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(element *list.Element) {
	e := c.order.Remove(element).(*entry)
	delete(c.at, e.key)
	c.size -= e.size
}

// sizeOf is about how many bytes an entry takes.
func sizeOf(part *facts.Part, keys []string) int64 {
	size := int64(512)
	for _, key := range keys {
		size += int64(len(key)) + 64
	}
	for s := range part.Sources {
		f := &part.Sources[s]
		size += 128 + 8*int64(len(f.First)+len(f.Occurred)+len(f.Arrived)+len(f.Until)+len(f.End))
		for i := range f.Columns {
			c := &f.Columns[i]
			size += 160 + 8*int64(len(c.Numbers)+len(c.Times)) + 4*int64(len(c.Codes))
			for _, v := range c.Values {
				size += int64(len(v)) + 16
			}
		}
	}
	return size
}
