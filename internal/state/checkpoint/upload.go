package checkpoint

import (
	"context"
	"errors"
	"hash/crc32"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// upload is the half of a FileWriter that does I/O. Up to streamAt bytes stay in memory until the end, and can then be written again under another
// name if the storage becomes unavailable half-way; more than that is written as it comes, once.
type upload struct {
	c        FileConfig
	ctx      context.Context
	streamAt int64
	mu       struct {
		sync.Mutex
		blocks [][]byte // sealed and not written
		bytes  int64    // of them
		ended  bool     // none follows
		gone   bool     // nobody wants the file any more
	}
	more chan struct{} // nil: nothing is written yet. Capacity 1: there is something to do.
	done chan struct{}
	crc  uint32

	// Of whoever writes: stream, or finish if that never began.
	at     int64    // where the next block comes
	placed []Extent // of the blocks, in their order
	packed []byte   // scratch

	path string
	out  storage.Writer
	err  error
}

const streamAt = 4 << 20

// add takes a sealed block.
func (u *upload) add(b []byte) {
	u.mu.Lock()
	if u.mu.gone {
		u.mu.Unlock()
		return
	}
	u.mu.blocks = append(u.mu.blocks, b)
	u.mu.bytes += int64(len(b))
	begin := u.more == nil && u.mu.bytes > u.streamAt
	u.mu.Unlock()
	if begin {
		u.more, u.done = make(chan struct{}, 1), make(chan struct{})
		go u.stream()
	}
	u.poke()
}

func (u *upload) poke() {
	if u.more == nil {
		return
	}
	select {
	case u.more <- struct{}{}:
	default:
	}
}

func (u *upload) backlog() int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.more == nil {
		return 0
	}
	return u.mu.bytes
}

// stream writes what comes, and ends when there is no more, or after an error.
func (u *upload) stream() {
	defer close(u.done)
	defer func() {
		if u.err != nil { // finish will say it; what still comes is for nobody
			u.mu.Lock()
			u.mu.gone, u.mu.blocks, u.mu.bytes = true, nil, 0
			u.mu.Unlock()
		}
	}()
	u.path = fileName(u.c.Checkpoint, u.c.Task, u.c.Generation)
	if u.out, u.err = u.c.FS.Create(u.ctx, storage.Join(u.c.Dir, u.path)); u.err != nil {
		return
	}
	if u.err = u.write(u.header()); u.err != nil {
		return
	}
	for range u.more {
		u.mu.Lock()
		blocks, ended, gone, waiting := u.mu.blocks, u.mu.ended, u.mu.gone, u.mu.bytes
		u.mu.blocks = nil
		u.mu.Unlock()
		if gone {
			return
		}
		for _, b := range blocks {
			if u.err = u.write(u.ready(b, waiting < keepsUp)); u.err != nil {
				return
			}
			u.mu.Lock()
			u.mu.bytes -= int64(len(b))
			waiting = u.mu.bytes
			u.mu.Unlock()
			recycle(b)
		}
		if ended {
			return
		}
	}
}

// keepsUp: while more waits to be written, nothing is compressed. To compress takes longer than to write, and the task must not wait for it.
const keepsUp = 16 << 20

// ready gives a block as it is written, and its place. What it returns is valid until the next call.
func (u *upload) ready(b []byte, mayPack bool) []byte {
	if u.c.Compress && mayPack {
		b = pack(&u.packed, b)
	}
	putBlockSums(b)
	u.placed = append(u.placed, Extent{u.at, int64(len(b))})
	u.at += int64(len(b))
	return b
}

func recycle(b []byte) {
	b = b[:0]
	blockPool.Put(&b)
}

func (u *upload) header() []byte {
	b := make([]byte, headerSize)
	flags := uint16(0)
	if u.c.Compress {
		flags = compressed
	}
	putHeader(b, flags)
	u.at = headerSize
	return b
}

// write appends to the file, whose checksum runs along.
func (u *upload) write(b []byte) error {
	u.crc = crc32.Update(u.crc, castagnoli, b)
	_, err := u.out.Write(b)
	return err
}

// How finish writes again, under another name, when the storage became unavailable half-way.
const (
	writeRetryFor   = 20 * time.Second
	writeRetryPause = 250 * time.Millisecond
)

// finish makes the file durable, or keeps it in memory, and fills in f, but for its operators.
func (u *upload) finish(ctx context.Context, f *File, blocks int) error {
	if u.more != nil {
		return u.finishStream(f, blocks)
	}
	content := make([]byte, 0, headerSize+u.mu.bytes+footerSize)
	content = append(content, u.header()...)
	for _, b := range u.mu.blocks {
		content = append(content, u.ready(b, true)...)
		recycle(b)
	}
	u.mu.blocks = nil
	f.CRC, f.Size = crc32.Checksum(content, castagnoli), u.at+footerSize
	content = append(content, footerOf(f, blocks)...)
	if f.Size < int64(u.c.InlineThreshold) {
		f.Inline = content
		return nil
	}
	// Every attempt has a name of its own: what the storage did with an earlier one may never be known.
	giveUp := time.Now().Add(writeRetryFor)
	for {
		f.Path = fileName(u.c.Checkpoint, u.c.Task, u.c.Generation)
		err := u.whole(ctx, storage.Join(u.c.Dir, f.Path), content)
		if err == nil || !errors.Is(err, storage.ErrUnavailable) || time.Now().After(giveUp) {
			return err
		}
		pause := time.NewTimer(writeRetryPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

func footerOf(f *File, blocks int) []byte {
	b := make([]byte, footerSize)
	putFooter(b, f.Size, blocks, f.CRC)
	return b
}

func (u *upload) whole(ctx context.Context, name string, content []byte) error {
	out, err := u.c.FS.Create(ctx, name)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := out.Write(content); err != nil {
		return err
	}
	return out.Close()
}

// finishStream waits until all is written, and closes the file.
func (u *upload) finishStream(f *File, blocks int) error {
	u.mu.Lock()
	u.mu.ended = true
	u.mu.Unlock()
	u.poke()
	<-u.done
	if u.out != nil {
		defer u.out.Abort()
	}
	if u.err != nil {
		return u.err
	}
	f.Path, f.CRC, f.Size = u.path, u.crc, u.at+footerSize
	if err := u.write(footerOf(f, blocks)); err != nil {
		return err
	}
	return u.out.Close()
}

// abort ends the writing, if it has begun, and removes what was written.
func (u *upload) abort() {
	u.mu.Lock()
	u.mu.gone, u.mu.blocks = true, nil
	u.mu.Unlock()
	if u.more == nil {
		return
	}
	u.poke()
	<-u.done
	if u.out != nil {
		u.out.Abort()
	}
}
