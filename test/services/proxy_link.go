package services

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	linkChunk = 32 << 10
	// linkQueue chunks may be on their way in a direction; then the sender meets a full window, as on a real network.
	linkQueue = 128
)

// filter sees the bytes of one connection and decides what of them passes. Each method is called by one goroutine at a time; the two
// directions run beside each other. The bytes are lent for the call.
type filter interface {
	toServer(b []byte) (pass []byte, reset bool)
	toClient(b []byte) (pass []byte, reset bool)
	// ended is called once, when the connection is gone.
	ended()
}

// link is one connection through a proxy: per direction a goroutine that reads and one that writes when the bytes are due.
type link struct {
	proxy   *Proxy
	client  *net.TCPConn
	server  *net.TCPConn
	filter  filter
	damaged atomic.Bool // bytes were cut out of it
	over    chan struct{}
	end     sync.Once
}

// chunk is what was read at once. One without bytes is the end of the stream.
type chunk struct {
	bytes []byte
	due   time.Time
	reset bool // the stream broke instead of ending
}

func newLink(p *Proxy, client, server *net.TCPConn) *link {
	l := &link{proxy: p, client: client, server: server, over: make(chan struct{})}
	if p.tap != nil {
		l.filter = p.tap()
	}
	return l
}

// run passes bytes until both directions have ended or the link was reset.
func (l *link) run() {
	var all sync.WaitGroup
	for _, d := range []struct {
		lane     int
		from, to *net.TCPConn
	}{{serverLane, l.client, l.server}, {clientLane, l.server, l.client}} {
		queue := make(chan chunk, linkQueue)
		all.Go(func() { l.read(d.lane, d.from, queue) })
		all.Go(func() { l.write(d.lane, d.to, queue) })
	}
	all.Wait()
	l.close()
	if l.filter != nil {
		l.filter.ended()
	}
}

func (l *link) read(lane int, from *net.TCPConn, queue chan<- chunk) {
	buffer := make([]byte, linkChunk)
	for {
		n, err := from.Read(buffer)
		now, _ := l.proxy.lane(lane)
		due := time.Now().Add(now.delay)
		if n > 0 && !l.put(queue, chunk{bytes: append([]byte(nil), buffer[:n]...), due: due}) {
			return
		}
		if err != nil {
			l.put(queue, chunk{due: due, reset: !errors.Is(err, io.EOF)})
			return
		}
	}
}

func (l *link) put(queue chan<- chunk, c chunk) bool {
	select {
	case queue <- c:
		return true
	case <-l.over:
		return false
	}
}

func (l *link) write(lane int, to *net.TCPConn, queue <-chan chunk) {
	gap := false // bytes of this direction were cut: nothing may follow them
	for {
		var c chunk
		select {
		case c = <-queue:
		case <-l.over:
			return
		}
		passes, ok := l.await(lane, c.due)
		if !ok {
			return
		}
		switch {
		case !passes:
			gap = true
			l.damaged.Store(true)
			if c.bytes == nil {
				// The other side is not told; the link stays until it is reset.
				<-l.over
				return
			}
		case c.reset || gap:
			l.reset()
			return
		case c.bytes == nil:
			_ = to.CloseWrite()
			return
		default:
			if !l.pass(lane, to, c.bytes) {
				return
			}
		}
	}
}

// await waits until a chunk is due and its direction is not held. It says whether the chunk passes or is cut; not ok if the link is over.
func (l *link) await(lane int, due time.Time) (passes, ok bool) {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.over:
		return false, false
	}
	for {
		now, changed := l.proxy.lane(lane)
		if !now.held {
			return !now.cut, true
		}
		select {
		case <-changed:
		case <-l.over:
			return false, false
		}
	}
}

func (l *link) pass(lane int, to *net.TCPConn, b []byte) bool {
	reset := false
	if l.filter != nil {
		if lane == serverLane {
			b, reset = l.filter.toServer(b)
		} else {
			b, reset = l.filter.toClient(b)
		}
	}
	if _, err := to.Write(b); err != nil || reset {
		l.reset()
		return false
	}
	return true
}

// reset breaks the connection on both sides; the rest of it ends by itself.
func (l *link) reset() {
	l.end.Do(func() {
		close(l.over)
		resetConn(l.client)
		resetConn(l.server)
	})
}

func (l *link) close() {
	l.end.Do(func() {
		close(l.over)
		l.client.Close()
		l.server.Close()
	})
}

// resetConn closes with a reset: without lingering, unsent bytes are dropped and the other end gets ECONNRESET.
func resetConn(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
