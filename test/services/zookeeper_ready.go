package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const (
	readyPoll = 20 * time.Millisecond
	// askTimeout bounds one question to a server: a paused one accepts connections and never answers.
	askTimeout = time.Second
)

// WaitReady waits until the ensemble serves with all the nodes that are running: one leads and the others follow. It asks the nodes. With no
// node running, or too few for a quorum, it fails at once. A paused node keeps it waiting.
func (z *ZooKeeper) WaitReady(ctx context.Context) error {
	last := errors.New("not asked yet")
	err := poll(ctx, readyPoll, func() (bool, error) {
		running := 0
		for _, n := range z.nodes {
			if n.Running() {
				running++
			}
		}
		if running < len(z.nodes)/2+1 {
			return false, fmt.Errorf("%d of %d nodes are running, a quorum has %d%s", running, len(z.nodes), len(z.nodes)/2+1, z.endedLogs())
		}
		last = z.serving(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("services: zookeeper not ready: %w (last answer: %w)", err, last)
	}
	return nil
}

// serving is nil if one running node leads and every other one follows.
func (z *ZooKeeper) serving(ctx context.Context) error {
	leaders := 0
	for _, n := range z.nodes {
		if !n.Running() {
			continue
		}
		mode, err := n.Mode(ctx)
		if err != nil {
			return err
		}
		if mode != "follower" {
			leaders++
		}
	}
	if leaders != 1 {
		return fmt.Errorf("%w: %d leaders", ErrNoLeader, leaders)
	}
	return nil
}

func (z *ZooKeeper) endedLogs() string {
	var logs strings.Builder
	for _, n := range z.nodes {
		if err := n.endedEarly(); err != nil {
			fmt.Fprintf(&logs, "\n%v", err)
		}
	}
	return logs.String()
}

// Leader is the index of the node that leads now (of a standalone server: 0), or ErrNoLeader.
func (z *ZooKeeper) Leader(ctx context.Context) (int, error) {
	for i, n := range z.nodes {
		if !n.Running() {
			continue
		}
		if mode, err := n.Mode(ctx); err == nil && mode != "follower" {
			return i, nil
		}
	}
	return -1, fmt.Errorf("services: zookeeper: %w", ErrNoLeader)
}

// WaitLeader waits until a node leads and says which. Nodes that do not run, or are paused, do not matter.
func (z *ZooKeeper) WaitLeader(ctx context.Context) (int, error) {
	leader := -1
	err := poll(ctx, readyPoll, func() (bool, error) {
		var err error
		leader, err = z.Leader(ctx)
		return err == nil, nil
	})
	if err != nil {
		return -1, fmt.Errorf("services: zookeeper: %w: %w", ErrNoLeader, err)
	}
	return leader, nil
}

// Mode asks the node what it is: "leader", "follower" or "standalone". A node that does not serve is an error.
func (n *ZooKeeperNode) Mode(ctx context.Context) (string, error) {
	answer, err := n.FourLetter(ctx, "srvr")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if mode, found := strings.CutPrefix(line, "Mode: "); found {
			return strings.TrimSpace(mode), nil
		}
	}
	return "", fmt.Errorf("services: %s does not serve: %q", n.Name(), strings.TrimSpace(answer))
}

// FourLetter sends one of ZooKeeper's four-letter words, such as srvr, mntr, cons or wchp, and gives the whole answer.
func (n *ZooKeeperNode) FourLetter(ctx context.Context, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.Addr)
	if err != nil {
		return "", fmt.Errorf("services: %s to %s: %w", word, n.Name(), err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, word); err != nil {
		return "", fmt.Errorf("services: %s to %s: %w", word, n.Name(), err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("services: %s to %s: %w", word, n.Name(), err)
	}
	return string(answer), nil
}
