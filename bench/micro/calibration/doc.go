// Package calibration is what the machine can do, as Go benchmarks, for the figures of others to be read beside: a bare loop that counts keys, copies of
// memory, a plain connection by TCP over loopback. It has nothing but benchmarks, and knows nothing of the engine's parts.
package calibration
