package sim

import "time"

// barrier is what travels through a channel.
type barrier struct {
	id       int64
	epoch    uint64
	deadline time.Duration
}

// aligner drives a task's barrier alignment: what arrives goes in, what follows is asked of the task.
type aligner interface {
	trigger(b barrier)
	barrier(channel int, b barrier)
	cancelled(channel int, id int64)
	finished(channel int)
	session(epoch uint64)
	abort(upto int64)
	acknowledged(id int64) bool // a snapshot is durable: may it be acknowledged?
	blocked(channel int) bool
}
