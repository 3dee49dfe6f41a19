package stream

import "time"

// loop works until the task is finished.
func (t *task) loop() error {
	t.low = NoTime
	t.flushed = time.Now()
	t.counters.meter.begin(clock())
	defer func() { t.counters.meter.end(clock()) }()
	for !t.over {
		if err := t.readMail(); err != nil {
			return err
		}
		if t.ctx.Err() != nil {
			return ErrCancelled
		}
		if t.over {
			break
		}
		if err := t.expire(); err != nil { // also of a task that never rests
			return err
		}
		worked, err := t.sliceAndSweep()
		if err != nil {
			return err
		}
		if !worked {
			if err := t.rest(); err != nil {
				return err
			}
		}
	}
	for _, o := range t.outs {
		o.control(element{kind: finished})
	}
	return nil
}

// sliceAndSweep is slice while no snapshot is being taken. Else its sweep gets a share of the time of work, and all of it when there is none.
func (t *task) sliceAndSweep() (worked bool, err error) {
	if t.taking == nil {
		return t.slice()
	}
	began := time.Now()
	if worked, err = t.slice(); err != nil || t.taking == nil {
		return worked, err
	}
	if worked {
		t.sweepBeside(began, time.Now())
		return true, nil
	}
	if err := t.flush(false); err != nil { // as when it rests: what is buffered does not wait for the sweep
		return false, err
	}
	return t.sweep(sweptAtATime), nil
}

// slice does a bounded piece of work, and only with room on every output.
func (t *task) slice() (worked bool, err error) {
	if t.inside.batches > 0 {
		t.inside = within{}
	}
	if !t.room() {
		return false, nil
	}
	if now := time.Now(); now.Sub(t.flushed) >= t.host.c.BufferTimeout {
		t.flushed = now
		if err := t.flush(false); err != nil {
			return false, err
		}
	}
	if worked, err = t.ring(); err != nil {
		return worked, err
	}
	for range t.inputs {
		i := t.turn
		t.turn++
		if t.turn == len(t.inputs) {
			t.turn = 0
		}
		c := t.inputs[i]
		if c.size.Load() == 0 {
			continue
		}
		if t.aligner.Blocked(i) {
			if err := c.failure(); err != nil {
				return false, err // nothing will release it but the end of the alignment
			}
			continue
		}
		e, ok, err := c.take()
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		return true, t.element(i, c, &e)
	}
	if s := t.chain.Source; s != nil && !t.noMore && t.pollable() {
		return true, t.poll(s)
	}
	return worked, nil
}

func (t *task) pollable() bool {
	return t.status.kind == pollAgain || t.status.kind == pollUntil && !time.Now().Before(t.status.until)
}

func (t *task) poll(s Source) (err error) {
	if t.status, err = s.Poll(&PollContext{}); err != nil {
		return err
	}
	if t.status.kind == pollEnded {
		t.noMore = true
		if err := t.flush(true); err != nil {
			return err
		}
		t.endNow()
	}
	return nil
}

func (t *task) room() bool {
	for _, o := range t.outs {
		if !o.room() {
			return false
		}
	}
	return true
}

func (t *task) flush(force bool) error {
	for _, r := range t.routers {
		if err := r.flush(force); err != nil {
			return err
		}
	}
	return nil
}

// waitForRoom blocks inside an operator until some channel has been given credit, or the task is cancelled.
func (t *task) waitForRoom() error {
	t.counters.meter.turn(backpressured, clock())
	defer func() { t.counters.meter.turn(busy, clock()) }()
	var look <-chan time.Time
	if t.inside.batches > 0 {
		tm := time.NewTimer(lookWithin)
		defer tm.Stop()
		look = tm.C
	}
	select {
	case <-t.credit:
		return nil
	case now := <-look:
		return t.overdue(now)
	case <-t.severed:
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.mu.cut
	case <-t.ctx.Done():
		return ErrCancelled
	}
}

// backlogLook is how often a sweep that waits for the storage looks whether there is room.
const backlogLook = 2 * time.Millisecond

// rest waits until there may be something to do. What is buffered goes out first: an idle edge adds no delay.
func (t *task) rest() error {
	if err := t.flush(false); err != nil {
		return err
	}
	var timer <-chan time.Time
	until := time.Duration(-1)
	if t.chain.Source != nil && !t.noMore && t.status.kind == pollUntil && t.room() {
		until = max(time.Until(t.status.until), 0)
	}
	if len(t.chain.Alarms) > 0 && t.room() {
		if d := t.alarm(); d >= 0 && (until < 0 || d < until) {
			until = d
		}
	}
	if t.deadlineID != 0 {
		if d := max(time.Until(t.deadline), 0); until < 0 || d < until {
			until = d
		}
	}
	if t.taking != nil && (until < 0 || until > backlogLook) { // its sweep waits for the storage
		until = backlogLook
	}
	if until == 0 {
		return t.expire()
	}
	var rings <-chan struct{}
	if until > 0 {
		tm := time.NewTimer(until)
		defer tm.Stop()
		timer = tm.C
		rings = t.waker.in(until)
	}
	rests := waiting
	if !t.room() {
		rests = backpressured
	}
	t.counters.meter.turn(rests, clock())
	select {
	case <-t.wake:
	case <-timer:
	case <-rings:
	case <-t.ctx.Done():
		return ErrCancelled
	}
	t.counters.meter.turn(busy, clock())
	return t.expire()
}
