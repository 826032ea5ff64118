package datasets

import (
	"encoding/binary"

	"github.com/apache/arrow/go/v15/parquet"
)

// The rarer encodings of Parquet (Encodings.md) are spelt out as plain pages.

// plainPage is the plain form of a page of at most n values, each of so many bytes
// or, if size is 0, texts; nil if it is damaged.
func plainPage(data []byte, e parquet.Encoding, n, size int) []byte {
	switch {
	case e == parquet.Encodings.DeltaBinaryPacked && size > 0:
		values, _ := deltas(data, n)
		out := make([]byte, 0, len(values)*size)
		for _, v := range values {
			if size == 4 {
				out = binary.LittleEndian.AppendUint32(out, uint32(v))
			} else {
				out = binary.LittleEndian.AppendUint64(out, uint64(v))
			}
		}
		return out
	case e == parquet.Encodings.DeltaLengthByteArray && size == 0:
		sizes, data := deltas(data, n)
		return plainTexts(nil, sizes, data)
	case e == parquet.Encodings.DeltaByteArray && size == 0:
		shared, data := deltas(data, n)
		sizes, data := deltas(data, n)
		if len(shared) != len(sizes) {
			return nil
		}
		return plainTexts(shared, sizes, data)
	case e == byteStreamSplit && size > 0 && len(data)%size == 0:
		out := make([]byte, len(data))
		streams := len(data) / size
		for k, b := range data {
			out[k%streams*size+k/streams] = b
		}
		return out
	}
	return nil
}

// byteStreamSplit is an encoding that the library does not name.
const byteStreamSplit parquet.Encoding = 9

// deltas reads at most n whole numbers, packed as differences, and what follows
// them; nil if they are damaged.
func deltas(data []byte, n int) (values []int64, rest []byte) {
	ok := true
	unsigned := func() uint64 {
		v, k := binary.Uvarint(data)
		if k <= 0 {
			ok = false
			return 0
		}
		data = data[k:]
		return v
	}
	signed := func() int64 {
		v := unsigned()
		return int64(v>>1) ^ -int64(v&1)
	}
	block, minis, count, value := unsigned(), unsigned(), unsigned(), signed()
	if !ok || minis == 0 || minis > block || block > 1<<16 || block%minis != 0 || block/minis%8 != 0 || count > uint64(min(n, mostBuffer/8)) {
		return nil, nil
	}
	values = make([]int64, 0, min(count, 8*uint64(len(data))+1)) // a damaged page may state any number
	if count > 0 {
		values = append(values, value)
	}
	mini := int(block / minis)
	for len(values) < int(count) {
		least := signed()
		if !ok || len(data) < int(minis) {
			return nil, nil
		}
		widths := data[:minis]
		data = data[minis:]
		for _, width := range widths {
			if len(values) == int(count) {
				break // the widths of those that are not there mean nothing
			}
			size := mini / 8 * int(width)
			if width > 64 || size > len(data) {
				return nil, nil
			}
			for i := 0; i < mini && len(values) < int(count); i++ {
				value += least + int64(bitsAt(data[:size], i*int(width), int(width)))
				values = append(values, value)
			}
			data = data[size:]
		}
	}
	return values, data
}

// bitsAt is the whole number of width bits, at most 64, at bit at.
func bitsAt(data []byte, at, width int) (v uint64) {
	for k := 0; k < width; {
		b := uint64(data[(at+k)/8]) >> ((at + k) & 7)
		v |= b << k
		k += 8 - (at+k)&7
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v
}

// plainTexts spells out texts of the given sizes that lie in data one after the
// other; if shared is not nil each starts with so many bytes of the one before.
func plainTexts(shared, sizes []int64, data []byte) []byte {
	out := make([]byte, 0, len(data)+4*len(sizes))
	before := 0 // where the text before starts in out
	for i, n := range sizes {
		prefix := int64(0)
		if shared != nil {
			prefix = shared[i]
		}
		if n < 0 || n > int64(len(data)) || prefix < 0 || prefix > int64(len(out)-before) || len(out) > mostBuffer {
			return nil
		}
		last := out[before : before+int(prefix)]
		out = binary.LittleEndian.AppendUint32(out, uint32(prefix+n))
		before = len(out)
		out = append(append(out, last...), data[:n]...)
		data = data[n:]
	}
	return out
}
