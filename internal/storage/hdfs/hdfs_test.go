package hdfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
	"github.com/thalweg-io/thalweg/test/services"
)

// shared is the HDFS of all tests that do no harm to it.
var shared services.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Main(m)) }

// quick gives up sooner than the defaults do, but not before a NameNode could restart.
var quick = hdfs.Options{CallTimeout: 5 * time.Second, DataTimeout: 5 * time.Second, RetryFor: 7 * time.Second}

func TestConformance(t *testing.T) {
	t.Parallel()
	h := shared.HDFS(t)
	storagetest.Conformance(t, func(t *testing.T) storagetest.Target {
		n := newNetwork(t)
		fs := n.open(t, h.Addr(), quick)
		return storagetest.Target{FS: fs, Dir: freshDir(t, fs, h), Server: n,
			Denied: func(t *testing.T) (storage.FileSystem, string) {
				dir := freshDir(t, fs, h)
				put(t, fs, storage.Join(dir, "readable"), []byte("x"))
				somebody := quick
				somebody.User = "somebody-else"
				return n.open(t, h.Addr(), somebody), dir
			}}
	})
}

// freshDir makes a directory of the test's own.
func freshDir(t testing.TB, fs storage.FileSystem, h *services.HDFS) string {
	t.Helper()
	dir := h.URI() + h.Root(t)
	if err := fs.MkdirAll(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t testing.TB, fs storage.FileSystem, name string, data []byte) {
	t.Helper()
	if err := storage.WriteFile(t.Context(), fs, name, data); err != nil {
		t.Fatal(err)
	}
}

// A network is the way from a test's clients to all servers of a cluster, with a proxy for each that was dialed. It is storagetest.Server and
// counts connections.
type network struct {
	t       *testing.T
	mu      sync.Mutex
	proxies map[string]*services.Proxy
	dials   map[string]int
	conns   map[*tracked]bool           // open ones
	method  string                      // NameNode's method whose next answer is lost
	now     func(*services.Proxy) error // the present trouble, for proxies that come later; nil: none
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t, proxies: make(map[string]*services.Proxy), dials: make(map[string]int), conns: make(map[*tracked]bool)}
	t.Cleanup(func() {
		for _, p := range n.proxies {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return n
}

// open opens a file system whose connections go through the network, and fails the test when one of them is still open after it was closed.
func (n *network) open(t *testing.T, authority string, o hdfs.Options) *hdfs.FS {
	t.Helper()
	var fs *hdfs.FS
	o.Dial = func(ctx context.Context, nw, addr string) (net.Conn, error) { return n.dial(ctx, nw, addr, &fs) }
	var err error
	if fs, err = hdfs.Open(authority, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		fs.Close()
		// Clients of a Writer or Reader that the test has left open, and those being discarded, end on their own.
		for deadline := time.Now().Add(5 * time.Second); n.connections(&fs) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%d connections are open after the file system was closed", n.connections(&fs))
				return
			}
		}
	})
	return fs
}

// A tracked connection can lose the answer to a request, after the server has done what was asked: see network.lose.
type tracked struct {
	net.Conn
	n     *network
	owner **hdfs.FS
	lost  atomic.Bool
}

func (c *tracked) Write(p []byte) (int, error) {
	if c.n.losesAnswerTo(p) {
		c.lost.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *tracked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.lost.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *tracked) Close() error {
	c.n.mu.Lock()
	delete(c.n.conns, c)
	c.n.mu.Unlock()
	return c.Conn.Close()
}

// connections counts those of one file system (see open), or all with nil.
func (n *network) connections(owner **hdfs.FS) (open int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		if owner == nil || c.owner == owner {
			open++
		}
	}
	return open
}

func (n *network) dialed(addr string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials[addr]
}

func (n *network) dial(ctx context.Context, nw, addr string, owner **hdfs.FS) (net.Conn, error) {
	p, err := n.proxy(addr)
	if err != nil {
		return nil, err
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, nw, p.Addr())
	if err != nil {
		return nil, err
	}
	c := &tracked{Conn: raw, n: n, owner: owner}
	n.mu.Lock()
	n.conns[c] = true
	n.mu.Unlock()
	return c, nil
}

// lose makes the answer to the next call of a NameNode's method vanish with its connection.
func (n *network) lose(method string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.method = method
}

// losing says whether lose still waits for its call.
func (n *network) losing() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.method != ""
}

func (n *network) losesAnswerTo(request []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	// The method's name in a RequestHeaderProto: field 1, a string.
	if n.method == "" || !bytes.Contains(request, append([]byte{0x0a, byte(len(n.method))}, n.method...)) {
		return false
	}
	n.method = ""
	return true
}

// proxy is the one to addr, in the present trouble.
func (n *network) proxy(addr string) (*services.Proxy, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials[addr]++
	if p := n.proxies[addr]; p != nil {
		return p, nil
	}
	p, err := services.NewProxy(addr)
	if err != nil {
		return nil, err
	}
	n.proxies[addr] = p
	if n.now != nil {
		err = n.now(p)
	}
	return p, err
}

// apply puts all proxies, and those that come later, into a state.
func (n *network) apply(state func(*services.Proxy) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = state
	for addr, p := range n.proxies {
		if err := state(p); err != nil {
			n.t.Errorf("proxy to %s: %v", addr, err)
		}
	}
}

// Stall, Cut and Resume implement storagetest.Server.
func (n *network) Stall() {
	n.apply(func(p *services.Proxy) error { p.Hold(services.BothWays); return nil })
}

func (n *network) Cut() {
	n.apply(func(p *services.Proxy) error { defer p.Reset(); return p.Refuse(true) })
}

func (n *network) Resume() {
	n.apply(func(p *services.Proxy) error { return errors.Join(p.Forward(), p.Refuse(false)) })
}
