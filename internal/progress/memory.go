package progress

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Memory says what used a worker's memory: keyed state by operator, the largest first, the Go heap, and the rest.
func Memory(m *thalwegv1.WorkerMemory) string {
	operators := slices.SortedFunc(maps.Keys(m.State), func(x, y string) int {
		return cmp.Or(cmp.Compare(m.State[y], m.State[x]), cmp.Compare(x, y))
	})
	state := int64(0)
	for i, o := range operators {
		state += m.State[o]
		operators[i] = o + " " + Bytes(m.State[o])
	}
	use := "no keyed state"
	if len(operators) > 0 {
		use = fmt.Sprintf("keyed state %s (%s)", Bytes(state), strings.Join(operators, ", "))
	}
	return fmt.Sprintf("%s, Go heap %s, other %s", use, Bytes(m.Heap), Bytes(max(0, m.Resident-m.OffHeap-m.Heap)))
}
