package flow

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// Transport is a source of bytes: where they come from. What they mean is a Format's.
type Transport interface {
	// Frames is the source of records as bytes, found as framing says. Its readers are FrameReaders.
	Frames(framing Framing) (Source[[]byte], error)
}

// FrameReader is a Reader of a Transport. Its records are valid until the next call of Read.
type FrameReader interface {
	Reader[[]byte]

	// Where names the i-th record of the last Read for a person: file, offset, number.
	Where(i int) string

	// Fault says why the i-th record of the last Read, which is nil, could not be read: it is too long. What to do with it is the policy for
	// undecodable records.
	Fault(i int) error
}

// Target is a destination of bytes.
type Target interface {
	// Frames is the sink of records that have been framed by a format. suffix is the format's usual file suffix.
	Frames(suffix string) (Sink[[]byte], error)
}

// Framing says how records are found in a file or stream of bytes.
type Framing struct {
	Delimiter byte // ends each record; the last may lack it
	Max       int  // most bytes of a record; a longer one is a fault
}

// Format turns bytes into values and back. It is told the type once, at build, and makes a plan for it. A Format is a description: it is used
// in several places at once.
type Format interface {
	Framing() Framing
	// Suffix is that of files in this format, ".json"; it may be empty.
	Suffix() string
	// Decoder makes the plan for values of a type, or says why the type cannot be read. Each reader has its own.
	Decoder(t reflect.Type) (Decoder, error)
	// Encoder makes the plan for values of a type, or says why the type cannot be written. Each writer has its own.
	Encoder(t reflect.Type) (Encoder, error)
}

// Decoder decodes batches. It belongs to one goroutine.
type Decoder interface {
	// Decode decodes records in order into (*into)[:len(records)], where into is a *[]T of that length, and tells how many; fewer only with
	// an error about the next one. It keeps no part of records.
	Decode(records [][]byte, into any) (n int, err error)
}

// Encoder encodes batches. It belongs to one goroutine.
type Encoder interface {
	// Encode appends the values, a *[]T, to dst, framed, and the end of each to ends; an error is about the value behind the last end.
	Encode(dst []byte, ends []int, values any) ([]byte, []int, error)
}

// Read makes a stream of T out of a transport (where bytes come from) and a format (what they mean). The options FailJob (the default) and
// Skip say what becomes of records that cannot be decoded.
func Read[T any](j *Job, name string, transport Transport, f Format, o ...Option) Stream[T] {
	at := caller()
	missing := transport == nil || f == nil
	var frames Source[[]byte]
	if !missing {
		if _, err := f.Decoder(reflect.TypeFor[T]()); err != nil {
			j.fail(at, "source %q: %w", name, err)
		}
		var err error
		if frames, err = transport.Frames(f.Framing()); err != nil {
			j.fail(at, "source %q: %w", name, err)
		}
	}
	return from(j, name, at, func(n *node) Source[T] {
		return &decodingSource[T]{frames: frames, format: f, skip: n.settings.skip}
	}, missing, o)
}

type decodingSource[T any] struct {
	frames Source[[]byte]
	format Format
	skip   bool
}

func (s *decodingSource[T]) Enumerator(t Task, restored [][]byte) (Enumerator, error) {
	return s.frames.Enumerator(t, restored)
}

func (s *decodingSource[T]) Reader(t Task, split []byte) (Reader[T], error) {
	d, err := s.format.Decoder(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	r, err := s.frames.Reader(t, split)
	if err != nil {
		return nil, err
	}
	frames, ok := r.(FrameReader)
	if !ok {
		return nil, fmt.Errorf("transport %T gives readers that are no FrameReader: %T", s.frames, r)
	}
	skipped := func(int) {}
	if c, ok := t.(taskOf); ok {
		skipped = c.Counters().AddSkipped
	}
	return &decodingReader[T]{FrameReader: frames, decoder: d, skip: s.skip, skipped: skipped, frames: make([][]byte, batchSize)}, nil
}

// decodingReader decodes what a transport's reader gives, all of it at once, so that the position of the one is the other's.
type decodingReader[T any] struct {
	FrameReader
	decoder Decoder
	skip    bool
	skipped func(int)
	frames  [][]byte
	into    []T // what the decoder is shown of dst
}

func (r *decodingReader[T]) Read(dst []T) (n int, next Next, err error) {
	frames := r.frames[:min(len(dst), len(r.frames))]
	got, next, err := r.FrameReader.Read(frames)
	if err != nil {
		return 0, next, err
	}
	skipped := 0
	for i := 0; i < got; {
		// Up to the next fault, or to where the decoder finds one of its own.
		upto := i
		for upto < got && frames[upto] != nil {
			upto++
		}
		r.into = dst[n : n+upto-i]
		k, err := r.decoder.Decode(frames[i:upto], &r.into)
		i, n = i+k, n+k
		if i == got {
			break
		}
		if err == nil && i == upto {
			err = r.Fault(i)
		}
		if err == nil {
			return n, next, fmt.Errorf("%s: format decoded %d of %d records and says no reason", r.Where(i), k, upto-i)
		}
		if !r.skip {
			return n, next, fmt.Errorf("%s: %w", r.Where(i), err)
		}
		i++
		skipped++
	}
	if skipped > 0 {
		r.skipped(skipped)
		if n == 0 && next.kind != endOfSplit {
			next = Again
		}
	}
	return n, next, nil
}

// Write sends a stream to a transport in a format. Its guarantee is the transport's.
func Write[T any](s Stream[T], name string, to Target, f Format, o ...Option) {
	at := caller()
	missing := to == nil || f == nil
	var frames Sink[[]byte]
	if !missing {
		if _, err := f.Encoder(reflect.TypeFor[T]()); err != nil {
			s.job.fail(at, "sink %q: %w", name, err)
		}
		var err error
		if frames, err = to.Frames(f.Suffix()); err != nil {
			s.job.fail(at, "sink %q: %w", name, err)
		}
	}
	sinkTo(s, name, at, Sink[T](&encodingSink[T]{frames: frames, format: f}), missing, o)
}

type encodingSink[T any] struct {
	frames Sink[[]byte]
	format Format
}

func (s *encodingSink[T]) Writer(t Task) (Writer[T], error) {
	e, err := s.format.Encoder(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	w, err := s.frames.Writer(t)
	if err != nil {
		return nil, err
	}
	encoding := &encodingWriter[T]{frames: w, encoder: e}
	if tx, ok := w.(Transactional); ok {
		return &transactionalWriter[T]{encoding, tx}, nil
	}
	return encoding, nil
}

type encodingWriter[T any] struct {
	frames  Writer[[]byte]
	encoder Encoder
	values  []T
	bytes   []byte
	ends    []int
	records [][]byte
}

func (w *encodingWriter[T]) Write(values []T) (err error) {
	w.values = values
	w.bytes, w.ends, err = w.encoder.Encode(w.bytes[:0], w.ends[:0], &w.values)
	w.values = nil
	if err != nil {
		return err
	}
	if len(w.ends) != len(values) {
		return errors.New("the format encoded fewer values than it was given, and says no reason")
	}
	w.records = w.records[:0]
	begin := 0
	for _, end := range w.ends {
		w.records = append(w.records, w.bytes[begin:end:end])
		begin = end
	}
	return w.frames.Write(w.records)
}

func (w *encodingWriter[T]) Close() error { return w.frames.Close() }

type transactionalWriter[T any] struct {
	*encodingWriter[T]
	Transactional
}

// Discard implements Discarder, for a Target that does.
func (w *transactionalWriter[T]) Discard(ctx context.Context, transactions [][]byte) error {
	if d, ok := w.Transactional.(Discarder); ok {
		return d.Discard(ctx, transactions)
	}
	return nil
}
