package zkmodel

import (
	"context"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// Ensemble is a Model in real time (or a synctest bubble's), shared by any number of clients. It is safe for concurrent use.
// The lock is a leaf: nothing is called or waited for under it.
type Ensemble struct {
	mu struct {
		sync.Mutex
		model   *Model
		clients map[int64]*Client // by client id
		next    int64
	}
	start time.Time
	stop  chan struct{}
	done  chan struct{}
}

// NewEnsemble starts n model servers. Close it after its clients.
func NewEnsemble(n int) *Ensemble {
	e := &Ensemble{start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	e.mu.model = New(n)
	e.mu.clients = map[int64]*Client{}
	go e.run()
	return e
}

// run lets sessions expire.
func (e *Ensemble) run() {
	defer close(e.done)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.step(Tick{})
		case <-e.stop:
			return
		}
	}
}

// Close stops the ensemble's clock.
func (e *Ensemble) Close() {
	close(e.stop)
	<-e.done
}

// Down and Up stop and start a server; the first one that is up leads.
func (e *Ensemble) Down(server int) { e.step(Down{server}) }
func (e *Ensemble) Up(server int)   { e.step(Up{server}) }

// Lag makes a server stop following, or catch up.
func (e *Ensemble) Lag(server int, lags bool) { e.step(Lag{server, lags}) }

// Remove deletes a path and everything below it behind everybody's back: a wiped ZooKeeper.
func (e *Ensemble) Remove(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.mu.model
	m.out = nil
	var t txn
	var walk func(string)
	walk = func(p string) {
		n := m.head[p]
		if n == nil {
			return
		}
		for child := range n.children {
			walk(p + "/" + child)
		}
		t = append(t, change{kind: zookeeper.Delete, path: p})
	}
	walk(path)
	m.commit(t)
	e.deliverLocked(m.out)
}

func (e *Ensemble) step(in Input) []Effect {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stepLocked(in)
}

// stepLocked feeds the model and hands every effect to the client that it is for.
func (e *Ensemble) stepLocked(in Input) []Effect {
	out := e.mu.model.Step(time.Since(e.start), in)
	e.deliverLocked(out)
	return out
}

func (e *Ensemble) deliverLocked(out []Effect) {
	for _, effect := range out {
		switch effect := effect.(type) {
		case Fired:
			if c := e.clientLocked(effect.Session); c != nil {
				c.events.Push(effect.Event)
			}
		case Dropped:
			if c := e.clientLocked(effect.Session); c != nil {
				c.dropLocked()
			}
		}
	}
}

func (e *Ensemble) clientLocked(session int64) *Client {
	for _, c := range e.mu.clients {
		if c.state.session == session {
			return c
		}
	}
	return nil
}

// Connect is the zookeeper.Connect of this ensemble. Use Client on what it returns for the switches.
func (e *Ensemble) Connect(timeout time.Duration) zookeeper.Connect {
	return func(listener func(zookeeper.Event)) (zookeeper.Client, error) {
		return e.NewClient(timeout, listener), nil
	}
}

// wait is ctx's end or the duration, whichever is first.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
