// Package harness runs Apache Flink for a measurement: it fetches Flink's jars, compiles the Java side of the comparison (java/), starts a
// JobManager and TaskManagers as processes of this machine, and tells them which job to run.
//
// It owns those processes, their folder and their ports, and a cache of jars. It says how many events the source of a job is through and how
// much processor time the TaskManagers have used, both at one moment (Sample); that of the JobManager, which is also the client, is left
// out, as in the published figures. It never decides how long something is measured, and never judges.
//
// Flink is configured as the Nexmark project publishes it: object reuse, mini-batches of 50,000 records or 2 s, distinct aggregates split,
// G1. What a run may choose is in Settings and Job. Other than there, the generator makes only the kinds of events that a query reads, and its
// strings are pieces of shared ones: less of what is measured is the generator.
//
// Linux only: processor time comes from /proc, and children die with their parent by PR_SET_PDEATHSIG.
package harness
