package flow

import (
	"time"

	"github.com/thalweg-io/thalweg/internal/state"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// StateOption adjusts a piece of state.
type StateOption struct{ set func(*stateSettings) }

type stateSettings struct {
	ttl      *state.TTL // nil: what is kept is kept until it is cleared
	problems []string
}

// TTL lets each entry of a state live for d after its last use, which is the last time that it was written: a value, an element of a list, an entry of
// a map. Entries age by processing time, which for one batch of records stands still. What is over is never given out; its memory is given back in
// small steps, whether records come or not, at the latest after twice d. A restore goes on with the age that entries had, while the job was down
// included. d may be changed between a job and the next one that takes its state over; having a TTL at all may not.
func TTL(d time.Duration, o ...TTLOption) StateOption {
	return StateOption{func(s *stateSettings) {
		if d <= 0 {
			s.problems = append(s.problems, sprintf("TTL(%v): an entry lives for some time", d))
		}
		s.ttl = &state.TTL{After: d}
		for _, option := range o {
			option.set(s.ttl)
		}
	}}
}

// TTLOption adjusts a TTL.
type TTLOption struct{ set func(*state.TTL) }

// UsedByReads makes a read a use as well: of the value or map entry that it finds, and of all elements of a list. It makes reads of what has not been
// read since the last batch cost as much as writes.
func UsedByReads() TTLOption { return TTLOption{func(t *state.TTL) { t.OnReads = true }} }

// options are what options say of a state, and its schema as a job's graph has it.
func (op *Op[K]) options(name, schema string, o []StateOption) (stateSettings, string) {
	var s stateSettings
	for _, option := range o {
		if option.set != nil {
			option.set(&s)
		}
	}
	for _, p := range s.problems {
		op.problem("state %q: %s", name, p)
	}
	if s.ttl != nil {
		schema += " with a TTL"
	}
	return s, schema
}

// expiring wakes the state of an operator to take out what is over. It implements stream.Alarm.
type expiring[K comparable] struct{ keyed *state.Keyed[K] }

// alarms are what the chain needs for that: nothing where no state has a TTL.
func (e expiring[K]) alarms() []stream.Alarm {
	if !e.keyed.Ages() {
		return nil
	}
	return []stream.Alarm{e}
}

func (e expiring[K]) Next() (int64, bool) { return e.keyed.NextExpiry() }

func (e expiring[K]) Ring(int64) error {
	e.keyed.Expire()
	return e.keyed.Err()
}
