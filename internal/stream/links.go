package stream

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

const (
	// deployWait is how long a data connection waits for the generation that it names.
	deployWait = 10 * time.Second
	// helloTimeout bounds the handshake. It contains the start of the receiving worker.
	helloTimeout = 15 * time.Second
	// redialPause is between two attempts of a handshake.
	redialPause = 10 * time.Millisecond
	// writeTimeout ends a connection whose peer takes nothing: credit bounds what may lie in it unread.
	writeTimeout = 30 * time.Second
)

// channelName is a channel of one generation: edge, sending and receiving subtask.
type channelName struct {
	edge     int32
	from, to int
}

// links is the channels and connections of one generation.
type links struct {
	mu struct {
		sync.Mutex
		in     map[channelName]*inChannel
		out    map[string]*sendConn // by the receiving taskmanager's incarnation
		conns  []*conn
		closed error
	}
	dialed  sync.Once
	dialErr error
}

func (l *links) receiver(n channelName, t *task, gate int) *inChannel {
	c := newInChannel(t, gate)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.in == nil {
		l.mu.in = map[channelName]*inChannel{}
	}
	l.mu.in[n] = c
	return c
}

// join connects the sending ends whose receiving ends are in this process.
func (l *links) join(n channelName, o *outChannel) error {
	l.mu.Lock()
	c := l.mu.in[n]
	l.mu.Unlock()
	if c == nil {
		return fmt.Errorf("channel %v has no receiving end", n)
	}
	o.local = c
	if !c.connect(o) {
		return fmt.Errorf("channel %v has two senders", n)
	}
	return nil
}

// sendConn is a connection that this process dials, with the channels that it carries.
type sendConn struct {
	to       *thalwegv1.Placement
	channels []*sendChannel
}

// sendChannel is the sending end of a channel on a connection. Its number is never reused there.
type sendChannel struct {
	name   channelName
	number uint32
	out    *outChannel
	conn   *conn // set before the task runs
}

func (l *links) sender(to *thalwegv1.Placement, n channelName, o *outChannel) *sendChannel {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.out == nil {
		l.mu.out = map[string]*sendConn{}
	}
	s := l.mu.out[to.Incarnation]
	if s == nil {
		s = &sendConn{to: to}
		l.mu.out[to.Incarnation] = s
	}
	c := &sendChannel{name: n, number: uint32(len(s.channels)), out: o}
	s.channels = append(s.channels, c)
	return c
}

func (c *sendChannel) control(e element) {
	c.conn.write(appendElement(c.conn.buffer(), c.number, e))
}

func (c *sendChannel) records(encode func([]byte) ([]byte, error)) error {
	b, err := encode(beginFrame(c.conn.buffer(), c.number, frameRecords))
	if err != nil {
		return err
	}
	if len(b)-8 > maxFrame {
		return fmt.Errorf("a batch of %d bytes: at most %d can be sent", len(b), maxFrame)
	}
	c.out.task.counters.sent(len(b))
	c.conn.write(endFrame(b))
	return nil
}

// dial makes every connection of the generation, once; all tasks wait for it.
func (l *links) dial(h *Host, g *generation) error {
	l.dialed.Do(func() {
		l.mu.Lock()
		var all []*sendConn
		for _, s := range l.mu.out {
			all = append(all, s)
		}
		l.mu.Unlock()
		errs := make(chan error, len(all))
		for _, s := range all {
			go func() { errs <- l.dialOne(h, g, s) }()
		}
		for range all {
			if err := <-errs; err != nil && l.dialErr == nil {
				l.dialErr = err
			}
		}
	})
	return l.dialErr
}

func (l *links) dialOne(h *Host, g *generation, s *sendConn) error {
	nc, err := h.handshake(g, s.to)
	if err != nil {
		return fmt.Errorf("connect to taskmanager %s at %s: %w", s.to.Taskmanager, s.to.DataAddress, err)
	}
	nc.SetDeadline(time.Time{})
	c := newConn(nc, "taskmanager "+s.to.Taskmanager)
	c.dialed = true
	for _, ch := range s.channels {
		ch.conn = c
		b := beginFrame(nil, ch.number, frameOpen)
		for _, v := range []int{int(ch.name.edge), ch.name.from, ch.name.to} {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
		c.write(endFrame(b))
	}
	c.failed = func(err error) {
		for _, ch := range s.channels {
			ch.out.task.sever(err)
		}
	}
	if !l.add(c) {
		return errCancelledDeploy
	}
	channels := s.channels
	c.start(func(number uint32, t frameType, body []byte) error {
		if int(number) >= len(channels) {
			return fmt.Errorf("channel %d was never opened: %w", number, codec.ErrCorrupt)
		}
		switch {
		case t == frameCredit && len(body) == 4:
			channels[number].out.credit(int(binary.LittleEndian.Uint32(body)))
		case t == frameRequest && len(body) >= 1:
			channels[number].out.request(append([]byte(nil), body[1:]...), body[0] == 1)
		default:
			return fmt.Errorf("a receiver sent a frame of type %d: %w", t, codec.ErrCorrupt)
		}
		return nil
	})
	return nil
}

// errRefused: the other side has answered, and the answer is no.
var errRefused = errors.New("refused")

// handshake dials until somebody answers. Before the welcome no channel is open, so that trying again is no redial: the worker
// that got the first connection may have been one that was just dying.
func (h *Host) handshake(g *generation, to *thalwegv1.Placement) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.ctx, helloTimeout)
	defer cancel()
	for {
		nc, err := h.hello(ctx, g, to)
		if err == nil || errors.Is(err, errRefused) {
			return nc, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(redialPause):
		}
	}
}

func (h *Host) hello(ctx context.Context, g *generation, to *thalwegv1.Placement) (net.Conn, error) {
	nc, err := h.c.Dial(ctx, to.DataAddress)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Now()) })
	defer stop()
	err = wire.WriteFrame(nc, &thalwegv1.DataHello{ProtocolVersion: wire.ProtocolVersion, Job: h.c.Job, Generation: g.id.Proto(),
		FromIncarnation: h.c.TaskManagerIncarnation, ToIncarnation: to.Incarnation, FromWorker: h.c.Incarnation})
	w := new(thalwegv1.DataWelcome)
	if err == nil {
		err = wire.ReadFrame(nc, w, 1<<20)
	}
	if err == nil && w.Error != "" {
		err = fmt.Errorf("%w: %s", errRefused, w.Error)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

func (l *links) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed != nil {
		c.close(l.mu.closed)
		return false
	}
	l.mu.conns = append(l.mu.conns, c)
	return true
}

// finish ends the connections of tasks that have all ended by themselves: each sender says what it still has to say and then that
// nothing follows, and each receiver waits for that. Otherwise whoever is told first that a checkpoint is complete would break the
// connection under the others, or lose the FINISHED that is still in its queue. A cancel of the generation cuts this short.
func (l *links) finish(ctx context.Context) {
	l.mu.Lock()
	conns := slices.Clone(l.mu.conns)
	l.mu.Unlock()
	for _, c := range conns {
		c.finish()
	}
	for _, c := range conns {
		select {
		case <-c.done:
		case <-ctx.Done():
			return
		}
	}
}

// close ends every connection and waits for their goroutines.
func (l *links) close(err error) {
	l.mu.Lock()
	l.mu.closed = err
	conns := slices.Clone(l.mu.conns)
	l.mu.Unlock()
	for _, c := range conns {
		c.close(err)
	}
	for _, c := range conns {
		c.wg.Wait()
	}
}

// accept serves a connection that another worker has dialled, if its generation is this process's.
func (h *Host) accept(nc net.Conn, hello *thalwegv1.DataHello) {
	refuse := func(err error) {
		h.c.Log.Warn("refused a data connection", "from", hello.FromIncarnation, "error", err)
		nc.SetDeadline(time.Now().Add(time.Second))
		wire.WriteFrame(nc, &thalwegv1.DataWelcome{Error: err.Error()})
		nc.Close()
	}
	g, err := h.await(job.GenerationOf(hello.Generation))
	if hello.Job != h.c.Job || hello.ToIncarnation != h.c.TaskManagerIncarnation {
		err = fmt.Errorf("this is job %s on taskmanager incarnation %s, not %s on %s", h.c.Job, h.c.TaskManagerIncarnation, hello.Job, hello.ToIncarnation)
	}
	if err != nil {
		refuse(err)
		return
	}
	nc.SetDeadline(time.Now().Add(helloTimeout))
	if err := wire.WriteFrame(nc, &thalwegv1.DataWelcome{Worker: h.c.Incarnation}); err != nil {
		nc.Close()
		return
	}
	nc.SetDeadline(time.Time{})
	c := newConn(nc, "taskmanager incarnation "+hello.FromIncarnation)
	open := map[uint32]*inChannel{}
	c.failed = func(err error) {
		c.opened.Lock()
		defer c.opened.Unlock()
		for _, in := range open {
			in.fail(err)
		}
	}
	if !g.links.add(c) {
		return
	}
	c.start(func(number uint32, t frameType, body []byte) error {
		if t == frameOpen {
			if len(body) != 12 || open[number] != nil {
				return fmt.Errorf("channel %d was opened twice or without a name: %w", number, codec.ErrCorrupt)
			}
			n := channelName{int32(binary.LittleEndian.Uint32(body)), int(binary.LittleEndian.Uint32(body[4:])), int(binary.LittleEndian.Uint32(body[8:]))}
			g.links.mu.Lock()
			in := g.links.mu.in[n]
			g.links.mu.Unlock()
			if in == nil {
				return fmt.Errorf("channel %v ends in no subtask of this worker", n)
			}
			if !in.connect(&receiveChannel{number, c}) {
				return fmt.Errorf("channel %v has a sender already", n)
			}
			c.opened.Lock()
			open[number] = in
			c.opened.Unlock()
			return nil
		}
		in := open[number]
		if in == nil {
			return fmt.Errorf("channel %d was never opened: %w", number, codec.ErrCorrupt)
		}
		e, err := elementOf(t, body)
		if err != nil {
			return err
		}
		in.put(e)
		return nil
	})
}

// await waits until a generation's channels are there.
func (h *Host) await(want job.Generation) (*generation, error) {
	timeout := time.NewTimer(deployWait)
	defer timeout.Stop()
	for {
		h.mu.Lock()
		g, changed, closed := h.mu.gen, h.mu.changed, h.mu.closed
		h.mu.Unlock()
		switch {
		case closed:
			return nil, fmt.Errorf("this worker is ending")
		case g != nil && g.id == want:
			select {
			case <-g.built:
				return g, nil
			case <-timeout.C:
				return nil, fmt.Errorf("generation %v is not built after %v", want, deployWait)
			}
		case g != nil && want.Less(g.id):
			return nil, fmt.Errorf("generation %v has been replaced by %v", want, g.id)
		}
		select {
		case <-changed:
		case <-timeout.C:
			return nil, fmt.Errorf("generation %v was not deployed here within %v", want, deployWait)
		}
	}
}

// receiveChannel is the way back on a connection.
type receiveChannel struct {
	number uint32
	conn   *conn
}

func (r *receiveChannel) credit(n int) {
	r.conn.write(endFrame(binary.LittleEndian.AppendUint32(beginFrame(r.conn.buffer(), r.number, frameCredit), uint32(n))))
}

func (r *receiveChannel) request(event []byte, ended bool) {
	b := beginFrame(r.conn.buffer(), r.number, frameRequest)
	if ended {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	r.conn.write(endFrame(append(b, event...)))
}

// conn is one data connection: frames queue in write and go out together in one writev.
type conn struct {
	nc     net.Conn
	peer   string
	failed func(error)
	opened sync.Mutex
	ready  chan struct{}
	done   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
	pool   sync.Pool
	mu     struct {
		sync.Mutex
		frames [][]byte
		err    error
		last   bool // nothing is written behind what is queued
	}
	dialed bool // by this side: it sends the records, and ends the connection
}

func newConn(nc net.Conn, peer string) *conn {
	c := &conn{nc: nc, peer: peer, ready: make(chan struct{}, 1), done: make(chan struct{})}
	c.wg.Add(2) // start's: counted here, since whoever closes the links may wait before it has run
	return c
}

func (c *conn) buffer() []byte {
	if b, ok := c.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 32<<10)
}

// write queues a frame, which is the connection's from now on.
func (c *conn) write(frame []byte) {
	c.mu.Lock()
	if c.mu.err == nil {
		c.mu.frames = append(c.mu.frames, frame)
	}
	c.mu.Unlock()
	c.wake()
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

func (c *conn) start(take func(channel uint32, t frameType, body []byte) error) {
	go func() { defer c.wg.Done(); c.fail(c.reading(take)) }()
	go func() {
		defer c.wg.Done()
		if err := c.writing(); !errors.Is(err, errFinished) {
			c.fail(err)
		}
	}()
}

func (c *conn) reading(take func(uint32, frameType, []byte) error) error {
	r := bufio.NewReaderSize(c.nc, 256<<10)
	var buf []byte
	for {
		number, t, body, grown, err := readFrame(r, buf)
		if err != nil {
			return err
		}
		buf = grown
		if err := take(number, t, body); err != nil {
			return err
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
		frames, last := c.mu.frames, c.mu.last
		c.mu.frames = nil
		c.mu.Unlock()
		if len(frames) == 0 {
			if last {
				return c.closeWrite()
			}
			continue
		}
		c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		buffers := net.Buffers(slices.Clone(frames))
		if _, err := buffers.WriteTo(c.nc); err != nil {
			return err
		}
		if last { // look again: then the queue is empty
			c.wake()
		}
		for _, f := range frames {
			if cap(f) <= 256<<10 {
				c.pool.Put(&f)
			}
		}
	}
}

// fail ends the connection with what happened; both ends' channels fail, and it is never dialled again.
func (c *conn) fail(err error) {
	c.once.Do(func() {
		err = fmt.Errorf("the data connection to %s is lost: %w", c.peer, err)
		c.mu.Lock()
		c.mu.err, c.mu.frames = err, nil
		c.mu.Unlock()
		close(c.done)
		c.nc.Close()
		if c.failed != nil {
			c.failed(err)
		}
	})
}

func (c *conn) close(err error) { c.fail(err) }
