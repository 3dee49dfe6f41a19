package bootstrap

import (
	"log/slog"
	"strings"

	"github.com/thalweg-io/thalweg/internal/config"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/local"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
)

// HA opens the high-availability service that the configuration names. An error is one of configuration: no service is waited for.
func HA(c *config.Config, log *slog.Logger) (ha.Services, error) {
	if config.HighAvailability.Get(c) == "zookeeper" {
		if err := config.Require(c, "high-availability.type zookeeper", config.ZooKeeperQuorum); err != nil {
			return nil, err
		}
		return zookeeper.Open(zookeeper.Config{
			Quorum: strings.Join(config.ZooKeeperQuorum.Get(c), ","), Root: config.ZooKeeperRoot.Get(c), ClusterID: config.ClusterID.Get(c),
			SessionTimeout: config.ZooKeeperSessionTimeout.Get(c), ConnectionTimeout: config.ZooKeeperConnectionTimeout.Get(c),
			EndOnSuspended: !config.TolerateSuspended.Get(c), Logger: log,
		})
	}
	if err := config.Require(c, "high-availability.type local", config.LocalDir); err != nil {
		return nil, err
	}
	return local.Open(local.Config{Dir: config.LocalDir.Get(c), ClusterID: config.ClusterID.Get(c), Logger: log})
}
