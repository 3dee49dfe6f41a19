package datagen

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// drain reads a bounded source as readers many readers do, each restored after every third batch.
func drain[T any](t *testing.T, s flow.Source[T], readers int) (all []T) {
	t.Helper()
	e, err := s.Enumerator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]T, 7)
	for reader := range readers {
		splits, err := e.Next(reader, readers)
		if err != nil {
			t.Fatal(err)
		}
		for _, split := range splits {
			r, err := s.Reader(nil, split)
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; ; i++ {
				n, next, err := r.Read(dst)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, dst[:n]...)
				if next.Ended() {
					break
				}
				if i%3 == 0 {
					if r, err = s.Reader(nil, r.Position()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if left := e.Left(); len(left) > 0 {
		t.Errorf("%d splits are left", len(left))
	}
	return all
}

func TestSequenceIsWhole(t *testing.T) {
	for _, partitions := range []int{1, 3, 8} {
		for _, readers := range []int{1, 2, 10} {
			for _, n := range []int64{1, 7, 100} {
				got := drain(t, Sequence(n, func(i int64) int64 { return i }, Partitions(partitions)), readers)
				slices.Sort(got)
				want := make([]int64, n)
				for i := range want {
					want[i] = int64(i)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%d in %d partitions by %d readers: %v", n, partitions, readers, got)
				}
			}
		}
	}
}

func TestOracleIsDense(t *testing.T) {
	for _, o := range []Oracle{{Seed: 1, Keys: 1, Partitions: 1, Records: 10}, {Seed: 2, Keys: 10, Partitions: 3, Records: 500}, {Seed: 3, Keys: 64, Partitions: 4, Records: 333}} {
		last, partition := map[uint64]int64{}, map[uint64]int{}
		got := drain(t, o.Source(), 2)
		if len(got) != int(o.Records)*o.Partitions {
			t.Fatalf("%d records of %+v", len(got), o)
		}
		for _, r := range got {
			if r.Key >= o.Keys || r.Seq != last[r.Key]+1 || r.Payload != o.Payload(r.Key, r.Seq) {
				t.Fatalf("%+v after %d of %+v", r, last[r.Key], o)
			}
			if p, seen := partition[r.Key]; seen && p != r.Partition {
				t.Fatalf("key %d is in partitions %d and %d", r.Key, p, r.Partition)
			}
			last[r.Key], partition[r.Key] = r.Seq, r.Partition
			same := o.Record(r.Partition, r.Offset)
			same.Created = r.Created
			if same != r {
				t.Fatalf("record(%d, %d) is %+v, and was %+v", r.Partition, r.Offset, same, r)
			}
		}
		if len(last) != int(o.Keys) {
			t.Errorf("%d keys of %+v", len(last), o)
		}
		for key, n := range last {
			if c := o.Count(key, o.Records); c != n {
				t.Errorf("key %d has %d records, and %d are told", key, n, c)
			}
		}
	}
	if a, b := (Oracle{Seed: 1, Keys: 100, Partitions: 1}), (Oracle{Seed: 2, Keys: 100, Partitions: 1}); a.Record(0, 5).Payload == b.Record(0, 5).Payload {
		t.Error("the seed changes nothing")
	}
}

// At a rate records come when they are due, and what was missed is made up for.
func TestRate(t *testing.T) {
	s := Sequence(0, func(i int64) string { return fmt.Sprint(i) }, Partitions(2), Rate(1000)) // 500 a second in each partition
	e, err := s.Enumerator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	splits, err := e.Next(0, 1)
	if err != nil || len(splits) != 2 {
		t.Fatal(splits, err)
	}
	reading, err := s.Reader(nil, splits[1])
	if err != nil {
		t.Fatal(err)
	}
	r := reading.(*reader[string])
	now := time.Unix(0, r.at.Start)
	r.now = func() time.Time { return now }
	dst := make([]string, 100)
	expect := func(count int, first string) flow.Next {
		t.Helper()
		n, next, err := r.Read(dst)
		if err != nil || n != count || n > 0 && dst[0] != first {
			t.Errorf("%d records from %q, %v; want %d from %q", n, dst[0], err, count, first)
		}
		return next
	}
	if at, ok := expect(1, "1").Time(); !ok || at.Sub(now) != 2*time.Millisecond {
		t.Errorf("waits until %v", at)
	}
	expect(0, "")
	now = now.Add(2 * time.Millisecond)
	expect(1, "3")
	now = now.Add(time.Second) // it was down
	if next := expect(100, "5"); next != flow.Again {
		t.Errorf("next %+v", next)
	}
}

func TestBadDescriptions(t *testing.T) {
	f := func(i int64) int64 { return i }
	for _, s := range []flow.Source[int64]{Sequence(1, f, Partitions(0)), Sequence(1, f, Rate(-1))} {
		if _, err := s.Enumerator(nil, nil); err == nil {
			t.Errorf("%+v is fine", s)
		}
	}
	for _, o := range []Oracle{{}, {Keys: 1, Partitions: 2}} {
		if _, err := o.Source().Enumerator(nil, nil); err == nil {
			t.Errorf("%+v is fine", o)
		}
	}
	for _, bad := range []string{"", `{"partition":1}`, `{"offset":-1}`} {
		if _, err := Sequence(1, f).Reader(nil, []byte(bad)); err == nil {
			t.Errorf("%q is a position", bad)
		}
	}
}
