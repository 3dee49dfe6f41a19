package bootstrap

import (
	"context"

	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/ha"
)

// Discovery finds the leader for a client through the high-availability service, which it closes when the client does.
func Discovery(services ha.Services) client.Locator { return discovery{services} }

type discovery struct{ services ha.Services }

// Leaders implements client.Locator.
func (d discovery) Leaders(ctx context.Context) <-chan client.Sighting {
	out := make(chan client.Sighting)
	go func() {
		defer d.services.Close()
		defer close(out)
		for s := range d.services.Discover(ctx) {
			select {
			case out <- client.Sighting{Address: s.Leader.RPCAddress, Err: s.Err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
