package services

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func sprung(t *testing.T, trap <-chan ZooKeeperRequest) ZooKeeperRequest {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case r := <-trap:
		return r
	case <-ctx.Done():
		t.Fatal("nothing was lost within 30 s")
		return ZooKeeperRequest{}
	}
}

func TestLostReplyWasCommitted(t *testing.T) {
	ensemble := shared.ZooKeeper(t)
	network := ensemble.NetworkForTest(t)
	root := ensemble.Root(t)
	conn := connect(t, network.Addrs()...)
	lost := network.LoseReply(Writes)
	if _, err := conn.Create(root, []byte("x"), 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrConnectionClosed) {
		t.Fatalf("create: %v, want %v: its reply is lost", err, zk.ErrConnectionClosed)
	}
	if r := sprung(t, lost); r.Op != OpCreate && r.Op != OpCreate2 || r.Path() != root {
		t.Errorf("lost the reply to operation %d on %q, want a create of %q", r.Op, r.Path(), root)
	}
	direct := connect(t, ensemble.Addrs()...)
	if _, err := direct.Sync(root); err != nil {
		t.Fatal(err)
	}
	if data, _, err := direct.Get(root); err != nil || string(data) != "x" {
		t.Errorf("after the lost reply: %q, %v; want what was written", data, err)
	}
	if _, err := conn.Set(root, []byte("y"), 0); err != nil {
		t.Errorf("the next write, after reconnecting: %v", err)
	}
}

func TestLostRequestWasNot(t *testing.T) {
	ensemble := shared.ZooKeeper(t)
	network := ensemble.NetworkForTest(t)
	root := ensemble.Root(t)
	conn := connect(t, network.Addrs()...)
	lost := network.LoseRequest(func(r ZooKeeperRequest) bool { return r.Path() == root })
	if _, err := conn.Create(root, nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrConnectionClosed) {
		t.Fatalf("create: %v, want %v: it is lost", err, zk.ErrConnectionClosed)
	}
	sprung(t, lost)
	direct := connect(t, ensemble.Addrs()...)
	if _, err := direct.Sync("/"); err != nil {
		t.Fatal(err)
	}
	if found, _, err := direct.Exists(root); err != nil || found {
		t.Errorf("the node of the lost request: found=%v, %v; want none", found, err)
	}
}

func TestNetworkHealsAfterAPartition(t *testing.T) {
	ensemble := shared.ZooKeeper(t)
	network := ensemble.NetworkForTest(t)
	conn := connect(t, network.Addrs()...)
	network.Each(func(p *Proxy) { p.Cut(BothWays) })
	answered := make(chan error, 1)
	go func() {
		_, _, err := conn.Exists("/")
		answered <- err
	}()
	eventually(t, "the request is lost", func() bool {
		return lost(network.Link(0))() || lost(network.Link(1))() || lost(network.Link(2))()
	})
	select {
	case err := <-answered:
		t.Fatalf("an answer through a cut network: %v", err)
	default:
	}
	if err := network.Forward(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err == nil {
		t.Error("the call whose request was cut succeeded")
	}
	eventually(t, "the client is served again", func() bool {
		_, _, err := conn.Exists("/")
		return err == nil
	})
}

func TestFourLetterWordsPassTheNetwork(t *testing.T) {
	ensemble := shared.ZooKeeper(t)
	network := ensemble.NetworkForTest(t)
	through := &ZooKeeperNode{Process: ensemble.Node(0).Process, Addr: network.Link(0).Addr()}
	if answer, err := through.FourLetter(t.Context(), "ruok"); err != nil || answer != "imok" {
		t.Errorf("ruok: %q, %v; want \"imok\"", answer, err)
	}
}

func frame(content string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

func TestFramerGivesWholeFramesHoweverTheyArrive(t *testing.T) {
	stream := slices.Concat(frame("one"), frame(""), frame("three"))
	for size := 1; size <= len(stream); size++ {
		var f framer
		var frames []string
		var passed []byte
		for part := range slices.Chunk(stream, size) {
			pass, reset := f.feed(part, func(frame []byte) bool {
				frames = append(frames, string(frame))
				return false
			})
			if reset {
				t.Fatalf("parts of %d bytes: reset", size)
			}
			passed = append(passed, pass...)
		}
		if !slices.Equal(frames, []string{"one", "", "three"}) || !slices.Equal(passed, stream) {
			t.Errorf("parts of %d bytes: frames %q, passed %q", size, frames, passed)
		}
	}
}

func TestFramerPassesNothingAfterALostFrame(t *testing.T) {
	var f framer
	pass, reset := f.feed(slices.Concat(frame("one"), frame("two"), frame("three")), func(frame []byte) bool { return string(frame) == "two" })
	if !reset || !slices.Equal(pass, frame("one")) {
		t.Errorf("passed %q, reset=%v; want the first frame and a reset", pass, reset)
	}
}

func TestATrapWhoseReplyNeverCameIsArmedAgain(t *testing.T) {
	network := &ZooKeeperNetwork{}
	lost := network.LoseReply(Writes)
	request := append(frame("handshake"), frame("\x00\x00\x00\x07\x00\x00\x00\x01")...)
	reply := append(frame("handshake"), frame("\x00\x00\x00\x07")...)
	first := &zooKeeperFilter{network: network}
	if _, reset := first.toServer(request); reset {
		t.Fatal("the request was lost")
	}
	first.ended()
	second := &zooKeeperFilter{network: network}
	if _, reset := second.toClient(reply); reset {
		t.Fatal("a reply to no request was lost")
	}
	second = &zooKeeperFilter{network: network}
	if _, reset := second.toServer(request); reset {
		t.Fatal("the second request was lost")
	}
	if pass, reset := second.toClient(reply); !reset || len(pass) != len(frame("handshake")) {
		t.Errorf("the reply: passed %q, reset=%v; want only the handshake and a reset", pass, reset)
	}
	if r := <-lost; r.Xid != 7 || r.Op != OpCreate {
		t.Errorf("lost the reply to %+v", r)
	}
}
