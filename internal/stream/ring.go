package stream

import "time"

// ring wakes the operators whose time has come.
func (t *task) ring() (rang bool, err error) {
	if len(t.chain.Alarms) == 0 || t.ended {
		return false, nil
	}
	now := t.host.c.Clock.Now()
	for _, a := range t.chain.Alarms {
		if at, ok := a.Next(); ok && at <= now {
			rang = true
			if err := a.Ring(now); err != nil {
				return rang, err
			}
		}
	}
	return rang, nil
}

// nextAlarm is the earliest time that an operator wants to be woken at, if there is one.
func (t *task) nextAlarm() (next int64, some bool) {
	if t.ended {
		return 0, false
	}
	for _, a := range t.chain.Alarms {
		if at, ok := a.Next(); ok && (!some || at < next) {
			next, some = at, true
		}
	}
	return next, some
}

// alarm is how long the task may rest until the first operator wants to be woken; negative: none does.
func (t *task) alarm() time.Duration {
	next, some := t.nextAlarm()
	if !some {
		return -1
	}
	return t.host.c.Clock.until(next)
}
