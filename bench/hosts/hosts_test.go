package hosts_test

import (
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/bench/keyedcount/counting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two parts, as two processes have them, count what one job does.
func TestPartsAreOneJob(t *testing.T) {
	const keys, records = 100, 10_000
	var sum int64 // of the last counts of all keys; the sink's task writes it before it tells of the mark
	last := map[uint64]int64{}
	shape := counting.Shape{Keys: keys, Exchange: true}
	sending, source, err := counting.New(shape, nil)
	if err != nil {
		t.Fatal(err)
	}
	receiving, sink, err := counting.New(shape, func(key uint64, count int64) {
		if key > 0 {
			sum += count - last[key]
			last[key] = count
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	far := hosts.StartPart(receiving, t.TempDir(), hosts.Part{Job: "parts", Network: l})
	defer far.Close()
	near := hosts.StartPart(sending, t.TempDir(), hosts.Part{Job: "parts", Address: l.Addr().String()})
	defer near.Close()
	for _, event := range []<-chan struct{}{source.Ready(), sink.Counted()} {
		select {
		case <-event:
		case err := <-near.Failed():
			t.Fatal(err)
		case err := <-far.Failed():
			t.Fatal(err)
		}
		if event == source.Ready() {
			source.Grant(records)
		}
	}
	if sum != records || len(last) != keys {
		t.Errorf("%d records of %d keys, want %d of %d", sum, len(last), records, keys)
	}
}
