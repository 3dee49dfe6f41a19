// Package linebuckets is a second measure beside the bare loop: the same count of the same keys in the structure that the engine's state tables are
// made of, with nothing around it. It is a flat table of buckets of one cache line, four slots each, whose lines are prefetched for 64 keys at
// a time. The difference to the bare loop is what the structure gains, that to the engine what the engine costs on top of it.
//
// It owns its table and shares a prefetch instruction, in which nothing can change, with the engine: a measure must not change with what it measures.
// It has no growth, no deletion and no snapshots, and is used by benchmarks only.
package linebuckets
