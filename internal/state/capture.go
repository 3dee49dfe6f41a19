package state

import (
	"sync"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// capture is where the task leaves what a snapshot saves of an operator's tables: slots as they lie there, one behind another, each followed by what it
// refers to. Copying them is all that the task does. Making keys and values of them, sorting them by key group, and columns and blocks of these, is done
// beside it (captured), because it takes many times as long, and nearly every entry of a busy operator is saved by a record that waits for it.
type capture struct {
	out    *checkpoint.OperatorWriter
	buf    []byte
	n      int     // bytes of buf in use
	of     *source // whose slots the frame in hand has
	began  int     // where it begins
	frames []frame // before it
}

// source is one table whose slots are captured. Its rows are not the task's.
type source struct {
	rows  rowMaker
	space int64 // that all its entries are of, where the table says it
}

// rowMaker makes rows of captured slots.
type rowMaker interface {
	make(space int64, slots []byte)
}

// frame is a piece of a capture's buffer.
type frame struct {
	of   *source
	upto int
}

// captureSize is what is handed over at a time, unless a slot refers to more.
const captureSize = 128 << 10

var capturePool = sync.Pool{New: func() any { b := make([]byte, captureSize); return &b }}

// room is a place for a row of so many bytes of a table.
func (c *capture) room(of *source, size int) unsafe.Pointer {
	if len(c.buf)-c.n < size {
		c.hand()
		if size > captureSize {
			c.buf = make([]byte, size)
		} else {
			c.buf = *capturePool.Get().(*[]byte)
		}
	}
	if c.of != of {
		c.close()
		c.of = of
	}
	p := unsafe.Pointer(&c.buf[c.n])
	c.n += size
	return p
}

// close ends the frame in hand.
func (c *capture) close() {
	if c.n > c.began {
		c.frames = append(c.frames, frame{c.of, c.n})
		c.began = c.n
	}
}

// hand gives away what is collected.
func (c *capture) hand() {
	c.close()
	if c.n > 0 {
		buf, frames := c.buf, c.frames
		c.out.Later(c.n, func() {
			begin := 0
			for _, f := range frames {
				f.of.rows.make(f.of.space, buf[begin:f.upto])
				begin = f.upto
			}
			if len(buf) == captureSize {
				capturePool.Put(&buf)
			}
		})
	}
	*c = capture{out: c.out}
}

// capture copies a slot, with what it refers to, for the snapshot.
func (t *table[K]) capture(slot unsafe.Pointer, hash uint64) {
	s, size := t.save, t.l.size
	if t.refs {
		t.captureRefs(slot, hash)
		return
	}
	row := s.capture.room(&s.source, int(size))
	*word(row) = hash
	for i := uintptr(8); i < size; i += 8 {
		*word(unsafe.Add(row, i)) = *word(unsafe.Add(slot, i))
	}
}

// captureRefs is capture for slots that refer to something: it follows them, the key first, up to a multiple of 8 bytes.
func (t *table[K]) captureRefs(slot unsafe.Pointer, hash uint64) {
	s, size := t.save, int(t.l.size)
	var key, val []byte
	if t.l.mode >= keyText {
		key = t.space.blob(*(*ref)(unsafe.Add(slot, t.l.keyOff)))
	}
	if t.l.boxed {
		val = t.space.blob(*(*ref)(unsafe.Add(slot, t.l.valOff)))
	}
	total := (size + len(key) + len(val) + 7) &^ 7
	row := unsafe.Slice((*byte)(s.capture.room(&s.source, total)), total)
	copy(row, unsafe.Slice((*byte)(slot), size))
	copy(row[size:], key)
	copy(row[size+len(key):], val)
	*word(unsafe.Pointer(unsafe.SliceData(row))) = hash
}

// captured makes rows of what was captured of tables of one kind. It is of one snapshot, and not the task's: of all that the task uses, too, it has
// its own.
type captured[K comparable, V any] struct {
	l     layout[K]
	boxes boxes[V]              // if values are boxed
	key   K                     // of the row in hand: an own variable would be an allocation
	one   [1]V                  // its value, of boxed ones
	group func(hash uint64) int // from the first own one
	put   func(group int, space int64, key *K, val *V)
}

// newCaptured takes put, which is called with each entry; what it is given are valid inside the call only.
func newCaptured[K comparable, V any](l *layout[K], vals codec.Codec[V], k *Config, put func(group int, space int64, key *K, val *V)) *captured[K, V] {
	c := &captured[K, V]{l: l.another(), put: put}
	if l.boxed {
		c.boxes = newBoxes(vals)
	}
	groups, first := k.MaxParallelism, k.From
	c.group = func(hash uint64) int { return job.KeyGroup(hash, groups) - first }
	return c
}

func (c *captured[K, V]) make(space int64, b []byte) {
	size := int(c.l.size)
	for len(b) > 0 {
		slot := unsafe.Pointer(unsafe.SliceData(b))
		hash, end := *word(slot), size
		if c.l.mode < keyText {
			c.key = c.l.keyAt(nil, slot, hash)
		} else {
			end += (*(*ref)(unsafe.Add(slot, c.l.keyOff))).length()
			c.key = c.l.keyOf(b[size:end])
		}
		val := &c.one[0]
		if c.l.boxed {
			begin := end
			end += (*(*ref)(unsafe.Add(slot, c.l.valOff))).length()
			c.boxes.unbox(b[begin:end], val)
		} else {
			val = (*V)(unsafe.Add(slot, c.l.valOff))
		}
		c.put(c.group(hash), space, &c.key, val)
		b = b[(end+7)&^7:]
	}
	var none K
	c.key = none
	clear(c.one[:])
}
