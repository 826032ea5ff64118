package monitor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"

	"propensity/datasets"
	"propensity/features"
	"propensity/models"
)

// Counts are what was counted over some time. They are whole numbers: the same scores
// give the same counts in any order, and counts of two times add up.
type Counts struct {
	Rows  int64
	cells []int64
	// Sums of p, of p (1 - p) and of the entropy of p, in units of 1e-9.
	probability, variance, entropy int64
	// anonymous are rows of no account; the others are in the sketch.
	anonymous int64
	sketch    []int64
}

// sketchSize is a power of two.
const sketchSize = 1 << 10

const nano = 1e9

// NewCounts are none yet.
func (s *Shape) NewCounts() *Counts {
	return &Counts{cells: make([]int64, s.cells), sketch: make([]int64, sketchSize)}
}

// Add adds counts of the same shape.
func (c *Counts) Add(o *Counts) {
	c.Rows += o.Rows
	c.probability += o.probability
	c.variance += o.variance
	c.entropy += o.entropy
	c.anonymous += o.anonymous
	for i, n := range o.cells {
		c.cells[i] += n
	}
	for i, n := range o.sketch {
		c.sketch[i] += n
	}
}

// Effective is the number of independent rows that the rows are worth if those of one
// account are all alike: n^2 / sum(m^2), m rows of each account (Kish 1965, section
// 8.2). The sum of squares is that of a sketch (Alon, Matias and Szegedy 1996; one
// counter a row: Thorup and Zhang 2004), of which what is above one row an account is
// taken two standard errors too large. Rows of no account stand for themselves.
func (c *Counts) Effective() float64 {
	squares := 0.0
	for _, n := range c.sketch {
		squares += float64(n) * float64(n)
	}
	named := float64(c.Rows - c.anonymous)
	squares = named + max(0, squares-named)*(1+2*math.Sqrt(2./sketchSize))
	squares += float64(c.anonymous)
	if squares == 0 {
		return 0
	}
	n := float64(c.Rows)
	return min(n, n*n/squares)
}

// Live counts the scores of one version as they are given, from many goroutines.
type Live struct {
	Shape  *Shape
	shards []shard
}

// shard is one of several sets of counts, so that goroutines do not wait for each other.
type shard struct {
	mu     sync.Mutex
	rows   int64
	cells  []uint32
	sketch []int32

	probability, variance, entropy, anonymous int64

	_ [64]byte // a cache line of its own
}

// NewLive counts nothing yet.
func NewLive(s *Shape) *Live {
	l := &Live{Shape: s, shards: make([]shard, runtime.GOMAXPROCS(0))}
	for i := range l.shards {
		l.shards[i].cells, l.shards[i].sketch = make([]uint32, s.cells), make([]int32, sketchSize)
	}
	return l
}

// Count counts one score of an account, "" if it has no name. The answer is that of the
// version's scorer.
func (l *Live) Count(a *models.Answer, account string) {
	at := 0
	if n := len(l.shards); n > 1 {
		at = int(rand.Uint32() % uint32(n))
		for range n {
			if l.shards[at].mu.TryLock() {
				l.shards[at].count(l.Shape, a, account)
				l.shards[at].mu.Unlock()
				return
			}
			if at++; at == n {
				at = 0
			}
		}
	}
	l.shards[at].mu.Lock()
	l.shards[at].count(l.Shape, a, account)
	l.shards[at].mu.Unlock()
}

func (d *shard) count(s *Shape, a *models.Answer, account string) {
	if len(a.Encoded) != len(s.columns) || len(a.States) != len(s.columns) {
		return // it is no answer of this version
	}
	d.rows++
	for j := range s.columns {
		c := &s.columns[j]
		d.cells[c.first+c.cell(a.Encoded[j], a.States[j])]++
	}
	p := a.Probability
	d.cells[s.first+oddsBin(p)]++
	if k := s.bandOf(p); k >= 0 {
		d.cells[s.first+oddsBins+k]++
	}
	d.probability += int64(p * nano)
	d.variance += int64(p * (1 - p) * nano)
	if p > 0 && p < 1 {
		d.entropy -= int64((p*math.Log(p) + (1-p)*math.Log1p(-p)) * nano)
	}
	if account == "" {
		d.anonymous++
		return
	}
	h := hash(account)
	d.sketch[h%sketchSize] += 1 - 2*int32(h>>63)
}

// cell is where a value is counted, from the column's first cell.
func (c *column) cell(x float64, state features.State) int {
	if x != x {
		return cellMissing
	}
	if c.kind == datasets.Category {
		switch {
		case x >= 0 && int(x) < len(c.codes):
			return int(c.codes[int(x)])
		case state == features.Empty:
			return cellEmpty
		}
		return cellUnseen
	}
	if x > c.low && x <= c.high { // where nearly all values lie, there are few cuts
		return c.inner + below(c.innerKeys, key(x))
	}
	return cellFirst + bin(c.keys, x)
}

// key is a whole number that orders as numbers do.
func key(x float64) uint64 {
	b := math.Float64bits(x)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// below is the number of a few cuts below k: counting them all is faster than a search,
// whose every step waits for the one before.
func below(keys []uint64, k uint64) (n int) {
	for _, cut := range keys {
		_, borrow := bits.Sub64(cut, k, 0)
		n += int(borrow)
	}
	return n
}

// bin is the number of cuts below x, of which there is at least one. It has no branch
// that depends on x, which a processor could only guess.
func bin(keys []uint64, x float64) int {
	k, at, n := key(x), 0, len(keys)
	for n > 1 {
		half := n / 2
		_, below := bits.Sub64(keys[at+half-1], k, 0)
		at += half & -int(below)
		n -= half
	}
	_, below := bits.Sub64(keys[at], k, 0)
	return at + int(below)
}

// hash is FNV-1a with the last step of MurmurHash3, so that all bits depend on all
// letters. It is the same in every process: sketches of several servers add up.
func hash(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(text); i++ {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Take gives what was counted since it was last taken.
func (l *Live) Take() *Counts {
	out := l.Shape.NewCounts()
	for i := range l.shards {
		d := &l.shards[i]
		d.mu.Lock()
		out.Rows += d.rows
		out.probability += d.probability
		out.variance += d.variance
		out.entropy += d.entropy
		out.anonymous += d.anonymous
		for k, n := range d.cells {
			out.cells[k] += int64(n)
		}
		for k, n := range d.sketch {
			out.sketch[k] += int64(n)
		}
		clear(d.cells)
		clear(d.sketch)
		d.rows, d.probability, d.variance, d.entropy, d.anonymous = 0, 0, 0, 0, 0
		d.mu.Unlock()
	}
	return out
}

// ErrCounts is wrapped by errors about bytes that are no counts of a shape.
var ErrCounts = errors.New("no counts of this version")

// layout is the first byte of encoded counts.
const layout = 1

// Append appends counts as bytes: a layout, the sums, then the cells and the sketch with
// runs of zeros left out.
func (c *Counts) Append(b []byte) []byte {
	b = append(b, layout)
	for _, n := range []int64{c.Rows, c.probability, c.variance, c.entropy, c.anonymous} {
		b = binary.AppendVarint(b, n)
	}
	for _, list := range [][]int64{c.cells, c.sketch} {
		zeros := uint64(0)
		for _, n := range list {
			if n == 0 {
				zeros++
				continue
			}
			b = binary.AppendUvarint(b, zeros)
			b = binary.AppendVarint(b, n)
			zeros = 0
		}
		b = binary.AppendUvarint(b, zeros)
		b = append(b, 0) // no count: the end of the list
	}
	return b
}

// Parse reads counts that Append has written for a version of this shape.
func (s *Shape) Parse(b []byte) (*Counts, error) {
	if len(b) == 0 || b[0] != layout {
		return nil, fmt.Errorf("%w: another layout", ErrCounts)
	}
	b = b[1:]
	c := s.NewCounts()
	for _, to := range []*int64{&c.Rows, &c.probability, &c.variance, &c.entropy, &c.anonymous} {
		v, n := binary.Varint(b)
		if n <= 0 || v < 0 {
			return nil, fmt.Errorf("%w: damaged sums", ErrCounts)
		}
		*to, b = v, b[n:]
	}
	if c.anonymous > c.Rows {
		return nil, fmt.Errorf("%w: damaged sums", ErrCounts)
	}
	for _, list := range [][]int64{c.cells, c.sketch} {
		at := uint64(0)
		for {
			zeros, n := binary.Uvarint(b)
			if n <= 0 || zeros > uint64(len(list))-at {
				return nil, fmt.Errorf("%w: damaged cells", ErrCounts)
			}
			at, b = at+zeros, b[n:]
			v, n := binary.Varint(b)
			if n <= 0 || (v == 0) != (at == uint64(len(list))) {
				return nil, fmt.Errorf("%w: damaged cells", ErrCounts)
			}
			b = b[n:]
			if v == 0 {
				break
			}
			list[at] = v
			at++
		}
	}
	for _, n := range c.cells {
		if n < 0 || n > c.Rows {
			return nil, fmt.Errorf("%w: %d in a cell of %d rows", ErrCounts, n, c.Rows)
		}
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: something follows its end", ErrCounts)
	}
	return c, nil
}
