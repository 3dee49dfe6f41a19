package stream

import (
	"testing"
	"time"
)

// ringing is an Alarm that waits for one time.
type ringing struct {
	at   int64
	some bool
	rang []int64
}

func (r *ringing) Next() (int64, bool) { return r.at, r.some }

func (r *ringing) Ring(now int64) error {
	r.rang = append(r.rang, now)
	r.some = false
	return nil
}

// A clock that stands rings nobody; what it is set to rings who waits for that, once, and who rests until then is woken.
func TestClockThatIsSet(t *testing.T) {
	c := NewClock(100)
	early, late := &ringing{at: 150, some: true}, &ringing{at: 200, some: true}
	tk := &task{host: &Host{c: HostConfig{Clock: c}}, wake: make(chan struct{}, 1), chain: &Chain{Alarms: []Alarm{late, early}}}
	ring := func(want bool) {
		t.Helper()
		if rang, err := tk.ring(); rang != want || err != nil {
			t.Errorf("at %d: rang: %v, %v", c.Now(), rang, err)
		}
	}
	next := func(want int64, wantSome bool) {
		t.Helper()
		c.note(tk)
		if at, some := c.Next(); at != want || some != wantSome {
			t.Errorf("at %d: it waits for %d, %v; want %d, %v", c.Now(), at, some, want, wantSome)
		}
	}
	ring(false)
	if d := tk.alarm(); d >= 0 {
		t.Errorf("it rests for %v of the machine's time", d)
	}
	next(150, true)
	c.Set(150)
	select {
	case <-tk.wake:
	default:
		t.Error("nobody is woken")
	}
	if d := tk.alarm(); d != 0 {
		t.Errorf("it rests for %v though its time has come", d)
	}
	ring(true)
	ring(false)
	next(200, true)
	c.Set(300)
	c.Set(250) // does not go back
	ring(true)
	next(0, false)
	if len(early.rang) != 1 || early.rang[0] != 150 || len(late.rang) != 1 || late.rang[0] != 300 {
		t.Errorf("they rang at %v and %v", early.rang, late.rang)
	}
	late.some = true
	next(200, true)
	tk.ended = true // nothing rings behind the end
	next(0, false)
	tk.ended = false
	c.note(tk)
	c.forget(tk)
	if _, some := c.Next(); some {
		t.Error("a task that is over is waited for")
	}
}

// Without a clock of its own a host goes by the machine's.
func TestClockOfTheMachine(t *testing.T) {
	var c *Clock
	before := time.Now().UnixNano()
	if now := c.Now(); now < before || now > time.Now().UnixNano() {
		t.Errorf("it is %d", now)
	}
	if d := c.until(before + int64(time.Hour)); d <= 0 || d > time.Hour {
		t.Errorf("an hour is %v", d)
	}
	if d := c.until(before); d != 0 {
		t.Errorf("what has passed is %v away", d)
	}
	c.note(nil)
	c.forget(nil)
}
