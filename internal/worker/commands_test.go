package worker

import (
	"runtime"
	"strings"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/state/offheap"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// TestNetworkCompressionIsKnownOrRefused: a worker does not run on with a codec that it does not have.
func TestNetworkCompressionIsKnownOrRefused(t *testing.T) {
	g := &stream.Graph{Job: &thalwegv1.JobGraph{}}
	for codec, refused := range map[string]bool{"": false, "none": false, "s2": false, "zstd": true} {
		h, err := NewHost(g, HostOptions{Configuration: map[string]string{networkCompressionKey: codec}}, nil)
		if got := err != nil; got != refused || refused && !strings.Contains(err.Error(), networkCompressionKey+`: "zstd" is neither none nor s2`) {
			t.Errorf("%q: %v", codec, err)
		}
		if h != nil {
			h.Close()
		}
	}
}

// TestPretouch: what is configured is ready for state until the host closes.
func TestPretouch(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("state is on the Go heap here")
	}
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
