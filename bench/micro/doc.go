// Package micro is benchmarks of small jobs: a chain of maps, joins. One operation is a record. Benchmarks of the engine's parts stand in their own
// packages; `make bench-micro` runs all of them between calibrations of the machine.
package micro
