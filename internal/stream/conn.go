package stream

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// gathered is from how many waiting bytes on the writer is woken for their own sake: writes of a few KiB are dear.
const gathered = 32 << 10

// readAhead is what a connection's reader takes from the kernel at once.
const readAhead = 64 << 10

// silence is after how long without a sign of the other host a connection is lost: what heartbeats have.
const silence = 10 * time.Second

// conn is one data connection. Frames wait in a queue, and all that wait go out in one writev whenever the writer is free.
type conn struct {
	nc     net.Conn
	peer   string
	failed func(error)
	opened sync.Mutex
	ready  chan struct{}
	done   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
	mu     struct {
		sync.Mutex
		queue []*buffer // each one or more whole frames
		bytes int       // in the queue
		err   error
		last  bool // nothing is written behind what is queued
	}
	dialed bool // by this side: it sends the records, and ends the connection

	// Owned by the writer.
	sending  []*buffer
	vectors  [][]byte
	rest     net.Buffers // of vectors, while they are written; a field, so that it is not allocated each time
	deadline time.Time   // of writing, as it was set last
}

func newConn(nc net.Conn, peer string) *conn {
	bounded(nc)
	c := &conn{nc: nc, peer: peer, ready: make(chan struct{}, 1), done: make(chan struct{})}
	c.wg.Add(2) // start's: counted here, since whoever closes the links may wait before it has run
	return c
}

// send queues a buffer of records, which is the connection's from now on. It may wait for others until gathered bytes are there or flush is called.
func (c *conn) send(b *buffer) {
	c.mu.Lock()
	if c.mu.err != nil {
		c.mu.Unlock()
		b.free()
		return
	}
	c.mu.queue = append(c.mu.queue, b)
	c.mu.bytes += len(b.b)
	wake := c.mu.bytes >= gathered
	c.mu.Unlock()
	if wake {
		c.wake()
	}
}

// control queues a small frame, behind the newest buffer if that has room. If it is to go at once, so does everything before it.
func (c *conn) control(atOnce bool, frame func(dst []byte) []byte) {
	c.mu.Lock()
	if c.mu.err == nil {
		var b *buffer
		if n := len(c.mu.queue); n > 0 {
			b = c.mu.queue[n-1]
		}
		if b == nil || cap(b.b)-len(b.b) < largestControl {
			b = newBuffer(largestControl)
			c.mu.queue = append(c.mu.queue, b)
		}
		before := len(b.b)
		b.b = frame(b.b)
		c.mu.bytes += len(b.b) - before
	}
	wake := atOnce || c.mu.bytes >= gathered
	c.mu.Unlock()
	if wake {
		c.wake()
	}
}

// flush has what is queued go out.
func (c *conn) flush() {
	c.mu.Lock()
	waits := len(c.mu.queue) > 0
	c.mu.Unlock()
	if waits {
		c.wake()
	}
}

func (c *conn) wake() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// finish has the writer send what is queued and then say that nothing follows. Only the sending side does: the receiving one
// closes when it has read that.
func (c *conn) finish() {
	if !c.dialed {
		return
	}
	c.mu.Lock()
	c.mu.last = true
	c.mu.Unlock()
	c.wake()
}

// closeWrite ends this direction. Credit that is still on its way is read until the other side closes: closing with unread bytes
// would reset the connection, and what the other side has not read yet would be lost.
func (c *conn) closeWrite() error {
	w, ok := c.nc.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("the connection cannot be ended in one direction")
	}
	if err := w.CloseWrite(); err != nil {
		return err
	}
	return errFinished
}

// errFinished ends a writer that has nothing more to say; the reader goes on.
var errFinished = errors.New("finished")

// start begins to read and write. take is given each frame with the buffer that its body lies in, and says whether it keeps that.
func (c *conn) start(take func(f frame, b *buffer) (keep bool, err error)) {
	go func() { defer c.wg.Done(); c.fail(c.reading(take)) }()
	go func() {
		defer c.wg.Done()
		if err := c.writing(); !errors.Is(err, errFinished) {
			c.fail(err)
		}
	}()
}

func (c *conn) reading(take func(frame, *buffer) (bool, error)) error {
	r := bufio.NewReaderSize(c.nc, readAhead)
	for {
		f, b, err := readFrame(r)
		if err != nil {
			return err
		}
		keep, err := take(f, b)
		if err != nil {
			return err
		}
		if !keep {
			b.free()
		}
	}
}

func (c *conn) writing() error {
	for {
		select {
		case <-c.ready:
		case <-c.done:
			return net.ErrClosed
		}
		c.mu.Lock()
		c.sending, c.mu.queue = c.mu.queue, c.sending[:0]
		c.mu.bytes = 0
		last := c.mu.last
		c.mu.Unlock()
		if len(c.sending) == 0 {
			if last {
				return c.closeWrite()
			}
			continue
		}
		if err := c.writeAll(); err != nil {
			return err
		}
		if last { // look again: then the queue is empty
			c.wake()
		}
	}
}

// writeAll writes what is in sending and gives the buffers up.
func (c *conn) writeAll() error {
	// A deadline costs a change of a timer, so it is not set anew for each of many writes.
	if now := time.Now(); c.deadline.Sub(now) < writeTimeout*3/4 {
		c.deadline = now.Add(writeTimeout)
		c.nc.SetWriteDeadline(c.deadline)
	}
	c.vectors = c.vectors[:0]
	for _, b := range c.sending {
		c.vectors = append(c.vectors, b.b)
	}
	c.rest = c.vectors
	if _, err := c.rest.WriteTo(c.nc); err != nil {
		return err
	}
	for i, b := range c.sending {
		b.free()
		c.sending[i] = nil
	}
	return nil
}

// fail ends the connection with what happened; both ends' channels fail, and it is never dialled again.
func (c *conn) fail(err error) {
	c.once.Do(func() {
		err = fmt.Errorf("the data connection to %s is lost: %w", c.peer, err)
		c.mu.Lock()
		c.mu.err, c.mu.queue, c.mu.bytes = err, nil, 0
		c.mu.Unlock()
		close(c.done)
		c.nc.Close()
		if c.failed != nil {
			c.failed(err)
		}
	})
}

func (c *conn) close(err error) { c.fail(err) }

// lost is why the connection has ended; nil: it has not.
func (c *conn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}
