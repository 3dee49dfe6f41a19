// Package flowtest runs a job inside of a unit test, step by step: the test pushes records and watermarks into its sources, waits until they are
// through, looks at what came out, takes snapshots and goes back to them.
//
// The job runs on the same tasks, exchanges, state and checkpoints as on a cluster, all in the test's process and memory: what is replaced is
// where records come from (Source), where they go to (Sink), who coordinates (Harness), and the clock. No step waits for time to pass. Settle returns when
// all that was pushed has reached the end of the job, because a barrier that follows it has. Time is the test's: event time passes with the records
// and by Source.Watermark, processing time by Harness.Advance.
//
// It has no leader: nothing is restarted. A task that fails fails the test, unless Failure expects it.
package flowtest
