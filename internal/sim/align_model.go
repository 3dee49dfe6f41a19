package sim

// modelAligner is barrier alignment as the design states it, in its smallest form.
type modelAligner struct {
	t          *task
	attached   uint64 // epoch of the session; 0: none
	abandonedN int64  // highest id abandoned
	taken      int64  // highest snapshot taken
	acked      int64
	current    barrier // being aligned; id 0: none
	got, done  []bool
	blockedFor int64
}

func newModelAligner(t *task, channels int, restored int64) *modelAligner {
	return &modelAligner{t: t, got: make([]bool, channels), done: make([]bool, channels), abandonedN: restored, taken: restored, acked: restored}
}

func (a *modelAligner) trigger(b barrier) {
	if len(a.got) > 0 || b.epoch != a.attached || b.id <= a.abandonedN || b.id <= a.taken {
		return
	}
	a.take(b)
}

func (a *modelAligner) barrier(channel int, b barrier) {
	switch {
	case b.epoch != a.attached || b.id <= a.abandonedN:
		a.abandon(b.id, "its barrier is of another session", false)
		return
	case b.id <= a.taken || b.id < a.current.id:
		return
	case b.id > a.current.id:
		if a.current.id != 0 {
			a.abandon(a.current.id, "a newer barrier came", false)
		}
		a.current = b
		a.t.s.after(b.deadline, a.t.w.p, func() {
			if a.current.id == b.id {
				a.abandon(b.id, "the alignment deadline passed", true)
			}
		})
	}
	a.got[channel] = true
	a.align()
}

func (a *modelAligner) align() {
	if a.current.id == 0 {
		return
	}
	for i := range a.got {
		if !a.got[i] && !a.done[i] {
			return
		}
	}
	b := a.current
	a.release()
	a.take(b)
}

func (a *modelAligner) take(b barrier) {
	if a.taken > a.acked && a.taken > a.abandonedN {
		a.abandon(a.taken, "a newer barrier came", false)
	}
	a.taken = b.id
	a.t.snapshot(b)
	a.t.broadcast(element{kind: elementBarrier, b: b})
}

func (a *modelAligner) release() {
	a.current = barrier{}
	clear(a.got)
	a.t.kick()
}

// abandon gives up every checkpoint up to id that was not acknowledged, and says so downstream.
func (a *modelAligner) abandon(id int64, why string, deadline bool) {
	if id <= a.abandonedN {
		return
	}
	a.abandonedN = id
	if a.current.id != 0 && a.current.id <= id {
		a.release()
	}
	a.t.broadcast(element{kind: elementCancel, b: barrier{id: id}})
	if a.attached != 0 && id > a.acked {
		a.t.decline(id, why, deadline)
	}
}

func (a *modelAligner) cancelled(channel int, id int64) {
	if id <= a.taken && id <= a.acked {
		return
	}
	a.abandon(id, "it was abandoned upstream", false)
}

func (a *modelAligner) finished(channel int) {
	a.done[channel] = true
	a.align()
}

func (a *modelAligner) session(epoch uint64) {
	a.attached = 0 // nobody to decline to
	if a.current.id != 0 {
		a.abandon(a.current.id, "", false)
	}
	if a.taken > a.acked {
		a.abandon(a.taken, "", false)
	}
	a.attached = epoch
}

func (a *modelAligner) abort(upto int64) {
	if a.current.id != 0 && a.current.id <= upto || a.taken > a.acked && a.taken <= upto {
		a.abandon(upto, "the leader has aborted it", false)
	}
	a.abandonedN = max(a.abandonedN, upto)
}

func (a *modelAligner) acknowledged(id int64) bool {
	if id <= a.abandonedN || id != a.taken {
		return false
	}
	a.acked = id
	return true
}

func (a *modelAligner) blocked(channel int) bool { return a.current.id != 0 && a.got[channel] }
