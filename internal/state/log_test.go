package state

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

// Logs against slices: random records, drops, snapshots as bases and deltas while records go on coming, and restores at another parallelism.

const logWidth = 10

type logged[K comparable, V any] struct {
	key K
	at  int64
	v   V
}

type logTask[K comparable, V any] struct {
	keyed       *Keyed[K]
	left, right *Log[K, V] // to be paired
	near        *Log[K, V]
}

// logRows are what is in left, right and near, of all subtasks.
type logRows[K comparable, V any] [3][]logged[K, V]

type logModel[K comparable, V any] struct {
	t     *testing.T
	r     *rand.Rand
	fs    *storagetest.Mem
	max   int
	hash  func(K) uint64
	key   func(i int) K
	val   func(i int) V
	tasks []*logTask[K, V]
	rows  logRows[K, V]
	over  int64 // buckets before it are dropped
	epoch int64
	last  *logSnapshot[K, V]
}

type logSnapshot[K comparable, V any] struct {
	id    int64
	rows  logRows[K, V]
	over  int64
	files [][]checkpoint.File
}

func (m *logModel[K, V]) check(err error) {
	if err != nil {
		m.t.Helper()
		m.t.Fatal(err)
	}
}

func (m *logModel[K, V]) start(parallelism int) {
	for _, s := range m.tasks {
		s.keyed.Close()
	}
	m.tasks = nil
	for i := range parallelism {
		from, to := job.Groups(i, m.max, parallelism)
		s := &logTask[K, V]{}
		var err error
		s.keyed, err = NewKeyed[K](Config{Name: "op", MaxParallelism: m.max, From: from, To: to, onHeap: m.r.IntN(2) == 0})
		m.check(err)
		grid := Grid{Width: logWidth, Offset: 3}
		s.left, err = NewLog[K, V](s.keyed, "left", grid, false)
		m.check(err)
		s.right, err = NewLog[K, V](s.keyed, "right", grid, false)
		m.check(err)
		s.near, err = NewLog[K, V](s.keyed, "near", grid, true)
		m.check(err)
		m.tasks = append(m.tasks, s)
	}
}

func (s *logTask[K, V]) logs() [3]*Log[K, V] { return [3]*Log[K, V]{s.left, s.right, s.near} }

// add adds records to one of the logs, now and then so many that buckets are divided.
func (m *logModel[K, V]) add() {
	n, which := 1+m.r.IntN(50), m.r.IntN(3)
	keys, span := 1+m.r.IntN(40), int64(60)
	if m.r.IntN(6) == 0 {
		n, keys, span = 6000+m.r.IntN(4000), 1+m.r.IntN(9000), 5
	}
	first := m.over + m.r.Int64N(40)
	batches := map[*logTask[K, V]][]logged[K, V]{}
	for range n {
		x := logged[K, V]{m.key(m.r.IntN(keys)), first + m.r.Int64N(span), m.val(m.r.IntN(300))}
		s := m.owner(x.key)
		batches[s] = append(batches[s], x)
		m.rows[which] = append(m.rows[which], x)
	}
	for s, all := range batches {
		times, keys, hashes, values := m.columns(all)
		m.check(s.logs()[which].Add(times, keys, hashes, values))
	}
}

func (m *logModel[K, V]) owner(k K) *logTask[K, V] {
	return m.tasks[job.Owner(job.KeyGroup(m.hash(k), m.max), m.max, len(m.tasks))]
}

func (m *logModel[K, V]) columns(all []logged[K, V]) (times []int64, keys []K, hashes []uint64, values []V) {
	for _, x := range all {
		times, keys, hashes, values = append(times, x.at), append(keys, x.key), append(hashes, m.hash(x.key)), append(values, x.v)
	}
	return times, keys, hashes, values
}

// drop drops a few buckets.
func (m *logModel[K, V]) drop() {
	m.over += m.r.Int64N(30)
	m.dropOver()
	keep := func(x logged[K, V]) bool { return Grid{logWidth, 3}.Of(x.at) < Grid{logWidth, 3}.Of(m.over) }
	for i := range m.rows {
		m.rows[i] = slices.DeleteFunc(slices.Clone(m.rows[i]), keep)
	}
}

func (m *logModel[K, V]) dropOver() {
	for _, s := range m.tasks {
		for _, x := range s.logs() {
			x.DropBefore(x.grid.Of(m.over))
		}
	}
}

// compare asks for everything.
func (m *logModel[K, V]) compare() {
	m.t.Helper()
	for which, rows := range m.rows {
		n := 0
		for _, s := range m.tasks {
			n += s.logs()[which].Len()
		}
		if n != len(rows) {
			m.t.Fatalf("log %d has %d records, want %d", which, n, len(rows))
		}
	}
	m.comparePairs()
	for range 3 {
		m.compareNear()
	}
}

func (m *logModel[K, V]) comparePairs() {
	first, last := int64(math.MinInt64), int64(math.MaxInt64)
	if m.r.IntN(2) == 0 {
		first = Grid{logWidth, 3}.Of(m.over) + m.r.Int64N(4)
		last = first + m.r.Int64N(3)
	}
	in := func(x logged[K, V]) bool { b := Grid{logWidth, 3}.Of(x.at); return b >= first && b <= last }
	got, want := map[string]int{}, map[string]int{}
	for _, s := range m.tasks {
		m.check(Pair(s.left, s.right, first, last, func(hash uint64, a, b *V) error {
			if len(got) < 1<<16 { // of very many some are enough
				got[fmt.Sprint(hash, *a, *b)]++
			} else if name := fmt.Sprint(hash, *a, *b); got[name] > 0 {
				got[name]++
			}
			return nil
		}))
	}
	rights := map[K][]logged[K, V]{}
	for _, x := range m.rows[1] {
		if in(x) {
			rights[x.key] = append(rights[x.key], x)
		}
	}
	pairs := 0
	for _, a := range m.rows[0] {
		if in(a) {
			for _, b := range rights[a.key] {
				want[fmt.Sprint(m.hash(a.key), a.v, b.v)]++
				pairs++
			}
		}
	}
	if len(got) < 1<<16 && len(got) != len(want) {
		m.t.Fatalf("%d different pairs of buckets %d to %d, want %d", len(got), first, last, len(want))
	}
	for name, n := range got {
		if want[name] != n {
			m.t.Fatalf("buckets %d to %d have pair %s %d times, want %d", first, last, name, n, want[name])
		}
	}
}

func (m *logModel[K, V]) compareNear() {
	lower := m.r.Int64N(40) - 20
	upper := lower + m.r.Int64N(12) // mostly less than a bucket
	if m.r.IntN(5) == 0 {
		upper = lower + m.r.Int64N(60)
	}
	asked := map[*logTask[K, V]][]logged[K, V]{}
	for range 150 {
		x := logged[K, V]{key: m.key(m.r.IntN(50)), at: m.over + m.r.Int64N(80)}
		asked[m.owner(x.key)] = append(asked[m.owner(x.key)], x)
	}
	perKey := map[K][]logged[K, V]{}
	for _, x := range m.rows[2] {
		perKey[x.key] = append(perKey[x.key], x)
	}
	for s, all := range asked {
		times, keys, hashes, _ := m.columns(all)
		got, want := make([]map[string]int, len(all)), make([]map[string]int, len(all))
		for i, a := range all {
			got[i], want[i] = map[string]int{}, map[string]int{}
			for _, x := range perKey[a.key] {
				if x.at >= a.at+lower && x.at <= a.at+upper {
					want[i][fmt.Sprint(x.at, x.v)]++
				}
			}
		}
		m.check(s.near.Near(times, keys, hashes, lower, upper, func(i int, at int64, v *V) error {
			got[i][fmt.Sprint(at, *v)]++
			return nil
		}))
		if !reflect.DeepEqual(got, want) {
			m.t.Fatalf("near [%d, %d]: got %v, want %v", lower, upper, got, want)
		}
	}
}

// snapshot takes a snapshot while other things happen, and restores it now and then.
func (m *logModel[K, V]) snapshot() {
	m.epoch++
	s := &logSnapshot[K, V]{id: m.epoch, over: m.over}
	for i, rows := range m.rows {
		s.rows[i] = slices.Clone(rows)
	}
	base := m.last
	if m.r.IntN(4) == 0 {
		base = nil
	}
	var writers []*checkpoint.FileWriter
	for i, task := range m.tasks {
		w := checkpoint.NewFileWriter(context.Background(), checkpoint.FileConfig{FS: m.fs, Dir: "mem:///c", Checkpoint: s.id,
			Task: job.TaskID{Vertex: "v", Subtask: i}, InlineThreshold: 1 << m.r.IntN(20)})
		p := Plan{Checkpoint: s.id, Out: w, Operator: "uid"}
		if base != nil {
			p.Base = base.id
			p.Rebase = checkpoint.Rebase(base.files[i], "uid")
			if m.r.IntN(2) == 0 {
				p.Rebase = func(group int) bool { return group%3 == 0 }
			}
		}
		m.check(task.keyed.Begin(p))
		writers = append(writers, w)
	}
	giveUp := m.r.IntN(6) == 0
	for i, task := range m.tasks {
		for !task.keyed.Sweep([]int{1, 300, 5000}[m.r.IntN(3)]) {
			if giveUp && m.r.IntN(4) == 0 {
				break
			}
			if m.r.IntN(3) == 0 {
				m.change()
			}
		}
		if giveUp {
			task.keyed.Abort()
			writers[i].Abort()
			continue
		}
		f, err := writers[i].Finish(context.Background())
		m.check(err)
		var before []checkpoint.File
		if base != nil {
			before = base.files[i]
		}
		s.files = append(s.files, writers[i].Chain(before, f))
	}
	if !giveUp {
		m.last = s
	}
}

func (m *logModel[K, V]) restore() {
	if m.last == nil {
		return
	}
	var states []*checkpoint.SubtaskState
	for i, files := range m.last.files {
		state, err := checkpoint.DecodeSubtaskState((&checkpoint.SubtaskState{Vertex: "v", Subtask: i, Files: files}).Append(nil))
		m.check(err)
		states = append(states, state)
	}
	m.rows, m.over, m.last = m.last.rows, m.last.over, nil
	m.start(1 + m.r.IntN(min(m.max, 4)))
	for _, s := range m.tasks {
		r, err := checkpoint.Open(context.Background(), m.fs, "mem:///c", states...)
		m.check(err)
		m.check(s.keyed.Restore(r, "uid"))
		m.check(r.Close())
	}
	m.dropOver() // what a delta does not say
	m.compare()
}

// change does what records and watermarks do.
func (m *logModel[K, V]) change() {
	switch m.r.IntN(8) {
	case 0:
		m.drop()
	case 1:
		for _, s := range m.tasks { // a window that has ended is paired while it is saved
			m.check(Pair(s.left, s.right, math.MinInt64, math.MaxInt64, func(uint64, *V, *V) error { return nil }))
		}
	default:
		m.add()
	}
}

func testLogs[K comparable, V any](t *testing.T, key func(int) K, val func(int) V) {
	t.Parallel()
	cases := uint64(40)
	if testing.Short() {
		cases = 8
	}
	for seed := range cases {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			hash, err := codec.Hasher[K]()
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(seed, 77))
			m := &logModel[K, V]{t: t, r: r, fs: storagetest.NewMem(), max: []int{1, 3, 128, 1000}[r.IntN(4)], hash: hash, key: key, val: val}
			m.start(1 + r.IntN(min(m.max, 4)))
			for range 25 {
				switch r.IntN(8) {
				case 0, 1:
					m.snapshot()
				case 2:
					m.restore()
				case 3:
					m.compare()
				default:
					m.change()
				}
			}
			m.snapshot()
			m.restore()
			m.snapshot()
			m.over += 10_000
			m.drop()
			for _, s := range m.tasks {
				for _, x := range s.logs() {
					if n := x.Len(); n != 0 || x.space.inUse != 0 {
						t.Errorf("%d records in %d bytes are left when all is dropped", n, x.space.inUse)
					}
				}
				s.keyed.Close()
			}
		})
	}
}

func TestLogsIntegerKeys(t *testing.T) {
	testLogs(t, func(i int) int64 { return int64(i) }, func(i int) [2]int64 { return [2]int64{int64(i)} })
}

func TestLogsStringKeys(t *testing.T) {
	testLogs(t, func(i int) string { return fmt.Sprintf("%*d", i%50, i) }, func(i int) string { return fmt.Sprint(i * i) })
}

func TestLogsInlineKeys(t *testing.T) {
	type pair struct {
		A uint8
		B int64
	}
	testLogs(t, func(i int) pair { return pair{uint8(i), int64(i / 256)} }, func(i int) int8 { return int8(i) })
}

func TestLogsEncodedKeys(t *testing.T) {
	type half struct {
		Tags []string
		M    map[string]int64
	}
	testLogs(t, func(i int) compound { return compound{fmt.Sprint(i), int32(i)} },
		func(i int) half { return half{slices.Repeat([]string{"tag"}, i%4), map[string]int64{"x": int64(i)}} })
}

// A record is added, found and paired without an allocation, once there is room.
func TestLogsDoNotAllocate(t *testing.T) {
	k, err := NewKeyed[int64](Config{Name: "op", MaxParallelism: 16, From: 0, To: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	left, err := NewLog[int64, [2]int64](k, "left", Grid{Width: 1 << 20}, false)
	if err != nil {
		t.Fatal(err)
	}
	near, err := NewLog[int64, [2]int64](k, "near", Grid{Width: 1 << 20}, true)
	if err != nil {
		t.Fatal(err)
	}
	hash, _ := codec.Hasher[int64]()
	var times []int64
	var keys []int64
	var hashes []uint64
	values := make([][2]int64, 100)
	for i := range int64(100) {
		times, keys, hashes = append(times, i), append(keys, i%30), append(hashes, hash(i%30))
	}
	pairs := 0
	pair := func(uint64, *[2]int64, *[2]int64) error { pairs++; return nil }
	found := func(int, int64, *[2]int64) error { pairs++; return nil }
	round := func() {
		for range 100 { // enough to be divided
			if left.Add(times, keys, hashes, values) != nil || near.Add(times, keys, hashes, values) != nil || near.Near(times, keys, hashes, -5, 5, found) != nil {
				t.Fatal(k.Err())
			}
		}
		if err := Pair(left, left, 1, 0, pair); err != nil {
			t.Fatal(err)
		}
	}
	round()
	// 20,000 records take some pieces of memory, which are not of the Go heap.
	if n := testing.AllocsPerRun(5, round); n > 20 || pairs == 0 {
		t.Errorf("%v allocations for 20,000 records, and %d pairs", n, pairs)
	}
}
