package worker

import (
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// TestPretouch: what is configured is ready for state until the host closes.
func TestPretouch(t *testing.T) {
	ready := func() int64 { return offheap.Usage()[offheap.Pretouched] }
	before := ready()
	h, err := NewHost(&stream.Graph{Job: &thalwegv1.JobGraph{}}, HostOptions{Configuration: map[string]string{pretouchKey: "16777216"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ready() != before+16<<20; time.Sleep(time.Millisecond) { // not for order: to poll
		if time.Now().After(end) {
			t.Fatalf("%d bytes are ready", ready())
		}
	}
	h.Close()
	if ready() != before {
		t.Errorf("%d bytes are ready after Close", ready())
	}
}
