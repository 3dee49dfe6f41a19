package flow

// trial decides whether a combiner is worth its while: it compares what it was given with what came of it. It is a value without a clock: it goes by
// numbers of records, so that the same records have the same outcome.
//
// Combining a record costs about 10 ns, and one that is sent costs about ten times that, so it is worth it from a few of them on. While it is not,
// records go through, and some are tried again from time to time: each time that fails, after twice as many.
type trial struct {
	passing int // records that are to go through before the next try; 0: they are combined
	pause   int // the last of these
	in, out int // of the try so far
}

const (
	// leastTry is how many records are tried at least.
	leastTry = 2048
	// What goes through between tries: at first, and at most.
	leastPause = 64 << 10
	mostPause  = 2 << 20
)

// combined says that so many records have become so many partials, and that all that is held has been sent.
func (t *trial) combined(in, out int) {
	t.in += in
	t.out += out
	if t.in < leastTry {
		return
	}
	if t.out > t.in/4*3 {
		t.pause = min(max(2*t.pause, leastPause), mostPause)
		t.passing = t.pause
	} else {
		t.pause = 0
	}
	t.in, t.out = 0, 0
}

// passed says that so many records have gone through.
func (t *trial) passed(n int) { t.passing = max(t.passing-n, 0) }
