package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// up starts the supervisor, in a session of its own, and waits until it says that everything is ready.
func up(ctx context.Context, dir string, w wanted, out io.Writer) error {
	if r, err := read(dir); err != nil {
		return err
	} else if r != nil && r.Supervisor.Alive() {
		return fmt.Errorf("%s is up (process %d); stop it first: services down --dir %s", dir, r.Supervisor.PID, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logPath := filepath.Join(dir, "supervisor.log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	answer, say, err := os.Pipe()
	if err != nil {
		return err
	}
	defer answer.Close()
	defer say.Close()
	cmd := exec.Command(self, superviseCommand, "--dir", dir, "--zookeeper", strconv.Itoa(w.zooKeeper), "--hdfs="+strconv.FormatBool(w.hdfs), "--data-nodes", strconv.Itoa(w.dataNodes))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{say}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	say.Close() // the answer ends with the supervisor's copy
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	told, err := io.ReadAll(answer)
	if err != nil {
		return err
	}
	if string(told) != readyAnswer {
		_ = cmd.Wait()
		if ctx.Err() != nil {
			return errors.New("interrupted; what was started is stopped")
		}
		if len(told) == 0 {
			return fmt.Errorf("the supervisor died; its log is %s", logPath)
		}
		return errors.New(string(told))
	}
	if err := cmd.Process.Release(); err != nil {
		return err
	}
	env, err := os.ReadFile(envPath(dir))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "# up in %s; to use it: . %s\n%s", dir, envPath(dir), env)
	return nil
}
