package worker

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// take carries out one message. Epoch 0 is the taskmanager's own; a leader's below the highest seen is refused, whoever held it
// back for so long.
func (w *worker) take(m *thalwegv1.ToWorker) error {
	if w.silent {
		w.silent = false
		if w.leader { // the taskmanager was paused, and its session with the leader has lived on
			w.host.SessionEpoch(w.epoch)
		}
	}
	if m.Epoch != 0 {
		if m.Epoch < w.epoch {
			w.log.Warn("refused a command of a deposed leader", "epoch", m.Epoch, "seen", w.epoch)
			return nil
		}
		w.epoch = m.Epoch
		w.spoken = w.spoken || m.GetSession() == nil // which the taskmanager asks before it reaches anybody
	}
	switch c := m.Message.(type) {
	case *thalwegv1.ToWorker_Session:
		w.leader, w.canceled = true, false
		w.host.SessionEpoch(w.epoch)
		w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Report{Report: &thalwegv1.WorkerReport{
			Request: c.Session.Request, Tasks: w.host.Reports()}}})
	case *thalwegv1.ToWorker_SessionLost:
		w.lost()
	case *thalwegv1.ToWorker_Position:
		w.host.Position(c.Position)
	case *thalwegv1.ToWorker_Deploy:
		w.memory.deployed(c.Deploy)
		w.host.Deploy(c.Deploy)
	case *thalwegv1.ToWorker_Cancel:
		w.host.Cancel(job.GenerationOf(c.Cancel.Upto))
	case *thalwegv1.ToWorker_Trigger:
		w.host.Trigger(w.epoch, c.Trigger)
	case *thalwegv1.ToWorker_Complete:
		w.host.Complete(job.GenerationOf(c.Complete.Generation), c.Complete.Checkpoint)
	case *thalwegv1.ToWorker_Abort:
		w.host.Abort(c.Abort.Checkpoint)
	case *thalwegv1.ToWorker_Shutdown:
		return errShutdown
	}
	return nil
}

// The worker is the host's reporter. These are called from tasks' goroutines and do not block.

// TaskState implements stream.Reporter.
func (w *worker) TaskState(r *thalwegv1.TaskReport) {
	w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_TaskState{TaskState: &thalwegv1.TaskStateChanged{Report: r}}})
}

// Acknowledge implements stream.Reporter.
func (w *worker) Acknowledge(a *thalwegv1.Acknowledge) {
	w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Acknowledge{Acknowledge: a}})
}

// Decline implements stream.Reporter.
func (w *worker) Decline(d *thalwegv1.Decline) {
	w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Decline{Decline: d}})
}

// Confirmed implements stream.Reporter.
func (w *worker) Confirmed(c *thalwegv1.Confirmed) {
	w.send(&thalwegv1.FromWorker{Message: &thalwegv1.FromWorker_Confirmed{Confirmed: c}})
}

// HostOptions is what NewHost needs to know of its process.
type HostOptions struct {
	Job                    string
	TaskManager            string
	TaskManagerIncarnation string
	Incarnation            string // of this process
	TempDir                string
	Configuration          map[string]string // effective
	Storage                *storage.Registry
	Log                    *slog.Logger
}

// NewHost makes the host of a job's tasks in this process.
func NewHost(g *stream.Graph, o HostOptions, r stream.Reporter) (*stream.Host, error) {
	c := stream.HostConfig{Job: o.Job, TaskManagerIncarnation: o.TaskManagerIncarnation, Incarnation: o.Incarnation, TempDir: o.TempDir,
		Storage: o.Storage, Log: o.Log}
	for key, to := range map[string]*time.Duration{bufferTimeoutKey: &c.BufferTimeout, checkpointIntervalKey: &c.CheckpointInterval} {
		if s := o.Configuration[key]; s != "" {
			d, err := time.ParseDuration(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			*to = d
		}
	}
	if s := o.Configuration[inlineThresholdKey]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", inlineThresholdKey, err)
		}
		c.InlineThreshold = n
	}
	if s := o.Configuration[compressionKey]; s != "" {
		on, err := strconv.ParseBool(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", compressionKey, err)
		}
		c.PlainState = !on
	}
	if s := o.Configuration[pretouchKey]; s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pretouchKey, err)
		}
		c.Pretouch = n
	}
	switch s := o.Configuration[networkCompressionKey]; s {
	case "", "none":
	case "s2":
		c.CompressRecords = true
	default:
		return nil, fmt.Errorf("%s: %q is neither none nor s2", networkCompressionKey, s)
	}
	return stream.NewHost(g, c, r), nil
}

// Keys of the effective configuration that a worker reads, in the form that the leader gives them: a Go duration, a number of bytes, true or false,
// a word.
const (
	bufferTimeoutKey      = "execution.buffer-timeout.interval"
	checkpointIntervalKey = "execution.checkpointing.interval"
	inlineThresholdKey    = "execution.checkpointing.data-inline-threshold"
	compressionKey        = "execution.checkpointing.snapshot-compression"
	networkCompressionKey = "taskmanager.network.compression.codec"
	pretouchKey           = "taskmanager.memory.pretouch.size"
)
