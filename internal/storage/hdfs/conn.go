package hdfs

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// A conn is a connection of one client to a NameNode or DataNode. The library reads from it only while an answer is owed, so each Read and
// Write may have a deadline.
type conn struct {
	net.Conn
	c       *client
	timeout time.Duration
	block   bool        // to a DataNode
	failed  atomic.Bool // a Write failed; see Write
}

// Read reports the first error of either direction.
func (k *conn) Read(p []byte) (int, error) {
	if k.failed.Load() {
		return 0, k.firstError()
	}
	if err := k.Conn.SetReadDeadline(time.Now().Add(k.timeout)); err != nil {
		return 0, k.broke("read", err)
	}
	n, err := k.Conn.Read(p)
	if err != nil {
		return n, k.broke("read", err)
	}
	return n, nil
}

// Write passes on. On a connection of a block that is being written it reports errors through Read (whoever writes waits for the answer) and
// through client.failure only: the library stops its goroutines for the block only when it gets as far as waiting for the last answer.
func (k *conn) Write(p []byte) (int, error) {
	swallow := k.block && k.c.writing.Load()
	if k.failed.Load() {
		if swallow {
			return len(p), nil
		}
		return 0, k.firstError()
	}
	q := p
	if !k.block {
		var err error
		if q, err = k.c.guardRename(p); err != nil {
			return 0, err
		}
	}
	err := k.Conn.SetWriteDeadline(time.Now().Add(k.timeout))
	if err == nil {
		_, err = k.Conn.Write(q)
	}
	if err == nil {
		return len(p), nil
	}
	err = k.broke("write", err)
	k.failed.Store(true)
	if swallow {
		k.Conn.Close() // ends a Read that waits for an answer
		return len(p), nil
	}
	return 0, err
}

func (k *conn) firstError() error {
	if err := k.c.failure(); err != nil {
		return err
	}
	return errKilled
}

// broke notes an error of the connection and names the other side.
func (k *conn) broke(what string, err error) error {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		err = fmt.Errorf("no answer for %v: %w", k.timeout, err)
	}
	server := "NameNode"
	if k.block {
		server = "DataNode"
	}
	err = fmt.Errorf("%s %s: %s: %w", server, k.RemoteAddr(), what, err)
	k.c.note(k, err)
	return err
}

func (k *conn) Close() error {
	k.c.forget(k)
	return k.Conn.Close()
}

// The library sets deadlines of its own, all of them "none".
func (k *conn) SetDeadline(time.Time) error      { return nil }
func (k *conn) SetReadDeadline(time.Time) error  { return nil }
func (k *conn) SetWriteDeadline(time.Time) error { return nil }

// What a request for rename2 has in it, and how it ends when it asks for overwriting:
//
//	| length (4) | varint, RpcRequestHeader | varint, RequestHeader{1: "rename2", ...} | varint, Rename2Request{1: src, 2: dst, 3: true} |
var (
	rename2     = []byte("\x0a\x07rename2")
	overwriting = []byte{3 << 3, 1} // field 3 as a varint, true
)

// guardRename takes "overwrite" out of a rename. The library always asks for it, though the NameNode can do without, atomically, and write-once
// names need that. It fails rather than send what it does not recognise. Each request is one Write.
func (c *client) guardRename(p []byte) ([]byte, error) {
	if !c.renaming.Load() || !bytes.Contains(p, rename2) {
		return p, nil
	}
	if !bytes.HasSuffix(p, overwriting) {
		return nil, fmt.Errorf("%w: a rename request of unexpected form; it is not sent, as it might overwrite", errPermanent)
	}
	q := bytes.Clone(p)
	q[len(q)-1] = 0
	c.guarded.Store(true)
	return q, nil
}

// rename is the library's Rename, but never overwrites.
func (c *client) rename(from, to string) error {
	c.guarded.Store(false)
	c.renaming.Store(true)
	defer c.renaming.Store(false)
	err := c.lib.Rename(from, to)
	if err == nil && !c.guarded.Load() {
		panic("hdfs: a rename went to the NameNode past guardRename")
	}
	return err
}
