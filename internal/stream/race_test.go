//go:build race

package stream

// raceEnabled: under the race detector sync.Pool drops things on purpose, so allocations cannot be counted.
const raceEnabled = true
