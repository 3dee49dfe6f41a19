// Package zookeeper is high availability on ZooKeeper: the production kind.
//
// It owns the znodes under "<root>/<cluster id>": the election (latch, epoch, connection_info) and the fenced store of a term.
// election.go and stages.go are the election as a value; services.go is its shell; store.go is the fenced store; discover.go
// follows the leader; all of them speak to a Client (client.go), which conn.go implements on go-zookeeper/zk and ha/zkmodel in
// memory. It never decides on an answer that it did not get, never deletes another process's latch, and never relies on a
// clock for safety: every write checks the epoch node's version in the same multi.
package zookeeper

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// Config is what the configuration says, in plain values. The zero value of a field is its default, but for Quorum.
type Config struct {
	Quorum            string        // "host:port,host:port"; the port may be left out (2181)
	Root              string        // default /thalweg
	ClusterID         string        // default /default
	SessionTimeout    time.Duration // default 10 s; the servers may clamp it
	ConnectionTimeout time.Duration // default 1 s: how long connecting to one server may take before the next one is tried
	RequestTimeout    time.Duration // default two thirds of the session timeout
	EndOnSuspended    bool          // the opposite of tolerate-suspended-connections, so that the default is zero
	ACL               string        // open (default); creator is refused
	Logger            *slog.Logger
}

// withDefaults fills in what was left out and checks the rest.
func (c Config) withDefaults() (Config, paths, error) {
	c.Root = cmp.Or(c.Root, "/thalweg")
	c.ClusterID = cmp.Or(c.ClusterID, "/default")
	c.SessionTimeout = cmp.Or(c.SessionTimeout, 10*time.Second)
	c.ConnectionTimeout = cmp.Or(c.ConnectionTimeout, time.Second)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, c.SessionTimeout*2/3)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{
		{"high-availability.zookeeper.client.session-timeout", c.SessionTimeout},
		{"high-availability.zookeeper.client.connection-timeout", c.ConnectionTimeout},
	} {
		if d.value < 100*time.Millisecond || d.value > 10*time.Minute {
			return c, paths{}, fmt.Errorf("%s: %v is out of range; give 100 ms to 10 min", d.key, d.value)
		}
	}
	switch c.ACL {
	case "", "open":
	case "creator":
		return c, paths{}, fmt.Errorf("high-availability.zookeeper.client.acl: \"creator\" needs an authenticated session, " +
			"which this version does not have; use \"open\" and keep the ensemble in a private network")
	default:
		return c, paths{}, fmt.Errorf("high-availability.zookeeper.client.acl: %q is neither \"open\" nor \"creator\"", c.ACL)
	}
	p, err := cleanRoot(c.Root, c.ClusterID)
	return c, p, err
}

// servers parses the quorum.
func (c Config) servers() ([]string, error) {
	const key = "high-availability.zookeeper.quorum"
	if strings.Contains(c.Quorum, "/") {
		return nil, fmt.Errorf("%s: %q has a path; give host:port pairs here and the path as high-availability.zookeeper.path.root", key, c.Quorum)
	}
	var servers []string
	for _, s := range strings.FieldsFunc(c.Quorum, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		host, port, err := net.SplitHostPort(s)
		if err != nil { // no port: the library's own default
			host, port = strings.Trim(s, "[]"), "2181"
			if strings.Contains(s, ":") && !strings.HasPrefix(s, "[") {
				return nil, fmt.Errorf("%s: %q: %q is not host:port", key, c.Quorum, s)
			}
		}
		if _, err := net.LookupPort("tcp", port); host == "" || err != nil {
			return nil, fmt.Errorf("%s: %q: %q is not host:port", key, c.Quorum, s)
		}
		servers = append(servers, net.JoinHostPort(host, port))
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s is empty; give the ensemble's servers as host:port,host:port", key)
	}
	return servers, nil
}

// Open connects to an ensemble. It does not wait for it: an error is one of configuration.
func Open(c Config) (*Services, error) {
	full, _, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	servers, err := full.servers()
	if err != nil {
		return nil, fmt.Errorf("zookeeper: %w", err)
	}
	return OpenWith(full, func(listener func(Event)) (Client, error) { return dial(full, servers, listener) })
}

var _ ha.Services = (*Services)(nil)
