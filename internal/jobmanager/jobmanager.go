// Package jobmanager is the process that contends for leadership and, while it leads, serves taskmanagers and clients: the
// gRPC front ends around one leader.Leader per term. A standby answers both with who leads. It owns the process's address and
// the order of a term's beginning and end; what a term does is the leader package's and, in the end, the scheduler core's.
package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/leader"
	"github.com/thalweg-io/thalweg/internal/scheduler"
	"github.com/thalweg-io/thalweg/internal/storage"
)

// Config is what a jobmanager process is given.
type Config struct {
	Host     string // name under which others reach the RPC port
	BindHost string
	Ports    []int // candidates for the RPC port; empty or 0: any free one

	HA            ha.Services
	Storage       *storage.Registry
	StorageDir    string // of this cluster
	CheckpointDir string
	Effective     func(job map[string]string) (map[string]string, error) // see leader.Config

	HeartbeatInterval time.Duration
	HeartbeatTimeout  time.Duration
	Job               scheduler.JobConfig
	ResultsKept       time.Duration // jobstore.expiration-time
	// Quiet is how long the end of a term may take before the process ends itself: work of an old term must not go on.
	Quiet time.Duration

	Log     *slog.Logger
	Reached func(point, job string) // see leader.Config
}

// JobManager is one jobmanager process's state.
type JobManager struct {
	c           Config
	incarnation ha.Incarnation
	address     string
	listener    net.Listener
	mu          struct {
		sync.Mutex
		term   *term         // nil: this process does not lead
		leader ha.LeaderInfo // the newest known
	}
}

// New binds the RPC port. Run must follow.
func New(c Config) (*JobManager, error) {
	l, err := listen(c.BindHost, c.Ports)
	if err != nil {
		return nil, err
	}
	m := &JobManager{c: c, incarnation: ha.NewIncarnation(), listener: l}
	m.address = net.JoinHostPort(c.Host, fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	m.c.Log = c.Log.With("incarnation", string(m.incarnation))
	return m, nil
}

func listen(host string, ports []int) (net.Listener, error) {
	if len(ports) == 0 {
		ports = []int{0}
	}
	var errs []error
	for _, p := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(p)))
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("the jobmanager's RPC port: none of %v is free on %q: %w", ports, host, errors.Join(errs...))
}

// Address is host:port of the gRPC server.
func (m *JobManager) Address() string { return m.address }

// Run contends and serves until ctx ends. A leader that is stopped so releases its leadership: a standby leads at once.
func (m *JobManager) Run(ctx context.Context) error {
	server := grpc.NewServer(
		// Who is silent is judged by heartbeats, in the core. The transport's own only finds connections whose host is gone.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: time.Minute}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(64<<20), grpc.MaxConcurrentStreams(10_000))
	thalwegv1.RegisterTaskManagerGatewayServer(server, &gateway{m: m})
	thalwegv1.RegisterJobServiceServer(server, &jobService{m: m})
	served := make(chan error, 1)
	go func() { served <- server.Serve(m.listener) }()
	defer server.Stop()

	follow, stop := context.WithCancel(ctx)
	defer stop()
	go m.follow(follow)
	m.c.Log.Info("jobmanager started", "rpc", m.address)
	err := m.c.HA.Lead(ctx, ha.Contender{Incarnation: m.incarnation, RPCAddress: m.address}, m.serve)
	select {
	case e := <-served:
		return fmt.Errorf("the RPC server has ended: %w", e)
	default:
	}
	return err
}

// follow keeps the newest known leader, for what a standby tells clients.
func (m *JobManager) follow(ctx context.Context) {
	for s := range m.c.HA.Discover(ctx) {
		m.mu.Lock()
		m.mu.leader = s.Leader
		m.mu.Unlock()
	}
}

// current is the running term, or nil and where the leader was last seen.
func (m *JobManager) current() (*term, ha.LeaderInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.term, m.mu.leader
}

// serve is one term, from the grant to the end of everything that it started.
func (m *JobManager) serve(granted ha.Term) {
	log := m.c.Log.With("epoch", uint64(granted.Epoch()))
	log.Info("leadership granted")
	ctx, cancel := context.WithCancel(granted.Context())
	defer cancel()
	jobs := m.c.Job
	jobs.Epoch = uint64(granted.Epoch())
	t := &term{m: m, ha: granted, log: log, Leader: leader.New(leader.Config{
		Term: scheduler.TermConfig{
			Epoch: uint64(granted.Epoch()), Incarnation: string(m.incarnation), ClusterIncarnation: granted.ClusterIncarnation(),
			Job: jobs, HeartbeatInterval: m.c.HeartbeatInterval, HeartbeatTimeout: m.c.HeartbeatTimeout,
		},
		Store: granted, Storage: m.c.Storage, StorageDir: m.c.StorageDir, CheckpointDir: m.c.CheckpointDir,
		Effective: m.c.Effective, Log: log, EndTerm: func(string) { cancel() }, Reached: m.c.Reached,
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Run(ctx)
	}()
	// The term can be reached before it is published: who learns of it finds it ready.
	m.mu.Lock()
	m.mu.term = t
	m.mu.Unlock()
	sweep := make(chan struct{})
	go func() {
		defer close(sweep)
		if err := granted.Publish(ctx); err != nil {
			if ctx.Err() == nil {
				log.Error("the leadership could not be published", "error", err)
				cancel()
			}
			return
		}
		log.Info("leadership published", "rpc", m.address)
		t.expireResults(ctx)
	}()
	<-ctx.Done()
	m.mu.Lock()
	m.mu.term = nil
	m.mu.Unlock()
	log.Info("leadership ended", "cause", context.Cause(granted.Context()))
	watchdog := time.AfterFunc(m.c.Quiet, func() {
		panic(fmt.Sprintf("epoch %d: the work of this term goes on %v after its end", granted.Epoch(), m.c.Quiet))
	})
	defer watchdog.Stop()
	<-done
	<-sweep
}

// term is what the front ends see of a running term.
type term struct {
	*leader.Leader
	m   *JobManager
	ha  ha.Term
	log *slog.Logger
}

// jobDir is where a job's graph and binary are kept.
func (m *JobManager) jobDir(id job.ID) string { return m.c.StorageDir + "/jobs/" + string(id) }

// discard removes files that no record names; what cannot be removed is garbage in the job's directory until the job ends.
func (m *JobManager) discard(paths ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, p := range paths {
		fs, err := m.c.Storage.Resolve(ctx, p)
		if err == nil {
			err = fs.Remove(ctx, p)
		}
		if err != nil {
			m.c.Log.Warn("a file of a submission could not be removed", "path", p, "error", err)
		}
	}
}

// expireResults removes results that have been kept long enough, now and every minute.
func (t *term) expireResults(ctx context.Context) {
	for {
		if err := leader.ExpireResults(ctx, t.ha, time.Now().Add(-t.m.c.ResultsKept)); err != nil && ctx.Err() == nil {
			t.log.Warn("old results could not be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Minute):
		}
	}
}
