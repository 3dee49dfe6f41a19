package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

func TestSnapshotIsTheSameForTheSameState(t *testing.T) {
	build := func() []byte {
		k, _ := NewKeyed[string](Config{Name: "op", MaxParallelism: 16, From: 0, To: 16})
		defer k.Close()
		v, _ := NewValue[string, int64](k, "v")
		tm, _ := NewTimers(k, "t")
		hash, _ := codec.Hasher[string]()
		for i := range 500 {
			key := fmt.Sprint(i)
			k.Seek(key, hash(key))
			v.Set(int64(i))
			tm.Set(int64(i % 7))
		}
		w := checkpoint.NewFileWriter(context.Background(), checkpoint.FileConfig{InlineThreshold: 1 << 20})
		if err := k.Snapshot(w, "op"); err != nil {
			t.Fatal(err)
		}
		f, err := w.Finish(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return f.Inline
	}
	if !slices.Equal(build(), build()) {
		t.Error("two snapshots of the same state differ")
	}
}

func TestTimersFireInOrderAcrossEqualTimes(t *testing.T) {
	k, err := NewKeyed[uint32](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	timers, err := NewTimers(k, "t")
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := codec.Hasher[uint32]()
	want := map[[2]int64]bool{}
	for i := range int64(20000) { // one key has as many timers as all others
		key := uint32(i)
		if i%2 == 0 {
			key = 7
		}
		k.Seek(key, hash(key))
		timers.Set(i / 10)
		timers.Set(i / 10)
		want[[2]int64{int64(key), i / 10}] = true
	}
	timers.t.check()
	if timers.Len() != len(want) {
		t.Fatalf("%d timers, want %d", timers.Len(), len(want))
	}
	last := int64(-1)
	stop := errors.New("stop")
	fired := 0
	for upto := int64(0); fired < len(want); upto += 100 {
		err := timers.Due(upto, func(key uint32, _ uint64, at int64) error {
			if at < last || at > upto || !want[[2]int64{int64(key), at}] {
				t.Fatalf("timer %d of %d fired after %d", at, key, last)
			}
			last = at
			delete(want, [2]int64{int64(key), at})
			if len(want)%1000 == 0 {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if errors.Is(err, stop) {
			upto -= 100
		}
		if len(want) == 0 {
			break
		}
	}
	if _, ok := timers.Next(); ok || timers.Len() != 0 {
		t.Errorf("%d timers are left", timers.Len())
	}
}

func TestCancelledTimersTakeNoMemory(t *testing.T) {
	k, _ := NewKeyed[uint64](Config{Name: "op", MaxParallelism: 4, From: 0, To: 4})
	defer k.Close()
	timers, _ := NewTimers(k, "t")
	hash, _ := codec.Hasher[uint64]()
	for i := range int64(200_000) {
		k.Seek(uint64(i%10), hash(uint64(i%10)))
		timers.Set(i)
		timers.Cancel(i - 10)
	}
	if timers.Len() != 10 || timers.heap.n > 5000 {
		t.Errorf("%d timers, %d in the heap", timers.Len(), timers.heap.n)
	}
	if next, ok := timers.Next(); !ok || next != 199_990 {
		t.Errorf("next is %d, %v", next, ok)
	}
}
