// Package state is the keyed state of one subtask of one operator: values, timers and window slices by key, in tables off the Go heap.
//
// It owns the tables (small segments, extendible hashing: one segment splits at a time, nothing is ever rehashed as a whole), the accounting of
// their memory, and how they go into a checkpoint and come back at any parallelism. Keyed is made by the task and used on its goroutine only;
// handles (Value, Timers, Slices) are made before the first record and restored together.
//
// State holds no Go pointer: a key or value that is a fixed number of bytes without pointers lies in its slot as it is, everything else as
// encoded bytes beside. Handles therefore return copies, and a pointer given to a function is valid inside that call only, where no other
// method of the same handle may be called. What cannot be kept (a value that fails to encode, no memory left) is remembered: Keyed.Err tells,
// and no snapshot is taken afterwards.
//
// The package never decides what is a late record, when a watermark moves or when a snapshot is due, and does no I/O of its own.
package state
