package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ZooKeeperOptions say what ensemble is wanted. Dir must be given, all else has a default.
type ZooKeeperOptions struct {
	// Nodes is the size of the ensemble, 3 by default; 1 is a standalone server.
	Nodes int
	// Dir gets the servers' data and configuration. What is there from an earlier ensemble of the same size is served again.
	Dir string
	// LogDir gets their logs, Dir/logs by default.
	LogDir string
	// TickTime is ZooKeeper's unit of time, 500 ms by default: an election then takes 0.35 to 0.6 s.
	TickTime time.Duration
	// MinSessionTimeout and MaxSessionTimeout bound what clients may ask for: 200 ms and 2 min by default.
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// Config are further lines of zoo.cfg; they win over the ones made here.
	Config map[string]string
	// JVM are further flags of each server's virtual machine, such as -Dzookeeper.extendedTypesEnabled=true.
	JVM []string
}

// ZooKeeper is a running ensemble. Its methods may be called from any goroutine.
type ZooKeeper struct {
	nodes []*ZooKeeperNode
	spawn *spawner
	ports *Ports
	close func() error
}

// ZooKeeperNode is one server of an ensemble.
type ZooKeeperNode struct {
	*Process
	// Addr is where clients connect to, host:port.
	Addr string
}

// ErrNoLeader says that no node of the ensemble leads a quorum.
var ErrNoLeader = errors.New("no node leads")

var zooKeeperSoftware = &software{name: "zookeeper", roles: []string{"zookeeper"}, train: trainZooKeeper}

// trainZooKeeper starts three nodes, so that what only an ensemble loads is in the archive too, and records one.
func trainZooKeeper(ctx context.Context, in *installation, dir string, dump map[string]string) error {
	zk, err := startZooKeeper(ctx, in, ZooKeeperOptions{Dir: dir}, dump)
	if err != nil {
		return err
	}
	return errors.Join(zk.nodes[0].Stop(), zk.Close())
}

// StartZooKeeper starts an ensemble and returns when it serves: one node leads and all the others follow. If ctx ends before that, what was
// started is gone when it returns; afterwards ctx has no meaning for the ensemble. Close must be called.
func StartZooKeeper(ctx context.Context, o ZooKeeperOptions) (*ZooKeeper, error) {
	if o.Dir == "" {
		return nil, errors.New("services: start zookeeper: ZooKeeperOptions.Dir is empty")
	}
	if o.Nodes < 0 {
		return nil, fmt.Errorf("services: start zookeeper: ZooKeeperOptions.Nodes is %d, must be at least 1", o.Nodes)
	}
	in, err := zooKeeperSoftware.install(ctx)
	if err != nil {
		return nil, err
	}
	zk, err := startZooKeeper(ctx, in, o, nil)
	if err != nil {
		return nil, fmt.Errorf("services: start zookeeper: %w", err)
	}
	return zk, nil
}

func startZooKeeper(ctx context.Context, in *installation, o ZooKeeperOptions, dump map[string]string) (*ZooKeeper, error) {
	o.Nodes = cmp.Or(o.Nodes, 3)
	o.TickTime = cmp.Or(o.TickTime, 500*time.Millisecond)
	o.MinSessionTimeout = cmp.Or(o.MinSessionTimeout, 200*time.Millisecond)
	o.MaxSessionTimeout = cmp.Or(o.MaxSessionTimeout, 2*time.Minute)
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if o.LogDir, err = filepath.Abs(cmp.Or(o.LogDir, filepath.Join(o.Dir, "logs"))); err != nil {
		return nil, err
	}
	const perNode = 3 // client, quorum, election
	ports, err := ReservePorts(perNode * o.Nodes)
	if err != nil {
		return nil, err
	}
	zk := &ZooKeeper{spawn: newSpawner(), ports: ports}
	zk.close = sync.OnceValue(zk.closeOnce)
	for i := range o.Nodes {
		if err := zk.addNode(i, in, o, dump); err != nil {
			return nil, errors.Join(err, zk.Close())
		}
	}
	for _, n := range zk.nodes {
		if err := n.Start(); err != nil {
			return nil, errors.Join(err, zk.Close())
		}
	}
	if err := zk.WaitReady(ctx); err != nil {
		return nil, errors.Join(err, zk.Close())
	}
	return zk, nil
}

// addNode writes a node's files and makes its process, not started.
func (z *ZooKeeper) addNode(i int, in *installation, o ZooKeeperOptions, dump map[string]string) error {
	name := fmt.Sprintf("zookeeper-%d", i+1)
	dir := filepath.Join(o.Dir, name)
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	config := map[string]string{
		"tickTime":               strconv.FormatInt(o.TickTime.Milliseconds(), 10),
		"initLimit":              "20",
		"syncLimit":              "10",
		"dataDir":                data,
		"clientPortAddress":      "127.0.0.1",
		"clientPort":             strconv.Itoa(z.ports.Port(i)),
		"maxClientCnxns":         "0",
		"minSessionTimeout":      strconv.FormatInt(o.MinSessionTimeout.Milliseconds(), 10),
		"maxSessionTimeout":      strconv.FormatInt(o.MaxSessionTimeout.Milliseconds(), 10),
		"4lw.commands.whitelist": "*",
		"admin.enableServer":     "false",
	}
	if o.Nodes > 1 {
		config["standaloneEnabled"] = "false"
		for j := range o.Nodes {
			config[fmt.Sprintf("server.%d", j+1)] = fmt.Sprintf("127.0.0.1:%d:%d", z.ports.Port(o.Nodes+j), z.ports.Port(2*o.Nodes+j))
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), []byte(strconv.Itoa(i+1)), 0o644); err != nil {
			return err
		}
	}
	maps.Copy(config, o.Config)
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&lines, "%s=%s\n", key, config[key])
	}
	file := filepath.Join(dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		return err
	}
	program := javaProgram{
		in:    in,
		role:  "zookeeper",
		flags: append([]string{"-Xms16m", "-Xmx96m", "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"}, o.JVM...),
		main:  "org.apache.zookeeper.server.quorum.QuorumPeerMain",
		args:  []string{file},
		dir:   dir,
	}
	if i == 0 {
		program.dump = dump["zookeeper"]
	}
	node := &Process{name: name, log: filepath.Join(o.LogDir, name+".log"), spawn: z.spawn, command: func() *exec.Cmd { return program.command() }}
	z.nodes = append(z.nodes, &ZooKeeperNode{Process: node, Addr: z.ports.Addr(i)})
	return nil
}

// ConnectString is what clients are configured with: the addresses of all nodes, with commas between.
func (z *ZooKeeper) ConnectString() string { return strings.Join(z.Addrs(), ",") }

// Addrs are the clients' addresses of all nodes.
func (z *ZooKeeper) Addrs() []string {
	addrs := make([]string, len(z.nodes))
	for i, n := range z.nodes {
		addrs[i] = n.Addr
	}
	return addrs
}

// Len is the number of nodes, running or not.
func (z *ZooKeeper) Len() int { return len(z.nodes) }

// Node is the i-th node, counted from 0; its process has the number i+1 in its name.
func (z *ZooKeeper) Node(i int) *ZooKeeperNode { return z.nodes[i] }

func (z *ZooKeeper) processes() []*Process {
	processes := make([]*Process, len(z.nodes))
	for i, n := range z.nodes {
		processes[i] = n.Process
	}
	return processes
}

// Close kills every node and returns when all are gone. Data and logs stay. It may be called more than once.
func (z *ZooKeeper) Close() error { return z.close() }

func (z *ZooKeeper) closeOnce() error {
	err := killAll(z.processes())
	z.spawn.close()
	z.ports.Release()
	return err
}
