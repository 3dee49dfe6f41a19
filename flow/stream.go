package flow

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// Stream is a handle on the output of one operator. Copying it is free. Steps that keep the type are methods, steps that change it functions.
type Stream[T any] struct {
	job  *Job
	outs []output // more than one: a union
}

// streamOf is the output of one operator.
func streamOf[T any](j *Job, n *node) Stream[T] {
	return Stream[T]{job: j, outs: []output{{from: n}}}
}

// Filter keeps the records that keep says yes to.
func (s Stream[T]) Filter(name string, keep func(T) bool, o ...Option) Stream[T] {
	n := &node{name: name, kind: "filter", at: caller(), takes: elementOf[T]{}, gives: elementOf[T]{}}
	n.make = func(_ *builder, next any) (any, error) { return newFilter(keep, next), nil }
	return transform[T](s, n, o)
}

// Union is the records of all: in no order between them.
func (s Stream[T]) Union(others ...Stream[T]) Stream[T] {
	u := Stream[T]{job: s.job, outs: append([]output(nil), s.outs...)}
	for _, other := range others {
		if other.job != s.job {
			s.job.fail(caller(), "union of streams of two jobs: a stream is of use only in the build function that made it")
			continue
		}
		u.outs = append(u.outs, other.outs...)
	}
	return u
}

// Rebalance deals the records out to all subtasks of the next operator in turn.
func (s Stream[T]) Rebalance() Stream[T] {
	return s.by(partition{kind: thalwegv1.Partitioning_PARTITIONING_REBALANCE})
}

// Broadcast sends each record to every subtask of the next operator.
func (s Stream[T]) Broadcast() Stream[T] {
	return s.by(partition{kind: thalwegv1.Partitioning_PARTITIONING_BROADCAST})
}

// Global sends all records to the first subtask of the next operator.
func (s Stream[T]) Global() Stream[T] {
	return s.by(partition{kind: thalwegv1.Partitioning_PARTITIONING_GLOBAL})
}

// Forward keeps each record in its subtask; the next operator must have the same parallelism.
func (s Stream[T]) Forward() Stream[T] {
	return s.by(partition{kind: thalwegv1.Partitioning_PARTITIONING_FORWARD})
}

// Partition sends a record to the subtask of the next operator that to names, of n many.
func (s Stream[T]) Partition(to func(v T, n int) int) Stream[T] {
	return s.by(partition{kind: thalwegv1.Partitioning_PARTITIONING_CUSTOM, custom: to})
}

// by says how the next operator is reached. It makes no operator: what does nothing to a record costs nothing.
func (s Stream[T]) by(p partition) Stream[T] {
	outs := make([]output, len(s.outs))
	for i, out := range s.outs {
		outs[i] = output{from: out.from, side: out.side, partition: p}
	}
	return Stream[T]{job: s.job, outs: outs}
}

// transform adds an operator behind s.
func transform[U, T any](s Stream[T], n *node, o []Option) Stream[U] {
	if s.job == nil {
		// The zero Stream: there is no job to remember the mistake.
		panic("flow: operator " + n.name + " at " + n.at.String() + ": its input is the zero Stream")
	}
	s.job.add(n, o)
	n.connect(s.outs)
	return streamOf[U](s.job, n)
}
