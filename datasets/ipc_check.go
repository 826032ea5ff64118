package datasets

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errMessage is a message of Arrow IPC that does not hold together.
var errMessage = errors.New("sizes that do not fit")

// errCompressed is a compressed message where none may be.
var errCompressed = errors.New("its buffers are compressed; write it without compression")

// errUnmarked is a message without the mark that Arrow puts before each since 0.15.
var errUnmarked = errors.New("it does not begin as an Arrow stream")

// Header types of a message (Message.fbs of Arrow).
const (
	headerSchema     = 1
	headerDictionary = 2
	headerBatch      = 3
)

// Types of fields that have counts of their own (Schema.fbs).
const (
	typeUnion      = 14
	typeBinaryView = 23
	typeTextView   = 24
)

// check looks at the counts in the flatbuffer of a message before the library
// allocates by them: running out of memory cannot be recovered from. Whatever
// else is wrong makes the library panic, which can. It gives the length of the
// body.
func (m *messages) check(meta []byte) (body int64, err error) {
	f := &flatbuffer{b: meta, budget: 16*len(meta) + 1024}
	message := f.root()
	body = f.int64(message, 3)
	header := f.table(message, 2)
	switch f.byte(message, 1) {
	case headerSchema:
		f.fields(header, 1, 0)
		f.pairs(header, 2)
		m.views = f.views
	case headerDictionary:
		f.batch(f.table(header, 1), body, 0)
	case headerBatch:
		f.batch(header, body, m.views)
	}
	if f.compressed && m.plain {
		return 0, errCompressed
	}
	if f.bad || body < 0 {
		return 0, errMessage
	}
	return body, nil
}

// flatbuffer reads the parts of a flatbuffer that say how much there is. A place
// is an offset into b, 0 is nowhere. Places outside make it bad and read as zero.
// The budget bounds what sharing one part many times could cost.
type flatbuffer struct {
	b      []byte
	budget int
	bad    bool
	views  int // fields whose number of buffers varies

	compressed bool // a batch says so
}

func (f *flatbuffer) within(at, n int) bool {
	if at < 0 || n < 0 || at > len(f.b)-n {
		f.bad = true
	}
	return !f.bad
}

func (f *flatbuffer) spend(n int) bool {
	if f.budget -= n; n < 0 || f.budget < 0 {
		f.bad = true
	}
	return !f.bad
}

func (f *flatbuffer) uint32(at int) int {
	if !f.within(at, 4) {
		return 0
	}
	return int(binary.LittleEndian.Uint32(f.b[at:]))
}

func (f *flatbuffer) root() int { return f.uint32(0) }

// field is the place of a field of a table, 0 if the table lacks it.
func (f *flatbuffer) field(table, slot int) int {
	if table == 0 || f.bad {
		return 0
	}
	vtable := table - int(int32(f.uint32(table)))
	if !f.within(vtable, 4) {
		return 0
	}
	size := int(binary.LittleEndian.Uint16(f.b[vtable:]))
	entry := 4 + 2*slot
	if entry >= size || !f.within(vtable+entry, 2) { // an odd size reads as the library reads it
		return 0
	}
	if offset := int(binary.LittleEndian.Uint16(f.b[vtable+entry:])); offset != 0 {
		return table + offset
	}
	return 0
}

func (f *flatbuffer) byte(table, slot int) byte {
	if at := f.field(table, slot); at != 0 && f.within(at, 1) {
		return f.b[at]
	}
	return 0
}

func (f *flatbuffer) int64(table, slot int) int64 {
	if at := f.field(table, slot); at != 0 && f.within(at, 8) {
		return int64(binary.LittleEndian.Uint64(f.b[at:]))
	}
	return 0
}

// table is the place of a table that a field refers to.
func (f *flatbuffer) table(table, slot int) int {
	at := f.field(table, slot)
	if at == 0 {
		return 0
	}
	return at + f.uint32(at)
}

// vector is the place of the first of n elements of the given size.
func (f *flatbuffer) vector(table, slot, size int) (at, n int) {
	at = f.table(table, slot)
	if at == 0 {
		return 0, 0
	}
	n = f.uint32(at) // 32 bits: n*size cannot overflow
	if !f.within(at+4, n*size) || !f.spend(n*size) {
		return 0, 0
	}
	return at + 4, n
}

// fields checks a list of fields and their children.
func (f *flatbuffer) fields(table, slot, depth int) {
	const deepest = 64
	at, n := f.vector(table, slot, 4)
	for i := 0; i < n && !f.bad; i++ {
		field := at + 4*i + f.uint32(at+4*i)
		f.vector(field, 0, 1) // its name
		kind := f.table(field, 3)
		switch f.byte(field, 2) {
		case typeUnion:
			f.vector(kind, 1, 4)
		case typeBinaryView, typeTextView:
			f.views++
			if f.field(field, 4) != 0 {
				f.bad = true // a dictionary of views: nobody writes it, and its counts are not checked
			}
		}
		f.pairs(field, 6)
		if depth == deepest {
			f.bad = true
			return
		}
		f.fields(field, 5, depth+1)
	}
}

// pairs checks a list of keys and values.
func (f *flatbuffer) pairs(table, slot int) {
	at, n := f.vector(table, slot, 4)
	for i := 0; i < n && !f.bad; i++ {
		pair := at + 4*i + f.uint32(at+4*i)
		f.vector(pair, 0, 1)
		f.vector(pair, 1, 1)
	}
}

// batch checks that the buffers of a record batch lie in its body, and that it
// counts those of every view.
func (f *flatbuffer) batch(table int, body int64, views int) {
	f.compressed = f.compressed || f.field(table, 3) != 0
	f.vector(table, 1, 16)
	at, n := f.vector(table, 2, 16)
	for i := range n {
		offset := int64(binary.LittleEndian.Uint64(f.b[at+16*i:]))
		length := int64(binary.LittleEndian.Uint64(f.b[at+16*i+8:]))
		if offset < 0 || length < 0 || offset > body || length > body-offset {
			f.bad = true
		}
	}
	at, m := f.vector(table, 4, 8) // how many of the buffers belong to each view
	if m < views {
		f.bad = true
	}
	for i := range m {
		if c := int64(binary.LittleEndian.Uint64(f.b[at+8*i:])); c < 0 || c > int64(n) {
			f.bad = true
		}
	}
}

// sized names a message by its size in an error.
func sized(n int64) error { return fmt.Errorf("%w: a message of %d bytes", errMessage, n) }
