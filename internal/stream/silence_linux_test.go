package stream

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// A host that is cut off without a word is noticed by both ends of each data connection within the time that heartbeats have.
func TestDataConnectionsNoticeSilence(t *testing.T) {
	r := newRec()
	hs := start(t, &options{limit: 64}, r, map[string]int{"s": 1}, 2, nil)
	if !r.wait(t, "ended", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...)) { // so there is a connection
		t.Fatal("not ended")
	}
	for i, h := range hs {
		l := &h.current().links
		l.mu.Lock()
		conns := l.mu.conns
		l.mu.Unlock()
		if len(conns) != 1 {
			t.Fatalf("host %d has %d connections", i, len(conns))
		}
		raw, err := conns[0].nc.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		option := func(level, name int) (v int) {
			if e := raw.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), level, name) }); e != nil || err != nil {
				t.Fatal(e, err)
			}
			return v
		}
		if ms := option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); ms != int(silence.Milliseconds()) {
			t.Errorf("host %d waits %d ms for what is not acknowledged", i, ms)
		}
		every, idle := option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
		if on := option(unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 1 || idle+2*every > 10 {
			t.Errorf("host %d asks a silent peer %d, after %d s, every %d s", i, on, idle, every)
		}
	}
}
