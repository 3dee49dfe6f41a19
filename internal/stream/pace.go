package stream

import "time"

// pace is how much of a channel's window its receiver lets the sender have. A barrier comes behind what is on its way, so that is to be no more
// than inFlight of the receiver's time; a wake-up on either side is due for each half of it, and costs tens of microseconds where a virtual
// machine has to be woken with the thread. So the window of a fast receiver is wide, and that of a slow one narrow: it keeps credit back.
// The sender knows one window only. Owned by the receiving task.
type pace struct {
	window   int   // batches that the sender may have unconsumed
	owed     tally // consumed, and no credit given yet
	since    int64 // of the clock: when the window was set
	consumed int   // batches since then
}

// inFlight is the time that a window of batches should take to be consumed.
const inFlight = 10 * time.Millisecond

const leastWindow = 8

// What is kept back in all is less than what room and fits leave free, so a sender is never without credit while nothing is on its way.
const (
	creditBytes = windowBytes / 4 // credit is given when so much is owed, be it few batches
	keptBytes   = windowBytes / 8 // by the slowest receiver
)

// newPace begins narrow: until a receiver has shown how fast it is, it may be slow.
func newPace(now int64) pace {
	p := pace{window: leastWindow, since: now}
	p.owed = p.kept()
	return p
}

// kept is what the sender is not given back.
func (p *pace) kept() tally {
	return tally{batches: window - p.window, bytes: int64(keptBytes * (window - p.window) / (window - leastWindow))}
}

// consume counts a batch, and gives credit for it with others when so much is owed that it is worth a frame, which costs as much as a write of many KiB.
func (p *pace) consume(weight int, clock func() int64) (credit tally) {
	p.owed.batches++
	p.owed.bytes += int64(weight)
	p.consumed++
	k := p.kept()
	if p.owed.batches-k.batches < p.window/2 && p.owed.bytes-k.bytes < creditBytes {
		return tally{}
	}
	p.adapt(clock())
	k = p.kept()
	credit = tally{batches: max(0, p.owed.batches-k.batches), bytes: max(0, p.owed.bytes-k.bytes)}
	p.owed.batches -= credit.batches
	p.owed.bytes -= credit.bytes
	return credit
}

// adapt sets the window by how long the batches since the last time have taken, whatever the reason. It at most doubles: one quick look says little.
func (p *pace) adapt(now int64) {
	each := max(1, (now-p.since)/int64(p.consumed))
	p.window = int(min(max(int64(inFlight)/each, leastWindow), int64(2*p.window), window))
	p.since, p.consumed = now, 0
}
