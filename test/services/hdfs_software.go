package services

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var hdfsSoftware = &software{
	name:     "hdfs",
	complete: writeWebapps,
	roles:    []string{"namenode", "datanode"},
	train:    trainHDFS,
}

// writeWebapps makes a jar of empty folders: the published jars have no web pages, and the servers refuse to start without the folders. (A
// plain folder on the class path would do too, but class archives allow none.)
func writeWebapps(lib string) error {
	var content bytes.Buffer
	w := zip.NewWriter(&content)
	for _, folder := range []string{"", "hdfs/", "datanode/", "journal/", "static/"} {
		if _, err := w.Create("webapps/" + folder); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(lib, "webapps.jar"), content.Bytes(), 0o644)
}

// trainHDFS records both kinds of server in one start.
func trainHDFS(ctx context.Context, in *installation, dir string, dump map[string]string) error {
	h, err := startHDFS(ctx, in, HDFSOptions{Dir: dir, DataNodes: 1}, dump)
	if err != nil {
		return err
	}
	return errors.Join(h.dataNodes[0].Stop(), h.nameNode.Stop(), h.Close())
}

func (h *HDFS) nameNodeProgram(dump string) javaProgram {
	p := h.program("namenode", "org.apache.hadoop.hdfs.server.namenode.NameNode")
	p.dump = dump
	return p
}

func (h *HDFS) dataNodeProgram(i int, dump string) javaProgram {
	p := h.program(dataNodeName(i), "org.apache.hadoop.hdfs.server.datanode.DataNode")
	p.role = "datanode"
	p.dump = dump
	return p
}

// toolProgram is a program of the clients' side. FsShell insists on files of the default names on the class path; at its end they do not
// disturb the class archive. It shares the DataNode's, which has much of the same in it.
func (h *HDFS) toolProgram(main string, args []string) javaProgram {
	p := h.program("conf", main)
	p.role = "datanode"
	p.classPathEnd = h.ConfDir()
	p.args = args
	return p
}

// program runs a main class on the configuration in Dir/name. It is given by -conf: a class archive allows no folder on the class path.
func (h *HDFS) program(name, main string) javaProgram {
	dir := h.dir(name)
	return javaProgram{
		in:   h.in,
		role: name,
		flags: []string{
			"-Xmx128m",
			"-Dlog4j.configuration=file:" + h.dir("log4j.properties"),
			"-Djava.io.tmpdir=" + os.TempDir(),
		},
		main: main,
		args: []string{"-conf", filepath.Join(dir, "core-site.xml"), "-conf", filepath.Join(dir, "hdfs-site.xml")},
		env:  []string{"HADOOP_USER_NAME=" + h.user},
		dir:  dir,
	}
}

// runTool runs a program to its end and gives its standard output; both outputs are in the error.
func runTool(ctx context.Context, spawn *spawner, program javaProgram) (string, error) {
	cmd := program.command()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := spawn.run(ctx, cmd); err != nil {
		return stdout.String(), fmt.Errorf("%s %q: %w\n%s%s", program.main, program.args, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}
