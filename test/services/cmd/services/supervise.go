package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/thalweg-io/thalweg/test/services"
)

const (
	// superviseCommand is what `up` runs itself as. It is not for people.
	superviseCommand = "supervise"
	// readyAnswer is what the supervisor says on descriptor 3; anything else is the error.
	readyAnswer = "ready"
)

// supervise starts the servers, writes the record, answers on descriptor 3 and keeps the servers until SIGTERM ends ctx.
func supervise(ctx context.Context, dir string, w wanted) error {
	answer := os.NewFile(3, "answer")
	if answer == nil {
		return errors.New(superviseCommand + " is started by up only")
	}
	syscall.CloseOnExec(3)
	closeAll, err := start(ctx, dir, w)
	if err != nil {
		fmt.Fprint(answer, err)
		answer.Close()
		return errors.Join(err, closeAll())
	}
	_, err = answer.WriteString(readyAnswer)
	answer.Close()
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, closeAll())
}

// start starts everything that is wanted and records it. What it started is ended by closeAll, which is never nil.
func start(ctx context.Context, dir string, w wanted) (closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, c := range slices.Backward(closers) {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	unlock, err := lock(dir)
	if err != nil {
		return closeAll, err
	}
	closers = append(closers, unlock, func() error { return remove(dir) })
	r := &record{Env: map[string]string{}}
	if r.Supervisor, err = services.Identify(os.Getpid()); err != nil {
		return closeAll, err
	}
	if w.zooKeeper > 0 {
		zk, err := services.StartZooKeeper(ctx, services.ZooKeeperOptions{Nodes: w.zooKeeper, Dir: filepath.Join(dir, "zookeeper")})
		if err != nil {
			return closeAll, err
		}
		closers = append(closers, zk.Close)
		r.Env["ZOOKEEPER_QUORUM"] = zk.ConnectString()
		for i := range zk.Len() {
			if err := r.add(zk.Node(i).Process); err != nil {
				return closeAll, err
			}
		}
	}
	if w.hdfs {
		h, err := services.StartHDFS(ctx, services.HDFSOptions{DataNodes: w.dataNodes, Dir: filepath.Join(dir, "hdfs")})
		if err != nil {
			return closeAll, err
		}
		closers = append(closers, h.Close)
		r.Env["HDFS_URI"], r.Env["HADOOP_CONF_DIR"], r.Env["HADOOP_USER_NAME"] = h.URI(), h.ConfDir(), h.User()
		processes := []*services.Process{h.NameNode()}
		for i := range h.DataNodes() {
			processes = append(processes, h.DataNode(i))
		}
		for _, p := range processes {
			if err := r.add(p); err != nil {
				return closeAll, err
			}
		}
	}
	return closeAll, r.write(dir)
}

// lock keeps a second `up` out of the folder for as long as the supervisor lives.
func lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is in use by another `services up`: %w", dir, err)
	}
	return f.Close, nil
}
