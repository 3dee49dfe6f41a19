package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/thalweg-io/thalweg/flow"
)

// blockSize is what is read at once, beside the task.
const blockSize = 256 << 10

// Reader implements flow.Source.
func (s *source) Reader(t flow.Task, encoded []byte) (flow.Reader[[]byte], error) {
	part, err := decodeSplit(encoded)
	if err != nil {
		return nil, err
	}
	r := &reader{split: part, framing: s.framing, at: part.From, read: part.From}
	if part.Begun {
		r.at, r.read = part.At, part.At
	} else if part.From > 0 {
		// The record that begins before the split is another's. A split that begins right behind a delimiter has none of it.
		r.at, r.read, r.skipping = part.From-1, part.From-1, true
	}
	r.record = part.Record
	if s.rate > 0 {
		r.pace = flow.NewPace(s.rate / float64(t.Parallelism()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	r.blocks = make(chan block, 1)
	r.free = make(chan []byte, 2)
	r.ended = make(chan struct{})
	for range cap(r.free) {
		r.free <- make([]byte, blockSize)
	}
	go fetch(ctx, t, part.File, r.read, r.blocks, r.free, r.ended)
	return r, nil
}

// block is a part of the file in order; the last has an error, io.EOF for the file's end.
type block struct {
	bytes []byte
	err   error
}

// fetch reads ahead, two blocks at most, so that slow storage does not keep the task from its mailbox.
func fetch(ctx context.Context, t flow.Task, name string, at int64, blocks chan<- block, free <-chan []byte, ended chan<- struct{}) {
	defer close(ended)
	fail := func(err error) {
		select {
		case blocks <- block{err: err}:
			t.Wake()
		case <-ctx.Done():
		}
	}
	fs, err := t.FileSystem(name)
	if err != nil {
		fail(err)
		return
	}
	f, err := fs.Open(ctx, name)
	if err != nil {
		fail(err)
		return
	}
	defer f.Close()
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		fail(err)
		return
	}
	for {
		var buffer []byte
		select {
		case buffer = <-free:
		case <-ctx.Done():
			return
		}
		n, err := io.ReadFull(f, buffer[:blockSize])
		if n > 0 {
			select {
			case blocks <- block{bytes: buffer[:n]}:
				t.Wake()
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			fail(err)
			return
		}
	}
}

// reader finds the records of one split in the blocks of its file.
type reader struct {
	split    split
	framing  flow.Framing
	pace     *flow.Pace // nil: no limit
	buffer   []byte     // read and not yet given; its first byte is at offset at
	scanned  int        // bytes of buffer known to have no delimiter
	at       int64
	read     int64 // offset behind buffer
	record   int64 // of the record at at, counted from the split's begin
	skipping bool  // what is at at belongs to no record of ours, up to the next delimiter
	long     bool  // and it is a record of ours that is too long, which began at longAt
	longAt   int64
	eof      bool
	blocks   chan block
	free     chan []byte
	cancel   context.CancelFunc
	ended    chan struct{} // fetch has returned

	// Of the last Read.
	offsets []int64
	first   int64 // number of its first record
	faults  []bool
}

// Read implements flow.Reader.
func (r *reader) Read(dst [][]byte) (n int, next flow.Next, err error) {
	r.offsets, r.faults, r.first = r.offsets[:0], r.faults[:0], r.record
	most := len(dst)
	if r.pace != nil {
		var wait flow.Next
		if most, wait = r.pace.Take(most); most == 0 {
			return 0, wait, nil
		}
		defer func() { r.pace.Return(most - n) }()
	}
	for n < most {
		if r.done() {
			return n, flow.EndOfSplit, nil
		}
		record, at, found := r.next()
		if found {
			dst[n] = record
			r.offsets = append(r.offsets, at)
			r.faults = append(r.faults, record == nil)
			r.record++
			n++
			continue
		}
		// Records given already lie in the buffer: it is moved by the next call.
		if n > 0 {
			return n, flow.Again, nil
		}
		more, err := r.fill()
		if err != nil {
			return 0, flow.Next{}, fmt.Errorf("files: %s: %w", r.place(r.at), err)
		}
		if !more {
			return 0, flow.WaitWake, nil
		}
	}
	return n, flow.Again, nil
}

// done: the next record is another split's, or there is none.
func (r *reader) done() bool {
	if r.skipping && !r.long {
		return r.eof && len(r.buffer) == 0
	}
	if r.long {
		return false
	}
	return r.at >= r.split.To || r.eof && len(r.buffer) == 0
}

// next takes a record out of the buffer; nil for one that is too long. It finds none while the end of the record has not been read.
func (r *reader) next() (record []byte, at int64, found bool) {
	for {
		i := bytes.IndexByte(r.buffer[r.scanned:], r.framing.Delimiter)
		size, whole := r.scanned+i, i >= 0
		take := size + 1
		if !whole {
			size, take = len(r.buffer), len(r.buffer)
			if !r.eof {
				if r.skipping {
					r.drop(take)
				} else if size > r.framing.Max {
					r.skipping, r.long, r.longAt = true, true, r.at
					r.drop(take)
				} else {
					r.scanned = len(r.buffer)
				}
				return nil, 0, false
			}
		}
		if r.long {
			r.drop(take)
			r.skipping, r.long = false, false
			return nil, r.longAt, true
		}
		if r.skipping {
			r.drop(take)
			r.skipping = !whole
			if r.done() || len(r.buffer) == 0 {
				return nil, 0, false
			}
			continue
		}
		at = r.at
		record = r.buffer[:size:size]
		r.drop(take)
		if size > r.framing.Max {
			return nil, at, true
		}
		return record, at, true
	}
}

func (r *reader) drop(n int) {
	r.buffer = r.buffer[n:]
	r.at += int64(n)
	r.scanned = 0
}

// fill appends the next block to what is left, if it has come.
func (r *reader) fill() (more bool, err error) {
	if r.eof {
		return true, nil
	}
	select {
	case b := <-r.blocks:
		if b.err == io.EOF {
			r.eof = true
			return true, nil
		}
		if b.err != nil {
			return false, b.err
		}
		// Into fresh memory while the old may still be looked at: once a block, not once a record.
		joined := make([]byte, 0, len(r.buffer)+len(b.bytes))
		r.buffer = append(append(joined, r.buffer...), b.bytes...)
		r.read += int64(len(b.bytes))
		r.free <- b.bytes[:blockSize]
		return true, nil
	default:
		return false, nil
	}
}

// Position implements flow.Reader.
func (r *reader) Position() []byte {
	s := r.split
	s.Begun, s.At, s.Record = true, r.at, r.record
	switch {
	case r.long:
		s.At = r.longAt
	case r.skipping:
		s.Begun, s.At, s.Record = false, 0, 0 // nothing of ours yet: as it was
	}
	return s.encode()
}

// Where implements flow.FrameReader.
func (r *reader) Where(i int) string {
	return fmt.Sprintf("%s, record %d of the split from %d to %d", r.place(r.offsets[i]), r.first+int64(i)+1, r.split.From, r.split.To)
}

func (r *reader) place(at int64) string { return fmt.Sprintf("%s, byte %d", r.split.File, at) }

// ErrTooLong marks the fault of a record that is longer than its format allows.
var ErrTooLong = errors.New("record too long")

// Fault implements flow.FrameReader.
func (r *reader) Fault(i int) error {
	if !r.faults[i] {
		return nil
	}
	return fmt.Errorf("%w: it has more than %d bytes, which is the format's limit", ErrTooLong, r.framing.Max)
}

// Close implements flow.Reader.
func (r *reader) Close() error {
	r.cancel()
	<-r.ended
	return nil
}
