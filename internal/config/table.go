package config

import (
	"fmt"
	"math"
	"time"
)

// The sections of the documentation, in its order.
const (
	availability = "High availability"
	processes    = "Jobmanager and taskmanager"
	liveness     = "Liveness"
	execution    = "Execution"
	checkpoints  = "Checkpoints"
	restarts     = "Restarts after a failure"
	logging      = "Logging"
)

// High availability.
var (
	HighAvailability = define(availability, oneOf(nil, "local", "zookeeper"), spec[string]{
		Key: "high-availability.type", Aliases: []string{"high-availability", "recovery.mode"}, Default: "local",
		Doc: "How jobmanagers elect a leader and keep what must survive it. zookeeper is production. local is a " +
			"directory on this one machine, for which several jobmanager processes race: it needs no server, and " +
			"survives kill and crash of any process.",
	})
	ClusterID = define(availability, texts, spec[string]{
		Key:     "high-availability.cluster-id",
		Aliases: []string{"high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace"},
		Default: "/default",
		Doc:     "Separates clusters that share a ZooKeeper, a local directory or a storage directory.",
		Check:   notEmpty,
	})
	StorageDir = define(availability, uris, spec[string]{
		Key:     "high-availability.storageDir",
		Aliases: []string{"high-availability.zookeeper.storageDir", "recovery.zookeeper.storageDir"},
		Doc: "Where job graphs and job binaries are kept; the metadata store holds pointers to them. All processes " +
			"must reach it. The jobmanager proves at its start that it can write, read and delete there.",
	})
	LocalDir = define(availability, paths, spec[string]{
		Key: "high-availability.local.dir", Own: true, Check: absolute,
		Doc: "Directory of high-availability.type local. It must be on a disk of this machine: a network file system " +
			"is refused.",
	})
	ZooKeeperQuorum = define(availability, lists, spec[[]string]{
		Key: "high-availability.zookeeper.quorum", Aliases: []string{"recovery.zookeeper.quorum"},
		Doc: "The ZooKeeper servers, as host:port,host:port.",
	})
	ZooKeeperRoot = define(availability, texts, spec[string]{
		Key:     "high-availability.zookeeper.path.root",
		Aliases: []string{"recovery.zookeeper.path.root"},
		Default: "/thalweg",
		Doc:     "The znode below which all clusters are.",
		Check:   notEmpty,
	})
	ZooKeeperSessionTimeout = define(availability, durations, spec[time.Duration]{
		Key:     "high-availability.zookeeper.client.session-timeout",
		Aliases: []string{"recovery.zookeeper.client.session-timeout"},
		Default: 10 * time.Second,
		Doc: "Session timeout asked of ZooKeeper, which keeps it between 2 and 20 of its ticks unless it is set up " +
			"otherwise. It bounds how long a leader whose host is lost goes unreplaced.",
		Check: positive[time.Duration],
	})
	ZooKeeperConnectionTimeout = define(availability, durations, spec[time.Duration]{
		Key:     "high-availability.zookeeper.client.connection-timeout",
		Aliases: []string{"recovery.zookeeper.client.connection-timeout"},
		Default: time.Second,
		Doc:     "How long connecting to one of the servers may take before the next one is tried.",
		Check:   positive[time.Duration],
	})
	TolerateSuspended = define(availability, booleans, spec[bool]{
		Key: "high-availability.zookeeper.client.tolerate-suspended-connections", Default: true,
		Doc: "true: a leader leads until its ZooKeeper session is lost. false: it stops leading as soon as its " +
			"connection is. Safe either way: what a leader writes is fenced. Running tasks are not touched in either " +
			"case.",
	})
)

// Jobmanager and taskmanager.
var (
	JobManagerAddress = define(processes, texts, spec[string]{
		Key: "jobmanager.rpc.address", Default: "localhost", Check: notEmpty,
		Doc: "Name or address at which taskmanagers and clients reach this jobmanager; it is published with the " +
			"leadership.",
	})
	JobManagerPort = define(processes, ports, spec[Ports]{
		Key: "high-availability.jobmanager.port", Aliases: []string{"jobmanager.rpc.port"}, Default: Ports{{0, 0}},
		Doc: "Port, ports or range of which the jobmanager takes the first free one; 0 is any.",
	})
	JobManagerBindHost = define(processes, texts, spec[string]{
		Key: "jobmanager.bind-host", Shown: "jobmanager.rpc.address",
		Doc: "Address that the jobmanager listens on; 0.0.0.0 is all.",
	})
	TaskManagerSlots = define(processes, counts, spec[int]{
		Key: "taskmanager.numberOfTaskSlots", Default: 1, Check: between(1, 4096),
		Doc: "Slots of a taskmanager: how many subtasks of each vertex it runs at most.",
	})
	TaskManagerMemory = define(processes, sizes, spec[Size]{
		Key: "taskmanager.memory.process.size", Shown: "nine tenths of what the machine or its container has",
		Check: zeroOrAtLeast[Size](128<<20, "128 mb"),
		Doc: "Memory of a taskmanager and its workers together. 128 mb of it, at most an eighth, are the taskmanager's; a " +
			"job's worker may use as much of the rest as it has of the slots. A worker that uses more fails its job, and " +
			"no other. 0 is the default.",
	})
	TaskManagerCPUs = define(processes, counts, spec[int]{
		Key: "taskmanager.cpu.cores", Shown: "what the machine or its container has", Check: between(0, 1<<16),
		Doc: "Processors of a taskmanager. A job's worker runs on as many of them as it has of the slots, rounded up. 0 is " +
			"the default.",
	})
	TaskManagerHost = define(processes, texts, spec[string]{
		Key: "taskmanager.host", Default: "localhost", Check: notEmpty,
		Doc: "Name or address at which other taskmanagers reach this one.",
	})
	TaskManagerBindHost = define(processes, texts, spec[string]{
		Key: "taskmanager.bind-host", Shown: "taskmanager.host",
		Doc: "Address that the taskmanager listens on; 0.0.0.0 is all.",
	})
	TaskManagerDataPort = define(processes, counts, spec[int]{
		Key: "taskmanager.data.port", Check: between(0, 65535),
		Doc: "Port for records from other taskmanagers; 0 is any free one.",
	})
	TaskManagerID = define(processes, texts, spec[string]{
		Key: "taskmanager.resource-id", Shown: "<host>:<port>-<6 random digits>",
		Doc: "Name of the taskmanager in the cluster. Two with one name are never registered at once.",
	})
	TemporaryDir = define(processes, paths, spec[string]{
		Key:     "io.tmp.dirs",
		Aliases: []string{"taskmanager.tmp.dirs"},
		Shown:   "the system's temporary directory",
		Check:   absolute,
		Doc: "Local directory for job binaries and the workers' files. One directory; each process makes its own below " +
			"it and removes it at its end.",
	})
	JobStoreExpiration = define(processes, seconds, spec[time.Duration]{
		Key: "jobstore.expiration-time", Default: time.Hour, Check: positive[time.Duration],
		Doc: "How long the result of a job that has ended is kept. While it is, the job's id cannot run again. A " +
			"number alone is in seconds.",
	})
)

// Liveness.
var (
	HeartbeatInterval = define(liveness, durations, spec[time.Duration]{
		Key: "heartbeat.interval", Default: 3 * time.Second, Check: positive[time.Duration],
		Doc: "Time between heartbeats of jobmanager and taskmanager, and of taskmanager and worker.",
	})
	HeartbeatTimeout = define(liveness, durations, spec[time.Duration]{
		Key: "heartbeat.timeout", Default: 10 * time.Second, Check: positive[time.Duration],
		Doc: "Silence after which a process counts as dead. A process that ends, or whose host refuses connections, is " +
			"noticed at once.",
	})
	ReconciliationTimeout = define(liveness, durations, spec[time.Duration]{
		Key: "jobmanager.reconciliation.timeout", Own: true, Default: 10 * time.Second, Check: positive[time.Duration],
		Doc: "How long a new leader waits for the taskmanagers that the jobs' records name, before it takes their " +
			"subtasks for lost.",
	})
	LeaderlessTimeout = define(liveness, durations, spec[time.Duration]{
		Key: "taskmanager.leaderless.timeout", Own: true, Default: time.Hour, Check: positive[time.Duration],
		Doc: "How long tasks run on while their taskmanager finds no leader.",
	})
	UnreachableLeaderTimeout = define(liveness, durations, spec[time.Duration]{
		Key: "taskmanager.leaderless.unreachable-timeout", Own: true, Default: time.Minute, Check: positive[time.Duration],
		Doc: "The same, where a newer leader is known but cannot be reached: by then it has most likely replaced the " +
			"tasks.",
	})
	CancellationTimeout = define(liveness, durations, spec[time.Duration]{
		Key: "task.cancellation.timeout", Job: true, Default: 20 * time.Second, Check: positive[time.Duration],
		Doc: "How long a cancelled task may take to end before its worker process is killed.",
	})
	WorkerStartTimeout = define(liveness, durations, spec[time.Duration]{
		Key: "taskmanager.worker.start-timeout", Own: true, Default: 30 * time.Second, Check: positive[time.Duration],
		Doc: "How long a job's binary may take from its start until it calls flow.Main.",
	})
)

// NoCompression is the codec of data that is not compressed.
const NoCompression = "none"

// Execution.
var (
	Parallelism = define(execution, counts, spec[int]{
		Key: "parallelism.default", Job: true, Default: 1, Check: between(1, 1<<15),
		Doc: "Parallelism of the operators that set none.",
	})
	BufferTimeout = define(execution, durations, spec[time.Duration]{
		Key:     "execution.buffer-timeout.interval",
		Aliases: []string{"execution.buffer-timeout"},
		Job:     true,
		Default: 100 * time.Millisecond,
		Doc: "Longest time that a batch which is not full waits for more records before it is sent, on an edge whose " +
			"receiver is busy. An idle edge sends at once.",
	})
	NetworkCompression = define(execution, oneOf(nil, NoCompression, "s2"), spec[string]{
		Key: "taskmanager.network.compression.codec", Job: true, Default: NoCompression,
		Doc: "How the batches that a task sends to another process are compressed: it saves network, and costs both " +
			"sides processor time. s2 is fast, and leaves as they are the batches that it does not make smaller by an " +
			"eighth. Batches within a process are never encoded.",
	})
	Pretouch = define(execution, sizes, spec[Size]{
		Key: "taskmanager.memory.pretouch.size", Job: true,
		Doc: "Memory for state that each worker of the job touches as it begins and keeps: state that grows lies there " +
			"first, and what tasks release goes back there. The first touch of a page makes the system, and under a " +
			"virtual machine the host as well, find and zero it, which for state that grows all the time can be half of " +
			"all that a task does. It counts as used from the beginning, and has to fit into the worker's share of " +
			"taskmanager.memory.process.size.",
	})
)

// Checkpoints.
var (
	CheckpointInterval = define(checkpoints, durations, spec[time.Duration]{
		Key: "execution.checkpointing.interval", Job: true, Default: 10 * time.Second,
		Doc: "Time between the starts of two checkpoints; 0: none but a last one at the end of the input.",
	})
	CheckpointTimeout = define(checkpoints, durations, spec[time.Duration]{
		Key: "execution.checkpointing.timeout", Job: true, Default: 10 * time.Minute, Check: positive[time.Duration],
		Doc: "A checkpoint that takes longer is given up.",
	})
	AlignedCheckpointTimeout = define(checkpoints, durations, spec[time.Duration]{
		Key:     "execution.checkpointing.aligned-checkpoint-timeout",
		Aliases: []string{"execution.checkpointing.alignment-timeout"},
		Job:     true,
		Default: time.Second,
		Check:   positive[time.Duration],
		Doc: "How long a subtask waits for the barrier of a checkpoint on its other inputs before it declines the " +
			"checkpoint. Doubled after each checkpoint that failed by it, up to the checkpoint's timeout, until one " +
			"completes.",
	})
	CheckpointMinPause = define(checkpoints, durations, spec[time.Duration]{
		Key: "execution.checkpointing.min-pause", Job: true,
		Doc: "Least time from the end of a checkpoint to the start of the next.",
	})
	TolerableFailedCheckpoints = define(checkpoints, counts, spec[int]{
		Key:     "execution.checkpointing.tolerable-failed-checkpoints",
		Job:     true,
		Default: Unlimited,
		Check:   orUnlimited(0),
		Doc:     "How many checkpoints may fail one after the other before the job counts as failed and restarts.",
	})
	RetainedCheckpoints = define(checkpoints, counts, spec[int]{
		Key:     "execution.checkpointing.num-retained",
		Aliases: []string{"state.checkpoints.num-retained"},
		Job:     true,
		Default: 1,
		Check:   between(1, 1000),
		Doc:     "How many completed checkpoints are kept.",
	})
	CheckpointDir = define(checkpoints, uris, spec[string]{
		Key:     "execution.checkpointing.dir",
		Aliases: []string{"state.checkpoints.dir", "state.backend.fs.checkpointdir"},
		Job:     true,
		Doc:     "Where checkpoints are kept, each job's in a folder of its own. All processes must reach it.",
	})
	StateCompression = define(checkpoints, booleans, spec[bool]{
		Key: "execution.checkpointing.snapshot-compression", Job: true, Default: true,
		Doc: "true: files with state are compressed, with zstd, beside the task. A restore reads both.",
	})
	InlineThreshold = define(checkpoints, sizes, spec[Size]{
		Key:     "execution.checkpointing.data-inline-threshold",
		Aliases: []string{"state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold"},
		Job:     true,
		Default: 20 << 10,
		Check:   atMost[Size](1<<20, "1 mb"),
		Doc: "State of a subtask that is smaller than this is kept in the checkpoint's metadata instead of a file of " +
			"its own.",
	})
)

// Restarts after a failure.
var (
	RestartStrategy = define(restarts, oneOf(map[string]string{
		"off": "none", "disable": "none", "fixeddelay": "fixed-delay", "exponentialdelay": "exponential-delay",
	}, "exponential-delay", "fixed-delay", "none"), spec[string]{
		Key: "restart-strategy.type", Aliases: []string{"restart-strategy"}, Job: true, Default: "exponential-delay",
		Doc: "What happens when a job fails. exponential-delay: restart at once, then after a delay that grows with " +
			"each failure. fixed-delay: restart a number of times. none: the job has failed. A job without " +
			"checkpoints restarts, with empty state, only if this is set.",
	})
	InitialBackoff = define(restarts, durations, spec[time.Duration]{
		Key:     "restart-strategy.exponential-delay.initial-backoff",
		Job:     true,
		Default: time.Second,
		Check:   positive[time.Duration],
		Doc:     "Delay before the second restart; the first one is at once.",
	})
	MaxBackoff = define(restarts, durations, spec[time.Duration]{
		Key:     "restart-strategy.exponential-delay.max-backoff",
		Job:     true,
		Default: time.Minute,
		Check:   positive[time.Duration],
		Doc:     "Longest delay.",
	})
	BackoffMultiplier = define(restarts, fractions, spec[float64]{
		Key: "restart-strategy.exponential-delay.backoff-multiplier", Job: true, Default: 1.5,
		Doc:   "By how much the delay grows with each failure.",
		Check: func(f float64) error { return require(f >= 1 && f <= 1000, "is not between 1 and 1000") },
	})
	BackoffReset = define(restarts, durations, spec[time.Duration]{
		Key:     "restart-strategy.exponential-delay.reset-backoff-threshold",
		Job:     true,
		Default: time.Hour,
		Check:   positive[time.Duration],
		Doc:     "Time without a failure after which the next one counts as the first again.",
	})
	FixedDelayAttempts = define(restarts, counts, spec[int]{
		Key: "restart-strategy.fixed-delay.attempts", Job: true, Default: 1, Check: orUnlimited(1),
		Doc: "How many restarts before the job has failed.",
	})
	FixedDelay = define(restarts, durations, spec[time.Duration]{
		Key: "restart-strategy.fixed-delay.delay", Job: true, Default: time.Second,
		Doc: "Delay before each restart.",
	})
)

// Logging.
var (
	LogLevel = define(logging, oneOf(map[string]string{"warning": "warn"}, "debug", "info", "warn", "error"), spec[string]{
		Key: "log.level", Own: true, Default: "info",
		Doc: "Least severe messages that are written. Logs go to standard error.",
	})
	LogFormat = define(logging, oneOf(nil, "text", "json"), spec[string]{
		Key: "log.format", Own: true, Default: "text",
		Doc: "Form of a log line.",
	})
	LogDir = define(logging, paths, spec[string]{
		Key: "env.log.dir", Shown: "in the taskmanager's temporary directory", Check: absolute,
		Doc: "Directory for what the workers print.",
	})
)

// The checks give the rest of a sentence whose beginning is the key and its value.

func require(ok bool, otherwise string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(otherwise, args...)
}

func notEmpty(s string) error { return require(s != "", "is empty") }

func absolute(s string) error {
	return require(s == "" || s[0] == '/', "is not an absolute path: relative ones would depend on where a process is started")
}

func positive[T ~int | ~int64](n T) error { return require(n > 0, "is not more than 0") }

func between(low, high int) func(int) error {
	return func(n int) error { return require(n >= low && n <= high, "is not between %d and %d", low, high) }
}

func zeroOrAtLeast[T ~int | ~int64](low T, shown string) func(T) error {
	return func(n T) error { return require(n == 0 || n >= low, "is less than %s", shown) }
}

// orUnlimited is at least low, and fits where counts are 32 bits wide.
func orUnlimited(low int) func(int) error {
	return func(n int) error {
		return require(n == Unlimited || n >= low && n <= math.MaxInt32, "is neither between %d and %d nor unlimited", low, math.MaxInt32)
	}
}

func atMost[T ~int | ~int64](high T, shown string) func(T) error {
	return func(n T) error { return require(n <= high, "is more than %s", shown) }
}
