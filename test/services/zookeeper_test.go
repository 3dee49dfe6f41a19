package services

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// quiet keeps the client library's log out of the tests' output.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func connect(t *testing.T, addrs ...string) *zk.Conn {
	t.Helper()
	conn, events, err := zk.Connect(addrs, 10*time.Second, zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	timeout := time.After(30 * time.Second)
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return conn
			}
		case <-timeout:
			t.Fatalf("no session with %v within 30 s", addrs)
		}
	}
}

func TestEnsembleServesEveryNode(t *testing.T) {
	ensemble := shared.ZooKeeper(t)
	root := ensemble.Root(t)
	if _, err := connect(t, ensemble.Node(0).Addr).Create(root, []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	modes := map[string]int{}
	for i := range ensemble.Len() {
		mode, err := ensemble.Node(i).Mode(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		modes[mode]++
		conn := connect(t, ensemble.Node(i).Addr)
		if _, err := conn.Sync(root); err != nil {
			t.Fatal(err)
		}
		data, _, err := conn.Get(root)
		if err != nil || string(data) != "x" {
			t.Errorf("node %d: read %q, %v; want \"x\"", i, data, err)
		}
	}
	if modes["leader"] != 1 || modes["follower"] != 2 {
		t.Errorf("modes of the nodes are %v, want one leader and two followers", modes)
	}
}

func TestKilledLeaderIsReplacedAndComesBack(t *testing.T) {
	ensemble := ZooKeeperForTest(t, ZooKeeperOptions{})
	conn := connect(t, ensemble.Addrs()...)
	if _, err := conn.Create("/kept", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	old, err := ensemble.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ensemble.Node(old).Kill(); err != nil {
		t.Fatal(err)
	}
	if ensemble.Node(old).Running() {
		t.Fatal("the leader is still running after Kill has returned")
	}
	began := time.Now()
	leader, err := ensemble.WaitLeader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("elected after %v", time.Since(began))
	if leader == old {
		t.Fatalf("node %d leads, which was killed", old)
	}
	if err := ensemble.Node(old).Start(); err != nil {
		t.Fatal(err)
	}
	if err := ensemble.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mode, err := ensemble.Node(old).Mode(t.Context()); err != nil || mode != "follower" {
		t.Errorf("the restarted node is %q, %v; want a follower", mode, err)
	}
	if found, _, err := connect(t, ensemble.Node(old).Addr).Exists("/kept"); err != nil || !found {
		t.Errorf("the node created before the kill: found=%v, %v", found, err)
	}
}

func TestPausedNodeAnswersNothingUntilContinued(t *testing.T) {
	ensemble := ZooKeeperForTest(t, ZooKeeperOptions{Nodes: 1})
	node := ensemble.Node(0)
	if err := node.Pause(); err != nil {
		t.Fatal(err)
	}
	if mode, err := node.Mode(t.Context()); err == nil {
		t.Errorf("a paused node answered %q", mode)
	}
	if !node.Running() {
		t.Error("a paused node counts as ended")
	}
	if err := node.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := ensemble.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestQuorumLostIsSaidAtOnce(t *testing.T) {
	ensemble := ZooKeeperForTest(t, ZooKeeperOptions{})
	for i := range 2 {
		if err := ensemble.Node(i).Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if err := ensemble.WaitReady(t.Context()); err == nil {
		t.Error("one node of three counts as ready")
	}
	// A leader whose followers are gone believes in itself for up to syncLimit ticks.
	var leader int
	err := poll(t.Context(), readyPoll, func() (bool, error) {
		var err error
		leader, err = ensemble.Leader(t.Context())
		return errors.Is(err, ErrNoLeader), nil
	})
	if err != nil {
		t.Errorf("the lone node %d never ceased to lead: %v", leader, err)
	}
}

func TestDataSurvivesTheEnsemble(t *testing.T) {
	dir := t.TempDir()
	first := ZooKeeperForTest(t, ZooKeeperOptions{Nodes: 1, Dir: dir})
	if _, err := connect(t, first.ConnectString()).Create("/kept", nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := ZooKeeperForTest(t, ZooKeeperOptions{Nodes: 1, Dir: dir})
	if found, _, err := connect(t, second.ConnectString()).Exists("/kept"); err != nil || !found {
		t.Errorf("the first ensemble's node: found=%v, %v", found, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	ensemble := ZooKeeperForTest(t, ZooKeeperOptions{})
	var pids []int
	for _, p := range ensemble.processes() {
		pids = append(pids, p.PID())
	}
	if slices.Contains(pids, 0) || len(pids) != 3 {
		t.Fatalf("process ids are %v", pids)
	}
	if err := ensemble.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(-pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process group %d after Close: %v, want %v", pid, err, syscall.ESRCH)
		}
	}
	for i := range ensemble.ports.ports {
		lock := lockPort(ensemble.ports.Port(i))
		if lock == nil {
			t.Errorf("port %d is still taken after Close", ensemble.ports.Port(i))
			continue
		}
		lock.Close()
	}
	if err := ensemble.Node(0).Start(); !errors.Is(err, errSpawnerClosed) {
		t.Errorf("Start after Close: %v, want %v", err, errSpawnerClosed)
	}
}
