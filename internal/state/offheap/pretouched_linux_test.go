package offheap

import (
	"context"
	"testing"
	"time"
)

func pretouch(t *testing.T, n int64) (release func()) {
	t.Helper()
	release, err := Pretouch(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// lent is how many chunks of a range are pretouched ones.
func lent(r *Range) int { return len(r.m.(*mapped).lent) }

// waitForCleaner returns when all that came back is ready.
func waitForCleaner(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) { // not for order: to poll
		pooled.mu.Lock()
		runs := pooled.cleaner
		pooled.mu.Unlock()
		if !runs {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the cleaner still runs after 20 s")
		}
	}
}

// TestRangesLieOnPretouchedMemory: what was touched ahead is used first, keeps its content when the range moves, comes back zeroed, and is counted once.
func TestRangesLieOnPretouchedMemory(t *testing.T) {
	const chunks = 4
	before := Held()
	release := pretouch(t, chunks*chunkSize-1)
	free := func() int64 { return Usage()[Pretouched] }
	if free() != chunks*chunkSize || Held() != before+chunks*chunkSize {
		t.Fatalf("%d bytes are ready, %d held, of %d", free(), Held()-before, chunks*chunkSize)
	}
	for round := range 3 {
		r := New("test")
		if err := r.Grow(6 * chunkSize); err != nil {
			t.Fatal(err)
		}
		r.Touched(100) // small pages are never lent
		*word(r, 0) = 1
		if lent(r) != 0 {
			t.Fatal("small pages took a chunk")
		}
		for i := range chunks + 1 { // one more than there are
			r.Touched(smallPages + i*chunkSize + 1)
			if at := word(r, smallPages+i*chunkSize); *at != 0 {
				t.Fatalf("round %d: chunk %d begins with %d", round, i, *at)
			}
			for off := 0; off < chunkSize; off += 4096 {
				*word(r, smallPages+i*chunkSize+off) = uint64(i + 2)
			}
		}
		if lent(r) != chunks || free() != 0 {
			t.Fatalf("round %d: %d chunks are lent, %d bytes ready", round, lent(r), free())
		}
		if held := Held() - before; held != smallPages+chunks*chunkSize+hugePage {
			t.Errorf("round %d: %d bytes held", round, held)
		}
		if round == 1 { // past what is reserved
			if err := r.Grow(r.Size() + 1); err != nil {
				t.Fatal(err)
			}
		}
		if *word(r, 0) != 1 {
			t.Fatalf("round %d: the beginning holds %d", round, *word(r, 0))
		}
		for i := range chunks + 1 {
			for off := 0; off < chunkSize; off += 4096 {
				if got := *word(r, smallPages+i*chunkSize+off); got != uint64(i+2) {
					t.Fatalf("round %d: chunk %d holds %d at %d", round, i, got, off)
				}
			}
		}
		if round == 2 { // emptied instead of released: it may take them again
			r.Discard(smallPages + chunks*chunkSize + 1)
			if waitForCleaner(t); free() != chunks*chunkSize {
				t.Fatalf("%d bytes are ready after the range was emptied", free())
			}
			r.Touched(smallPages + 1)
			if lent(r) != 1 || *word(r, smallPages) != 0 || *word(r, 0) != 0 {
				t.Fatalf("%d chunks are lent, the content is %d, %d", lent(r), *word(r, 0), *word(r, smallPages))
			}
		}
		r.Release()
		waitForCleaner(t) // which may have one in hand
		if free() != chunks*chunkSize {
			t.Fatalf("round %d: %d bytes are ready after the release", round, free())
		}
	}
	r := New("test") // which still has its pages when the rest goes
	if err := r.Grow(chunkSize); err != nil {
		t.Fatal(err)
	}
	r.Touched(smallPages + 1)
	*word(r, smallPages) = 7
	release()
	if *word(r, smallPages) != 7 || free() != 0 {
		t.Errorf("the range holds %d, %d bytes are ready", *word(r, smallPages), free())
	}
	r.Release()
	if Held() != before {
		t.Errorf("%d bytes held at the end", Held()-before)
	}
}

func TestPretouchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release, err := Pretouch(ctx, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// TestChunksComeAndGoFromManyGoroutines is for the race detector.
func TestChunksComeAndGoFromManyGoroutines(t *testing.T) {
	release := pretouch(t, 4*chunkSize)
	done := make(chan error)
	for g := range 4 {
		go func() {
			done <- func() error {
				for i := range 20 {
					r := New("test")
					if err := r.Grow(3 * chunkSize); err != nil {
						return err
					}
					r.Touched(smallPages + 2*chunkSize)
					for _, at := range []int{smallPages, smallPages + chunkSize} {
						if *word(r, at) != 0 {
							t.Errorf("goroutine %d, round %d: new memory holds %d", g, i, *word(r, at))
						}
						*word(r, at) = 9
					}
					r.Release()
				}
				return nil
			}()
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	release()
}
