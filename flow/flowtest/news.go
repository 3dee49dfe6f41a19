package flowtest

import (
	"fmt"
	"sync"
	"time"
)

// news wakes who waits for something to become true. Whoever changes something that a condition looks at tells so afterwards. It is a leaf: no
// other lock is taken under its own.
type news struct {
	mu struct {
		sync.Mutex
		next chan struct{} // closed with the next change
		err  error         // the first failure: nothing becomes true any more
	}
}

func newNews() *news {
	n := &news{}
	n.mu.next = make(chan struct{})
	return n
}

// tell says that something has changed.
func (n *news) tell() { n.fail(nil) }

// fail says, besides, that the run has failed.
func (n *news) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.err == nil {
		n.mu.err = err
	}
	close(n.mu.next)
	n.mu.next = make(chan struct{})
}

// forget lets a new run begin without the failure of the last.
func (n *news) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.err = nil
}

func (n *news) state() (next <-chan struct{}, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.next, n.mu.err
}

// patience is how long a job may take for one step of a test. It is no pause: whoever waits for it is told of a job that hangs.
const patience = 2 * time.Minute

// wait returns when a condition is true, or with the failure of the run.
func (n *news) wait(what string, is func() bool) error {
	var late <-chan time.Time
	for {
		next, err := n.state()
		if err != nil {
			return err
		}
		if is() {
			return nil
		}
		if late == nil {
			t := time.NewTimer(patience)
			defer t.Stop()
			late = t.C
		}
		select {
		case <-next:
		case <-late:
			return fmt.Errorf("flowtest: %s: it has not come to that within %v", what, patience)
		}
	}
}
