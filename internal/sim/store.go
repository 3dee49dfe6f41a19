package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/ha"
	"github.com/thalweg-io/thalweg/internal/ha/zookeeper"
	"github.com/thalweg-io/thalweg/internal/planted"
	"github.com/thalweg-io/thalweg/internal/scheduler"
)

// What ha/zookeeper's term and the leader's shell do with the metadata store, as callbacks: the fenced multi, the publication,
// reading a job's records, writing one, and settling a write of unknown outcome.

const storePause = 50 * time.Millisecond

func key(path string) string { return base + "/jobs/job/" + path }

// fenced performs operations in one step that checks the epoch.
func (t *term) fenced(answer func(error), ops ...zookeeper.Request) {
	if t.over {
		return
	}
	all := append([]zookeeper.Request{{Kind: zookeeper.Check, Path: base + "/leader/epoch", Version: t.grant.Version}}, ops...)
	if planted.On("pointer-unfenced") && len(ops) == 1 && ops[0].Kind == zookeeper.Create {
		all[0].Version = -1
	}
	t.jm.zk.do(zookeeper.Request{Kind: zookeeper.Multi, Session: t.grant.Session, Ops: all}, func(r zookeeper.Response, err error) {
		if t.over {
			return
		}
		switch {
		case err == nil:
			answer(nil)
		case errors.Is(err, zookeeper.ErrLost):
			answer(ha.ErrUnknown)
		case errors.Is(err, zookeeper.ErrNotSent):
			answer(ha.ErrUnavailable)
		case errors.Is(err, zookeeper.ErrSession):
			t.jm.endTerm("the session is gone")
			t.jm.step(zookeeper.Resign{Epoch: t.grant.Epoch})
		case r.Failed == 0:
			answer(ha.ErrFenced)
		default:
			answer(err)
		}
	})
}

// read asks until it is answered or the term is over.
func (t *term) read(r zookeeper.Request, answer func(zookeeper.Response, error)) {
	if t.over {
		return
	}
	r.Session = t.grant.Session
	t.jm.zk.do(r, func(resp zookeeper.Response, err error) {
		if t.over {
			return
		}
		if errors.Is(err, zookeeper.ErrLost) || errors.Is(err, zookeeper.ErrNotSent) {
			t.s.after(storePause, t.jm.p, func() { t.read(r, answer) })
			return
		}
		if errors.Is(err, zookeeper.ErrSession) {
			t.jm.endTerm("the session is gone")
			t.jm.step(zookeeper.Resign{Epoch: t.grant.Epoch})
			return
		}
		answer(resp, err)
	})
}

// publish makes this leader the one that is discovered.
func (t *term) publish() {
	info, _ := json.Marshal(ha.LeaderInfo{Epoch: t.grant.Epoch, Incarnation: t.jm.inc, RPCAddress: t.jm.p.name, ClusterIncarnation: t.grant.Cluster})
	path := base + "/leader/connection_info"
	t.read(zookeeper.Request{Kind: zookeeper.Get, Path: path}, func(r zookeeper.Response, err error) {
		ops := []zookeeper.Request{{Kind: zookeeper.Create, Path: path, Data: info, Ephemeral: true}}
		switch {
		case err == nil && bytes.Equal(r.Data, info):
			return
		case err == nil:
			ops = append([]zookeeper.Request{{Kind: zookeeper.Delete, Path: path, Version: -1}}, ops...)
		}
		t.fenced(func(err error) {
			switch {
			case err == nil:
			case errors.Is(err, ha.ErrFenced):
				t.jm.step(zookeeper.Fenced{Epoch: t.grant.Epoch})
			default:
				t.s.after(storePause, t.jm.p, t.publish)
			}
		}, ops...)
	})
}

// barrier answers once everything sent before has happened or never will.
func (t *term) barrier(answer func(error)) {
	t.fenced(func(err error) {
		if errors.Is(err, ha.ErrUnknown) || errors.Is(err, ha.ErrUnavailable) {
			t.s.after(storePause, t.jm.p, func() { t.barrier(answer) })
			return
		}
		answer(err)
	})
}

// write performs one write of the job and says what became of it.
func (t *term) write(w *scheduler.Write, answer func(scheduler.Outcome, string)) {
	if w.Settle {
		t.settle(w, answer)
		return
	}
	if w.RemoveRun {
		t.removeRun(answer)
		return
	}
	t.fenced(func(err error) { answer(outcome(w, err)) }, op(w))
}

func outcome(w *scheduler.Write, err error) (scheduler.Outcome, string) {
	switch {
	case err == nil:
		return scheduler.Applied, ""
	case errors.Is(err, ha.ErrFenced):
		return scheduler.Fenced, err.Error()
	case errors.Is(err, ha.ErrUnknown):
		return scheduler.Unknown, err.Error()
	case errors.Is(err, ha.ErrUnavailable):
		return scheduler.Unsent, err.Error()
	case errors.Is(err, zookeeper.ErrNoNode) && w.RemovePointer > 0:
		return scheduler.Applied, ""
	}
	return scheduler.Conflict, err.Error()
}

func encode(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	must(err)
	return b
}

// op is the write as one operation. Records that are removed stay as empty nodes here.
func op(w *scheduler.Write) zookeeper.Request {
	set := func(name string, data []byte) zookeeper.Request {
		return zookeeper.Request{Kind: zookeeper.Set, Path: key(name), Data: data, Version: -1}
	}
	switch {
	case w.Counter > 0:
		return set("checkpoint_id_counter", []byte(strconv.FormatInt(w.Counter, 10)))
	case w.Execution != nil:
		return set("execution", encode(w.Execution))
	case w.Pointer != nil:
		return zookeeper.Request{Kind: zookeeper.Create, Path: pointerPath(w.Pointer.Id), Data: encode(w.Pointer)}
	case w.RemovePointer > 0:
		return zookeeper.Request{Kind: zookeeper.Delete, Path: pointerPath(w.RemovePointer), Version: -1}
	case w.Result != nil:
		return set("result", encode(w.Result))
	case w.RemoveGraph:
		return set("graph", nil)
	}
	panic(fmt.Sprintf("sim: write %+v", w))
}

func pointerPath(id int64) string { return key(fmt.Sprintf("checkpoints/%019d", id)) }

// settle reads back behind a barrier and applies again what did not happen.
func (t *term) settle(w *scheduler.Write, answer func(scheduler.Outcome, string)) {
	if w.RemoveRun {
		t.removeRun(answer)
		return
	}
	o := op(w)
	t.barrier(func(err error) {
		if err != nil {
			answer(outcome(w, err))
			return
		}
		t.read(zookeeper.Request{Kind: zookeeper.Get, Path: o.Path}, func(r zookeeper.Response, err error) {
			there := err == nil && bytes.Equal(r.Data, o.Data)
			if o.Kind == zookeeper.Delete {
				there = errors.Is(err, zookeeper.ErrNoNode)
			}
			if there {
				answer(scheduler.Applied, "")
				return
			}
			t.fenced(func(err error) {
				if errors.Is(err, ha.ErrUnknown) || errors.Is(err, ha.ErrUnavailable) {
					t.s.after(storePause, t.jm.p, func() { t.settle(w, answer) })
					return
				}
				answer(outcome(w, err))
			}, o)
		})
	})
}

// removeRun removes the pointers, then execution and counter, in as many steps as it takes.
func (t *term) removeRun(answer func(scheduler.Outcome, string)) {
	t.read(zookeeper.Request{Kind: zookeeper.Children, Path: key("checkpoints")}, func(r zookeeper.Response, err error) {
		sort.Strings(r.Children)
		ops := []zookeeper.Request{
			{Kind: zookeeper.Set, Path: key("execution"), Version: -1}, {Kind: zookeeper.Set, Path: key("checkpoint_id_counter"), Version: -1},
		}
		for _, child := range r.Children {
			ops = append(ops, zookeeper.Request{Kind: zookeeper.Delete, Path: key("checkpoints/" + child), Version: -1})
		}
		t.fenced(func(err error) {
			if errors.Is(err, ha.ErrUnknown) || errors.Is(err, ha.ErrUnavailable) || errors.Is(err, zookeeper.ErrNoNode) {
				t.s.after(storePause, t.jm.p, func() { t.removeRun(answer) })
				return
			}
			answer(outcome(&scheduler.Write{RemoveRun: true}, err))
		}, ops...)
	})
}

// load reads everything about the job, one record after the other: result first.
func (t *term) load(answer func(scheduler.JobEvent)) {
	l := scheduler.Loaded{Graph: &thalwegv1.GraphRecord{GraphVersion: 1}, Stored: t.s.o.stored, CheckpointDir: "checkpoints"}
	get := func(name string, into func([]byte), next func()) {
		t.read(zookeeper.Request{Kind: zookeeper.Get, Path: key(name)}, func(r zookeeper.Response, err error) {
			if err == nil && len(r.Data) > 0 {
				into(r.Data)
			}
			next()
		})
	}
	var pointers func(names []string)
	pointers = func(names []string) {
		if len(names) == 0 {
			t.loadEnded(l, answer)
			return
		}
		get("checkpoints/"+names[0], func(b []byte) {
			p := new(thalwegv1.CheckpointPointer)
			must(proto.Unmarshal(b, p))
			l.Pointers = append(l.Pointers, p)
		}, func() { pointers(names[1:]) })
	}
	get("result", func(b []byte) { l.Result = new(thalwegv1.JobResult); must(proto.Unmarshal(b, l.Result)) }, func() {
		get("execution", func(b []byte) { l.Execution = new(thalwegv1.Execution); must(proto.Unmarshal(b, l.Execution)) }, func() {
			get("checkpoint_id_counter", func(b []byte) { l.Counter, _ = strconv.ParseInt(string(b), 10, 64) }, func() {
				t.read(zookeeper.Request{Kind: zookeeper.Children, Path: key("checkpoints")}, func(r zookeeper.Response, err error) {
					sort.Strings(r.Children)
					pointers(r.Children)
				})
			})
		})
	})
}

// loadEnded reads from the newest checkpoint whose ends it covers.
func (t *term) loadEnded(l scheduler.Loaded, answer func(scheduler.JobEvent)) {
	if len(l.Pointers) == 0 || l.Result != nil {
		answer(l)
		return
	}
	p := l.Pointers[len(l.Pointers)-1]
	t.s.storage.read(t.jm.p, p.MetadataPath, func(content any, err error) {
		if t.over {
			return
		}
		if err != nil {
			answer(scheduler.LoadFailed{Error: err.Error()})
			return
		}
		for _, e := range content.(*metadata).entries {
			if x, ok := t.s.storage.files[e.path].(*snapshot); ok && x.ended {
				l.Ended = append(l.Ended, scheduler.SubtaskState{Task: e.task, State: []byte(e.path)})
			}
		}
		answer(l)
	})
}
