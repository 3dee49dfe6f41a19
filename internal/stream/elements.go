package stream

import "github.com/thalweg-io/thalweg/internal/stream/align"

// element takes one element of channel i.
func (t *task) element(i int, c *inChannel, e *element) error {
	switch e.kind {
	case records:
		size := len(e.frame)
		n, err := t.chain.Gates[c.gate].push(*e)
		t.counters.received(n, size)
		c.consumed()
		c.idle, t.allIdle = false, false // whoever is next takes the records as a sign of life
		return err
	case watermark:
		c.idle = false
		if e.at == MaxWatermark {
			c.last = true
			return t.advance()
		}
		if e.at > c.wm { // never backwards
			c.wm = e.at
			return t.advance()
		}
	case idle:
		c.idle = true
		return t.advance()
	case barrier:
		return t.carry(t.aligner.Step(align.Event{Kind: align.Arrived, Channel: i, Barrier: e.barrier, Session: t.host.session.Load()}))
	case cancelMarker:
		return t.carry(t.aligner.Step(align.Event{Kind: align.CancelMarker, Channel: i, ID: e.id}))
	case end:
		c.ended = true
		if t.chain.Source != nil {
			return nil // the coordinator's end: the reader ends when its splits do
		}
		for _, o := range t.inputs {
			if !o.ended {
				return t.advance()
			}
		}
		return t.end()
	case finished:
		c.finished = true
		return t.carry(t.aligner.Step(align.Event{Kind: align.Finished, Channel: i}))
	case assignment:
		t.status = More
		return t.chain.Source.Assign(e.payload)
	case noMoreSplits:
		t.status = More
		return t.chain.Source.NoMoreSplits()
	case slowest:
		t.status = More
		t.chain.Source.Slowest(e.at)
	}
	return nil
}

// advance hands on the least watermark of the channels that are neither idle nor at their end. While there is none, it is the highest that any has
// brought, whichever fell silent first; the last of all watermarks comes behind it when every channel is at its end, as one that is idle may go on.
func (t *task) advance() error {
	if t.head == nil || t.ended {
		return nil
	}
	low, highest, active, idle := MaxWatermark, NoTime, false, false
	for _, c := range t.inputs {
		highest = max(highest, c.wm)
		switch {
		case c.ended || c.last:
		case c.idle:
			idle = true
		default:
			low, active = min(low, c.wm), true
		}
	}
	if !active {
		if err := t.reach(highest); err != nil {
			return err
		}
	}
	if active || !idle {
		if err := t.reach(low); err != nil {
			return err
		}
	}
	was := t.allIdle
	if t.allIdle = !active && idle; t.allIdle && !was {
		return t.head.Idle()
	}
	return nil
}

// reach hands a watermark on, unless a higher one has been.
func (t *task) reach(at int64) error {
	if at <= t.low {
		return nil
	}
	t.low = at
	t.counters.inMark.set(at)
	return t.head.Watermark(at)
}

// end: the input is over. Operators emit what they hold; the subtask then waits for the checkpoint that covers this.
func (t *task) end() error {
	if t.ended {
		return nil
	}
	if t.head != nil {
		if err := t.reach(MaxWatermark); err != nil { // the channels may have brought it already
			return err
		}
		if err := t.head.End(); err != nil {
			return err
		}
	}
	if err := t.flush(true); err != nil {
		return err
	}
	t.endNow()
	return nil
}

func (t *task) endNow() {
	t.ended = true
	if t.chain.Source != nil {
		t.inputs[0].request(nil, true)
	}
	t.host.ended(t)
}
