package taskmanager

import (
	"cmp"
	"fmt"
	"runtime"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/progress"
)

// ownMemory is what of taskmanager.memory.process.size the taskmanager's own process may use, at most one part in ownPart.
const (
	ownMemory = 128 << 20
	ownPart   = 8
)

// leastSlot is the memory of a slot below which no job runs: the binary and an empty heap take half of it.
const leastSlot = 64 << 20

// resources is what this taskmanager's workers have, all slots together.
type resources struct {
	memory int64 // bytes; 0: no limit, where the machine does not say what it has
	cpus   int
}

// resourcesOf takes what is configured, else what the machine or its container has.
func resourcesOf(c Config) (resources, error) {
	total := cmp.Or(c.Memory, machineMemory()/10*9)
	r := resources{memory: total - min(ownMemory, total/ownPart), cpus: cmp.Or(c.CPUs, runtime.GOMAXPROCS(0))}
	if total > 0 && r.memory/int64(c.Slots) < leastSlot {
		return r, fmt.Errorf("taskmanager.memory.process.size: %s leaves %s for each of %d slots, which need %s at least: raise it or lower taskmanager.numberOfTaskSlots",
			progress.Bytes(total), progress.Bytes(r.memory/int64(c.Slots)), c.Slots, progress.Bytes(leastSlot))
	}
	return r, nil
}

// limitOf is what the worker of a deploy may use, in bytes.
func (t *TaskManager) limitOf(d *thalwegv1.Deploy) int64 {
	return job.Share(t.resources.memory, max(1, job.Slots(d.GetStored().GetGraph(), d.GetTasks())), t.c.Slots)
}

// grace is how much over the limit the kernel ends a worker: one that grows more slowly than this between two of its own looks
// ends itself first, and can say what used its memory.
const grace = 16

// killedByKernel is the cause of the end of a worker that the kernel has ended at its limit, with what the worker had last said.
func killedByKernel(limit int64, last *thalwegv1.WorkerMemory) error {
	if last == nil {
		return fmt.Errorf("the kernel ended the worker at its limit of memory, %s, before it had said what it uses: raise taskmanager.memory.process.size",
			progress.Bytes(limit))
	}
	return fmt.Errorf("the kernel ended the worker at its limit of memory, %s: about a second before it had %s resident (RSS): %s: "+
		"raise taskmanager.memory.process.size, or give the job more slots by a higher parallelism",
		progress.Bytes(limit), progress.Bytes(last.Resident), progress.Memory(last))
}
