package progress

import (
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

func TestMemory(t *testing.T) {
	const mib = 1 << 20
	for want, m := range map[string]*thalwegv1.WorkerMemory{
		"keyed state 600.0 MiB (count 500.0 MiB, a 50.0 MiB, b 50.0 MiB), Go heap 150.0 MiB, other 50.0 MiB": {Resident: 800 * mib, OffHeap: 600 * mib,
			Heap: 150 * mib, State: map[string]int64{"b": 50 * mib, "count": 500 * mib, "a": 50 * mib}},
		"no keyed state, Go heap 3.0 MiB, other 7.0 MiB": {Resident: 10 * mib, Heap: 3 * mib},
		"no keyed state, Go heap 3.0 MiB, other 0 B":     {Resident: 2 * mib, Heap: 3 * mib}, // taken at different moments
	} {
		if got := Memory(m); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
