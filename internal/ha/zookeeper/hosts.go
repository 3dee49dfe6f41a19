package zookeeper

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// hosts is the library's HostProvider. The library's own sleeps a fixed second once every server was tried, which dominates the
// outage when the ensemble changes its leader; this one pauses shortly between rounds, longer when it goes on. It hands out
// names, so that each dial resolves anew.
type hosts struct {
	mu      sync.Mutex
	servers []string
	next    int
	tried   int // since the last success
	closed  chan struct{}
}

const (
	hostPause    = 25 * time.Millisecond
	hostPauseMax = 250 * time.Millisecond
)

var _ zk.HostProvider = (*hosts)(nil)

func newHosts(servers []string) *hosts {
	h := &hosts{servers: slices.Clone(servers), closed: make(chan struct{})}
	rand.Shuffle(len(h.servers), func(i, j int) { h.servers[i], h.servers[j] = h.servers[j], h.servers[i] })
	return h
}

// Init is called with what Connect was given, which is what we have.
func (h *hosts) Init([]string) error { return nil }

func (h *hosts) Len() int { return len(h.servers) }

// Next is called with a lock of the library's held that its Server method takes too; nothing here needs that.
func (h *hosts) Next() (server string, retryStart bool) {
	h.mu.Lock()
	tried := h.tried
	h.tried++
	server = h.servers[h.next%len(h.servers)]
	h.next++
	h.mu.Unlock()
	pause := time.Duration(0)
	if tried >= len(h.servers) {
		pause = min(hostPause*time.Duration(tried/len(h.servers)), hostPauseMax)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return server, false
	case <-h.closed:
		return server, true // only then does the library look whether it was closed
	}
}

// Connected resets the pause. The next round starts at the server after this one.
func (h *hosts) Connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried = 0
}
