package worker

import (
	"fmt"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/progress"
)

// share is what a worker may use of its taskmanager: as much of the processors and of the memory as it has of the slots.
type share struct {
	slots, of int
	cpus      int   // for GOMAXPROCS; 0: leave it
	memory    int64 // bytes of resident memory; 0: no limit
}

// shareOf gives a worker with this many slots its share. Slots are counted, not pinned: with more slots than processors the
// shares of processors, each rounded up, overlap.
func shareOf(s *thalwegv1.WorkerStart, slots int) share {
	of := max(int(s.Slots), 1)
	slots = min(max(slots, 1), of)
	sh := share{slots: slots, of: of, memory: job.Share(s.MemoryBytes, slots, of)}
	if s.Cpus > 0 {
		sh.cpus = (int(s.Cpus)*slots + of - 1) / of
	}
	return sh
}

// Parts of a share of memory.
const (
	// leastHeap is what of the share the Go heap may use at least, whatever state takes: below some size collecting is all that a
	// process does, and being over the limit is the clearer end.
	leastHeap = 16
	// margin is left for what neither the heap nor the tables count, stacks of C and page tables among it, and for what the tables
	// grow by between two looks.
	margin = 32
	// grain is how much the heap's limit has to change before it is set: setting it stops the world for some microseconds.
	grain = 64
	// burst is how much over the limit a process ends without trying to give memory back first.
	burst = 8
)

// look is one observation of the process's memory, in bytes.
type look struct {
	resident int64
	file     int64 // of resident, pages of files: the binary
	offHeap  int64
}

// todo is what a look leads to.
type todo struct {
	heapLimit int64 // to set; 0: leave it
	reclaim   bool  // collect garbage and give what is free back, then tell reclaimed
	over      bool  // end the process
}

// limiter decides what is to be done about memory. It is a value without a clock: it is told what was seen, every 100 ms.
type limiter struct {
	memory     int64
	heapLimit  int64 // set last
	reclaiming bool
	reclaimed  bool // tried, and not below the limit since
}

// resize gives another limit.
func (l *limiter) resize(memory int64) { *l = limiter{memory: memory, reclaiming: l.reclaiming} }

// step takes one look.
//
// Over the limit the process gets one chance: the collector was allowed what has become state in the meantime, and free pages go
// back to the system with a delay. Only what is left over the limit after that counts; far over it there is no chance.
func (l *limiter) step(s look) todo {
	var t todo
	if l.memory == 0 {
		return t
	}
	heap := max(l.memory-s.offHeap-s.file-l.memory/margin, l.memory/leastHeap)
	if d := heap - l.heapLimit; l.heapLimit == 0 || d >= l.memory/grain || -d >= l.memory/grain {
		l.heapLimit, t.heapLimit = heap, heap
	}
	switch {
	case s.resident <= l.memory:
		l.reclaimed = false
	case s.resident > l.memory+l.memory/burst || l.reclaimed:
		t.over = true
	case !l.reclaiming:
		l.reclaiming, t.reclaim = true, true
	}
	return t
}

// done says that what reclaim asked for has been done.
func (l *limiter) done() { l.reclaiming, l.reclaimed = false, true }

// overMemory is the last that a worker says: who, how much of what, what used it, and what helps.
func overMemory(id, name, taskmanager string, s share, m *thalwegv1.WorkerMemory) error {
	return fmt.Errorf("job %s (%s): its worker on taskmanager %s is over its memory: %s resident (RSS), the limit is %s, the share of %d of %d slots: "+
		"%s: raise taskmanager.memory.process.size, give the job more slots by a higher parallelism, or let it keep less",
		id, name, taskmanager, progress.Bytes(m.Resident), progress.Bytes(m.Limit), s.slots, s.of, progress.Memory(m))
}
