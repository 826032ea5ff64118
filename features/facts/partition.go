package facts

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"

	"propensity/datasets"
)

// accounts numbers accounts as they are met, and deals them out to buckets by a hash
// of their ids. Their order, everywhere, is that of (hash, id): it depends on neither
// the number of buckets nor on what is read first.
type accounts struct {
	mu     sync.RWMutex
	number map[string]uint32
	list   []account
	shift  uint     // 64 minus the logarithm of the number of buckets
	counts []uint32 // accounts of each bucket
}

type account struct {
	id     string
	bucket uint32
	local  uint32 // its number in the bucket
}

func newAccounts(buckets uint) *accounts {
	return &accounts{number: map[string]uint32{}, shift: 64 - buckets, counts: make([]uint32, 1<<buckets)}
}

// hashOf is FNV-1a with its bits mixed once more, as the bucket is in the first ones.
func hashOf(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(id); i++ {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// numbers gives the numbers of accounts, new ones to those not met before; "" is
// none of them.
func (a *accounts) numbers(ids []string, out []uint32) []uint32 {
	const unknown = math.MaxUint32
	first := len(out)
	a.mu.RLock()
	for _, id := range ids {
		n, ok := a.number[id]
		if !ok {
			n = unknown
		}
		out = append(out, n)
	}
	a.mu.RUnlock()
	if !slices.Contains(out[first:], unknown) {
		return out
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, id := range ids {
		if out[first+i] == unknown && id != "" {
			out[first+i] = a.add(id)
		}
	}
	return out
}

// add gives the number of an account; the lock is held.
func (a *accounts) add(id string) uint32 {
	if n, ok := a.number[id]; ok {
		return n
	}
	n := uint32(len(a.list))
	bucket := uint32(hashOf(id) >> a.shift)
	id = strings.Clone(id)
	a.number[id] = n
	a.list = append(a.list, account{id: id, bucket: bucket, local: a.counts[bucket]})
	a.counts[bucket]++
	return n
}

// at is an account by its number.
func (a *accounts) at(n uint32) account {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.list[n]
}

// record is one batch of a source on its way into buckets: a row a record.
type record struct {
	rows     int
	bucket   []uint32 // of each row,
	local    []uint32 // and the number of its account there
	occurred []int64
	arrived  []int64 // nil: as they occurred
	end      []int64 // nil: no intervals
	id       *datasets.Column
	columns  []*datasets.Column
	edge     []int64 // of copies: the merge that makes them; nil otherwise
}

// packer packs batches; it belongs to one goroutine.
type packer struct {
	out     []byte
	ends    []uint32
	starts  []int
	order   []int32
	ints    []int64
	numbers []float64
	texts   texts
}

// texts numbers the texts of a run of rows.
type texts struct {
	codes []int32 // of the column's codes in the run: valid where stamp is now
	stamp []uint32
	now   uint32
}

// pack deals the given rows out to buckets, in order, and packs those of each.
func (p *packer) pack(r *record, rows []int32, buckets int) (data []byte, ends []uint32) {
	p.starts = append(p.starts[:0], make([]int, buckets+1)...)
	for _, i := range rows {
		p.starts[r.bucket[i]+1]++
	}
	for b := range buckets {
		p.starts[b+1] += p.starts[b]
	}
	p.order = slices.Grow(p.order[:0], len(rows))[:len(rows)]
	next := slices.Clone(p.starts)
	for _, i := range rows {
		b := r.bucket[i]
		p.order[next[b]] = i
		next[b]++
	}
	p.out, p.ends = p.out[:0], p.ends[:0]
	for b := range buckets {
		if run := p.order[p.starts[b]:p.starts[b+1]]; len(run) > 0 {
			p.run(r, run)
		}
		p.ends = append(p.ends, uint32(len(p.out)))
	}
	return p.out, p.ends
}

// run packs the rows of one bucket.
func (p *packer) run(r *record, rows []int32) {
	n := len(rows)
	p.ints, p.numbers = slices.Grow(p.ints[:0], n)[:n], slices.Grow(p.numbers[:0], n)[:n]
	p.out = binary.AppendUvarint(p.out, uint64(n))
	for k, i := range rows {
		p.ints[k] = int64(r.local[i])
	}
	p.out = packInts(p.out, p.ints)
	p.times(r.occurred, rows)
	if r.arrived != nil {
		p.times(r.arrived, rows)
	}
	if r.end != nil {
		p.times(r.end, rows)
	}
	if r.edge != nil {
		p.times(r.edge, rows)
	}
	if r.id != nil {
		p.column(r.id, rows)
	}
	for _, c := range r.columns {
		p.column(c, rows)
	}
}

func (p *packer) times(xs []int64, rows []int32) {
	for k, i := range rows {
		p.ints[k] = xs[i]
	}
	p.out = packInts(p.out, p.ints)
}

func (p *packer) column(c *datasets.Column, rows []int32) {
	switch c.Kind {
	case datasets.Number, datasets.Boolean:
		for k, i := range rows {
			p.numbers[k] = c.Numbers[i]
		}
		p.out = packNumbers(p.out, p.numbers, p.ints)
	case datasets.Time:
		p.times(c.Times, rows)
	default:
		p.text(c, rows)
	}
}

// text packs the texts of the run that differ, and the number of that of each row.
func (p *packer) text(c *datasets.Column, rows []int32) {
	t := &p.texts
	if len(t.codes) < len(c.Values) {
		t.codes = append(t.codes, make([]int32, len(c.Values)-len(t.codes))...)
		t.stamp = append(t.stamp, make([]uint32, len(c.Values)-len(t.stamp))...)
	}
	if t.now++; t.now == 0 {
		clear(t.stamp)
		t.now = 1
	}
	distinct := int32(0)
	for k, i := range rows {
		code := c.Codes[i]
		if code < 0 {
			p.ints[k] = math.MinInt64
			continue
		}
		if t.stamp[code] != t.now {
			t.stamp[code], t.codes[code] = t.now, distinct
			distinct++
		}
		p.ints[k] = int64(t.codes[code])
	}
	p.out = binary.AppendUvarint(p.out, uint64(distinct))
	met := int64(0)
	for k, i := range rows {
		if p.ints[k] == met {
			s := c.Values[c.Codes[i]]
			p.out = binary.AppendUvarint(p.out, uint64(len(s)))
			p.out = append(p.out, s...)
			met++
		}
	}
	p.out = packInts(p.out, p.ints)
}
