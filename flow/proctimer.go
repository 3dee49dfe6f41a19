package flow

import "time"

// ProcTimer fires per key, once per time set, in processing time: by the clock of the machine. Times that pass while the job is down fire when it
// runs again. What is still set when the input ends does not fire.
type ProcTimer[K comparable, U any] struct{ t *Timer[K, U] }

// NewProcTimer declares a timer of processing time. fire runs with the key in hand; what it emits has no event time, but by EmitAt.
func NewProcTimer[K comparable, U any](op *Op[K], name string, fire func(c *Ctx[K], at time.Time, out *Out[U]) error) *ProcTimer[K, U] {
	op.declare(name, "processing-time timer")
	t := newTimer(op, name, fire)
	t.proc = true
	if t.in != nil {
		op.alarms = append(op.alarms, t)
	}
	return &ProcTimer[K, U]{t}
}

// Set lets the timer fire for the key in hand at a time, or soon after.
func (t *ProcTimer[K, U]) Set(c *Ctx[K], at time.Time) { t.t.Set(c, at) }

// Cancel takes that back.
func (t *ProcTimer[K, U]) Cancel(c *Ctx[K], at time.Time) { t.t.Cancel(c, at) }

// Next implements stream.Alarm.
func (p *operating[K, U]) Next() (int64, bool) {
	first, when := earliest(p.op.alarms)
	return when, first != nil
}

// Ring implements stream.Alarm.
func (p *operating[K, U]) Ring(now int64) error {
	if err := p.fire(p.op.alarms, now); err != nil {
		return err
	}
	return p.op.ends.flush()
}
