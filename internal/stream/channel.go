package stream

import (
	"sync"
	"sync/atomic"

	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// window is how many batches of a channel may be unconsumed, and windowBytes how much may be when one more is sent. A sender starts a
// slice of work only while two more full ones fit, so that an ordinary operator never has to wait within one. A receiver that is slow
// keeps back credit for some of it: see pace.
const (
	window      = 64
	windowBytes = 4 * fullFrame
)

type kind uint8

const (
	records kind = iota + 1
	watermark
	idle
	barrier
	cancelMarker
	end
	finished
	assignment
	noMoreSplits
	slowest // of a group of readers: how far it has come
)

// element is what travels on a channel, in order.
type element struct {
	kind    kind
	packed  bool       // frame is compressed
	batch   any        // records inside this process: a *Batch[T]
	home    *sync.Pool // of its router, which the batch goes back to
	frame   []byte     // records from another process, encoded
	buffer  *buffer    // that frame lies in: the gate frees it
	weight  int        // of records: bytes, about, for the sender's credit; those of the encoding before it was compressed
	at      int64      // watermark, slowest
	id      int64      // cancelMarker
	barrier align.Barrier
	payload []byte // assignment
}

// inChannel is the receiving end. Any goroutine puts, the task takes.
type inChannel struct {
	task *task
	gate int // index of the chain's gate
	mu   struct {
		sync.Mutex
		q      []element
		head   int
		broken error
		whole  bool // its last element is there: whatever becomes of the connection, nothing is lost
		up     upstream
		opened bool          // by a connection or by the sender in this process: once
		asked  []readerEvent // requests made before the channel was connected
		eaten  tally         // consumed before the channel was connected
	}
	size atomic.Int32 // elements waiting, so that the task's look needs no lock

	// Owned by the task.
	weight   int   // of the batch that was taken last
	pace     pace  // what is consumed, and no credit given for yet
	wm       int64 // the newest but for MaxWatermark
	last     bool  // MaxWatermark has come
	idle     bool
	ended    bool
	finished bool
}

// upstream is the way back to the sender.
type upstream interface {
	credit(batches int, bytes int64)  // so much has been consumed
	request(event []byte, ended bool) // an event for the coordinator; ended: the reader has ended
}

// tally is a number of batches and their weight.
type tally struct {
	batches int
	bytes   int64
}

type readerEvent struct {
	event []byte
	ended bool
}

func newInChannel(t *task, gate int) *inChannel {
	return &inChannel{task: t, gate: gate, wm: NoTime, pace: newPace(clock())}
}

// connect sets the way back and sends what had to wait for it. It reports false if the channel has a sender already: a second one
// would bring records that are not in the first one's order.
func (c *inChannel) connect(up upstream) bool {
	c.mu.Lock()
	if c.mu.opened {
		c.mu.Unlock()
		return false
	}
	c.mu.opened = true
	c.mu.up = up
	asked, eaten := c.mu.asked, c.mu.eaten
	c.mu.asked, c.mu.eaten = nil, tally{}
	c.mu.Unlock()
	if eaten.batches > 0 {
		up.credit(eaten.batches, eaten.bytes)
	}
	for _, r := range asked {
		up.request(r.event, r.ended)
	}
	return true
}

func (c *inChannel) put(e element) {
	c.mu.Lock()
	if e.kind == slowest && c.mu.head < len(c.mu.q) && c.mu.q[len(c.mu.q)-1].kind == slowest { // only the newest counts, and a reader may be held up for long
		c.mu.q[len(c.mu.q)-1] = e
		c.mu.Unlock()
		return
	}
	if c.mu.head > 0 && len(c.mu.q) == cap(c.mu.q) { // what was taken makes room: a queue that is never empty must not grow
		n := copy(c.mu.q, c.mu.q[c.mu.head:])
		clear(c.mu.q[n:])
		c.mu.q, c.mu.head = c.mu.q[:n], 0
	}
	c.mu.q = append(c.mu.q, e)
	c.mu.whole = c.mu.whole || e.kind == finished
	c.mu.Unlock()
	c.size.Add(1)
	c.task.poke()
}

// fail ends the channel: its connection is lost.
func (c *inChannel) fail(err error) {
	c.mu.Lock()
	if c.mu.whole {
		c.mu.Unlock()
		return
	}
	if c.mu.broken == nil {
		c.mu.broken = err
	}
	c.mu.Unlock()
	c.size.Add(1) // so that the task looks
	c.task.poke()
}

// failure is why the channel is broken; nil: it is not.
func (c *inChannel) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.broken
}

// take returns the next element, or the channel's end.
func (c *inChannel) take() (element, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.head == len(c.mu.q) {
		return element{}, false, c.mu.broken
	}
	e := c.mu.q[c.mu.head]
	c.mu.q[c.mu.head] = element{}
	c.mu.head++
	if c.mu.head == len(c.mu.q) {
		c.mu.q, c.mu.head = c.mu.q[:0], 0
	}
	c.size.Add(-1)
	c.weight = e.weight
	return e, true, nil
}

// consumed gives the sender credit for the batch that was taken last, together with others.
func (c *inChannel) consumed() {
	credit := c.pace.consume(c.weight, clock)
	if credit == (tally{}) {
		return
	}
	c.mu.Lock()
	up := c.mu.up
	if up == nil {
		c.mu.eaten.batches += credit.batches
		c.mu.eaten.bytes += credit.bytes
	}
	c.mu.Unlock()
	if up != nil {
		up.credit(credit.batches, credit.bytes)
	}
}

func (c *inChannel) request(event []byte, ended bool) {
	c.mu.Lock()
	up := c.mu.up
	if up == nil {
		c.mu.asked = append(c.mu.asked, readerEvent{event, ended})
	}
	c.mu.Unlock()
	if up != nil {
		up.request(event, ended)
	}
}

// outChannel is the sending end, owned by its task but for the way back. It begins without the credit that a new pace keeps back.
type outChannel struct {
	task       *task
	index      int          // in the task's outs: the number that a coordinator knows the reader by
	local      *inChannel   // in this process
	remote     *sendChannel // or on a connection
	unconsumed atomic.Int32 // batches
	weight     atomic.Int64 // of them
}

func newOutChannel(t *task, index int) *outChannel {
	o := &outChannel{task: t, index: index}
	p := newPace(0)
	o.unconsumed.Store(int32(p.owed.batches))
	o.weight.Store(p.owed.bytes)
	return o
}

// room: two more full batches fit.
func (c *outChannel) room() bool {
	return c.unconsumed.Load() <= window-2 && c.weight.Load() <= windowBytes-2*fullFrame
}

// fits: one more batch may be sent, whatever its size.
func (c *outChannel) fits() bool {
	return c.unconsumed.Load() < window && c.weight.Load() < windowBytes
}

// sends takes credit for a batch.
func (c *outChannel) sends(weight int) {
	c.weight.Add(int64(weight))
	c.unconsumed.Add(1)
}

// owes: the credit is not more than was taken.
func (c *outChannel) owes(batches int, bytes int64) bool {
	return batches <= int(c.unconsumed.Load()) && bytes >= 0 && bytes <= c.weight.Load()
}

// control sends an element that needs no credit.
func (c *outChannel) control(e element) {
	if c.local != nil {
		c.local.put(e)
		return
	}
	c.remote.control(e)
}

// credit implements upstream.
func (c *outChannel) credit(batches int, bytes int64) {
	c.weight.Add(-bytes)
	c.unconsumed.Add(int32(-batches))
	if c.fits() {
		select {
		case c.task.credit <- struct{}{}:
		default:
		}
	}
	if c.room() {
		c.task.poke()
	}
}

// request implements upstream.
func (c *outChannel) request(event []byte, ended bool) {
	c.task.mail(mail{kind: mailRequest, reader: c.index, event: event, ended: ended})
}
