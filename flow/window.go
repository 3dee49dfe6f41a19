package flow

import (
	"math"
	"time"
)

// Windowed is a keyed stream cut into windows.
type Windowed[K comparable, T any] struct {
	keyed   Keyed[K, T]
	window  Window
	options windowOptions
	at      position
}

// Window cuts the stream of each key into windows.
func (s Keyed[K, T]) Window(w Window, o ...WindowOption) Windowed[K, T] {
	cut := Windowed[K, T]{keyed: s, window: w, at: caller()}
	for _, option := range o {
		option.set(&cut.options)
	}
	return cut
}

// Window says which records belong together.
type Window struct {
	kind       windowKind
	size       time.Duration // of a session: the gap
	slide      time.Duration
	offset     time.Duration
	processing bool
}

type windowKind uint8

const (
	noWindow windowKind = iota
	tumbling
	sliding
	session
	global
)

// Tumbling windows have a fixed size and do not overlap. They begin at multiples of it since 1970, UTC.
func Tumbling(size time.Duration) Window { return Window{kind: tumbling, size: size, slide: size} }

// Sliding windows have a fixed size and begin at the multiples of slide since 1970, UTC: they overlap if it is less than the size, and leave
// records out that lie between them if it is more.
//
// A record is kept once, whatever the overlap: in a slice as long as the greatest common divisor of size and slide, of which windows are merged.
// A window costs a merge or two for each of its keys, so a million keys and a slide of a second mean a million results a second.
func Sliding(size, slide time.Duration) Window {
	return Window{kind: sliding, size: size, slide: slide}
}

// Session windows are of one key's records that follow each other by the gap at most. A window ends the gap after its last record.
func Session(gap time.Duration) Window { return Window{kind: session, size: gap} }

// Global is one window of all records; its result comes when the input ends. It needs no event time.
func Global() Window { return Window{kind: global, size: 1, slide: 1} }

// Offset shifts where windows begin: Tumbling(24*time.Hour).Offset(-8*time.Hour) are days in UTC+8.
func (w Window) Offset(d time.Duration) Window {
	w.offset = d
	return w
}

// ProcessingTime has the windows cut by the clock of the machine that computes them, not by when records happened. Nothing is late then; but what
// falls into which window depends on when it arrives, and after a failure on when it arrives again. When the input ends, windows end early.
func (w Window) ProcessingTime() Window {
	w.processing = true
	return w
}

// WindowOption adjusts what becomes of late records.
type WindowOption struct{ set func(*windowOptions) }

type windowOptions struct {
	lateness time.Duration
	lateTo   sideOutput // nil: late records are counted only
}

// Lateness keeps a window that has been given for so long, by event time: each late record that it takes in has its result given again, with all
// it has by then. A session that was given may be joined with another by what is late: then the whole is given in its time. Only what comes
// after that is left out.
func Lateness(d time.Duration) WindowOption {
	return WindowOption{func(o *windowOptions) { o.lateness = d }}
}

// LateTo sends records that are late into a side output, with their times; ReadSide reads it from the windows' results.
func LateTo[T any](s SideOutput[T]) WindowOption {
	return WindowOption{func(o *windowOptions) { o.lateTo = s }}
}

// sideOutput is a SideOutput without its type.
type sideOutput interface {
	side() side
	problem() string
}

// maxSlices is how many slices a window may have: what is put into one goes into each of them when it is late.
const maxSlices = 1 << 16

// slice is how long the slices are that windows of this kind have in common.
func (w Window) slice() time.Duration {
	a, b := w.size, w.slide
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// check says what is wrong with a window over a stream that has event time, or not.
func (w Window) check(times bool, o windowOptions) string {
	if p := w.problem(); p != "" {
		return p
	}
	switch {
	case o.lateness < 0:
		return sprintf("Lateness(%v): it is 0 or more", o.lateness)
	case w.kind == global && w.processing:
		return "Global().ProcessingTime(): it ends with the input, whatever the time"
	case (w.kind == global || w.processing) && (o.lateness > 0 || o.lateTo != nil):
		return "Lateness and LateTo are for windows of event time: in others nothing is late"
	case w.kind != global && !w.processing && !times:
		return "its windows are of event time, and no EventTime is upstream of all its inputs: say what time a record happened at by EventTime, right behind the source"
	}
	return ""
}

// problem says what is wrong with the shape of a window.
func (w Window) problem() string {
	switch w.kind {
	case noWindow:
		return "the zero Window: use Tumbling, Sliding, Session or Global"
	case global:
		if w.offset != 0 {
			return sprintf("Global().Offset(%v): there is only one window", w.offset)
		}
	case tumbling:
		if w.size <= 0 {
			return sprintf("Tumbling(%v): a window's size is above 0", w.size)
		}
		if w.offset <= -w.size || w.offset >= w.size {
			return sprintf("Tumbling(%v).Offset(%v): an offset is less than the size", w.size, w.offset)
		}
	case sliding:
		if w.size <= 0 || w.slide <= 0 {
			return sprintf("Sliding(%v, %v): size and slide are above 0", w.size, w.slide)
		}
		if w.offset <= -w.slide || w.offset >= w.slide {
			return sprintf("Sliding(%v, %v).Offset(%v): an offset is less than the slide", w.size, w.slide, w.offset)
		}
		if n := int64(w.size / w.slice()); n > maxSlices {
			return sprintf("Sliding(%v, %v): a window would be merged of %d slices of %v; at most %d are possible: round size or slide", w.size, w.slide, n, w.slice(), maxSlices)
		}
	case session:
		if w.size <= 0 || w.size > math.MaxInt64/4 {
			return sprintf("Session(%v): a gap is above 0 and below %v", w.size, time.Duration(math.MaxInt64/4))
		}
		if w.offset != 0 {
			return sprintf("Session(%v).Offset(%v): a session begins with its first record", w.size, w.offset)
		}
	}
	return ""
}

// Pane is the result of one window of one key; Start and End are UTC, End exclusive. Those of a Global window are zero.
type Pane[K comparable, R any] struct {
	Key        K
	Start, End time.Time
	Value      R
}
