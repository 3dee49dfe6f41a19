// Package services runs the real servers that tests are made against: a ZooKeeper ensemble and an HDFS, from the artefacts in Maven Central,
// as Java processes of this machine on free ports of 127.0.0.1. It also has the network between a test and such a server: a TCP proxy that
// delays, holds, cuts and resets, and one that understands ZooKeeper well enough to lose a single reply.
//
// It owns the processes that it starts, the folder that it is given, the ports while they are in use, and a cache of jars. A process ends by
// Close, by the end of the test that asked for it, and in any case with the process that started it, SIGKILL included. It never looks for
// processes by name, never signals one that it did not start, and never decides that a server is ready by waiting: it asks the server.
//
// A package's tests take their servers from ForTest (one test's own) or from a Shared (one set for the package, started at first use).
// Everything else is for programs: StartZooKeeper, StartHDFS and Fetch.
//
// Linux only: that children die with their parent is the kernel's PR_SET_PDEATHSIG.
package services
