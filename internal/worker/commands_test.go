package worker

import (
	"strings"
	"testing"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
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
