package facts

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
)

// store keeps what was read until all of it was: batches of packed facts, each cut
// by bucket, in memory up to a limit and in a temporary file beyond it.
type store struct {
	mu    sync.Mutex
	slabs []slab
	held  int64 // bytes in memory,
	most  int64 // of at most so many
	dir   string
	file  *os.File // nil: all is in memory
	size  int64    // of the file
}

// slab is the packed facts of one batch.
type slab struct {
	place place
	ends  []uint32 // of each bucket in the bytes
	data  []byte   // nil: in the file, from at on
	at    int64
}

// place is where a batch comes from, which puts batches in order whoever read them.
type place struct{ source, file, row int }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.source, q.source), cmp.Compare(p.file, q.file), cmp.Compare(p.row, q.row))
}

// add takes a batch, whose bytes the caller may use again.
func (s *store) add(p place, data []byte, ends []uint32) error {
	b := slab{place: p, ends: slices.Clone(ends)}
	s.mu.Lock()
	if s.held+int64(len(data)) <= s.most {
		s.held += int64(len(data))
		s.mu.Unlock()
		b.data = slices.Clone(data)
	} else {
		err := s.spill()
		b.at = s.size
		s.size += int64(len(data))
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if _, err := s.file.WriteAt(data, b.at); err != nil {
			return fmt.Errorf("facts beyond the memory limit: %w", err)
		}
	}
	s.mu.Lock()
	s.slabs = append(s.slabs, b)
	s.mu.Unlock()
	return nil
}

// spill makes the temporary file, which has no name where the system allows that:
// nothing is left behind however the process ends.
func (s *store) spill() (err error) {
	if s.file != nil {
		return nil
	}
	if s.file, err = os.CreateTemp(s.dir, "propensity-facts-*"); err != nil {
		return fmt.Errorf("facts beyond the memory limit: %w", err)
	}
	_ = os.Remove(s.file.Name())
	return nil
}

// sort puts the batches in order, when all are there.
func (s *store) sort() {
	slices.SortFunc(s.slabs, func(a, b slab) int { return a.place.compare(b.place) })
}

// read gives the bytes of a bucket of a source, in buf if they fit, with 8 more after
// them, and the end of those of each batch.
func (s *store) read(buf []byte, source, bucket int) (data []byte, ends []int, err error) {
	first, _ := slices.BinarySearchFunc(s.slabs, place{source: source}, func(b slab, p place) int { return b.place.compare(p) })
	last, size := first, 0
	for ; last < len(s.slabs) && s.slabs[last].place.source == source; last++ {
		from, to := s.slabs[last].bounds(bucket)
		size += to - from
	}
	buf = slices.Grow(buf[:0], size+8)[:size+8] // words are read whole at the end too
	at := 0
	for i := first; i < last; i++ {
		b := &s.slabs[i]
		from, to := b.bounds(bucket)
		if from == to {
			continue
		}
		if b.data != nil {
			copy(buf[at:], b.data[from:to])
		} else if _, err := s.file.ReadAt(buf[at:at+to-from], b.at+int64(from)); err != nil {
			return nil, nil, fmt.Errorf("facts beyond the memory limit: %w", err)
		}
		at += to - from
		ends = append(ends, at)
	}
	return buf, ends, nil
}

// bounds are those of a bucket in the bytes.
func (b *slab) bounds(bucket int) (from, to int) {
	if bucket > 0 {
		from = int(b.ends[bucket-1])
	}
	return from, int(b.ends[bucket])
}

func (s *store) close() error {
	s.slabs = nil
	if s.file == nil {
		return nil
	}
	_ = os.Remove(s.file.Name())
	return s.file.Close()
}

// packInts appends whole numbers as differences from the least, each in as few bytes
// as the largest of them takes; missing ones are math.MinInt64.
func packInts(b []byte, xs []int64) []byte {
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	missing := false
	for _, x := range xs {
		if x == math.MinInt64 {
			missing = true
			continue
		}
		least, most = min(least, x), max(most, x)
	}
	if least > most {
		least, most = 0, -1
	}
	span := uint64(most - least)
	shift := uint64(0)
	if missing { // 0 is missing, the others are one more
		span, shift = span+1, 1
	}
	width := 0
	for ; width < 8 && span>>(8*width) != 0; width++ {
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(least))
	b = append(b, byte(width)|byte(shift)<<4)
	at := len(b)
	b = slices.Grow(b, width*len(xs)+8)[:at+width*len(xs)+8]
	out := b[at:]
	switch {
	case width == 0:
	case missing:
		for i, x := range xs {
			v := uint64(0)
			if x != math.MinInt64 {
				v = uint64(x-least) + shift
			}
			binary.LittleEndian.PutUint64(out[i*width:], v) // the next goes over what is too much
		}
	case width == 1:
		for i, x := range xs {
			out[i] = byte(x - least)
		}
	default:
		for i, x := range xs {
			binary.LittleEndian.PutUint64(out[i*width:], uint64(x-least))
		}
	}
	return b[:at+width*len(xs)]
}

// packNumbers appends numbers: as whole ones if they are, else as they are.
func packNumbers(b []byte, xs []float64, buf []int64) []byte {
	const exact = 1 << 53
	buf = buf[:len(xs)]
	for i, x := range xs {
		if x != x {
			buf[i] = math.MinInt64
			continue
		}
		if !(-exact < x && x < exact) || float64(int64(x)) != x || x == 0 && math.Signbit(x) {
			b = append(b, 1)
			at := len(b)
			b = slices.Grow(b, 8*len(xs))[:at+8*len(xs)]
			for i, x := range xs {
				binary.LittleEndian.PutUint64(b[at+8*i:], math.Float64bits(x))
			}
			return b
		}
		buf[i] = int64(x)
	}
	return packInts(append(b, 0), buf)
}

// unpacker reads what was packed. After its data there are 8 more bytes.
type unpacker struct{ data []byte }

// ints reads len(xs) whole numbers.
func (u *unpacker) ints(xs []int64) {
	least := binary.LittleEndian.Uint64(u.data)
	width, shift := int(u.data[8]&15), u.data[8]>>4
	data := u.data[9:]
	u.data = data[width*len(xs):]
	mask := uint64(1)<<(8*width) - 1
	if width == 8 {
		mask = math.MaxUint64
	}
	switch {
	case shift != 0:
	case width == 0:
		for i := range xs {
			xs[i] = int64(least)
		}
		return
	case width == 1:
		for i, x := range data[:len(xs)] {
			xs[i] = int64(least + uint64(x))
		}
		return
	default:
		for i := range xs {
			xs[i] = int64(least + binary.LittleEndian.Uint64(data[i*width:])&mask)
		}
		return
	}
	for i := range xs {
		v := binary.LittleEndian.Uint64(data[i*width:]) & mask
		x := int64(least + v - 1)
		if v == 0 {
			x = math.MinInt64
		}
		xs[i] = x
	}
}

// numbers reads len(xs) numbers.
func (u *unpacker) numbers(xs []float64, buf []int64) {
	whole := u.data[0] == 0
	u.data = u.data[1:]
	if !whole {
		for i := range xs {
			xs[i] = math.Float64frombits(binary.LittleEndian.Uint64(u.data[8*i:]))
		}
		u.data = u.data[8*len(xs):]
		return
	}
	buf = buf[:len(xs)]
	u.ints(buf)
	for i, x := range buf {
		v := float64(x)
		if x == math.MinInt64 {
			v = math.NaN()
		}
		xs[i] = v
	}
}

func (u *unpacker) uint() int {
	x, n := binary.Uvarint(u.data)
	u.data = u.data[n:]
	return int(x)
}

func (u *unpacker) text() []byte {
	n := u.uint()
	s := u.data[:n]
	u.data = u.data[n:]
	return s
}
