package stream

import (
	"context"
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
	// A watermark goes with the records before it; what flushes them sends it, too.
	c.conn.control(e.kind != watermark, func(dst []byte) []byte { return appendElement(dst, c.number, e) })
}

// records sends a frame that was begun at the start of the buffer and has its body. The buffer is the connection's from now on.
func (c *sendChannel) records(b *buffer) {
	endFrame(b.b, 0)
	c.out.task.counters.sent(len(b.b))
	c.conn.send(b)
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
		c.control(true, func(dst []byte) []byte { return appendOpen(dst, ch.number, ch.name) })
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
	c.start(func(f frame, _ *buffer) (bool, error) {
		if int(f.channel) >= len(channels) {
			return false, fmt.Errorf("channel %d was never opened: %w", f.channel, codec.ErrCorrupt)
		}
		out := channels[f.channel].out
		switch {
		case f.kind == frameCredit && len(f.body) == 12:
			batches, bytes := creditOf(f.body)
			if !out.owes(batches, bytes) {
				return false, fmt.Errorf("credit for %d batches of %d bytes, which are more than were sent: %w", batches, bytes, codec.ErrCorrupt)
			}
			out.credit(batches, bytes)
		case f.kind == frameRequest && len(f.body) >= 1:
			out.request(append([]byte(nil), f.body[1:]...), f.body[0] == 1)
		default:
			return false, fmt.Errorf("a receiver sent a frame of type %d with %d bytes: %w", f.kind, len(f.body), codec.ErrCorrupt)
		}
		return false, nil
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
	err = wire.WriteFrame(nc, &thalwegv1.DataHello{ProtocolVersion: exchangeVersion, Job: h.c.Job, Generation: g.id.Proto(),
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
	if hello.ProtocolVersion != exchangeVersion {
		err = fmt.Errorf("the sender speaks version %d of the exchange, this worker version %d: run the same release on both", hello.ProtocolVersion, exchangeVersion)
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
	take := g.links.receiving(c)
	if g.links.add(c) {
		c.start(take)
	}
}

// receiving says what becomes of a connection that another worker has dialled: it gives what takes its frames.
func (l *links) receiving(c *conn) func(frame, *buffer) (keep bool, err error) {
	open := map[uint32]*inChannel{}
	c.failed = func(err error) {
		c.opened.Lock()
		defer c.opened.Unlock()
		for _, in := range open {
			in.fail(err)
		}
	}
	return func(f frame, b *buffer) (keep bool, err error) {
		in := open[f.channel]
		if f.kind == frameOpen {
			if len(f.body) != 12 || in != nil {
				return false, fmt.Errorf("channel %d was opened twice or without a name: %w", f.channel, codec.ErrCorrupt)
			}
			if in, err = l.opening(nameOf(f.body), f.channel, c); err != nil {
				return false, err
			}
			c.opened.Lock()
			open[f.channel] = in
			c.opened.Unlock()
			if err := c.lost(); err != nil { // perhaps before the channel was there to be told
				in.fail(err)
			}
			return false, nil
		}
		if in == nil {
			return false, fmt.Errorf("channel %d was never opened: %w", f.channel, codec.ErrCorrupt)
		}
		e, err := elementOf(f, b)
		if err != nil {
			return false, err
		}
		keep = e.buffer != nil // before put: the task may have freed it by then
		in.put(e)
		return keep, nil
	}
}

// opening connects the receiving end of a channel that its sender opens.
func (l *links) opening(n channelName, number uint32, c *conn) (*inChannel, error) {
	l.mu.Lock()
	in := l.mu.in[n]
	l.mu.Unlock()
	if in == nil {
		return nil, fmt.Errorf("channel %v ends in no subtask of this worker", n)
	}
	if !in.connect(&receiveChannel{number, c}) {
		return nil, fmt.Errorf("channel %v has a sender already", n)
	}
	return in, nil
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

func (r *receiveChannel) credit(batches int, bytes int64) {
	r.conn.control(true, func(dst []byte) []byte { return appendCredit(dst, r.number, batches, bytes) })
}

func (r *receiveChannel) request(event []byte, ended bool) {
	r.conn.control(true, func(dst []byte) []byte { return appendRequest(dst, r.number, event, ended) })
}
