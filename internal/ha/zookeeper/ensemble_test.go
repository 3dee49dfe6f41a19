package zookeeper_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/hatest"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/test/services"
)

var shared services.Shared

// TestEnsemble runs the suite over a real ensemble of three servers, with a network of its own for each process.
func TestEnsemble(t *testing.T) {
	hatest.Run(t, hatest.Kind{Name: "zookeeper", New: realCluster, Lacks: map[hatest.Capability]string{
		hatest.CanLag: "the network between the real servers is not ours to hold; the model has this case",
	}})
}

const realSession = 2 * time.Second

func realCluster(t *testing.T) hatest.Cluster {
	ensemble := shared.ZooKeeper(t)
	root := ensemble.Root(t)
	client := func() zookeeper.Client {
		c, err := zookeeper.Dial(zookeeper.Config{Quorum: ensemble.ConnectString(), SessionTimeout: 10 * time.Second}, func(zookeeper.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var processes atomic.Int64
	return hatest.Cluster{
		Lease: realSession + 500*time.Millisecond, // and a tick
		Open: func(t *testing.T, o hatest.Options) *hatest.Process {
			return realProcess(t, ensemble, root, o, processes.Add(1))
		},
		Usurp:       func(t *testing.T) { usurp(t, client(), root+"/default") },
		DeleteLatch: func(t *testing.T) { deleteLatch(t, client(), root+"/default") },
		KillServer: func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			i, err := ensemble.Leader(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := ensemble.Node(i).Kill(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if err := errors.Join(ensemble.Node(i).Start(), ensemble.WaitReady(ctx)); err != nil {
					t.Fatal(err)
				}
			})
		},
		Wipe: func(t *testing.T) { // the epoch first: nobody may lead over what is left
			c := client()
			remove(t, c, root+"/default/leader/epoch")
			remove(t, c, root+"/default")
		},
	}
}

func realProcess(t *testing.T, ensemble *services.ZooKeeper, root string, o hatest.Options, id int64) *hatest.Process {
	network, err := ensemble.Network()
	if err != nil {
		t.Fatal(err)
	}
	s, err := zookeeper.Open(zookeeper.Config{Quorum: network.ConnectString(), Root: root, SessionTimeout: realSession,
		EndOnSuspended: o.EndOnSuspended, Logger: logger(t, id)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), network.Close()); err != nil {
			t.Error(err)
		}
	})
	lose := func(arm func(func(services.ZooKeeperRequest) bool) <-chan services.ZooKeeperRequest) func(ha.OpKind) {
		return func(kind ha.OpKind) {
			arm(func(r services.ZooKeeperRequest) bool { return wireContains(r, kind) })
		}
	}
	return &hatest.Process{
		Services: s,
		Abandon:  func() { network.Each(func(p *services.Proxy) { p.Cut(services.BothWays) }) },
		Expire:   func(t *testing.T) { expire(t, ensemble.Node(0).Addr, s) },
		Cut: func(cut bool) {
			if !cut {
				if err := network.Forward(); err != nil {
					t.Error(err)
				}
				return
			}
			// Nothing passes any more, not even on a connection that is being accepted at this moment; then the client is told.
			network.Each(func(p *services.Proxy) { p.Cut(services.BothWays) })
			network.Each(func(p *services.Proxy) {
				if err := p.Refuse(true); err != nil {
					t.Error(err)
				}
			})
			network.Each(func(p *services.Proxy) { p.Reset() })
		},
		LoseReply:   lose(network.LoseReply),
		LoseRequest: lose(network.LoseRequest),
	}
}

// wireContains tells whether a request on the wire is, or has in it, an operation of that kind.
func wireContains(r services.ZooKeeperRequest, kind ha.OpKind) bool {
	want := map[ha.OpKind]int32{ha.OpCreate: services.OpCreate, ha.OpPut: services.OpSetData, ha.OpDelete: services.OpDelete}[kind]
	if r.Op != services.OpMulti {
		return r.Op == want
	}
	const opCheck = 13
	b := r.Body
	number := func() int32 {
		n := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		return n
	}
	text := func() { b = b[max(number(), 0):] }
	for {
		op := number()
		b = b[5:] // done, error
		switch op {
		case want:
			return true
		case services.OpCreate:
			text()
			text()
			for range number() {
				number()
				text()
				text()
			}
			number()
		case services.OpSetData:
			text()
			text()
			number()
		case services.OpDelete, opCheck:
			text()
			number()
		default:
			return false
		}
	}
}

// expire closes a session as its own client would, from another connection: the client hears of it only from the servers.
func expire(t *testing.T, addr string, s *zookeeper.Services) {
	session, password := zookeeper.SessionSecret(s)
	if session == 0 {
		return // it has expired by itself
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var b []byte
	b = binary.BigEndian.AppendUint32(b, 0)                                          // protocol
	b = binary.BigEndian.AppendUint64(b, 0)                                          // last zxid
	b = binary.BigEndian.AppendUint32(b, uint32(realSession/time.Millisecond))       //
	b = binary.BigEndian.AppendUint64(b, uint64(session))                            //
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(password))), password...) //
	frame := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	if _, err := c.Write(frame(b)); err != nil {
		t.Error(err)
		return
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Error(err)
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head))); err != nil {
		t.Error(err)
		return
	}
	const opClose = -11
	closing := opClose
	c.Write(frame(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 1), uint32(int32(closing)))))
	io.Copy(io.Discard, c) // until the server closes it
}
