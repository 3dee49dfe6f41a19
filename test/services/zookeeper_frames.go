package services

import (
	"encoding/binary"
	"sync"
)

// The operations of ZooKeeper's protocol that tests name (org.apache.zookeeper.ZooDefs.OpCode).
const (
	OpCreate   = 1
	OpDelete   = 2
	OpExists   = 3
	OpGetData  = 4
	OpSetData  = 5
	OpChildren = 8
	OpPing     = 11
	OpMulti    = 14
	OpCreate2  = 15
	// OpCloseSession has a negative code.
	OpCloseSession = -11
)

// maxFrame is far above jute.maxbuffer (1 MiB); a longer one is no frame.
const maxFrame = 64 << 20

// ZooKeeperRequest is one request as it is on the wire:
//
//	| length 4 | xid 4 | operation 4 | body: length - 8 |        all integers big endian
//
// A reply begins with the same xid. The first frame each way, the handshake, has neither.
type ZooKeeperRequest struct {
	Xid, Op int32
	// Body is the request's record. For the operations on one node it begins with the path's length (4 bytes) and the path.
	Body []byte
}

// Path is the node of a request that names one first; "" for the others, multi among them.
func (r ZooKeeperRequest) Path() string {
	switch r.Op {
	case OpCreate, OpDelete, OpExists, OpGetData, OpSetData, OpChildren, OpCreate2:
	default:
		return ""
	}
	if len(r.Body) < 4 {
		return ""
	}
	size := int64(binary.BigEndian.Uint32(r.Body))
	if size > int64(len(r.Body)-4) {
		return ""
	}
	return string(r.Body[4 : 4+size])
}

// Writes says whether a request changes nodes: create, set, delete or multi. It fits LoseReply and LoseRequest.
func Writes(r ZooKeeperRequest) bool {
	switch r.Op {
	case OpCreate, OpCreate2, OpSetData, OpDelete, OpMulti:
		return true
	}
	return false
}

// zooKeeperFilter cuts one connection into frames and springs the network's traps.
type zooKeeperFilter struct {
	network    *ZooKeeperNetwork
	up, down   framer
	handshaken [2]bool // per lane, each touched by its own goroutine

	mu struct {
		sync.Mutex
		awaited map[int32]awaited // by xid: requests whose replies are to be lost
	}
}

type awaited struct {
	trap    *trap
	request ZooKeeperRequest
}

func (f *zooKeeperFilter) toServer(b []byte) (pass []byte, reset bool) {
	return f.up.feed(b, func(frame []byte) (lost bool) {
		if !f.handshaken[serverLane] {
			f.handshaken[serverLane] = true
			return false
		}
		if len(frame) < 8 {
			return false
		}
		request := ZooKeeperRequest{
			Xid:  int32(binary.BigEndian.Uint32(frame)),
			Op:   int32(binary.BigEndian.Uint32(frame[4:])),
			Body: append([]byte(nil), frame[8:]...),
		}
		t := f.network.take(request)
		switch {
		case t == nil:
			return false
		case t.reply:
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.mu.awaited == nil {
				f.mu.awaited = map[int32]awaited{}
			}
			f.mu.awaited[request.Xid] = awaited{t, request}
			return false
		default:
			t.sprung <- request
			return true
		}
	})
}

func (f *zooKeeperFilter) toClient(b []byte) (pass []byte, reset bool) {
	return f.down.feed(b, func(frame []byte) (lost bool) {
		if !f.handshaken[clientLane] {
			f.handshaken[clientLane] = true
			return false
		}
		if len(frame) < 4 {
			return false
		}
		xid := int32(binary.BigEndian.Uint32(frame))
		f.mu.Lock()
		defer f.mu.Unlock()
		a, found := f.mu.awaited[xid]
		if found {
			delete(f.mu.awaited, xid)
			a.trap.sprung <- a.request
		}
		return found
	})
}

// ended arms the traps again whose replies have not come.
func (f *zooKeeperFilter) ended() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.mu.awaited {
		f.network.arm(a.trap)
	}
	f.mu.awaited = nil
}

// framer cuts a stream into frames of a length (4 bytes, big endian) and so many bytes.
type framer struct {
	partial []byte
	raw     bool // not frames: a four-letter word
}

// feed takes the next bytes and gives those of all frames that are whole by now, up to the first that is lost; after that one nothing passes.
func (f *framer) feed(b []byte, lost func(frame []byte) bool) (pass []byte, reset bool) {
	if f.raw {
		return b, false
	}
	f.partial = append(f.partial, b...)
	rest := f.partial
	for len(rest) >= 4 {
		size := int(binary.BigEndian.Uint32(rest))
		if size > maxFrame {
			f.raw = true
			pass = append(pass, rest...)
			rest = nil
			break
		}
		if len(rest) < 4+size {
			break
		}
		if lost(rest[4 : 4+size]) {
			return pass, true
		}
		pass = append(pass, rest[:4+size]...)
		rest = rest[4+size:]
	}
	f.partial = append([]byte(nil), rest...)
	return pass, false
}
