package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"sync"
)

// HDFSOptions say what file system is wanted. Dir must be given, all else has a default.
type HDFSOptions struct {
	// DataNodes is their number, 2 by default. A test that kills one needs 3: with two, new files fail for 15 s until the NameNode gives the
	// dead one up, with three for about 3 s.
	DataNodes int
	// Replication of new files, by default 2, or 1 where there is a single DataNode.
	Replication int
	// Dir gets the servers' data and configuration. A file system that is there already is served again.
	Dir string
	// LogDir gets their logs, Dir/logs by default.
	LogDir string
	// Config are further properties of hdfs-site.xml of all servers; they win over the ones made here.
	Config map[string]string
}

// HDFS is a running file system: a NameNode and its DataNodes. Its methods may be called from any goroutine.
type HDFS struct {
	in        *installation
	options   HDFSOptions
	user      string
	spawn     *spawner
	ports     *Ports
	nameNode  *Process
	dataNodes []*Process
	close     func() error
}

// StartHDFS starts a file system and returns when it takes writes: the NameNode is out of safe mode and every DataNode is registered. If ctx
// ends before that, what was started is gone when it returns; afterwards ctx has no meaning for the servers. Close must be called.
func StartHDFS(ctx context.Context, o HDFSOptions) (*HDFS, error) {
	if o.Dir == "" {
		return nil, errors.New("services: start hdfs: HDFSOptions.Dir is empty")
	}
	if o.DataNodes < 0 || o.Replication < 0 || (o.DataNodes > 0 && o.Replication > o.DataNodes) {
		return nil, fmt.Errorf("services: start hdfs: HDFSOptions.DataNodes is %d and Replication is %d: neither may be negative, and each replica needs its DataNode", o.DataNodes, o.Replication)
	}
	in, err := hdfsSoftware.install(ctx)
	if err != nil {
		return nil, err
	}
	h, err := startHDFS(ctx, in, o, nil)
	if err != nil {
		return nil, fmt.Errorf("services: start hdfs: %w", err)
	}
	return h, nil
}

func startHDFS(ctx context.Context, in *installation, o HDFSOptions, dump map[string]string) (*HDFS, error) {
	o.DataNodes = cmp.Or(o.DataNodes, max(2, o.Replication))
	o.Replication = cmp.Or(o.Replication, min(2, o.DataNodes))
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if o.LogDir, err = filepath.Abs(cmp.Or(o.LogDir, filepath.Join(o.Dir, "logs"))); err != nil {
		return nil, err
	}
	h := &HDFS{in: in, options: o}
	// The one who starts a NameNode is its superuser.
	if h.user, err = currentUser(); err != nil {
		return nil, err
	}
	if h.ports, err = ReservePorts(nameNodePorts + dataNodePorts*o.DataNodes); err != nil {
		return nil, err
	}
	h.spawn = newSpawner()
	h.close = sync.OnceValue(h.closeOnce)
	if err := h.start(ctx, dump); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *HDFS) start(ctx context.Context, dump map[string]string) error {
	if err := h.configure(); err != nil {
		return err
	}
	h.nameNode = h.process("namenode", h.nameNodeProgram(dump["namenode"]))
	for i := range h.options.DataNodes {
		program := h.dataNodeProgram(i, "")
		if i == 0 {
			program.dump = dump["datanode"]
		}
		h.dataNodes = append(h.dataNodes, h.process(dataNodeName(i), program))
	}
	if err := h.format(ctx); err != nil {
		return err
	}
	for _, p := range h.processes() {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return h.WaitReady(ctx)
}

func (h *HDFS) process(name string, program javaProgram) *Process {
	return &Process{name: name, log: filepath.Join(h.options.LogDir, name+".log"), spawn: h.spawn, command: program.command}
}

// format makes an empty file system where there is none.
func (h *HDFS) format(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(h.dir("namenode"), "name", "current", "VERSION")); err == nil {
		return nil
	}
	program := h.nameNodeProgram("")
	program.args = append(program.args, "-format", "-force", "-nonInteractive", "-clusterid", "test")
	if _, err := runTool(ctx, h.spawn, program); err != nil {
		return fmt.Errorf("format the name node: %w", err)
	}
	return nil
}

// SafeMode makes the NameNode refuse all writes, or take them again. It costs the start of a Java program, about a second.
func (h *HDFS) SafeMode(ctx context.Context, on bool) error {
	word := "leave"
	if on {
		word = "enter"
	}
	if _, err := h.Admin(ctx, "-safemode", word); err != nil {
		return fmt.Errorf("services: safe mode %s: %w", word, err)
	}
	return nil
}

// Admin runs `hdfs dfsadmin` with the arguments and gives what it prints.
func (h *HDFS) Admin(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, h.spawn, h.toolProgram("org.apache.hadoop.hdfs.tools.DFSAdmin", args))
}

// Shell runs `hdfs dfs` with the arguments, such as -cat PATH, and gives what it prints: another reader of what a test wrote.
func (h *HDFS) Shell(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, h.spawn, h.toolProgram("org.apache.hadoop.fs.FsShell", args))
}

// Addr is where clients connect to: the NameNode's host:port.
func (h *HDFS) Addr() string { return h.ports.Addr(0) }

// URI is the file system's: hdfs://host:port.
func (h *HDFS) URI() string { return "hdfs://" + h.Addr() }

// ConfDir is a folder for HADOOP_CONF_DIR: core-site.xml and hdfs-site.xml for clients.
func (h *HDFS) ConfDir() string { return h.dir("conf") }

// User is the superuser's name, and the one that clients of this process have by default.
func (h *HDFS) User() string { return h.user }

// NameNode is the NameNode's process.
func (h *HDFS) NameNode() *Process { return h.nameNode }

// DataNode is the process of the i-th DataNode, counted from 0; it has the number i+1 in its name.
func (h *HDFS) DataNode(i int) *Process { return h.dataNodes[i] }

// DataNodes is the number of DataNodes, running or not.
func (h *HDFS) DataNodes() int { return len(h.dataNodes) }

func (h *HDFS) dir(name string) string { return filepath.Join(h.options.Dir, name) }

func (h *HDFS) processes() []*Process {
	var processes []*Process
	if h.nameNode != nil {
		processes = append(processes, h.nameNode)
	}
	return append(processes, h.dataNodes...)
}

// Close kills all servers and returns when they are gone. Data and logs stay. It may be called more than once.
func (h *HDFS) Close() error { return h.close() }

func (h *HDFS) closeOnce() error {
	err := killAll(h.processes())
	h.spawn.close()
	h.ports.Release()
	return err
}

func currentUser() (string, error) {
	if name := os.Getenv("HADOOP_USER_NAME"); name != "" {
		return name, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who is the superuser: %w; set HADOOP_USER_NAME", err)
	}
	return u.Username, nil
}
