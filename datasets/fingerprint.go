package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
)

// Fingerprint is the SHA-256, in hex, of the names, kinds and values of the
// columns in their order: the same for the same table from any file format. Notes,
// and how a column numbers its values, do not count.
func (t *Table) Fingerprint() string {
	sums := make([]Sum, len(t.Columns))
	_ = inParallel(len(t.Columns), func(j int) error {
		sums[j] = t.Columns[j].Sum()
		return nil
	})
	return FingerprintOf(sums)
}

// Sum is the hash of one column.
type Sum [sha256.Size]byte

// FingerprintOf is the fingerprint of the table whose columns, in their order,
// have these hashes.
func FingerprintOf(sums []Sum) string {
	h := sha256.New()
	for _, s := range sums {
		h.Write(s[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Sum hashes one column: its name, kind and length; then its numbers or times,
// eight bytes a row; or the codes of its texts, numbered by their first row and
// four bytes a row, with the texts in that order. Lengths go before texts.
func (c *Column) Sum() (out Sum) {
	w := columnHash{h: sha256.New()}
	w.text(c.Name)
	w.uint64(uint64(c.Kind))
	w.uint64(uint64(c.Len()))
	switch c.Kind {
	case Number, Boolean:
		missing := math.Float64bits(math.NaN())
		for _, x := range c.Numbers {
			if math.IsNaN(x) {
				w.uint64(missing)
			} else {
				w.uint64(math.Float64bits(x + 0))
			}
		}
	case Time:
		for _, us := range c.Times {
			w.uint64(uint64(us))
		}
	default:
		order := make([]int32, len(c.Values)) // plus one; 0 is not met yet
		var met []string
		for _, k := range c.Codes {
			code := uint32(math.MaxUint32)
			if k >= 0 {
				if order[k] == 0 {
					met = append(met, c.Values[k])
					order[k] = int32(len(met))
				}
				code = uint32(order[k] - 1)
			}
			w.uint32(code)
		}
		for _, s := range met {
			w.text(s)
		}
	}
	w.flush()
	w.h.Sum(out[:0])
	return out
}

// columnHash gathers small writes.
type columnHash struct {
	h   hash.Hash
	buf []byte
}

func (w *columnHash) uint64(x uint64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, x)
	w.full()
}

func (w *columnHash) uint32(x uint32) {
	w.buf = binary.LittleEndian.AppendUint32(w.buf, x)
	w.full()
}

func (w *columnHash) text(s string) {
	w.uint64(uint64(len(s)))
	w.buf = append(w.buf, s...)
	w.full()
}

func (w *columnHash) full() {
	if len(w.buf) >= 1<<15 {
		w.flush()
	}
}

func (w *columnHash) flush() {
	w.h.Write(w.buf)
	w.buf = w.buf[:0]
}
