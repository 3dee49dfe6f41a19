// Package bootstrap makes the processes out of a configuration: it opens the seams that the configuration names (high
// availability, storage, logging), proves at start that they can be used, and hands plain values to the shells. It is the only
// place that knows both the keys and the shells; it holds no logic of either.
package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/config"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/jobmanager"
	"github.com/thalweg-io/thalweg/internal/scheduler"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/taskmanager"
	"github.com/thalweg-io/thalweg/internal/taskmanager/core"
)

// Version is what --version prints: the module's version and the commit it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += ", Commit ID: " + s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

// Quiet is a log that nobody reads: of commands that speak to a person.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// logger writes where the configuration says, standard error by default.
func logger(c *config.Config, process string) *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[config.LogLevel.Get(c)]
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if config.LogFormat.Get(c) == "json" {
		h = slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.New(h).With("process", process)
}

// probeTimeout is how long the proof that a directory can be used may take, a start of HDFS included.
const probeTimeout = time.Minute

// JobManager runs a jobmanager until ctx ends.
func JobManager(ctx context.Context, c *config.Config) error {
	needs := []config.Named{config.StorageDir, config.CheckpointDir}
	if err := config.Require(c, "the jobmanager", needs...); err != nil {
		return err
	}
	log := logger(c, "jobmanager")
	files := schemes.Open()
	defer files.Close()
	storageDir := join(config.StorageDir.Get(c), strings.Trim(config.ClusterID.Get(c), "/"))
	checkpointDir := config.CheckpointDir.Get(c)
	for _, dir := range []string{storageDir, checkpointDir} {
		if err := probe(ctx, files, dir, log); err != nil {
			return err
		}
	}
	services, err := HA(c, log)
	if err != nil {
		return err
	}
	defer services.Close()
	m, err := jobmanager.New(jobmanager.Config{
		Host: config.JobManagerAddress.Get(c), BindHost: cmp.Or(config.JobManagerBindHost.Get(c), config.JobManagerAddress.Get(c)), Ports: slices.Collect(config.JobManagerPort.Get(c).All()),
		HA: services, Storage: files, StorageDir: storageDir, CheckpointDir: checkpointDir, Effective: effective(c),
		HeartbeatInterval: config.HeartbeatInterval.Get(c), HeartbeatTimeout: config.HeartbeatTimeout.Get(c),
		Job: jobDefaults(c), ResultsKept: config.JobStoreExpiration.Get(c), Quiet: 30 * time.Second, Log: log, Reached: reached(),
	})
	if err != nil {
		return err
	}
	return m.Run(ctx)
}

// effective gives workers every job key in its canonical form, and those that the runtime parses as Go writes them.
func effective(cluster *config.Config) func(map[string]string) (map[string]string, error) {
	return func(job map[string]string) (map[string]string, error) {
		c, err := config.FromMap("the job's configuration", job)
		if err != nil {
			return nil, err
		}
		c = c.Over(cluster)
		m := c.Effective(config.Job)
		m[config.CheckpointInterval.Key()] = config.CheckpointInterval.Get(c).String()
		m[config.BufferTimeout.Key()] = config.BufferTimeout.Get(c).String()
		m[config.NetworkCompression.Key()] = config.NetworkCompression.Get(c)
		m[config.StateCompression.Key()] = strconv.FormatBool(config.StateCompression.Get(c))
		m[config.Pretouch.Key()] = fmt.Sprint(int64(config.Pretouch.Get(c)))
		m[config.InlineThreshold.Key()] = fmt.Sprint(int64(config.InlineThreshold.Get(c)))
		return m, nil
	}
}

func join(dir, name string) string { return strings.TrimRight(dir, "/") + "/" + name }

// probe proves that a directory can be used. HDFS in safe mode is waited for: it leaves it by itself after a start.
func probe(ctx context.Context, files *storage.Registry, dir string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	fs, err := files.Resolve(ctx, dir)
	if err != nil {
		return err
	}
	for said := false; ; {
		err := storage.Probe(ctx, fs, dir)
		if err == nil || !errors.Is(err, storage.ErrSafeMode) || ctx.Err() != nil {
			return err
		}
		if !said {
			log.Warn("waiting for HDFS to leave safe mode", "error", err)
			said = true
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return err
		}
	}
}

func jobDefaults(c *config.Config) scheduler.JobConfig {
	interval := config.CheckpointInterval.Get(c)
	return scheduler.JobConfig{
		Checkpoints: &thalwegv1.CheckpointOptions{
			IntervalMs: interval.Milliseconds(), Disabled: interval == 0, TimeoutMs: config.CheckpointTimeout.Get(c).Milliseconds(),
			AlignedTimeoutMs: config.AlignedCheckpointTimeout.Get(c).Milliseconds(), MinPauseMs: config.CheckpointMinPause.Get(c).Milliseconds(),
			Retained: int32(config.RetainedCheckpoints.Get(c)), TolerableFailures: int32(config.TolerableFailedCheckpoints.Get(c)),
		},
		Restart:        RestartOptions(c),
		Reconciliation: config.ReconciliationTimeout.Get(c),
	}
}

// RestartOptions is the restart strategy that the configuration gives.
func RestartOptions(c *config.Config) *thalwegv1.RestartOptions {
	r := &thalwegv1.RestartOptions{
		InitialMs: config.InitialBackoff.Get(c).Milliseconds(), MaxMs: config.MaxBackoff.Get(c).Milliseconds(),
		Multiplier: config.BackoffMultiplier.Get(c), ResetAfterMs: config.BackoffReset.Get(c).Milliseconds(),
	}
	if config.RestartStrategy.IsSet(c) {
		r.Strategy = config.RestartStrategy.Get(c)
	}
	if r.Strategy == "fixed-delay" {
		r.InitialMs, r.Attempts = config.FixedDelay.Get(c).Milliseconds(), int32(config.FixedDelayAttempts.Get(c))
	}
	return r
}

// TaskManager runs a taskmanager until ctx ends.
func TaskManager(ctx context.Context, c *config.Config) error {
	log := logger(c, "taskmanager")
	files := schemes.Open()
	defer files.Close()
	services, err := HA(c, log)
	if err != nil {
		return err
	}
	defer services.Close()
	t, err := taskmanager.New(taskmanager.Config{
		ID: config.TaskManagerID.Get(c), Host: config.TaskManagerHost.Get(c), BindHost: cmp.Or(config.TaskManagerBindHost.Get(c), config.TaskManagerHost.Get(c)),
		DataPort: config.TaskManagerDataPort.Get(c), Slots: config.TaskManagerSlots.Get(c),
		CPUs: config.TaskManagerCPUs.Get(c), Memory: int64(config.TaskManagerMemory.Get(c)), TempDir: config.TemporaryDir.Get(c), LogDir: config.LogDir.Get(c),
		HeartbeatInterval: config.HeartbeatInterval.Get(c), HeartbeatTimeout: config.HeartbeatTimeout.Get(c),
		LeaderlessTimeout: config.LeaderlessTimeout.Get(c), UnreachableTimeout: config.UnreachableLeaderTimeout.Get(c),
		CancelTimeout: config.CancellationTimeout.Get(c), WorkerStartTimeout: config.WorkerStartTimeout.Get(c),
		Leaders: leaders(ctx, services, log), Storage: files, Log: log,
	})
	if err != nil {
		return err
	}
	return t.Run(ctx)
}

// leaders follows discovery as the taskmanager wants it. While the service cannot be asked, the last leader known may well lead on.
func leaders(ctx context.Context, services ha.Services, log *slog.Logger) <-chan core.Leader {
	out := make(chan core.Leader)
	go func() {
		defer close(out)
		unreachable := false
		for s := range services.Discover(ctx) {
			if (s.Err != nil) != unreachable {
				unreachable = s.Err != nil
				if unreachable {
					log.Warn("the high-availability service cannot be asked; tasks run on", "error", s.Err)
				} else {
					log.Info("the high-availability service answers again")
				}
			}
			l := core.Leader{Epoch: uint64(s.Leader.Epoch), Incarnation: string(s.Leader.Incarnation), Address: s.Leader.RPCAddress}
			select {
			case out <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
