package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/hatest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCAL_TEST_LEADER"); dir != "" {
		leadForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	hatest.Run(t, hatest.Kind{Name: "local", New: newCluster, Lacks: map[hatest.Capability]string{
		hatest.CanLoseReply:   "there is no reply: a write is a system call",
		hatest.CanExpire:      "a lock does not expire",
		hatest.CanCut:         "there is no connection",
		hatest.CanKillServer:  "there is no server",
		hatest.CanLag:         "there is no server",
		hatest.CanDeleteLatch: "the kernel keeps the lock",
	}})
}

func newCluster(t *testing.T) hatest.Cluster {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "default"), 0o755); err != nil {
		t.Fatal(err)
	}
	return hatest.Cluster{
		Lease: 100 * time.Millisecond,
		Open: func(t *testing.T, _ hatest.Options) *hatest.Process {
			s := open(t, dir)
			return &hatest.Process{Services: s, Abandon: s.abandon}
		},
		Usurp: func(t *testing.T) {
			name := filepath.Join(dir, "default", "epoch")
			var e epochFile
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &e); err != nil {
				t.Fatal(err)
			}
			e.Epoch, e.Incarnation = e.Epoch+1, "nobody"
			b, _ = json.Marshal(e)
			if err := replaceFile(name, b); err != nil {
				t.Fatal(err)
			}
		},
		Wipe: func(t *testing.T) {
			if err := os.RemoveAll(filepath.Join(dir, "default")); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func open(t *testing.T, dir string) *Services {
	t.Helper()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// abandon is what the kernel does when a process is killed: the lock is free, nothing else happens. What goes on in this process
// afterwards is fenced.
func (s *Services) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.mu.term; t != nil {
		t.io.Lock()
		t.io.lock.unlock()
		t.io.lock = nil
		t.io.Unlock()
	}
	s.close(errors.New("abandoned"))
}

// leadForEver is another process: it leads, publishes, writes, and says so.
func leadForEver(dir string) {
	s, err := Open(Config{Dir: dir})
	if err == nil {
		err = s.Lead(context.Background(), ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: "child:1"}, func(t ha.Term) {
			if err := t.Publish(t.Context()); err != nil {
				fmt.Println(err)
			}
			for i := 0; ; i++ {
				if err := t.Settle(t.Context(), ha.Create(fmt.Sprintf("log/%06d/a", i), []byte("x")), ha.Put("last", []byte(fmt.Sprint(i)), ha.AnyVersion)); err != nil {
					fmt.Println(err)
					return
				}
				if i == 10 {
					fmt.Println("leading", t.Epoch())
				}
			}
		})
	}
	fmt.Println("ended", err)
	os.Exit(1)
}

// TestKill9 kills a real process in the middle of its writes.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "LOCAL_TEST_LEADER="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var word string
		var epoch ha.Epoch
		if _, err := fmt.Fscan(out, &word, &epoch); err != nil || word != "leading" {
			t.Fatalf("child said %q, %v", word, err)
		}
		s := open(t, dir)
		sightings := s.Discover(t.Context())
		if got := <-sightings; got.Leader.Epoch != epoch {
			t.Fatalf("discovered %+v while epoch %d leads", got, epoch)
		}
		ctx, cancel := context.WithCancel(t.Context())
		granted := make(chan time.Time, 1)
		done := make(chan error, 1)
		var killed time.Time
		go func() {
			done <- s.Lead(ctx, ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: "parent:1"}, func(term ha.Term) {
				granted <- time.Now()
				defer cancel()
				if term.Epoch() <= epoch {
					t.Errorf("epoch %d after %d", term.Epoch(), epoch)
				}
				checkLog(t, term)
				if err := term.DeleteTree(ctx, "log"); err != nil {
					t.Error(err)
				}
			})
		}()
		time.Sleep(30 * time.Millisecond) // lets the child get anywhere into its writes; nothing depends on it
		killed = time.Now()
		child.Process.Kill()
		child.Wait()
		took := (<-granted).Sub(killed)
		t.Logf("round %d: killed to led %v", round, took)
		if took > time.Second {
			t.Errorf("took %v", took)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkLog: every step was done in whole: the last entry is the one that "last" names, and each has its value.
func checkLog(t *testing.T, term ha.Term) {
	names, err := term.List(term.Context(), "log")
	if err != nil {
		t.Error(err)
		return
	}
	last, err := term.Get(term.Context(), "last")
	if err != nil {
		t.Error(err)
		return
	}
	if want := fmt.Sprintf("%06s", string(last.Data)); len(names) == 0 || strings.TrimLeft(names[len(names)-1], "0") != strings.TrimLeft(want, "0") {
		t.Errorf("last is %s, the log ends at %v", last.Data, names[max(0, len(names)-2):])
	}
	for _, name := range names {
		if v, err := term.Get(term.Context(), "log/"+name+"/a"); err != nil || string(v.Data) != "x" {
			t.Errorf("log/%s/a: %q, %v", name, v.Data, err)
		}
	}
}

func TestJournalIsCarriedOutByTheNextLeader(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	lead(t, s, func(term ha.Term) {
		if err := term.Settle(t.Context(), ha.Create("a", []byte("1"))); err != nil {
			t.Error(err)
		}
	})
	// A leader that died between deciding and doing.
	changes, _ := json.Marshal([]change{{Path: "a", Version: 1, Data: []byte("2")}, {Path: "b", Data: []byte("3")}})
	b, _ := json.Marshal(journal{Sum: checksum(changes), Changes: changes})
	if err := os.WriteFile(s.path("journal"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	lead(t, s, func(term ha.Term) {
		a, err := term.Get(t.Context(), "a")
		if err != nil || string(a.Data) != "2" || a.Version != 1 {
			t.Errorf("a: %q at %d, %v", a.Data, a.Version, err)
		}
		if v, err := term.Get(t.Context(), "b"); err != nil || string(v.Data) != "3" {
			t.Errorf("b: %q, %v", v.Data, err)
		}
	})
	b[len(b)/2] ^= 1
	if err := os.WriteFile(s.path("journal"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	err := s.Lead(t.Context(), ha.Contender{Incarnation: "x", RPCAddress: "x"}, func(ha.Term) { t.Error("served on a corrupt journal") })
	if err == nil || !strings.Contains(err.Error(), s.path("journal")) {
		t.Errorf("a corrupt journal gave %v", err)
	}
}

// TestFlippedBits: a damaged value is an error that names the file, whichever bit it is.
func TestFlippedBits(t *testing.T) {
	s := open(t, t.TempDir())
	lead(t, s, func(term ha.Term) {
		if err := term.Settle(t.Context(), ha.Create("x", []byte("value"))); err != nil {
			t.Fatal(err)
		}
		name := files{s.path("store")}.value("x")
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(good) * 8 {
			bad := append([]byte(nil), good...)
			bad[bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(name, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := term.Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), name) {
				t.Fatalf("bit %d: %v", bit, err)
			}
		}
		if err := os.WriteFile(name, good[:7], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := term.Get(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), name) {
			t.Fatalf("truncated: %v", err)
		}
	})
}

// TestReplacedLock: who removes the lock file lets another process lead; the old one is fenced.
func TestReplacedLock(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	lead(t, a, func(old ha.Term) {
		if err := os.Remove(a.path("lock")); err != nil {
			t.Fatal(err)
		}
		lead(t, b, func(now ha.Term) {
			if err := old.Apply(t.Context(), ha.Create("x", nil)); !errors.Is(err, ha.ErrFenced) {
				t.Errorf("the old leader's write: %v", err)
			}
			if _, err := now.Get(t.Context(), "x"); !errors.Is(err, ha.ErrNotFound) {
				t.Errorf("x: %v", err)
			}
		})
	})
}

func TestBadDirectories(t *testing.T) {
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{Dir: "relative"}, "absolute"},
		{Config{Dir: "/tmp", ClusterID: "../other"}, "cluster-id"},
		{Config{Dir: "/dev/null/x"}, "/dev/null/x"},
	} {
		if _, err := Open(c.c); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error with %q", c.c, err, c.want)
		}
	}
	if err := refuseRemote("/mnt", 0x6969); err == nil || !strings.Contains(err.Error(), "NFS") {
		t.Errorf("NFS: %v", err)
	}
	if err := refuseRemote("/mnt", -0xacb2be); err == nil || !strings.Contains(err.Error(), "CIFS") { // as a 32-bit kernel gives it
		t.Errorf("CIFS: %v", err)
	}
	if err := refuseRemote("/mnt", 0xef53); err != nil {
		t.Errorf("ext4: %v", err)
	}
	s := open(t, filepath.Join(t.TempDir(), "missing"))
	if got := <-s.Discover(t.Context()); got.Err == nil || !strings.Contains(got.Err.Error(), "high-availability.local.dir") {
		t.Errorf("discovery in a directory that is missing: %+v", got)
	}
}

// lead runs f as one term.
func lead(t *testing.T, s *Services, f func(ha.Term)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := s.Lead(ctx, ha.Contender{Incarnation: ha.NewIncarnation(), RPCAddress: "x:1"}, func(term ha.Term) {
		defer cancel()
		f(term)
	}); err != nil {
		t.Fatal(err)
	}
}
