package state

import (
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
)

// logSaving is the snapshot being taken of a log: the rows of the intervals (after, upto], and of key groups that get a base all up to upto. They do not
// change, so nothing has to be saved before it does; what is added meanwhile is of a later interval, and behind.
type logSaving[K comparable, V any] struct {
	*saving
	of          source
	after, upto uint32
	some        bool      // some key groups, but not all, get a base
	left        []*bucket // that not all is saved of
	part        int       // of the first of them
	piece       uint64    // of the part; 0: its first
}

func (x *Log[K, V]) begin(s *saving, table int, after, upto int64) {
	rows := newRows(&x.io, &x.k.c, s, table, checkpoint.Logs)
	groups, first := x.k.c.MaxParallelism, x.k.c.From
	maker := &savedLog[K, V]{form: x.form.another(), rows: rows, group: func(hash uint64) int { return job.KeyGroup(hash, groups) - first }}
	x.saving = &logSaving[K, V]{saving: s, of: source{rows: maker}, upto: uint32(upto)}
	if s.delta {
		x.saving.after = uint32(after)
		for _, full := range s.full {
			x.saving.some = x.saving.some || full
		}
	}
	for _, b := range x.order {
		if x.saving.some || b.newest > x.saving.after {
			b.left = true
			x.saving.left = append(x.saving.left, b)
		}
	}
}

func (x *Log[K, V]) sweep(budget int) int {
	s := x.saving
	for s != nil && budget > 0 {
		if len(s.left) == 0 {
			x.saving = nil
			break
		}
		b := s.left[0]
		if len(b.parts) == 1 { // as a whole: before the next call it may have been divided
			for p := &b.parts[0]; s.part == 0; {
				budget -= x.savePiece(p)
			}
		} else {
			budget -= x.savePiece(&b.parts[s.part])
		}
		if s.part == len(b.parts) {
			s.left, s.part = s.left[1:], 0
			x.saved(b)
		}
	}
	return budget
}

// savePiece saves the piece of a part that it is the turn of, and gives the number of rows that were looked at.
func (x *Log[K, V]) savePiece(p *part) (n int) {
	s := x.saving
	if s.piece == 0 {
		s.piece = p.first
	}
	next := uint64(0)
	if s.piece != 0 {
		next = x.piece(s.piece).next
		for off, end := s.piece+pieceHeader, x.endOf(p, s.piece); off < end; n++ {
			r := (*logRow)(x.space.at(off))
			if r.interval > s.upto {
				next = 0 // and whatever follows
				break
			}
			if r.interval > s.after || s.some && s.full[x.k.ownGroup(r.hash)] {
				to := s.capture.room(&s.of, int(r.size))
				copy(unsafe.Slice((*byte)(to), r.size), unsafe.Slice((*byte)(unsafe.Pointer(r)), r.size))
			}
			off += uint64(r.size)
		}
	}
	if s.piece = next; next == 0 {
		s.part++
	}
	return n + 1
}

// saved frees a bucket that only the snapshot wanted.
func (x *Log[K, V]) saved(b *bucket) {
	if b.left = false; b.over {
		x.release(b)
		x.space.trim()
	}
}

func (x *Log[K, V]) abort() {
	if x.saving == nil {
		return
	}
	for _, b := range x.saving.left {
		x.saved(b)
	}
	x.saving = nil
}

// savedLog makes rows of a snapshot out of saved rows of a log. It is not the task's.
type savedLog[K comparable, V any] struct {
	form  rowForm[K, V]
	rows  *rows[K, V]
	group func(hash uint64) int // from the first own one
}

func (s *savedLog[K, V]) make(_ int64, b []byte) {
	for len(b) > 0 {
		row := unsafe.Pointer(unsafe.SliceData(b))
		r := (*logRow)(row)
		key := s.form.key(row)
		s.rows.add(s.group(r.hash), r.at, &key, s.form.value(row))
		b = b[r.size:]
	}
	clear(s.form.one[:])
}
