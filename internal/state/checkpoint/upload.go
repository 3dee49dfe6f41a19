package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/storage"
)

// upload is the half of a FileWriter that works and does I/O. What is given up to streamAt bytes waits until the end: its blocks stay in memory, and
// can then be written again under another name if the storage becomes unavailable half-way. More than that is worked on and written as it comes, once.
type upload struct {
	c        FileConfig
	ctx      context.Context
	streamAt int64
	mu       struct {
		sync.Mutex
		works []work
		bytes int64 // of those not done
		ended bool  // none follows
		gone  bool  // nobody wants the file any more
	}
	more chan struct{} // nil: nothing is done yet. Capacity 1: there is something to do.
	done chan struct{}

	// Of whoever works: stream, or whoever finishes if that never began.
	at       int64    // where the next block comes
	placed   []Extent // of the blocks, in their order
	packed   []byte   // scratch
	content  []byte   // the file so far, if stream never began
	crc      uint32
	path     string
	out      storage.Writer
	err      error
	panicked error // a function of the program's did
}

// work is something to do for the file.
type work struct {
	do    func()
	bytes int64
}

const streamAt = 4 << 20

// add takes something to do.
func (u *upload) add(w work) {
	u.mu.Lock()
	if u.mu.gone {
		u.mu.Unlock()
		return
	}
	u.mu.works = append(u.mu.works, w)
	u.mu.bytes += w.bytes
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

// stream works on what comes, and ends when there is no more, or after an error.
func (u *upload) stream() {
	defer close(u.done)
	defer func() {
		if r := recover(); r != nil { // finish panics with it, where that is expected
			u.panicked = fmt.Errorf("%v\n%s", r, debug.Stack())
		}
		if u.err != nil || u.panicked != nil { // finish will say it; what still comes is for nobody
			u.mu.Lock()
			u.mu.gone, u.mu.works, u.mu.bytes = true, nil, 0
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
		works, last := u.take()
		for i := range works {
			works[i].do()
			if gone := u.did(works[i].bytes); gone || u.err != nil {
				return
			}
			works[i].do = nil // what it holds is not needed any more
			runtime.Gosched() // a task that waits for a processor would else wait until this is preempted, 10 ms
		}
		if last {
			return
		}
	}
}

// take is what there is to do, and whether nothing follows.
func (u *upload) take() (works []work, last bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	works, u.mu.works = u.mu.works, nil
	return works, u.mu.ended || u.mu.gone
}

// did notes that something is done, and reports whether nobody wants the file any more.
func (u *upload) did(bytes int64) (gone bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.bytes -= bytes
	return u.mu.gone
}

// work does all that is left. Nothing follows.
func (u *upload) work() {
	if u.more == nil {
		u.content = u.header()
		works, _ := u.take()
		for _, w := range works {
			w.do()
		}
		return
	}
	u.mu.Lock()
	u.mu.ended = true
	u.mu.Unlock()
	u.poke()
	<-u.done
	if u.panicked != nil {
		u.abort()
		panic(u.panicked)
	}
}

// keepsUp: while more waits to be written, nothing is compressed. To compress takes longer than to write, and the task must not wait for it.
const keepsUp = 16 << 20

// block takes a sealed block.
func (u *upload) block(b []byte) {
	switch {
	case u.more == nil:
		u.content = append(u.content, u.ready(b, true)...)
	case u.err == nil:
		u.err = u.write(u.ready(b, u.backlog() < keepsUp))
	}
	b = b[:0]
	blockPool.Put(&b)
}

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

// finish makes the file durable, or keeps it in memory, and fills in f, but for its operators. All is done that was to be done.
func (u *upload) finish(ctx context.Context, f *File, blocks int) error {
	if u.more != nil {
		return u.finishStream(f, blocks)
	}
	f.CRC, f.Size = crc32.Checksum(u.content, castagnoli), u.at+footerSize
	content := append(u.content, footerOf(f, blocks)...)
	u.content = nil
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

// finishStream closes the file that stream has written.
func (u *upload) finishStream(f *File, blocks int) error {
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
	u.mu.gone, u.mu.works = true, nil
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
