package flow

import "time"

// Pace limits a Reader to a rate. What was missed is made up for at once, but no more than a tenth of a second of it: a reader that was held up
// goes on at its rate. It belongs to one goroutine.
type Pace struct {
	perSecond float64
	credit    float64 // records that may be read now
	at        time.Time
	now       func() time.Time
}

// The most that is made up for, and the least time to wait: a high rate is many records at a time.
const (
	paceBurst = 100 * time.Millisecond
	paceStep  = time.Millisecond
)

// NewPace makes the limit of one reader; perSecond is above 0.
func NewPace(perSecond float64) *Pace { return &Pace{perSecond: perSecond, now: time.Now} }

// Take allows up to n records now; with none, it says when to ask again.
func (p *Pace) Take(n int) (int, Next) {
	now := p.now()
	if p.at.IsZero() {
		p.credit = 1
	} else {
		p.credit += now.Sub(p.at).Seconds() * p.perSecond
		p.credit = min(p.credit, max(1, p.perSecond*paceBurst.Seconds()))
	}
	p.at = now
	n = min(n, int(p.credit))
	if n < 1 {
		wait := time.Duration((1 - p.credit) / p.perSecond * float64(time.Second))
		return 0, WaitUntil(now.Add(max(wait, paceStep)))
	}
	p.credit -= float64(n)
	return n, Again
}

// Return gives back what was not read.
func (p *Pace) Return(n int) { p.credit += float64(n) }
