package harness

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Settings are what a cluster is started with.
type Settings struct {
	Backend      string // hashmap or rocksdb
	TaskManagers int    // with Slots each
	Slots        int
	HeapMiB      int // of a TaskManager, for tasks
	ManagedMiB   int // of a TaskManager: RocksDB's, and the window aggregates' of SQL
	GC           string
	Pretouch     bool // touch a TaskManager's heap before it does anything
}

// Defaults are one TaskManager with one slot and memory for every query at either backend.
func Defaults() Settings {
	return Settings{Backend: "hashmap", TaskManagers: 1, Slots: 1, HeapMiB: 4096, ManagedMiB: 2048, GC: "G1"}
}

// Sizes in MiB that no query asks to be different.
const (
	frameworkHeap    = 128 // Flink's default
	frameworkOffHeap = 128 // Flink's default
	network          = 128
	metaspace        = 256 // Flink's default
	overhead         = 192 // Flink's default; nothing enforces it
)

// opened is what Flink's own configuration opens to itself on Java 17 (env.java.opts.all of its config.yaml).
var opened = []string{
	"--add-exports=java.base/sun.net.util=ALL-UNNAMED", "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
	"--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED",
	"--add-opens=java.base/java.net=ALL-UNNAMED", "--add-opens=java.base/java.io=ALL-UNNAMED", "--add-opens=java.base/java.nio=ALL-UNNAMED",
	"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
	"--add-opens=java.base/java.text=ALL-UNNAMED", "--add-opens=java.base/java.time=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED",
	"--add-opens=java.base/java.util.concurrent=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED",
	"--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED",
}

func (s Settings) driverFlags() []string { return []string{"-XX:+UseSerialGC", "-Xmx768m"} }

// taskManagerFlags are what Flink's scripts would work out from the sizes in the configuration.
func (s Settings) taskManagerFlags() []string {
	heap := fmt.Sprintf("%dm", s.HeapMiB+frameworkHeap)
	flags := []string{
		"-XX:+Use" + s.GC + "GC", "-Xms" + heap, "-Xmx" + heap,
		fmt.Sprintf("-XX:MaxDirectMemorySize=%dm", frameworkOffHeap+network), fmt.Sprintf("-XX:MaxMetaspaceSize=%dm", metaspace),
	}
	if s.Pretouch {
		flags = append(flags, "-XX:+AlwaysPreTouch")
	}
	return flags
}

// yaml is the config.yaml of all processes.
func (s Settings) yaml(dir string, rpc, rest int) string {
	var y strings.Builder
	set := func(key string, value any) { fmt.Fprintf(&y, "%s: %v\n", key, value) }
	set("jobmanager.rpc.address", "127.0.0.1")
	set("jobmanager.rpc.port", rpc)
	set("jobmanager.bind-host", "127.0.0.1")
	set("rest.address", "127.0.0.1")
	set("rest.bind-address", "127.0.0.1")
	set("rest.port", rest)
	set("taskmanager.host", "127.0.0.1")
	set("taskmanager.bind-host", "127.0.0.1")
	set("taskmanager.numberOfTaskSlots", s.Slots)
	set("taskmanager.cpu.cores", s.Slots)
	set("taskmanager.memory.framework.heap.size", mib(frameworkHeap))
	set("taskmanager.memory.framework.off-heap.size", mib(frameworkOffHeap))
	set("taskmanager.memory.jvm-metaspace.size", mib(metaspace))
	set("taskmanager.memory.jvm-overhead.min", mib(overhead))
	set("taskmanager.memory.jvm-overhead.max", mib(overhead))
	set("taskmanager.memory.task.heap.size", mib(s.HeapMiB))
	set("taskmanager.memory.task.off-heap.size", mib(0))
	set("taskmanager.memory.network.min", mib(network))
	set("taskmanager.memory.network.max", mib(network))
	set("taskmanager.memory.managed.size", mib(s.ManagedMiB))
	set("io.tmp.dirs", filepath.Join(dir, "tmp"))
	set("state.backend.type", s.Backend)
	set("state.backend.rocksdb.localdir", filepath.Join(dir, "rocksdb"))
	set("execution.checkpointing.dir", "file://"+filepath.Join(dir, "checkpoints"))
	set("execution.checkpointing.incremental", true)
	set("execution.checkpointing.mode", "EXACTLY_ONCE")
	return y.String()
}

func mib(n int) string { return fmt.Sprintf("%dm", n) }

// log4j sends what is worth reading to the standard error, which is the process's log.
const log4j = `rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = CONSOLE
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
`
