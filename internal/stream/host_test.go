package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/storage/schemes"
	"github.com/thalweg-io/thalweg/internal/stream/align"
	"github.com/thalweg-io/thalweg/internal/worker/wire"
)

var gen = job.Generation{Epoch: 1, N: 1}

// ---- a graph: two coordinators -> two readers -> one sink

type options struct {
	batch     int // records of a poll; 0: 64
	limit     int // records per reader; 0: unbounded
	noEnd     bool
	codec     codec.Codec[int64]
	buildHook func()
	async     func(context.Context) ([][]byte, error)
	push      func(b *Batch[int64]) error
	watermark func(int64)
	closed    func(*TaskContext) // of the sink
	hold      [2]atomic.Bool     // the reader stops polling
	compress  func(host int) bool
	say       []byte // each reader says this first
	heard     func(reader int, event []byte, c *CoordinatorContext)
	slowest   func(reader int, at int64)
}

type coord struct {
	Base
	o     *options
	which int
	c     *CoordinatorContext
}

func (c *coord) Start(x *CoordinatorContext) error { c.c = x; return nil }
func (c *coord) Request(r int, event []byte) error {
	if len(event) > 0 {
		c.o.heard(c.which, event, c.c)
		return nil
	}
	c.c.NoMoreSplits(r)
	return nil
}
func (c *coord) ReaderEnded(int) {}

type src struct {
	Base
	o     *options
	which int
	t     *TaskContext
	n     int
	next  Input[int64]
	asked bool
	over  bool
}

func (s *src) Assign([]byte) error { return nil }
func (s *src) Slowest(at int64)    { s.o.slowest(s.which, at) }
func (s *src) NoMoreSplits() error { s.over = true; return nil }
func (s *src) Poll(*PollContext) (Status, error) {
	if !s.asked {
		s.asked = true
		if s.o.say != nil {
			s.t.Request(s.o.say)
		}
		s.t.Request(nil)
	}
	if s.o.limit > 0 && s.n >= s.o.limit {
		if !s.over || s.o.noEnd {
			return WaitWake, nil
		}
		if err := s.next.Watermark(MaxWatermark); err != nil {
			return Ended, err
		}
		return Ended, s.next.End()
	}
	if s.o.hold[s.which].Load() {
		return WaitUntil(time.Now().Add(time.Millisecond)), nil
	}
	b := &Batch[int64]{Split: -1}
	for range max(s.o.batch, 64) {
		b.Values = append(b.Values, int64(s.n))
		b.Times = append(b.Times, int64(s.n))
		s.n++
	}
	return More, s.next.Push(b)
}

type sink struct {
	Base
	o *options
	t *TaskContext
}

func (s *sink) Close() error {
	if s.o.closed != nil {
		s.o.closed(s.t)
	}
	return nil
}

func (s *sink) Push(b *Batch[int64]) error {
	if s.o.push != nil {
		return s.o.push(b)
	}
	return nil
}
func (s *sink) Watermark(at int64) error {
	if s.o.watermark != nil {
		s.o.watermark(at)
	}
	return nil
}
func (s *sink) Idle() error          { return nil }
func (s *sink) SplitEnd(int32) error { return nil }
func (s *sink) End() error           { return nil }
func (s *sink) Snapshot(x *Snapshot) error {
	if s.o.async != nil {
		x.Async(s.o.async)
	}
	return nil
}

func graph(o *options) *Graph {
	g := &Graph{Job: &thalwegv1.JobGraph{Name: "t"}}
	if o.codec == nil {
		o.codec, _ = codec.For[int64]()
	}
	vertex := func(id string, build func(*TaskContext) (*Chain, error)) {
		g.Job.Vertices = append(g.Job.Vertices, &thalwegv1.Vertex{Id: id, Name: id, Parallelism: 1, MaxParallelism: 128})
		g.Vertices = append(g.Vertices, &Vertex{Build: build})
	}
	for i := range 2 {
		vertex(fmt.Sprintf("c%d", i), func(t *TaskContext) (*Chain, error) {
			c := &coord{o: o, which: i}
			return &Chain{Operators: []NamedOperator{{"c", c}}, Coordinator: c}, nil
		})
	}
	for i := range 2 {
		vertex(fmt.Sprintf("r%d", i), func(t *TaskContext) (*Chain, error) {
			s := &src{o: o, which: i, t: t}
			s.next = NewRouter[int64](t, 2+i, o.codec, Partitioner[int64]{Kind: thalwegv1.Partitioning_PARTITIONING_GLOBAL})
			return &Chain{Operators: []NamedOperator{{"r", s}}, Source: s}, nil
		})
	}
	vertex("s", func(t *TaskContext) (*Chain, error) {
		if o.buildHook != nil {
			o.buildHook()
		}
		s := &sink{o: o, t: t}
		return &Chain{Operators: []NamedOperator{{"s", s}}, Gates: []Gate{NewGate[int64](t, 2, o.codec, s), NewGate[int64](t, 3, o.codec, s)}}, nil
	})
	edge := func(from, to string, p thalwegv1.Partitioning) {
		g.Job.Edges = append(g.Job.Edges, &thalwegv1.Edge{Id: int32(len(g.Job.Edges)), From: from, To: to, Partitioning: p})
	}
	edge("c0", "r0", thalwegv1.Partitioning_PARTITIONING_COORDINATOR)
	edge("c1", "r1", thalwegv1.Partitioning_PARTITIONING_COORDINATOR)
	edge("r0", "s", thalwegv1.Partitioning_PARTITIONING_GLOBAL)
	edge("r1", "s", thalwegv1.Partitioning_PARTITIONING_GLOBAL)
	return g
}

// ---- a reporter that remembers

type rec struct {
	mu       sync.Mutex
	c        *sync.Cond
	states   map[string]*thalwegv1.TaskReport
	acks     map[int64]map[string]bool
	declines map[int64][]string
}

func newRec() *rec {
	r := &rec{states: map[string]*thalwegv1.TaskReport{}, acks: map[int64]map[string]bool{}, declines: map[int64][]string{}}
	r.c = sync.NewCond(&r.mu)
	return r
}
func (r *rec) do(f func()) { r.mu.Lock(); f(); r.mu.Unlock(); r.c.Broadcast() }
func (r *rec) TaskState(x *thalwegv1.TaskReport) {
	r.do(func() { r.states[x.Task.Vertex] = x })
}
func (r *rec) Acknowledge(a *thalwegv1.Acknowledge) {
	r.do(func() {
		if r.acks[a.Checkpoint] == nil {
			r.acks[a.Checkpoint] = map[string]bool{}
		}
		r.acks[a.Checkpoint][a.Task.Vertex] = true
	})
}
func (r *rec) Decline(d *thalwegv1.Decline) {
	r.do(func() { r.declines[d.Checkpoint] = append(r.declines[d.Checkpoint], d.Task.Vertex+": "+d.Reason) })
}
func (r *rec) Confirmed(*thalwegv1.Confirmed) {}

func (r *rec) wait(t *testing.T, what string, d time.Duration, ok func() bool) bool {
	t.Helper()
	stop := time.AfterFunc(d, func() { r.c.Broadcast() })
	defer stop.Stop()
	end := time.Now().Add(d)
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok() {
		if !time.Now().Before(end) {
			return false
		}
		r.c.Wait()
	}
	return true
}
func (r *rec) all(s thalwegv1.TaskState, names ...string) func() bool {
	return func() bool {
		for _, n := range names {
			if r.states[n] == nil || r.states[n].State != s {
				return false
			}
		}
		return true
	}
}

var everyone = []string{"c0", "c1", "r0", "r1", "s"}

// ---- hosts over loopback

func start(t *testing.T, o *options, r *rec, where map[string]int, hosts int, wrap func(net.Conn) net.Conn) []*Host {
	t.Helper()
	files := schemes.Open()
	dir := t.TempDir()
	g := graph(o)
	var hs []*Host
	var addrs []string
	for i := range hosts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c := HostConfig{Job: "j", TaskManagerIncarnation: fmt.Sprint("inc", i), Incarnation: fmt.Sprint("w", i), TempDir: dir, Storage: files}
		c.CompressRecords = o.compress != nil && o.compress(i)
		if wrap != nil {
			c.Dial = func(ctx context.Context, a string) (net.Conn, error) {
				nc, err := net.Dial("tcp", a)
				if err != nil {
					return nil, err
				}
				return wrap(nc), nil
			}
		}
		h := NewHost(g, c, r)
		hs = append(hs, h)
		addrs = append(addrs, l.Addr().String())
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				hello := new(thalwegv1.DataHello)
				if wire.ReadFrame(nc, hello, 1<<20) == nil {
					h.Accept(nc, hello)
				}
			}
		}()
		t.Cleanup(func() { l.Close(); h.Close() })
	}
	var place []*thalwegv1.Placement
	for _, v := range everyone {
		i := where[v]
		place = append(place, &thalwegv1.Placement{Task: job.TaskID{Vertex: v}.Proto(), Taskmanager: fmt.Sprint("tm", i), Incarnation: fmt.Sprint("inc", i), DataAddress: addrs[i]})
	}
	for i, h := range hs {
		h.SessionEpoch(1)
		d := &thalwegv1.Deploy{Job: "j", Generation: gen.Proto(), Placement: place, CheckpointDir: filepath.Join(dir, "chk")}
		for _, v := range everyone {
			if where[v] == i {
				d.Tasks = append(d.Tasks, job.TaskID{Vertex: v}.Proto())
			}
		}
		h.Deploy(d)
	}
	return hs
}

func trigger(h []*Host, epoch uint64, id int64, deadline time.Duration) {
	for _, x := range h {
		x.Trigger(epoch, &thalwegv1.Trigger{Job: "j", Generation: gen.Proto(), Checkpoint: id, AlignmentDeadlineMs: deadline.Milliseconds()})
	}
}

// 1. The receiver of a connection finishes first (its Complete came first): the sender, ENDED and waiting for its own Complete, fails.
func TestReceiverFinishesFirst(t *testing.T) {
	r := newRec()
	hs := start(t, &options{limit: 640}, r, map[string]int{"s": 1}, 2, nil)
	if !r.wait(t, "ended", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...)) {
		t.Fatalf("not ended: %v", r.states)
	}
	trigger(hs, 1, 1, time.Second)
	if !r.wait(t, "acks", 5*time.Second, func() bool { return len(r.acks[1]) == 5 }) {
		t.Fatal("no acks", r.acks, r.declines)
	}
	hs[1].Complete(gen, 1)
	if r.wait(t, "failure", 500*time.Millisecond, func() bool {
		return r.states["r0"].State == thalwegv1.TaskState_TASK_STATE_FAILED || r.states["r1"].State == thalwegv1.TaskState_TASK_STATE_FAILED
	}) {
		t.Fatalf("a sender of a finished receiver: %v", r.states["r0"])
	}
	hs[0].Complete(gen, 1)
	if !r.wait(t, "finished", 2*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_FINISHED, everyone...)) {
		t.Fatalf("not finished: %v", r.states)
	}
}

// slowConn delays writes a little, as a network does.
type slowConn struct{ *net.TCPConn }

func (s slowConn) Write(b []byte) (int, error) {
	time.Sleep(5 * time.Millisecond)
	return s.TCPConn.Write(b)
}

// 2. The sender finishes first: its last frames (FINISHED) are dropped with the queue, and the receiver fails.
func TestSenderFinishesFirst(t *testing.T) {
	r := newRec()
	hs := start(t, &options{limit: 640}, r, map[string]int{"s": 1}, 2, func(c net.Conn) net.Conn { return slowConn{c.(*net.TCPConn)} })
	if !r.wait(t, "ended", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...)) {
		t.Fatalf("not ended: %v", r.states)
	}
	trigger(hs, 1, 1, time.Second)
	if !r.wait(t, "acks", 5*time.Second, func() bool { return len(r.acks[1]) == 5 }) {
		t.Fatal("no acks", r.acks, r.declines)
	}
	hs[0].Complete(gen, 1)
	if r.wait(t, "failure", 500*time.Millisecond, func() bool { return r.states["s"].State == thalwegv1.TaskState_TASK_STATE_FAILED }) {
		t.Fatalf("the receiver of finished senders: %v", r.states["s"])
	}
}

// 3. C11: a channel stays blocked beyond the alignment deadline while the task is busy with another channel.
func TestAlignmentDeadlineOfABusyTask(t *testing.T) {
	r := newRec()
	o := &options{}
	var end atomic.Bool
	o.push = func(*Batch[int64]) error { time.Sleep(200 * time.Microsecond); return nil } // always behind: never rests
	hs := start(t, o, r, map[string]int{}, 1, nil)
	if !r.wait(t, "running", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
		t.Fatal("not running")
	}
	defer end.Store(true)
	// only the coordinator of the first source is told: what a leader leaves behind that dies between two triggers
	g := hs[0].current()
	g.tasks[job.TaskID{Vertex: "c0"}].mail(mail{kind: mailTrigger, barrier: align.Barrier{Epoch: 1, ID: 1, Deadline: 100 * time.Millisecond}})
	if !r.wait(t, "decline", 3*time.Second, func() bool { return len(r.declines[1]) > 0 }) {
		t.Fatal("a deadline of 100ms has not passed after 3s: the channel is still blocked")
	}
}

// 4. V4: the queue of a channel that is never quite empty grows.
func TestChannelQueueIsBounded(t *testing.T) {
	tk := &task{wake: make(chan struct{}, 1)}
	c := newInChannel(tk, 0)
	c.put(element{kind: records})
	for range 1 << 20 {
		c.put(element{kind: records})
		c.take()
	}
	if n := cap(c.mu.q); n > 1024 {
		t.Fatalf("room for %d elements for the 1 that waits", n)
	}
}

// 5. A panic in Build is the task's failure, not the process's.
func TestPanicInBuild(t *testing.T) {
	r := newRec()
	start(t, &options{buildHook: func() { panic("user code") }}, r, map[string]int{}, 1, nil)
	if !r.wait(t, "failed", 2*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_FAILED, "s")) {
		t.Fatal("not failed")
	}
}

// 6. So is one in what Snapshot.Async runs.
func TestPanicInAsync(t *testing.T) {
	r := newRec()
	hs := start(t, &options{async: func(context.Context) ([][]byte, error) { panic("user code") }}, r, map[string]int{}, 1, nil)
	if !r.wait(t, "running", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
		t.Fatal("not running")
	}
	trigger(hs, 1, 1, time.Second)
	if !r.wait(t, "failed", 2*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_FAILED, "s")) {
		t.Fatal("not failed")
	}
}

// 7. A new session without a word of the old one's end: what was begun in the old one has to be given up at once.
func TestNewSessionEndsTheOldOne(t *testing.T) {
	r := newRec()
	o := &options{}
	o.hold[0].Store(true)
	o.hold[1].Store(true)
	hs := start(t, o, r, map[string]int{}, 1, nil)
	if !r.wait(t, "running", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
		t.Fatal("not running")
	}
	g := hs[0].current()
	g.tasks[job.TaskID{Vertex: "c0"}].mail(mail{kind: mailTrigger, barrier: align.Barrier{Epoch: 1, ID: 1, Deadline: time.Hour}})
	if !r.wait(t, "ack", 2*time.Second, func() bool { return len(r.acks[1]) == 2 }) {
		t.Fatal("no acks", r.acks)
	}
	// A reader acknowledges behind its barrier: once the sink's channels are empty, it has taken those.
	for _, in := range g.tasks[job.TaskID{Vertex: "s"}].inputs {
		for in.size.Load() != 0 {
			runtime.Gosched()
		}
	}
	hs[0].SessionEpoch(2)
	if !r.wait(t, "decline", time.Second, func() bool { return len(r.declines[1]) > 0 }) {
		t.Fatal("the channel stays blocked for a checkpoint of epoch 1 in a session of epoch 2")
	}
}

// failing cannot encode from the second batch on.
type failing struct {
	codec.Codec[int64]
	n atomic.Int32
}

func (f *failing) Append(dst []byte, vs []int64) ([]byte, error) {
	if f.n.Add(1) > 1 {
		return dst, errors.New("cannot encode")
	}
	return f.Codec.Append(dst, vs)
}

// 8. C2: records that cannot be encoded are dropped, and the checkpoint behind them is acknowledged.
func TestRecordsThatCannotBeEncodedFailTheTask(t *testing.T) {
	r := newRec()
	c, _ := codec.For[int64]()
	broken := &failing{Codec: c}
	o := &options{limit: 64, noEnd: true, codec: broken}
	o.hold[0].Store(true)
	o.hold[1].Store(true)
	hs := start(t, o, r, map[string]int{"s": 1}, 2, nil)
	if !r.wait(t, "running", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
		t.Fatal("not running")
	}
	o.hold[0].Store(false)
	o.hold[1].Store(false)
	for broken.n.Load() < 2 {
		runtime.Gosched()
	}
	trigger(hs, 1, 1, time.Second)
	if r.wait(t, "acks", 2*time.Second, func() bool { return r.acks[1]["r0"] && r.acks[1]["r1"] }) {
		t.Fatalf("both readers acknowledged, one of them has dropped records; states %v %v", r.states["r0"].State, r.states["r1"].State)
	}
}

// 9. Input.Watermark "only grows": MaxWatermark comes twice.
func TestMaxWatermarkComesOnce(t *testing.T) {
	r := newRec()
	var n atomic.Int32
	o := &options{limit: 64, watermark: func(at int64) {
		if at == MaxWatermark {
			n.Add(1)
		}
	}}
	start(t, o, r, map[string]int{}, 1, nil)
	r.wait(t, "ended", 3*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...))
	if n.Load() != 1 {
		t.Fatalf("MaxWatermark came %d times", n.Load())
	}
}

// 10. A second connection of the same generation opens a channel that is open: it must be refused (X3, C2).
func TestSecondConnectionIsRefused(t *testing.T) {
	r := newRec()
	o := &options{}
	o.hold[0].Store(true)
	o.hold[1].Store(true)
	var got atomic.Int64
	o.push = func(b *Batch[int64]) error { got.Add(int64(b.Len())); return nil }
	hs := start(t, o, r, map[string]int{"s": 1}, 2, nil)
	if !r.wait(t, "running", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
		t.Fatal("not running")
	}
	a, b := net.Pipe()
	hs[1].Accept(b, &thalwegv1.DataHello{Job: "another", Generation: gen.Proto(), ToIncarnation: "nobody"})
	w := new(thalwegv1.DataWelcome)
	if err := wire.ReadFrame(a, w, 1<<20); err != nil {
		t.Fatal(err)
	}
	if w.Error == "" {
		t.Error("a hello of another job, for another taskmanager incarnation, was welcomed")
	}
	open := beginFrame(nil, 0, frameOpen)
	open = append(open, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	a.SetDeadline(time.Now().Add(time.Second))
	a.Write(endFrame(open, 0))
	c, _ := codec.For[int64]()
	f, _ := appendBatch(beginFrame(nil, 0, frameRecords), c, &Batch[int64]{Values: []int64{7}, Times: []int64{1}})
	a.Write(endFrame(f, 0))
	io.Copy(io.Discard, a) // until the other side has ended the connection
	if got.Load() != 0 {
		t.Errorf("%d records of a second connection for an open channel were processed", got.Load())
	}
}

// 11. The mailbox of a task that is over keeps everything it is sent.
func TestMailboxOfAFinishedTask(t *testing.T) {
	r := newRec()
	hs := start(t, &options{limit: 64}, r, map[string]int{}, 1, nil)
	r.wait(t, "ended", 3*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...))
	trigger(hs, 1, 1, time.Second)
	r.wait(t, "acks", 3*time.Second, func() bool { return len(r.acks[1]) == 5 })
	hs[0].Complete(gen, 1)
	r.wait(t, "finished", 3*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_FINISHED, everyone...))
	for i := range 1000 {
		hs[0].Abort(int64(i))
	}
	for _, x := range hs[0].current().tasks {
		x.mu.Lock()
		if n := len(x.mu.mail); n > 0 {
			t.Errorf("%v keeps %d mails", x.id, n)
		}
		x.mu.Unlock()
	}
}

// 12. A sender that waits for room on a connection never hears that the connection is lost.
func TestBrokenConnectionEndsAWaitForRoom(t *testing.T) {
	r := newRec()
	block := make(chan struct{})
	defer close(block)
	o := &options{batch: 64 << 10, push: func(*Batch[int64]) error { <-block; return nil }}
	hs := start(t, o, r, map[string]int{"s": 1}, 2, nil)
	if !r.wait(t, "running", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_RUNNING, everyone...)) {
		t.Fatal("not running")
	}
	g := hs[0].current()
	for _, v := range []string{"r0", "r1"} {
		for g.tasks[job.TaskID{Vertex: v}].outs[0].unconsumed.Load() < window {
			runtime.Gosched()
		}
	}
	g.links.mu.Lock()
	c := g.links.mu.conns[0]
	g.links.mu.Unlock()
	c.nc.Close()
	if !r.wait(t, "failed", 5*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_FAILED, "r0", "r1")) {
		t.Fatalf("after the connection broke: r0 %v, r1 %v", r.states["r0"].State, r.states["r1"].State)
	}
}
