package offheap

import (
	"sync"
	"sync/atomic"
)

// touchStep is how exactly a range says what it has touched: whoever counts must not cost the one who writes.
const touchStep = 64 << 10

// ledger is what all ranges of this process hold. Ranges enter it with their first bytes and leave it when they are released.
var ledger struct {
	mapped     atomic.Int64 // bytes off the heap, pretouched ones too
	pretouched atomic.Int64 // those that no range has
	mu         sync.Mutex
	live       map[*Range]struct{} // guarded by mu
}

// Pretouched is the owner, in Usage, of what was touched ahead and no range has.
const Pretouched = "touched ahead, not used"

// Held is how many bytes of mapped memory this process's ranges have touched, in whole pages, and what was touched ahead: what they take of the
// machine's memory beside the Go heap. It may be called from any goroutine.
func Held() int64 { return ledger.mapped.Load() }

// Usage is what each owner's ranges hold, on or off the heap. It may be called from any goroutine.
func Usage() map[string]int64 {
	use := map[string]int64{}
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	for r := range ledger.live {
		use[r.owner] += r.held.Load()
	}
	if n := ledger.pretouched.Load(); n > 0 {
		use[Pretouched] = n
	}
	return use
}

// Touched says that the first n bytes are about to be written to; without it the range counts as empty. It comes before the first write, because it
// may put other pages there: see Pretouch. It is cheap where that is known already.
func (r *Range) Touched(n int) {
	if n > r.touched {
		r.account(inSteps(n))
	}
}

func inSteps(n int) int { return (n + touchStep - 1) &^ (touchStep - 1) }

// account sets what is touched, and enters or leaves the ledger with it.
func (r *Range) account(touched int) {
	r.m.supply(min(touched, r.size))
	held := r.m.resident(min(touched, r.size))
	was := r.held.Swap(int64(held))
	if _, heap := r.m.(*onHeap); !heap {
		ledger.mapped.Add(int64(held) - was)
	}
	if (was == 0) != (held == 0) {
		ledger.mu.Lock()
		if held == 0 {
			delete(ledger.live, r)
		} else {
			if ledger.live == nil {
				ledger.live = map[*Range]struct{}{}
			}
			ledger.live[r] = struct{}{}
		}
		ledger.mu.Unlock()
	}
	r.touched = touched
}
