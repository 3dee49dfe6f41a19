package worker

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

const mib = 1 << 20

func TestShareOf(t *testing.T) {
	for _, c := range []struct {
		name         string
		slots, of    int
		cpus         int
		memory       int64
		wantCPUs     int
		wantMemory   int64
		wantSlots    int
		wantOfAtMost int
	}{
		{"all", 4, 4, 8, 4000, 8, 4000, 4, 4},
		{"a half", 2, 4, 8, 4000, 4, 2000, 2, 4},
		{"more slots than processors", 1, 8, 2, 8000, 1, 1000, 1, 8},
		{"rounded up", 3, 4, 2, 4000, 2, 3000, 3, 4},
		{"no task in a slot of its own", 0, 4, 4, 4000, 1, 1000, 1, 4},
		{"no limits", 1, 2, 0, 0, 0, 0, 1, 2},
		{"a taskmanager that says no slots", 1, 0, 2, 100, 2, 100, 1, 1},
	} {
		got := shareOf(&thalwegv1.WorkerStart{Slots: int32(c.of), Cpus: int32(c.cpus), MemoryBytes: c.memory}, c.slots)
		if want := (share{slots: c.wantSlots, of: c.wantOfAtMost, cpus: c.wantCPUs, memory: c.wantMemory}); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}

// TestHeapLimitFollowsTheTables: what tables take off the heap, the heap may no longer have, down to a floor.
func TestHeapLimitFollowsTheTables(t *testing.T) {
	l := &limiter{memory: 1024 * mib}
	for _, c := range []struct {
		offHeap, file, want int64 // want 0: left
	}{
		{0, 32 * mib, 960 * mib},
		{4 * mib, 32 * mib, 0}, // less than a grain
		{100 * mib, 32 * mib, 860 * mib},
		{900 * mib, 32 * mib, 64 * mib}, // the floor
		{1000 * mib, 32 * mib, 0},
		{200 * mib, 32 * mib, 760 * mib}, // tables shrank
	} {
		if got := l.step(look{resident: 40 * mib, file: c.file, offHeap: c.offHeap}); got != (todo{heapLimit: c.want}) {
			t.Errorf("%d MiB off the heap: %+v, want a limit of %d", c.offHeap/mib, got, c.want)
		}
	}
	l.resize(512 * mib)
	if got := l.step(look{}); got.heapLimit != 496*mib {
		t.Errorf("after the share was halved: %+v", got)
	}
	none := &limiter{}
	if got := none.step(look{resident: 1 << 40}); got != (todo{}) {
		t.Errorf("without a limit: %+v", got)
	}
}

// TestOneChance: a process over its limit first gives back what it can, once, and ends if that was not enough.
func TestOneChance(t *testing.T) {
	fresh := func() *limiter {
		l := &limiter{memory: 100 * mib}
		l.step(look{resident: 100 * mib})
		return l
	}
	over := look{resident: 101 * mib}
	l := fresh()
	if got := l.step(over); got != (todo{reclaim: true}) {
		t.Fatalf("first look over the limit: %+v", got)
	}
	if got := l.step(over); got != (todo{}) {
		t.Errorf("while it reclaims: %+v", got)
	}
	l.done()
	if got := l.step(over); got != (todo{over: true}) {
		t.Errorf("still over after that: %+v", got)
	}

	l = fresh()
	l.step(over)
	l.done()
	if got := l.step(look{resident: 99 * mib}); got != (todo{}) {
		t.Errorf("below it again: %+v", got)
	}
	if got := l.step(over); got != (todo{reclaim: true}) {
		t.Errorf("over it once more, later: %+v", got)
	}

	if got := fresh().step(look{resident: 113 * mib}); got != (todo{over: true}) {
		t.Errorf("far over it: %+v", got)
	}
}

func TestOverMemorySaysWhatUsedIt(t *testing.T) {
	err := overMemory("0123", "clicks", "tm-1", share{slots: 2, of: 4}, &thalwegv1.WorkerMemory{Limit: 768 * mib, Resident: 800 * mib, OffHeap: 600 * mib,
		Heap: 150 * mib, State: map[string]int64{"sessions": 100 * mib, "count": 500 * mib}})
	for _, want := range []string{"job 0123 (clicks)", "taskmanager tm-1", "800.0 MiB resident (RSS)", "the limit is 768.0 MiB", "2 of 4 slots",
		"keyed state 600.0 MiB (count 500.0 MiB, sessions 100.0 MiB)", "Go heap 150.0 MiB", "other 50.0 MiB", "taskmanager.memory.process.size"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
}

// TestWatch: a process that goes over its limit is ended within two looks, after one attempt to reclaim.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		graph := &thalwegv1.JobGraph{Name: "n", Vertices: []*thalwegv1.Vertex{{Id: "v", Parallelism: 1}}}
		w := newWatch(&thalwegv1.WorkerStart{Job: "j", Slots: 1, MemoryBytes: 100 * mib}, graph)
		var resident, limits, reclaims atomic.Int64
		w.read = func() (int64, int64, error) { return resident.Load(), 0, nil }
		w.tune = func(t todo) {
			if t.heapLimit > 0 {
				limits.Add(1)
			}
			if t.reclaim {
				reclaims.Add(1)
			}
		}
		ended := make(chan error, 100)
		w.end = func(err error) { ended <- err }
		w.deployed(&thalwegv1.Deploy{Tasks: []*thalwegv1.TaskID{{Vertex: "v"}}})
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() { defer close(done); w.run(stop) }()

		resident.Store(90 * mib)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := limits.Load(); n != 1 || reclaims.Load() != 0 || len(ended) != 0 {
			t.Errorf("within its limit: %d heap limits, %d reclaims, %d ends", n, reclaims.Load(), len(ended))
		}
		resident.Store(105 * mib)
		began := time.Now()
		err := <-ended
		if took := time.Since(began); took > 3*lookEvery || reclaims.Load() != 1 {
			t.Errorf("it took %v and %d reclaims", took, reclaims.Load())
		}
		if !strings.Contains(err.Error(), "job j (n)") || !strings.Contains(err.Error(), "105.0 MiB resident") {
			t.Error(err)
		}
		close(stop)
		<-done
	})
}

// TestWithoutTheSystemsWord: where resident memory is not known, the heap is limited still.
func TestWithoutTheSystemsWord(t *testing.T) {
	w := newWatch(&thalwegv1.WorkerStart{Slots: 2, MemoryBytes: 200 * mib}, &thalwegv1.JobGraph{})
	w.read = func() (int64, int64, error) { return 0, 0, errors.New("no such thing") }
	w.end = func(err error) { t.Error(err) }
	w.deployed(&thalwegv1.Deploy{})
	if got := w.look(); got.heapLimit < 50*mib || got.heapLimit > 100*mib {
		t.Errorf("%+v of a share of 100 MiB", got)
	}
}

// TestTheRuntimeIsTold: what is decided reaches the Go runtime.
func TestTheRuntimeIsTold(t *testing.T) {
	cpus, limit := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1)
	defer runtime.GOMAXPROCS(cpus)
	defer debug.SetMemoryLimit(limit)
	w := newWatch(&thalwegv1.WorkerStart{Slots: 4, Cpus: 12, MemoryBytes: 4096 * mib}, &thalwegv1.JobGraph{Vertices: []*thalwegv1.Vertex{{Id: "v", Parallelism: 3}}})
	tasks := []*thalwegv1.TaskID{{Vertex: "v"}, {Vertex: "v", Subtask: 1}, {Vertex: "v", Subtask: 2}}
	for n, want := range map[int]int{1: 3, 3: 9} {
		w.deployed(&thalwegv1.Deploy{Tasks: tasks[:n]})
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%d of 4 slots of 12 processors: GOMAXPROCS %d, want %d", n, got, want)
		}
		w.tune(w.look())
		share := int64(n) * 1024 * mib
		if got := debug.SetMemoryLimit(-1); got > share || got < share*9/10-64*mib {
			t.Errorf("%d of 4 slots of 4096 MiB: the heap's limit is %d MiB", n, got/mib)
		}
		if u := w.usage(); u.Limit != share || u.Resident <= 0 || u.Heap <= 0 {
			t.Errorf("usage: %v", u)
		}
	}
}

func TestResidentMemory(t *testing.T) {
	debug.FreeOSMemory() // what is allocated below is not what another test has left resident
	before, file, err := residentMemory()
	if err != nil {
		t.Skip(err)
	}
	if file <= 0 || file > before {
		t.Errorf("%d bytes of files in %d", file, before)
	}
	touched := make([]byte, 64*mib)
	for i := 0; i < len(touched); i += os.Getpagesize() {
		touched[i] = 1
	}
	after, _, _ := residentMemory()
	if grown := after - before; grown < 60*mib {
		t.Errorf("resident memory has grown by %d after touching 64 MiB", grown)
	}
	if touched[0] != 1 {
		t.Fatal("kept until here")
	}
}
