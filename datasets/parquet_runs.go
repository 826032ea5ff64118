package datasets

import "encoding/binary"

// hybrid reads whole numbers of a fixed number of bits that Parquet writes as runs:
// one value repeated, or eight by eight packed bit after bit, the lowest first
// (Parquet format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid").
type hybrid struct {
	data  []byte
	width uint // 0 to 32
	// The run at hand.
	left   int    // values
	packed bool   // they are at bit at of data; else all are value
	value  uint32 // or
	at     int
	end    int // of the packed run, in bytes
}

// next opens the next run; false if there is none.
func (h *hybrid) next() bool {
	head, n := binary.Uvarint(h.data)
	if n <= 0 || head>>1 == 0 || head>>1 > 1<<31 {
		return false
	}
	h.data = h.data[n:]
	if h.packed = head&1 != 0; h.packed {
		h.left, h.at = int(head>>1)*8, 0
		h.end = min(int(head>>1)*int(h.width), len(h.data)) // a writer may leave out the end of the last
		return true
	}
	size := int(h.width+7) / 8
	if size > len(h.data) {
		return false
	}
	h.left, h.value = int(head>>1), 0
	for i := range size {
		h.value |= uint32(h.data[i]) << (8 * i)
	}
	h.data = h.data[size:]
	return true
}

// leave ends a packed run that is read.
func (h *hybrid) leave() {
	if h.left == 0 && h.packed {
		h.data, h.packed = h.data[h.end:], false
	}
}

// read fills out; false if there are not as many.
func (h *hybrid) read(out []uint32) bool {
	for len(out) > 0 {
		if h.left == 0 && !h.next() {
			return false
		}
		n := min(h.left, len(out))
		if !h.packed {
			for i := range n {
				out[i] = h.value
			}
		} else if !h.unpack(out[:n]) {
			return false
		}
		h.left -= n
		h.leave()
		out = out[n:]
	}
	return true
}

// unpack reads values of the packed run.
func (h *hybrid) unpack(out []uint32) bool {
	width := h.width
	if (h.at+len(out)*int(width)+7)/8 > h.end {
		return false
	}
	mask := uint64(1)<<width - 1
	data, at := h.data, uint(h.at)
	h.at += len(out) * int(width)
	i := 0
	// Eight bytes from the byte that a value starts in hold all of it.
	for ; i < len(out) && int(at/8)+8 <= len(data); i++ {
		out[i] = uint32(binary.LittleEndian.Uint64(data[at/8:]) >> (at & 7) & mask)
		at += width
	}
	for ; i < len(out); i++ {
		var last [8]byte
		copy(last[:], data[at/8:])
		out[i] = uint32(binary.LittleEndian.Uint64(last[:]) >> (at & 7) & mask)
		at += width
	}
	return true
}

// flags fills out with values of one bit and gives how many of them are 1; -1 if
// there are not as many.
func (h *hybrid) flags(out []byte) (ones int) {
	for len(out) > 0 {
		if h.left == 0 && !h.next() {
			return -1
		}
		n := min(h.left, len(out))
		if !h.packed {
			if h.value > 1 {
				return -1
			}
			for i := range n {
				out[i] = byte(h.value)
			}
			ones += n * int(h.value)
		} else {
			if (h.at+n+7)/8 > h.end {
				return -1
			}
			for i := range n {
				bit := h.data[(h.at+i)/8] >> ((h.at + i) & 7) & 1
				out[i] = bit
				ones += int(bit)
			}
			h.at += n
		}
		h.left -= n
		h.leave()
		out = out[n:]
	}
	return ones
}
