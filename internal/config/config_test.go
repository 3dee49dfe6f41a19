package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeDir makes a configuration folder with one file in it.
func writeDir(t *testing.T, name, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestForms(t *testing.T) {
	nested := `
high-availability:
  type: zookeeper
  zookeeper:
    quorum: [zk1:2181, "zk2:2181"]
    client.session-timeout: 4 s
taskmanager:
  numberOfTaskSlots: 4
  host: node-1
`
	flat := `
high-availability: zookeeper   # the old name
high-availability.zookeeper.quorum: zk1:2181,zk2:2181
high-availability.zookeeper.client.session-timeout: 4000
taskmanager.numberOfTaskSlots: 4
taskmanager.host: "node-1"
`
	mixed := `
high-availability.type: ZOOKEEPER
high-availability:
  zookeeper.quorum:
    - zk1:2181
    - zk2:2181
high-availability.zookeeper:
  client: {session-timeout: 4s}
taskmanager.numberOfTaskSlots: 4
taskmanager: {host: node-1}
`
	legacy := `
# Flink's older file
high-availability: zookeeper # comment
high-availability.zookeeper.quorum: zk1:2181;zk2:2181
  high-availability.zookeeper.client.session-timeout:   4 sec

taskmanager.numberOfTaskSlots: 4
taskmanager.host: node-1`
	for _, tc := range []struct{ name, file, content string }{
		{"nested", FileName, nested},
		{"flat", FileName, flat},
		{"mixed", FileName, mixed},
		{"windows line ends", FileName, strings.ReplaceAll(flat, "\n", "\r\n")},
		{"flink-conf.yaml", LegacyFileName, legacy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Load(writeDir(t, tc.file, tc.content), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := HighAvailability.Get(c); got != "zookeeper" {
				t.Errorf("type %q", got)
			}
			if got := ZooKeeperQuorum.Get(c); !slices.Equal(got, []string{"zk1:2181", "zk2:2181"}) {
				t.Errorf("quorum %q", got)
			}
			if got := ZooKeeperSessionTimeout.Get(c); got != 4*time.Second {
				t.Errorf("session timeout %v", got)
			}
			if got := TaskManagerSlots.Get(c); got != 4 {
				t.Errorf("slots %d", got)
			}
			if got := TaskManagerHost.Get(c); got != "node-1" {
				t.Errorf("host %q", got)
			}
			if HeartbeatTimeout.IsSet(c) || HeartbeatTimeout.Get(c) != 10*time.Second {
				t.Errorf("heartbeat timeout: set %v, %v", HeartbeatTimeout.IsSet(c), HeartbeatTimeout.Get(c))
			}
		})
	}
}

func TestNothingGiven(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "comments": "# nothing\n", "null": "---\n"} {
		c, err := Load(writeDir(t, FileName, content), nil)
		if err != nil {
			t.Errorf("%s file: %v", name, err)
		}
		if got := Parallelism.Get(c); got != 1 {
			t.Errorf("%s file: parallelism %d", name, got)
		}
	}
	if c, err := Load("", nil); err != nil || HighAvailability.Get(c) != "local" {
		t.Errorf("no folder: %v, type %q", err, HighAvailability.Get(c))
	}
	if got := CheckpointInterval.Get(nil); got != 10*time.Second {
		t.Errorf("nil configuration: checkpoint interval %v", got)
	}
}

func TestOverrides(t *testing.T) {
	dir := writeDir(t, FileName, "parallelism.default: 2\nhigh-availability: local\n")
	c, err := Load(dir, []string{"parallelism.default=3", "high-availability.type=zookeeper", "parallelism.default = 4 ",
		"high-availability.zookeeper.quorum=zk:2181", "taskmanager.bind-host="})
	if err != nil {
		t.Fatal(err)
	}
	if got := Parallelism.Get(c); got != 4 {
		t.Errorf("parallelism %d: the last -D should win", got)
	}
	if got := HighAvailability.Get(c); got != "zookeeper" {
		t.Errorf("type %q: -D of the full name should win over the file's older name", got)
	}
	if !TaskManagerBindHost.IsSet(c) || TaskManagerBindHost.Get(c) != "" {
		t.Error("an empty -D should set the empty text")
	}
}

// TestProblems has the whole message of every kind of mistake: the messages are the interface.
func TestProblems(t *testing.T) {
	for _, tc := range []struct {
		name, file, content string
		overrides           []string
		want                string // after "configuration: "; FILE is the file's path
	}{
		{"unknown key", FileName, "\n\ntaskmanager.numberOfSlots: 4\n", nil,
			"FILE:3: taskmanager.numberOfSlots: \"4\" is not a key that Thalweg has (`thalweg config describe` lists them); did you mean taskmanager.numberOfTaskSlots?"},
		{"unknown nested key", FileName, "heartbeat:\n  intervall: 3 s\n", nil,
			"FILE:2: heartbeat.intervall: \"3 s\" is not a key that Thalweg has (`thalweg config describe` lists them); did you mean heartbeat.interval?"},
		{"end of a key", FileName, "zookeeper.quorum: a:1\n", nil,
			"FILE:1: zookeeper.quorum: \"a:1\" is not a key that Thalweg has (`thalweg config describe` lists them); did you mean high-availability.zookeeper.quorum?"},
		{"nothing near", FileName, "completely.different: x\n", nil,
			"FILE:1: completely.different: \"x\" is not a key that Thalweg has (`thalweg config describe` lists them)"},
		{"duration", FileName, "heartbeat.timeout: soon\n", nil, `FILE:1: heartbeat.timeout: "soon" is not a duration, as "10 s", "500 ms" or "1 min"`},
		{"unit", FileName, "heartbeat.timeout: 5 fortnights\n", nil, `FILE:1: heartbeat.timeout: "5 fortnights" has no unit of a duration in "fortnights"; write it as "10 s", "500 ms" or "1 min"`},
		{"overflow", FileName, "heartbeat.timeout: 999999999 d\n", nil, `FILE:1: heartbeat.timeout: "999999999 d" is too large a duration`},
		{"zero", FileName, "heartbeat.timeout: 0 s\n", nil, `FILE:1: heartbeat.timeout: "0 s" is not more than 0`},
		{"number", FileName, "parallelism.default: four\n", nil, `FILE:1: parallelism.default: "four" is not a whole number`},
		{"bounds", FileName, "parallelism.default: 0\n", nil, `FILE:1: parallelism.default: "0" is not between 1 and 32768`},
		{"least", FileName, "restart-strategy.fixed-delay.attempts: 0\n", nil, `FILE:1: restart-strategy.fixed-delay.attempts: "0" is neither between 1 and 2147483647 nor unlimited`},
		{"most", FileName, "restart-strategy.fixed-delay.attempts: 3000000000\n", nil, `FILE:1: restart-strategy.fixed-delay.attempts: "3000000000" is neither between 1 and 2147483647 nor unlimited`},
		{"fraction", FileName, "restart-strategy.exponential-delay.backoff-multiplier: 0.5\n", nil, `FILE:1: restart-strategy.exponential-delay.backoff-multiplier: "0.5" is not between 1 and 1000`},
		{"not a number", FileName, "restart-strategy.exponential-delay.backoff-multiplier: NaN\n", nil, `FILE:1: restart-strategy.exponential-delay.backoff-multiplier: "NaN" is not a number`},
		{"size", FileName, "execution.checkpointing.data-inline-threshold: 2 gb\n", nil, `FILE:1: execution.checkpointing.data-inline-threshold: "2 gb" is more than 1 mb`},
		{"word", FileName, "high-availability: kubernetes\n", nil, `FILE:1: high-availability: "kubernetes" is not one of local, zookeeper`},
		{"boolean", FileName, "high-availability.zookeeper.client.tolerate-suspended-connections: 1\n", nil, `FILE:1: high-availability.zookeeper.client.tolerate-suspended-connections: "1" is neither true nor false`},
		{"port", FileName, "taskmanager.data.port: 70000\n", nil, `FILE:1: taskmanager.data.port: "70000" is not between 0 and 65535`},
		{"ports", FileName, "high-availability.jobmanager.port: 6000-5000\n", nil, `FILE:1: high-availability.jobmanager.port: "6000-5000" is not a port (0 to 65535, 0: any free one), a list of ports, or a range as 50000-50025`},
		{"path", FileName, "io.tmp.dirs: tmp\n", nil, `FILE:1: io.tmp.dirs: "tmp" is not an absolute path: relative ones would depend on where a process is started`},
		{"URI", FileName, "state.checkpoints.dir: checkpoints\n", nil, `FILE:1: state.checkpoints.dir: "checkpoints" is neither a URI, as hdfs:///thalweg or file:///var/lib/thalweg, nor an absolute path`},
		{"no value", FileName, "taskmanager.host:\n", nil, `FILE:1: taskmanager.host: "" has no value: give one, or remove the line`},
		{"list for one value", FileName, "taskmanager.host: [a, b]\n", nil, `FILE:1: taskmanager.host: "a,b" is a list; one text is wanted`},
		{"list in a list", FileName, "high-availability.zookeeper.quorum:\n  - a:1\n  - [b]\n", nil, `FILE:3: high-availability.zookeeper.quorum: "" in a list is not a single value`},
		{"twice", FileName, "taskmanager.host: a\ntaskmanager:\n  host: b\n", nil, `FILE:3: taskmanager.host: "b" is set a second time; the first is at FILE:1: keep one`},
		{"twice by an older name", FileName, "high-availability.type: local\nrecovery.mode: local\n", nil,
			`FILE:2: recovery.mode: "local" is set a second time (recovery.mode is an older name of high-availability.type); the first is at FILE:1: keep one`},
		{"anchor", FileName, "taskmanager.host: &a b\n", nil, `FILE:1: taskmanager.host: "*b" is a YAML anchor or alias, which are not supported here`},
		{"not a mapping", FileName, "- a\n- b\n", nil, `FILE:1: is not a mapping of keys to values, as "taskmanager.numberOfTaskSlots: 4"`},
		{"two documents", FileName, "taskmanager.host: a\n---\ntaskmanager.host: b\n", nil, `FILE:2: has more than one YAML document`},
		{"not YAML", FileName, "taskmanager.host: a\nb: c: d\n", nil, `FILE:2: is not YAML: line 2: mapping values are not allowed in this context`},
		{"flat line", LegacyFileName, "# x\ntaskmanager.host=a\n", nil, `FILE:2: "taskmanager.host=a" is not "key: value"`},
		{"flat line without a value", LegacyFileName, "taskmanager.host: # a\n", nil, `FILE:1: taskmanager.host: "" has no value: give one, or remove the line`},
		{"-D without =", "", "", []string{"parallelism.default"}, `-D: "parallelism.default" is not key=value`},
		{"-D", "", "", []string{"paralelism.default=3"}, "-D: paralelism.default: \"3\" is not a key that Thalweg has (`thalweg config describe` lists them); did you mean parallelism.default?"},
		{"order of two", FileName, "heartbeat.interval: 20 s\n", nil, `FILE:1: heartbeat.interval: "20 s" must be less than heartbeat.timeout, which is "10 s" by default`},
		{"order of two, from two places", FileName, "heartbeat.interval: 2 s\n", []string{"heartbeat.timeout=1 s"}, `FILE:1: heartbeat.interval: "2 s" must be less than heartbeat.timeout, which is "1 s" at -D`},
		{"order of two, the larger set", "", "", []string{"heartbeat.timeout=1 s"}, `-D: heartbeat.timeout: "1 s" must be more than heartbeat.interval, which is "3 s" by default`},
		{"quorum", FileName, "high-availability: zookeeper\n", nil, `FILE:1: high-availability.type: "zookeeper" needs high-availability.zookeeper.quorum, which is not set`},
		{"all at once", FileName, "parallelism.default: x\nheartbeat.timeout: 1 s\nunknown.thing: y\n", []string{"log.level=loud", "z"},
			`3 problems:`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, path := "", ""
			if tc.file != "" {
				dir = writeDir(t, tc.file, tc.content)
				path = filepath.Join(dir, tc.file)
			}
			c, err := Load(dir, tc.overrides)
			if err == nil || c != nil {
				t.Fatalf("configuration %v, error %v", c, err)
			}
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("error is not ErrInvalid: %v", err)
			}
			got := strings.ReplaceAll(err.Error(), path, "FILE")
			if path == "" {
				got = err.Error()
			}
			if tc.name == "all at once" {
				want := []string{"configuration: 4 problems:", `  FILE:1: parallelism.default: "x" is not a whole number`,
					"  FILE:3: unknown.thing: \"y\" is not a key that Thalweg has (`thalweg config describe` lists them)",
					`  -D: "z" is not key=value`, `  -D: log.level: "loud" is not one of debug, info, warn, error`}
				if lines := strings.Split(got, "\n"); !slices.Equal(lines, want) {
					t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
				}
				return
			}
			if want := "configuration: " + tc.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	both := writeDir(t, FileName, "")
	if err := os.WriteFile(filepath.Join(both, LegacyFileName), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	large := writeDir(t, FileName, strings.Repeat("# a comment\n", 1<<17))
	empty := t.TempDir()
	for _, tc := range []struct{ name, dir, want string }{
		{"both", both, "configuration: both " + filepath.Join(both, FileName) + " and " + filepath.Join(both, LegacyFileName) + " are there: remove the one that is not meant"},
		{"none", empty, "configuration: there is no config.yaml in " + empty},
		{"no folder", filepath.Join(empty, "conf"), "configuration: stat " + filepath.Join(empty, "conf") + ": no such file or directory"},
		{"the file itself", filepath.Join(large, FileName), "configuration: " + filepath.Join(large, FileName) + " is a file: --config-dir wants the folder that config.yaml is in"},
		{"large", large, "configuration: " + filepath.Join(large, FileName) + " is larger than 1 MiB: it cannot be a configuration"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Load(tc.dir, nil); err == nil || err.Error() != tc.want {
				t.Errorf("got\n%v\nwant\n%s", err, tc.want)
			}
		})
	}
}

func TestJobSettings(t *testing.T) {
	cluster, err := Load("", []string{"parallelism.default=2", "execution.checkpointing.interval=5 s", "taskmanager.numberOfTaskSlots=8"})
	if err != nil {
		t.Fatal(err)
	}
	client, err := Load("", []string{"state.checkpoints.dir=/data", "execution.checkpointing.interval=1000", "taskmanager.host=here"})
	if err != nil {
		t.Fatal(err)
	}
	sent := client.JobSettings()
	want := map[string]string{"execution.checkpointing.dir": "file:///data", "execution.checkpointing.interval": "1 s"}
	if !reflect.DeepEqual(sent, want) {
		t.Fatalf("sent %v, want %v", sent, want)
	}
	job, err := ForJob("submission", sent)
	if err != nil {
		t.Fatal(err)
	}
	effective := job.Over(cluster)
	if p, i, s := Parallelism.Get(effective), CheckpointInterval.Get(effective), TaskManagerSlots.Get(effective); p != 2 || i != time.Second || s != 8 {
		t.Errorf("parallelism %d, interval %v, slots %d", p, i, s)
	}
	all := effective.Effective(Job)
	if all["parallelism.default"] != "2" || all["execution.checkpointing.timeout"] != "10 min" || all["taskmanager.host"] != "" {
		t.Errorf("effective %v", all)
	}
	if again, err := ForJob("worker", all); err != nil || !reflect.DeepEqual(again.Effective(Job), all) {
		t.Errorf("effective settings do not read back: %v", err)
	}
	_, err = ForJob("submission", map[string]string{"taskmanager.host": "x"})
	if want := `configuration: submission: taskmanager.host: "x" is a setting of the cluster: a job cannot change it`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	bad, err := ForJob("submission", map[string]string{"execution.checkpointing.timeout": "500 ms"})
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Over(cluster).Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("two values that do not go together: %v", err)
	}
	quick, err := FromMap("cluster", map[string]string{"execution.checkpointing.aligned-checkpoint-timeout": "200 ms"})
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Over(quick).Check(); err != nil {
		t.Errorf("two values that go together: %v", err)
	}
}

func TestRequire(t *testing.T) {
	c, err := Load("", []string{"high-availability.storageDir=/s", "high-availability.local.dir="})
	if err != nil {
		t.Fatal(err)
	}
	if err := Require(c, "the jobmanager", StorageDir); err != nil {
		t.Error(err)
	}
	err = Require(c, "the jobmanager", StorageDir, LocalDir, CheckpointDir)
	want := "configuration: the jobmanager needs a value for high-availability.local.dir and execution.checkpointing.dir: give it in config.yaml (--config-dir; deploy/conf has one to start from) or by -D high-availability.local.dir=VALUE"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestTable checks each row: defaults that could be written, names that are unique.
func TestTable(t *testing.T) {
	seen := map[string]string{}
	for _, e := range table {
		for _, name := range append([]string{e.key}, e.aliases...) {
			if other, ok := seen[name]; ok {
				t.Errorf("%s names both %s and %s", name, other, e.key)
			}
			seen[name] = e.key
			if !regexp.MustCompile(`^[a-z][A-Za-z-]*(\.[a-z][A-Za-z-]*)*$`).MatchString(name) {
				t.Errorf("%s has not the form of a key", name)
			}
		}
		if !strings.HasSuffix(e.doc, ".") {
			t.Errorf("%s: documentation is not a sentence: %q", e.key, e.doc)
		}
		text := e.format(e.fallback)
		if text == "" {
			continue // not set by default
		}
		v, err := e.parse(text)
		if err != nil || !reflect.DeepEqual(v, e.fallback) {
			t.Errorf("%s: default %v is written %q, which is read as %v (%v)", e.key, e.fallback, text, v, err)
		}
		if e.check != nil {
			if err := e.check(e.fallback); err != nil {
				t.Errorf("%s: default %q %v", e.key, text, err)
			}
		}
	}
}

// TestShippedFile reads deploy/conf/config.yaml as it is, and again with every line that is commented out.
func TestShippedFile(t *testing.T) {
	dir := filepath.Join("..", "..", "deploy", "conf")
	c, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Require(c, "a cluster on one machine", LocalDir, StorageDir, CheckpointDir); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAll(data, []byte("$1"))
	full, err := Parse(FileName, all)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(full.values); n < 20 {
		t.Errorf("only %d keys found with the comments taken away", n)
	}
}

func TestPorts(t *testing.T) {
	c, err := Load("", []string{"jobmanager.rpc.port=6123, 50000-50002"})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(JobManagerPort.Get(c).All()); !slices.Equal(got, []int{6123, 50000, 50001, 50002}) {
		t.Errorf("ports %v", got)
	}
	for range JobManagerPort.Get(c).All() {
		break // a caller that found a free one stops
	}
	if got := slices.Collect(JobManagerPort.Default().All()); !slices.Equal(got, []int{0}) {
		t.Errorf("default %v", got)
	}
}
