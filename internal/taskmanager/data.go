package taskmanager

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

const (
	helloTimeout  = 5 * time.Second
	workerTimeout = 10 * time.Second // how long a data connection waits for a worker that is being started
	maxWaiting    = 1024             // connections whose hello is awaited or whose worker is
)

// dataListener accepts the data connections of every worker of this taskmanager and hands each to the worker that it names.
type dataListener struct {
	listener    net.Listener
	incarnation string
	log         *slog.Logger
	waiting     chan struct{}
	mu          struct {
		sync.Mutex
		workers map[string]*process
		changed chan struct{} // closed and replaced at each change
	}
}

func newDataListener(l net.Listener, incarnation string, log *slog.Logger) *dataListener {
	d := &dataListener{listener: l, incarnation: incarnation, log: log, waiting: make(chan struct{}, maxWaiting)}
	d.mu.workers = map[string]*process{}
	d.mu.changed = make(chan struct{})
	return d
}

func (d *dataListener) add(job string, p *process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.workers[job] = p
	close(d.mu.changed)
	d.mu.changed = make(chan struct{})
}

func (d *dataListener) remove(job string, p *process) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.workers[job] == p {
		delete(d.mu.workers, job)
	}
}

func (d *dataListener) close() { d.listener.Close() }

func (d *dataListener) serve() {
	for {
		conn, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.log.Warn("accept a data connection", "error", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely: do not spin
			continue
		}
		select {
		case d.waiting <- struct{}{}:
			go func() {
				defer func() { <-d.waiting }()
				d.hand(conn.(*net.TCPConn))
			}()
		default:
			conn.Close()
		}
	}
}

// hand reads the hello of one connection and passes it on, or answers with the reason why not.
func (d *dataListener) hand(conn *net.TCPConn) {
	defer conn.Close() // the worker has a descriptor of its own
	conn.SetDeadline(time.Now().Add(helloTimeout))
	hello := new(thalwegv1.DataHello)
	if err := wire.ReadFrame(conn, hello, wire.MaxHello); err != nil {
		d.log.Warn("a data connection without a hello", "from", conn.RemoteAddr(), "error", err)
		return
	}
	if err := d.pass(conn, hello); err != nil {
		d.log.Warn("refused a data connection", "from", conn.RemoteAddr(), "job", hello.Job, "error", err)
		conn.SetDeadline(time.Now().Add(helloTimeout))
		wire.WriteFrame(conn, &thalwegv1.DataWelcome{Error: err.Error()})
	}
}

func (d *dataListener) pass(conn *net.TCPConn, hello *thalwegv1.DataHello) error {
	if hello.ToIncarnation != d.incarnation {
		return fmt.Errorf("this taskmanager is incarnation %s, not %s", d.incarnation, hello.ToIncarnation)
	}
	timeout := time.After(workerTimeout)
	for {
		d.mu.Lock()
		p, changed := d.mu.workers[hello.Job], d.mu.changed
		d.mu.Unlock()
		if p == nil {
			select {
			case <-changed:
				continue
			case <-timeout:
				return fmt.Errorf("no worker of job %s runs here", hello.Job)
			}
		}
		select {
		case <-p.ready:
			conn.SetDeadline(time.Time{})
			if wire.PassConn(p.passing, conn, hello) == nil {
				return nil
			}
			// It is dying. The one that takes its place is waited for, as long as any.
			select {
			case <-changed:
			case <-timeout:
				return fmt.Errorf("the worker of job %s takes no connections", hello.Job)
			case <-time.After(10 * time.Millisecond):
			}
		case <-p.exited:
			select {
			case <-changed:
			case <-timeout:
				return fmt.Errorf("the worker of job %s has ended", hello.Job)
			case <-time.After(10 * time.Millisecond): // until the loop has taken note of its end
			}
		case <-timeout:
			return fmt.Errorf("the worker of job %s is not ready after %v", hello.Job, workerTimeout)
		}
	}
}
