package offheap

import (
	"testing"
	"unsafe"
)

func kinds() map[string]func() *Range {
	return map[string]func() *Range{"mapped": New, "heap": NewOnHeap}
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
			last := min(r.Size(), 1<<20) - 8
			*word(r, 0), *word(r, last) = 1, 2
			had := r.Size()
			if name == "mapped" && had < leastReserve {
				t.Fatalf("%d bytes reserved", had)
			}
			grown := had + 1
			if err := r.Grow(grown); err != nil {
				t.Fatalf("%d bytes: %v", grown, err)
			}
			if r.Size() < grown || *word(r, 0) != 1 || *word(r, last) != 2 {
				t.Errorf("%d bytes, content %d %d", r.Size(), *word(r, 0), *word(r, last))
			}
			if p := word(r, had); *p != 0 {
				t.Errorf("new memory holds %d", *p)
			}
			*word(r, had) = 3
			r.Discard(last + 8)
			if *word(r, 0) != 0 || *word(r, last) != 0 {
				t.Error("discarded memory is not zero")
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
