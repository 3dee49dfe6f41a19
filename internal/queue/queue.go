// Package queue is an unbounded first-in-first-out queue between goroutines. It exists for event loops whose producers must
// never block: a bounded channel between two loops that post to each other is a deadlock. It never drops and never reorders;
// bounding what goes in is the producer's protocol's business (credit, one request in flight).
package queue

import "sync"

// Queue is a FIFO. The zero value is not usable; see New. Safe for concurrent use.
type Queue[T any] struct {
	mu struct {
		sync.Mutex
		items  []T
		closed bool
	}
	ready chan struct{}
}

// New makes an empty queue.
func New[T any]() *Queue[T] {
	return &Queue[T]{ready: make(chan struct{}, 1)}
}

// Push appends v; it never blocks. After Close it does nothing and reports false.
func (q *Queue[T]) Push(v T) bool {
	q.mu.Lock()
	if q.mu.closed {
		q.mu.Unlock()
		return false
	}
	q.mu.items = append(q.mu.items, v)
	q.mu.Unlock()
	q.wake()
	return true
}

// Ready is signalled when Drain may return something, or the queue is closed. A signal may be spurious.
func (q *Queue[T]) Ready() <-chan struct{} { return q.ready }

// Drain takes all that is queued, in order. ok is false when the queue is closed and nothing is left.
func (q *Queue[T]) Drain() (items []T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, q.mu.items = q.mu.items, nil
	if q.mu.closed {
		q.wake() // others that wait learn of it too
	}
	return items, len(items) > 0 || !q.mu.closed
}

// Close lets consumers take what is queued and then see the end. It may be called again.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	q.mu.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *Queue[T]) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}
