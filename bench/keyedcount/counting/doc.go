// Package counting is the keyed count as a job written with flow, in the shapes in which it is measured: what the records and the values are, how keys
// are distributed, whether the count is a task of its own. Its source gives records in portions that somebody grants, and tells when a portion
// has been counted.
//
// It owns the job, its source and its sink. It measures nothing, and does not know how the job is run.
package counting
