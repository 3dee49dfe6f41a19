package worker

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

// lookEvery is how often the process's memory is looked at. RLIMIT_AS would be no limit: tables reserve far more address space than
// they use.
const lookEvery = 100 * time.Millisecond

// watch keeps the process within its share. Its goroutine, run, looks; a second one does what may wait for a garbage collection to
// end, so that no look is late for it.
type watch struct {
	start *thalwegv1.WorkerStart
	graph *thalwegv1.JobGraph
	read  func() (resident, file int64, err error)
	end   func(error) // ends the process
	tune  func(todo)  // sets the heap's limit, reclaims

	mu struct {
		sync.Mutex
		share share
		l     limiter
		last  look
	}
}

func newWatch(start *thalwegv1.WorkerStart, graph *thalwegv1.JobGraph) *watch {
	return &watch{start: start, graph: graph, read: residentMemory, end: endOverMemory, tune: tune}
}

// endOverMemory ends the process with its last words on standard error, which the taskmanager reads to the end: no queue and no
// other goroutine can be in their way.
func endOverMemory(why error) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(wire.ExitOverMemory)
}

func tune(t todo) {
	if t.heapLimit > 0 {
		debug.SetMemoryLimit(t.heapLimit)
	}
	if t.reclaim {
		debug.FreeOSMemory()
	}
}

// deployed gives the process the share of the tasks that it is about to run.
func (w *watch) deployed(d *thalwegv1.Deploy) {
	s := shareOf(w.start, job.Slots(w.graph, d.Tasks))
	w.mu.Lock()
	was := w.mu.share
	w.mu.share = s
	if was.memory != s.memory {
		w.mu.l.resize(s.memory)
	}
	w.mu.Unlock()
	if s.cpus != was.cpus && s.cpus > 0 {
		runtime.GOMAXPROCS(s.cpus)
	}
}

// look takes one look and says what is to be done, the end of the process excepted, which it does itself.
func (w *watch) look() todo {
	resident, file, _ := w.read() // where the system does not say, the heap is all that is limited
	w.mu.Lock()
	w.mu.last = look{resident: resident, file: file, offHeap: offheap.Held()}
	t := w.mu.l.step(w.mu.last)
	s := w.mu.share
	w.mu.Unlock()
	if t.over {
		w.end(overMemory(w.start.Job, w.graph.Name, w.start.Taskmanager, s, w.usage()))
	}
	return t
}

// run looks until stop is closed, and waits for what it started.
func (w *watch) run(stop <-chan struct{}) {
	tasks := make(chan todo)
	var tuner sync.WaitGroup
	defer tuner.Wait()
	defer close(tasks)
	tuner.Go(func() {
		for t := range tasks {
			w.tune(t)
			if t.reclaim {
				w.mu.Lock()
				w.mu.l.done()
				w.mu.Unlock()
			}
		}
	})
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var next todo // for the tuner, when it has time
	for {
		send := tasks
		if next == (todo{}) {
			send = nil
		}
		select {
		case <-stop:
			return
		case send <- next:
			next = todo{}
		case <-tick.C:
			t := w.look()
			if t.heapLimit > 0 {
				next.heapLimit = t.heapLimit
			}
			next.reclaim = next.reclaim || t.reclaim
		}
	}
}

const heapObjects = "/memory/classes/heap/objects:bytes"

// usage is what the process uses now, for its taskmanager and for last words.
func (w *watch) usage() *thalwegv1.WorkerMemory {
	sample := []metrics.Sample{{Name: heapObjects}}
	metrics.Read(sample)
	w.mu.Lock()
	defer w.mu.Unlock()
	return &thalwegv1.WorkerMemory{Limit: w.mu.share.memory, Resident: w.mu.last.resident, OffHeap: w.mu.last.offHeap,
		Heap: int64(sample[0].Value.Uint64()), State: offheap.Usage()}
}
