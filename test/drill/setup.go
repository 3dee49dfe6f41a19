package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/test/cluster"
	"github.com/thalweg-io/thalweg/test/services"
)

// servers are what a whole drill shares.
type servers struct {
	zookeeper *services.ZooKeeper
	hdfs      *services.HDFS
}

func startServers(ctx context.Context, o options) (*servers, error) {
	zk, err := services.StartZooKeeper(ctx, services.ZooKeeperOptions{Nodes: 3, Dir: filepath.Join(o.dir, "zookeeper")})
	if err != nil {
		return nil, err
	}
	h, err := services.StartHDFS(ctx, services.HDFSOptions{DataNodes: 2, Dir: filepath.Join(o.dir, "hdfs")})
	if err != nil {
		zk.Close()
		return nil, err
	}
	return &servers{zk, h}, nil
}

func (s *servers) close() {
	s.hdfs.Close()
	s.zookeeper.Close()
}

// drill is one cluster with one job, to which one fault after the other is done.
type drill struct {
	*servers
	o            options
	session      time.Duration
	name         string
	cluster      *cluster.Cluster
	jobmanagers  []*cluster.Process
	taskmanagers []*cluster.Process
	job          string
	probes       string // folder of the job's probe files
	output       string
	serial       int            // of process names
	later        []func() error // repairs after the outcome
	recovered    time.Duration  // from the fault, or the repair, to the new leader
}

const slots = 2 // of each taskmanager; the job needs two, so that two of the three can be lost one after the other

func newDrill(ctx context.Context, o options, s *servers, session time.Duration) (*drill, error) {
	d := &drill{servers: s, o: o, session: session, name: fmt.Sprintf("s%d", session/time.Second)}
	dir := filepath.Join(o.dir, d.name)
	d.probes = filepath.Join(dir, "probes")
	d.output = s.hdfs.URI() + "/" + d.name + "/out"
	if err := os.MkdirAll(d.probes, 0o755); err != nil {
		return nil, err
	}
	var err error
	d.cluster, err = cluster.New(dir, o.bin, map[string]string{
		"high-availability.type":                             "zookeeper",
		"high-availability.zookeeper.quorum":                 s.zookeeper.ConnectString(),
		"high-availability.zookeeper.client.session-timeout": session.String(),
		"high-availability.cluster-id":                       "/drill-" + d.name,
		"high-availability.storageDir":                       s.hdfs.URI() + "/ha",
		"execution.checkpointing.dir":                        s.hdfs.URI() + "/checkpoints",
		"execution.checkpointing.interval":                   "1 s",
		// Each fault is the first one again: what is measured is the restart, not the back-off of the one before.
		"restart-strategy.exponential-delay.reset-backoff-threshold": "3 s",
	}, "HADOOP_CONF_DIR="+s.hdfs.ConfDir())
	if err != nil {
		return nil, err
	}
	ok := false
	defer func() {
		if !ok {
			d.close()
		}
	}()
	for range 2 {
		if err := d.addJobManager(); err != nil {
			return nil, err
		}
	}
	for range 3 {
		if err := d.addTaskManager(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := d.cluster.Leader(ctx); err != nil {
		d.cluster.Tail(os.Stderr, 20)
		return nil, err
	}
	d.job, err = d.cluster.Run(ctx, []string{"-p", "2"}, filepath.Join(o.bin, "job"),
		"--rate", fmt.Sprint(o.rate/2), "--keys", fmt.Sprint(keys), "--output", d.output, "--probes", d.probes)
	if err != nil {
		d.cluster.Tail(os.Stderr, 20)
		return nil, err
	}
	if _, err := d.cluster.WaitRunning(ctx, d.job, -1); err != nil {
		d.cluster.Tail(os.Stderr, 40)
		return nil, err
	}
	ok = true
	return d, nil
}

func (d *drill) close() { d.cluster.Close() }

func (d *drill) addJobManager(env ...string) error {
	d.serial++
	p, err := d.cluster.JobManager(fmt.Sprintf("jobmanager-%d", d.serial), env...)
	if err == nil {
		d.jobmanagers = append(d.jobmanagers, p)
	}
	return err
}

func (d *drill) addTaskManager() error {
	d.serial++
	p, err := d.cluster.TaskManager(fmt.Sprintf("taskmanager-%d", d.serial), slots)
	if err == nil {
		d.taskmanagers = append(d.taskmanagers, p)
	}
	return err
}

func (d *drill) replaceJobManager(p *cluster.Process, env ...string) error {
	d.jobmanagers = slices.DeleteFunc(d.jobmanagers, func(q *cluster.Process) bool { return q == p })
	return d.addJobManager(env...)
}

func (d *drill) replaceTaskManager(p *cluster.Process) error {
	d.taskmanagers = slices.DeleteFunc(d.taskmanagers, func(q *cluster.Process) bool { return q == p })
	return d.addTaskManager()
}

// leader is the process that leads now.
func (d *drill) leader(ctx context.Context) (*cluster.Process, error) {
	l, err := d.cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return cluster.Which(l, d.jobmanagers...)
}

// newLeader waits until a jobmanager other than the one at the given address leads, answers, and has the job running.
func (d *drill) newLeader(ctx context.Context, other string, since time.Time) error {
	for {
		l, err := d.cluster.Leader(ctx)
		if err != nil {
			return err
		}
		if l.Address != other {
			_, err := d.cluster.WaitFor(ctx, d.job, func(i *thalwegv1.JobInfo) bool { return i.Summary.Status == thalwegv1.JobStatus_JOB_STATUS_RUNNING })
			d.recovered = time.Since(since)
			return err
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// busyTaskManager is one that runs subtasks of the job.
func (d *drill) busyTaskManager(ctx context.Context) (*cluster.Process, error) {
	i, err := d.cluster.WaitRunning(ctx, d.job, -1)
	if err != nil {
		return nil, err
	}
	for _, t := range i.Tasks {
		for _, p := range d.taskmanagers {
			if p.Name == t.Taskmanager {
				return p, nil
			}
		}
	}
	return nil, errors.New("no taskmanager of this drill runs the job")
}

// alive: a process that has ended but whose parent has not asked for its status yet is not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
