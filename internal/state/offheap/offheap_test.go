package offheap

import (
	"testing"
	"unsafe"
)

func kinds() map[string]func() *Range {
	return map[string]func() *Range{"mapped": func() *Range { return New("test") }, "heap": func() *Range { return NewOnHeap("test") }}
}

func word(r *Range, at int) *uint64 { return (*uint64)(unsafe.Add(r.Base(), at)) }

func TestRangeKeepsItsContentWhenItGrows(t *testing.T) {
	for name, make := range kinds() {
		t.Run(name, func(t *testing.T) {
			r := make()
			defer r.Release()
			if err := r.Grow(1); err != nil {
				t.Fatal(err)
			}
			if uintptr(r.Base())%64 != 0 {
				t.Fatalf("base %p is not aligned", r.Base())
			}
			// The first growth ends small pages, the second what is reserved.
			for range 2 {
				had := r.Size()
				last := min(had, 1<<20) - 8
				*word(r, 0), *word(r, last) = 1, 2
				grown := had + 1
				if err := r.Grow(grown); err != nil {
					t.Fatalf("%d bytes: %v", grown, err)
				}
				if r.Size() < grown || *word(r, 0) != 1 || *word(r, last) != 2 {
					t.Fatalf("%d bytes, content %d %d", r.Size(), *word(r, 0), *word(r, last))
				}
				if p := word(r, had); *p != 0 {
					t.Fatalf("new memory holds %d", *p)
				}
				*word(r, had) = 3
				*word(r, last-8) = 4
				r.Discard(last)
				if *word(r, 0) != 0 || *word(r, last-8) != 0 || *word(r, last) != 2 || *word(r, had) != 3 {
					t.Fatalf("after discarding %d bytes: %d ... %d, then %d, %d", last, *word(r, 0), *word(r, last-8), *word(r, last), *word(r, had))
				}
			}
			if _, heap := r.m.(*onHeap); !heap && r.Size() < 64<<20 {
				t.Errorf("%d bytes reserved", r.Size())
			}
		})
	}
}

func TestReleasedRangeMayGrowAgain(t *testing.T) {
	for name, make := range kinds() {
		t.Run(name, func(t *testing.T) {
			r := make()
			for range 3 {
				if err := r.Grow(100 << 10); err != nil {
					t.Fatal(err)
				}
				if *word(r, 0) != 0 {
					t.Fatal("fresh memory is not zero")
				}
				*word(r, 0) = 7
				r.Release()
				if r.Size() != 0 {
					t.Fatalf("%d bytes after Release", r.Size())
				}
			}
		})
	}
}

func TestWhatIsHeld(t *testing.T) {
	for _, c := range []struct {
		kind   string
		make   func(string) *Range
		mapped bool
	}{{"mapped", New, true}, {"heap", NewOnHeap, false}} {
		t.Run(c.kind, func(t *testing.T) {
			owner, before := t.Name(), Held()
			a, b := c.make(owner), c.make(owner)
			defer b.Release()
			if _, heap := a.m.(*onHeap); heap && c.mapped {
				t.Skip("this system maps nothing")
			}
			touch := func(r *Range, n int) {
				t.Helper()
				if err := r.Grow(n); err != nil {
					t.Fatal(err)
				}
				r.Touched(n)
			}
			if got := Usage()[owner]; got != 0 || Held() != before {
				t.Fatalf("%d bytes of empty ranges, %d in all", got, Held()-before)
			}
			touch(a, 10<<10)
			touch(b, 5<<20)
			use := Usage()[owner]
			if use < 5<<20+10<<10 || use > 16<<20 {
				t.Errorf("%d bytes held, of 5 MiB and 10 KiB touched", use)
			}
			if grown := Held() - before; c.mapped && grown != use || !c.mapped && grown != 0 {
				t.Errorf("%d bytes more off the heap, %d held", grown, use)
			}
			a.Touched(1) // known
			if Usage()[owner] != use {
				t.Error("less was touched than before")
			}
			a.Discard(10 << 10)
			if got := Usage()[owner]; got >= use || got < 5<<20 {
				t.Errorf("%d bytes held after the smaller range was discarded, %d before", got, use)
			}
			a.Release()
			b.Release()
			if got, ok := Usage()[owner]; ok || Held() != before {
				t.Errorf("%d bytes after the release, %d in all", got, Held()-before)
			}
		})
	}
}
