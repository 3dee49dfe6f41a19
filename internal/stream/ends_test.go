package stream

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// A sender has sent a barrier, has heard that the checkpoint before it covers its end, and has finished: its connection ends while the barrier still
// blocks its channel here. Nothing is lost, so the task must not fail.
func TestConnectionEndsBehindABarrierAndTheEnd(t *testing.T) {
	cd, err := codec.For[int64]()
	if err != nil {
		t.Fatal(err)
	}
	in := &heard{}
	h := &Host{c: HostConfig{BufferTimeout: time.Hour}}
	h.session.Store(1)
	tk := &task{host: h, wake: make(chan struct{}, 1), low: NoTime, flushed: time.Now(), aligner: align.New(2, 0), head: in,
		chain: &Chain{Gates: []Gate{NewGate(nil, 0, cd, in)}}}
	tk.inputs = []*inChannel{newInChannel(tk, 0), newInChannel(tk, 0)}
	over := tk.inputs[0]
	over.put(element{kind: end})
	over.put(element{kind: barrier, barrier: align.Barrier{Epoch: 1, ID: 7, Deadline: time.Hour}})
	over.put(element{kind: finished})
	over.fail(errors.New("the connection has ended"))
	for range 4 {
		if _, err := tk.slice(); err != nil {
			t.Fatalf("a channel with nothing left to come fails its task: %v", err)
		}
	}
	if tk.aligner.Aligning() != 7 {
		t.Fatalf("the task aligns checkpoint %d, not 7", tk.aligner.Aligning())
	}
	tk.inputs[1].put(element{kind: cancelMarker, id: 7})
	h.report = newRec()
	h.c.Job, tk.gen = "j", &generation{}
	for range 3 {
		if _, err := tk.slice(); err != nil {
			t.Fatal(err)
		}
	}
	if !over.finished {
		t.Fatal("the end of the channel was not taken")
	}
}

// The writer of a connection finds it broken while its reader opens a channel: the channel must hear of it, whoever is first.
func TestConnectionFailsWhileAChannelOpens(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	tk := &task{wake: make(chan struct{}, 1)}
	l := &links{}
	name := channelName{2, 0, 0}
	in := l.receiver(name, tk, 0)
	in.mu.asked = []readerEvent{{event: []byte("x")}} // what opening sends back
	c := newConn(near, "somebody")
	receive := l.receiving(c)
	c.fail(errors.New("broken pipe"))
	f := appendOpen(nil, 0, name)
	if _, err := receive(frame{channel: 0, kind: frameOpen, body: f[frameHeader:]}, nil); err != nil {
		t.Fatal(err)
	}
	if in.failure() == nil {
		t.Fatal("the channel waits for a connection that is lost")
	}
}

// closing counts how many operators were closed.
type closing struct {
	Base
	n *atomic.Int32
}

func (c closing) Close() error { c.n.Add(1); return nil }

// When one chain cannot be built, nothing of the others is kept, and what comes for the generation finds nobody.
func TestFailedBuildClosesWhatWasBuilt(t *testing.T) {
	var n atomic.Int32
	g := &Graph{Job: &thalwegv1.JobGraph{Name: "t"}}
	for id, build := range map[string]func(*TaskContext) (*Chain, error){
		"a": func(*TaskContext) (*Chain, error) {
			return &Chain{Operators: []NamedOperator{{"a", closing{n: &n}}, {"b", closing{n: &n}}}, Head: &heard{}}, nil
		},
		"z": func(*TaskContext) (*Chain, error) { panic("user code") },
	} {
		g.Job.Vertices = append(g.Job.Vertices, &thalwegv1.Vertex{Id: id, Name: id, Parallelism: 1, MaxParallelism: 1})
		g.Vertices = append(g.Vertices, &Vertex{Build: build})
	}
	r := newRec()
	h := NewHost(g, HostConfig{Job: "j", Storage: schemes.Open()}, r)
	defer h.Close()
	d := &thalwegv1.Deploy{Job: "j", Generation: gen.Proto()}
	for _, v := range []string{"a", "z"} {
		d.Tasks = append(d.Tasks, &thalwegv1.TaskID{Vertex: v})
	}
	h.Deploy(d)
	if !r.wait(t, "failed", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_FAILED, "a", "z")) {
		t.Fatalf("not failed: %v", r.states)
	}
	<-h.current().done
	if n.Load() != 2 {
		t.Errorf("%d operators were closed, want 2", n.Load())
	}
	trigger([]*Host{h}, 1, 1, time.Second)
	h.Complete(gen, 1)
}

// streaming is keyed state that is large at once, so that its file is begun before the snapshot is over.
type streaming struct {
	Base
	files string // pattern of its file
}

func (s *streaming) Snapshot(x *Snapshot) error {
	o := x.set.files.Begin("s", nil, 1)
	o.Section(0, 1)
	for range 200 {
		o.Later(64<<10, func() {
			o.Chunk(0, 0, 1, 1, func(b []byte) ([]byte, error) { return append(b, make([]byte, 64<<10)...), nil })
		})
	}
	for { // until it is being written
		if names, err := filepath.Glob(s.files); err != nil || len(names) > 0 {
			return err
		}
		runtime.Gosched()
	}
}

// unsendable is the end of a chain that cannot send what it holds.
type unsendable struct{}

func (unsendable) flush(force bool) error {
	if force {
		return errors.New("cannot encode")
	}
	return nil
}
func (unsendable) channels() []*outChannel { return nil }

// A snapshot that fails when its file has been begun leaves no file, and nobody that writes it. (What is left of the latter is seen by TestMain.)
func TestFailedSnapshotLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := filepath.Join(t.TempDir(), "chk")
	files := filepath.Join(dir, "*", "*")
	h := NewHost(&Graph{Job: &thalwegv1.JobGraph{}}, HostConfig{Job: "j", Storage: schemes.Open()}, newRec())
	tk := &task{host: h, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), aligner: align.New(0, 0), log: h.c.Log,
		gen: &generation{deploy: &thalwegv1.Deploy{CheckpointDir: dir}}, routers: []flusher{unsendable{}},
		chain: &Chain{Operators: []NamedOperator{{"s", &streaming{files: files}}}}}
	if err := tk.snapshot(align.Barrier{Epoch: 1, ID: 1}); err == nil {
		t.Fatal("no error")
	}
	tk.close()
	if names, err := filepath.Glob(files); err != nil || len(names) > 0 {
		t.Errorf("%v is left, %v", names, err)
	}
}

// Records that come without hashes to a router that goes by them are an error: they must not vanish.
func TestRecordsWithoutHashesAreNotLost(t *testing.T) {
	b := newBench(t, codecFor[letter](t), 2, true, Partitioner[letter]{Kind: thalwegv1.Partitioning_PARTITIONING_HASH})
	if err := b.router.Push(&Batch[letter]{Values: make([]letter, 3), Times: make([]int64, 3)}); err == nil {
		t.Error("three records are gone")
	}
}

// What was prepared for a checkpoint is hopeless if the leader has given up all that were acknowledged with it, or none was; it is not if the checkpoint is
// complete, or nobody knows. A cancel that follows at once changes nothing of that.
func TestHopeless(t *testing.T) {
	for name, c := range map[string]struct {
		said     func(*Host)
		hopeless bool
	}{
		"nothing":  {func(*Host) {}, false},
		"aborted":  {func(h *Host) { h.Abort(1) }, true},
		"counted":  {func(h *Host) { h.Position(&thalwegv1.JobPosition{Counter: 1}) }, false}, // its pointer may be on its way
		"complete": {func(h *Host) { h.Complete(gen, 1); h.Abort(5) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			hopeless := make(chan bool, 1)
			o := &options{noEnd: true, limit: 64, closed: func(x *TaskContext) { hopeless <- x.Hopeless(1) }}
			r := newRec()
			hosts := start(t, o, r, nil, 1, nil)
			if !r.wait(t, "running", 10*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
				t.Fatalf("not running: %v", r.states)
			}
			trigger(hosts, 1, 1, time.Second)
			if !r.wait(t, "acknowledged", 10*time.Second, func() bool { return r.acks[1]["s"] }) {
				t.Fatalf("no snapshot: %v", r.declines)
			}
			c.said(hosts[0])
			hosts[0].Cancel(gen)
			if got := <-hopeless; got != c.hopeless {
				t.Errorf("hopeless: %v", got)
			}
		})
	}
}

// An acknowledgement of a later checkpoint holds what was prepared for an earlier one, until that is given up as well.
func TestLaterAcknowledgementsHoldWhatIsPrepared(t *testing.T) {
	tk := &task{aligner: align.New(0, 0)}
	acknowledge := func(id int64) {
		tk.aligner.Step(align.Event{Kind: align.Triggered, Session: 1, Barrier: align.Barrier{Epoch: 1, ID: id}})
		tk.aligner.Step(align.Event{Kind: align.Acknowledged, ID: id})
	}
	check := func(when string, want ...bool) {
		t.Helper()
		for i, w := range want {
			if got := tk.hopeless(int64(i + 1)); got != w {
				t.Errorf("%s: what was prepared for checkpoint %d is hopeless: %v", when, i+1, got)
			}
		}
	}
	acknowledge(1)
	tk.hear(mail{kind: mailComplete, id: 1})
	acknowledge(2)
	check("2 is acknowledged, 3 is not", false, false, true)
	tk.hear(mail{kind: mailAbort, id: 2})
	check("2 is given up", false, true, true)
	acknowledge(3)
	check("3 is acknowledged", false, false, false)
	tk.hear(mail{kind: mailAbort, id: 3})
	check("3 is given up", false, true, true)
}
