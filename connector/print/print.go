// Package print is a sink that writes each record as a line to standard output, or another writer, begun by the number of the subtask that had
// it: "3> record". It is for looking at a stream. It is not transactional: after a restart records are printed again.
package print

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/thalweg-io/thalweg/flow"
)

// To prints to standard output. In a worker that is the worker's output file.
func To[T any]() flow.Sink[T] { return Writer[T](os.Stdout) }

// Writer prints to w. Subtasks of one process take turns, a batch at a time.
func Writer[T any](w io.Writer) flow.Sink[T] { return &sink[T]{w: w} }

type sink[T any] struct {
	w  io.Writer
	mu sync.Mutex // held while a batch is written
}

// Writer implements flow.Sink.
func (s *sink[T]) Writer(t flow.Task) (flow.Writer[T], error) {
	return &writer[T]{sink: s, prefix: strconv.Itoa(t.Subtask()+1) + "> "}, nil
}

type writer[T any] struct {
	sink   *sink[T]
	prefix string
	lines  []byte
}

// Write implements flow.Writer.
func (w *writer[T]) Write(values []T) error {
	w.lines = w.lines[:0]
	for _, v := range values {
		w.lines = append(w.lines, w.prefix...)
		w.lines = fmt.Append(w.lines, v)
		w.lines = append(w.lines, '\n')
	}
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	if _, err := w.sink.w.Write(w.lines); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Close implements flow.Writer.
func (w *writer[T]) Close() error { return nil }
