package datasets

import "math/bits"

// dictionary numbers texts from 0 in the order that they are first met. It is a
// hash table with open addressing; a text of up to eight bytes is its own key, so
// that most categories are found without a look at their letters. The order of
// its slots is never seen.
type dictionary struct {
	values []string
	slots  []dictionarySlot // a power of two, at most half of them taken
	shift  uint             // 64 minus their logarithm
}

type dictionarySlot struct {
	key  uint64
	size int32
	code int32 // plus one; 0 is a free slot
}

// textKey is the bytes of s if they are at most eight, its first the lowest, and a
// hash of them otherwise.
func textKey[T string | []byte](s T) uint64 {
	n := len(s)
	switch {
	case n > 8:
		h := uint64(n)
		for i := 0; i < n-8; i += 8 {
			h = mixKey(h ^ word64(s, i))
		}
		return mixKey(h ^ word64(s, n-8))
	case n == 8:
		return word64(s, 0)
	case n >= 4:
		return uint64(word32(s, 0)) | uint64(word32(s, n-4))<<(8*(n-4)&63)
	case n > 0: // the first, the middle and the last overlap where they are the same
		return uint64(s[0]) | uint64(s[n/2])<<(8*(n/2)&63) | uint64(s[n-1])<<(8*(n-1)&63)
	}
	return 0
}

func mixKey(h uint64) uint64 {
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

func word64[T string | []byte](s T, i int) uint64 {
	b := s[i : i+8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

func word32[T string | []byte](s T, i int) uint32 {
	b := s[i : i+4]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// short finds a text of 1 to 8 bytes by its key; -1 if it was not met before.
func (d *dictionary) short(key uint64, size int) int32 {
	if len(d.slots) == 0 {
		return -1
	}
	for i := mixKey(key) >> d.shift; ; i++ {
		s := &d.slots[i&uint64(len(d.slots)-1)]
		if s.code == 0 || s.key == key && s.size == int32(size) {
			return s.code - 1
		}
	}
}

// find gives the number of s, -1 if it was not met before.
func find[T string | []byte](d *dictionary, s T, key uint64) int32 {
	if len(d.slots) == 0 {
		return -1
	}
	for i := mixKey(key) >> d.shift; ; i++ {
		at := &d.slots[i&uint64(len(d.slots)-1)]
		if at.code == 0 || at.key == key && at.size == int32(len(s)) && (len(s) <= 8 || d.values[at.code-1] == string(s)) {
			return at.code - 1
		}
	}
}

// add numbers s, which was not met before and is kept.
func (d *dictionary) add(s string, key uint64) int32 {
	if 2*len(d.values) >= len(d.slots) {
		old := d.slots
		d.slots = make([]dictionarySlot, max(8, 2*len(old)))
		d.shift = uint(bits.LeadingZeros64(uint64(len(d.slots)))) + 1
		for _, slot := range old {
			if slot.code != 0 {
				d.place(slot)
			}
		}
	}
	d.values = append(d.values, s)
	code := int32(len(d.values))
	d.place(dictionarySlot{key: key, size: int32(len(s)), code: code})
	return code - 1
}

func (d *dictionary) place(slot dictionarySlot) {
	i := mixKey(slot.key) >> d.shift
	for d.slots[i&uint64(len(d.slots)-1)].code != 0 {
		i++
	}
	d.slots[i&uint64(len(d.slots)-1)] = slot
}

// number gives the number of s, a new one if it was not met before. What it keeps
// of s is a copy.
func number[T string | []byte](d *dictionary, s T) int32 {
	key := textKey(s)
	if k := find(d, s, key); k >= 0 {
		return k
	}
	return d.add(string([]byte(s)), key)
}
