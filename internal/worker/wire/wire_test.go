package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

func TestFramesRoundTrip(t *testing.T) {
	var b bytes.Buffer
	sent := []*thalwegv1.ToWorker{
		{Epoch: 7, Message: &thalwegv1.ToWorker_Abort{Abort: &thalwegv1.Abort{Job: "j", Checkpoint: 3}}},
		{},
		{Message: &thalwegv1.ToWorker_Start{Start: &thalwegv1.WorkerStart{Job: strings.Repeat("x", 100_000)}}},
	}
	for _, m := range sent {
		if err := wire.WriteFrame(&b, m); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range sent {
		got := new(thalwegv1.ToWorker)
		if err := wire.ReadFrame(&b, got, wire.MaxFrame); err != nil || !proto.Equal(got, want) {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
	}
	if err := wire.ReadFrame(&b, new(thalwegv1.ToWorker), wire.MaxFrame); !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
}

func TestHostileFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"a length above the limit": {0xff, 0xff, 0xff, 0xff},
		"cut in the length":        {0, 0},
		"cut in the message":       {0, 0, 0, 9, 1, 2},
		"not a message":            {0, 0, 0, 2, 0xff, 0xff},
	} {
		err := wire.ReadFrame(bytes.NewReader(b), new(thalwegv1.DataHello), wire.MaxHello)
		if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	var b bytes.Buffer
	wire.WriteFrame(&b, &thalwegv1.DataHello{Job: "j", Generation: &thalwegv1.Generation{Epoch: 1, N: 2}})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		m := new(thalwegv1.DataHello)
		if wire.ReadFrame(bytes.NewReader(in), m, wire.MaxHello) == nil {
			var out bytes.Buffer
			if err := wire.WriteFrame(&out, m); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPassedConnectionWorks hands a TCP connection over a socket pair, and speaks through what comes out.
func TestPassedConnectionWorks(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := func(fd int) *net.UnixConn {
		f := os.NewFile(uintptr(fd), "pair")
		defer f.Close()
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*net.UnixConn)
	}
	from, to := end(fds[0]), end(fds[1])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	hello := &thalwegv1.DataHello{Job: "j", Generation: &thalwegv1.Generation{Epoch: 3, N: 4}}
	if err := wire.PassConn(from, accepted.(*net.TCPConn), hello); err != nil {
		t.Fatal(err)
	}
	accepted.Close() // the other end has a descriptor of its own
	conn, got, err := wire.ReceiveConn(to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !proto.Equal(got, hello) {
		t.Fatalf("hello %v, want %v", got, hello)
	}
	if _, err := client.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping" {
		t.Fatalf("read %q, %v", b, err)
	}
	from.Close()
	if _, _, err := wire.ReceiveConn(to); err == nil {
		t.Fatal("a closed pair gave a connection")
	}
}
