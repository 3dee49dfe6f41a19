package state

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/state/checkpoint"
	"github.com/thalweg-io/thalweg/internal/storage/storagetest"
)

// The real state against maps: random operations on one operator at random parallelism, with snapshots and restores at another.

type subtask[K comparable, V, A any] struct {
	keyed  *Keyed[K]
	value  *Value[K, V]
	timers *Timers[K]
	slices *Slices[K, A]
	list   *List[K, V]
	dict   *Map[K, K, A]
}

type model[K comparable, V, A any] struct {
	t        *rapid.T
	fs       *storagetest.Mem
	onHeap   bool
	max      int
	hash     func(K) uint64
	subtasks []*subtask[K, V, A]
	key      func(i int) K
	val      func(i int) V
	acc      func(i int) A

	contents[K, V, A]
	epoch int64

	taking *snapshotTaken[K, V, A] // the snapshot that is being taken; nil: none
	last   *snapshotTaken[K, V, A] // the newest that is complete
}

// contents are what the state should be.
type contents[K comparable, V, A any] struct {
	values map[K]V
	timers map[K]map[int64]bool
	panes  map[int64]map[K]A
	lists  map[K][]V
	dicts  map[K]map[K]A
}

func (c *contents[K, V, A]) clone() contents[K, V, A] {
	d := contents[K, V, A]{values: maps.Clone(c.values), timers: map[K]map[int64]bool{}, panes: map[int64]map[K]A{},
		lists: map[K][]V{}, dicts: map[K]map[K]A{}}
	for k, v := range c.lists {
		d.lists[k] = slices.Clone(v)
	}
	for k, v := range c.dicts {
		d.dicts[k] = maps.Clone(v)
	}
	for k, v := range c.timers {
		d.timers[k] = maps.Clone(v)
	}
	for k, v := range c.panes {
		d.panes[k] = maps.Clone(v)
	}
	return d
}

// snapshotTaken is a checkpoint: what it should bring back, and by subtask the files that do.
type snapshotTaken[K comparable, V, A any] struct {
	contents[K, V, A]
	id      int64
	writers []*checkpoint.FileWriter
	done    []bool
	base    *snapshotTaken[K, V, A]
	files   [][]checkpoint.File
}

// begin takes a snapshot: a change of the last complete one, or all of it. One that is being taken is given up.
func (m *model[K, V, A]) begin() {
	m.giveUp()
	m.epoch++
	s := &snapshotTaken[K, V, A]{contents: m.clone(), id: m.epoch, done: make([]bool, len(m.subtasks))}
	if rapid.IntRange(0, 4).Draw(m.t, "full") > 0 {
		s.base = m.last
	}
	for i, sub := range m.subtasks {
		w := m.writer(i)
		p := Plan{Checkpoint: s.id, Out: w, Operator: "uid"}
		if s.base != nil {
			p.Base = s.base.id
			if rapid.Bool().Draw(m.t, "rebase") {
				p.Rebase = func(group int) bool { return group%3 == 0 }
			} else {
				p.Rebase = checkpoint.Rebase(s.base.files[i], "uid")
			}
		}
		must(m.t, sub.keyed.Begin(p))
		s.writers = append(s.writers, w)
	}
	m.taking = s
}

func (m *model[K, V, A]) writer(subtask int) *checkpoint.FileWriter {
	return checkpoint.NewFileWriter(context.Background(), checkpoint.FileConfig{FS: m.fs, Dir: "mem:///c", Checkpoint: m.epoch,
		Task: job.TaskID{Vertex: "v", Subtask: subtask}, InlineThreshold: rapid.SampledFrom([]int{0, 1 << 20}).Draw(m.t, "threshold")})
}

func (m *model[K, V, A]) giveUp() {
	if m.taking == nil {
		return
	}
	for i, w := range m.taking.writers {
		if rapid.Bool().Draw(m.t, "abort") { // else the next Begin does it
			m.subtasks[i].keyed.Abort()
		}
		w.Abort()
	}
	m.taking = nil
}

// sweep goes on with the snapshot, and completes it.
func (m *model[K, V, A]) sweep() {
	s := m.taking
	if s == nil {
		return
	}
	all := true
	for i, sub := range m.subtasks {
		s.done[i] = s.done[i] || sub.keyed.Sweep(rapid.SampledFrom([]int{1, 100, 5000, 1 << 30}).Draw(m.t, "budget"))
		all = all && s.done[i]
	}
	if !all {
		return
	}
	for i, w := range s.writers {
		f, err := w.Finish(context.Background())
		must(m.t, err)
		var base []checkpoint.File
		if s.base != nil {
			base = s.base.files[i]
		}
		s.files = append(s.files, w.Chain(base, f))
	}
	m.last, m.taking = s, nil
}

// restore goes back to the last complete snapshot, at another parallelism.
func (m *model[K, V, A]) restore() {
	if m.last == nil {
		return
	}
	m.giveUp()
	m.contents = m.last.clone()
	var states []*checkpoint.SubtaskState
	for i, files := range m.last.files {
		state, err := checkpoint.DecodeSubtaskState((&checkpoint.SubtaskState{Vertex: "v", Subtask: i, Files: files}).Append(nil))
		must(m.t, err)
		states = append(states, state)
	}
	m.reopen(states)
	m.check()
}

func (m *model[K, V, A]) reopen(states []*checkpoint.SubtaskState) {
	m.stop()
	m.last = nil
	m.start(rapid.IntRange(1, min(m.max, 5)).Draw(m.t, "parallelism"))
	for _, s := range m.subtasks {
		r, err := checkpoint.Open(context.Background(), m.fs, "mem:///c", states...)
		must(m.t, err)
		must(m.t, s.keyed.Restore(r, "uid"))
		must(m.t, r.Close())
	}
}

func (m *model[K, V, A]) start(parallelism int) {
	for i := range parallelism {
		from, to := job.Groups(i, m.max, parallelism)
		s := &subtask[K, V, A]{}
		var err error
		if s.keyed, err = NewKeyed[K](Config{Name: "op", MaxParallelism: m.max, From: from, To: to, onHeap: m.onHeap}); err != nil {
			m.t.Fatal(err)
		}
		if s.value, err = NewValue[K, V](s.keyed, "value"); err != nil {
			m.t.Fatal(err)
		}
		if s.timers, err = NewTimers(s.keyed, "timers"); err != nil {
			m.t.Fatal(err)
		}
		if s.slices, err = NewSlices[K, A](s.keyed, "slices"); err != nil {
			m.t.Fatal(err)
		}
		if s.list, err = NewList[K, V](s.keyed, "list"); err != nil {
			m.t.Fatal(err)
		}
		if s.dict, err = NewMap[K, K, A](s.keyed, "dict"); err != nil {
			m.t.Fatal(err)
		}
		m.subtasks = append(m.subtasks, s)
	}
}

func (m *model[K, V, A]) stop() {
	for _, s := range m.subtasks {
		s.keyed.Close()
	}
	m.subtasks = nil
}

// seek takes a key in hand and returns the subtask that owns it.
func (m *model[K, V, A]) seek(k K) *subtask[K, V, A] {
	h := m.hash(k)
	s := m.owner(h)
	s.keyed.Seek(k, h)
	return s
}

func (m *model[K, V, A]) owner(hash uint64) *subtask[K, V, A] {
	return m.subtasks[job.Owner(job.KeyGroup(hash, m.max), m.max, len(m.subtasks))]
}

func (m *model[K, V, A]) anyKey() K      { return m.key(rapid.IntRange(0, 30).Draw(m.t, "key")) }
func (m *model[K, V, A]) anyTime() int64 { return rapid.Int64Range(-20, 20).Draw(m.t, "time") }

func (m *model[K, V, A]) set() {
	k, v := m.anyKey(), m.val(rapid.IntRange(0, 300).Draw(m.t, "value"))
	m.seek(k).value.Set(v)
	m.values[k] = v
}

func (m *model[K, V, A]) update() {
	k, v := m.anyKey(), m.val(rapid.IntRange(0, 300).Draw(m.t, "value"))
	m.seek(k).value.Update(func(p *V) {
		if !reflect.DeepEqual(*p, m.values[k]) {
			m.t.Fatalf("value of %v is %v, want %v", k, *p, m.values[k])
		}
		*p = v
	})
	m.values[k] = v
}

func (m *model[K, V, A]) clear() {
	k := m.anyKey()
	m.seek(k).value.Clear()
	delete(m.values, k)
}

// batch updates many keys at once, some twice, enough for segments to grow and split.
func (m *model[K, V, A]) batch() {
	n := rapid.SampledFrom([]int{1, 63, 64, 65, 200, 4000}).Draw(m.t, "batch")
	from, span := rapid.IntRange(0, 9000).Draw(m.t, "from"), rapid.IntRange(1, n).Draw(m.t, "span")
	slice := rapid.Int64Range(-3, 3).Draw(m.t, "slice")
	keys, hashes := map[*subtask[K, V, A]][]K{}, map[*subtask[K, V, A]][]uint64{}
	for i := range n {
		k := m.key(from + i%span)
		h := m.hash(k)
		s := m.owner(h)
		keys[s], hashes[s] = append(keys[s], k), append(hashes[s], h)
	}
	if m.panes[slice] == nil {
		m.panes[slice] = map[K]A{}
	}
	for s, ks := range keys {
		at := 0
		must(m.t, s.value.UpdateBatch(ks, hashes[s], func(i int, v *V, fresh bool) {
			want, had := m.values[ks[i]]
			if i != at || fresh == had || !reflect.DeepEqual(*v, want) {
				m.t.Fatalf("record %d, of %v: number %d, fresh %v, value %v; want %d, %v, %v", at, ks[i], i, fresh, *v, at, !had, want)
			}
			at++
			*v = m.val(from + i)
			m.values[ks[i]] = *v
		}))
		if at != len(ks) {
			m.t.Fatalf("%d of %d records updated", at, len(ks))
		}
		must(m.t, s.slices.UpdateBatch(slice, ks, hashes[s], func(i int, a *A, fresh bool) {
			want, had := m.panes[slice][ks[i]]
			if fresh == had || !reflect.DeepEqual(*a, want) {
				m.t.Fatalf("slice %d of %v: fresh %v, %v; want %v, %v", slice, ks[i], fresh, *a, !had, want)
			}
			*a = m.acc(from + i)
			m.panes[slice][ks[i]] = *a
		}))
	}
}

func (m *model[K, V, A]) setTimer() {
	k, at := m.anyKey(), m.anyTime()
	m.seek(k).timers.Set(at)
	if m.timers[k] == nil {
		m.timers[k] = map[int64]bool{}
	}
	m.timers[k][at] = true
}

func (m *model[K, V, A]) cancelTimer() {
	k, at := m.anyKey(), m.anyTime()
	m.seek(k).timers.Cancel(at)
	delete(m.timers[k], at)
}

// due fires; some timers set another one, which may be due as well.
func (m *model[K, V, A]) due() {
	upto, again := m.anyTime(), rapid.Int64Range(1, 9).Draw(m.t, "again")
	for i, s := range m.subtasks {
		last := int64(-1 << 62)
		must(m.t, s.timers.Due(upto, func(k K, hash uint64, at int64) error {
			if !m.timers[k][at] || at > upto || at < last || hash != m.hash(k) || m.owner(hash) != s {
				m.t.Fatalf("timer %d of %v fired after %d, up to %d; set are %v", at, k, last, upto, m.timers[k])
			}
			last = at
			delete(m.timers[k], at)
			if at%4 == 0 {
				s.timers.Set(at + again)
				m.timers[k][at+again] = true
			}
			return nil
		}))
		next, ok := s.timers.Next()
		want, some := int64(0), false
		for k, ats := range m.timers {
			for at := range ats {
				if m.owner(m.hash(k)) == s && (!some || at < want) {
					want, some = at, true
				}
			}
		}
		if ok != some || next != want || ok && next <= upto {
			m.t.Fatalf("next timer of subtask %d is %d, %v; want %d, %v", i, next, ok, want, some)
		}
	}
}

func (m *model[K, V, A]) updateSlice() {
	k, slice, a := m.anyKey(), m.anyTime(), m.acc(rapid.IntRange(0, 300).Draw(m.t, "acc"))
	if m.panes[slice] == nil {
		m.panes[slice] = map[K]A{}
	}
	must(m.t, m.seek(k).slices.Update(slice, func(p *A, fresh bool) {
		want, had := m.panes[slice][k]
		if fresh == had || !reflect.DeepEqual(*p, want) {
			m.t.Fatalf("slice %d of %v: fresh %v, %v; want %v, %v", slice, k, fresh, *p, !had, want)
		}
		*p = a
	}))
	m.panes[slice][k] = a
}

func (m *model[K, V, A]) fire() {
	upto := m.anyTime()
	for _, s := range m.subtasks {
		last := int64(-1 << 62)
		must(m.t, s.slices.FireUpTo(upto, func(slice int64, k K, hash uint64, a *A) error {
			want, had := m.panes[slice][k]
			if !had || slice > upto || slice < last || hash != m.hash(k) || m.owner(hash) != s || !reflect.DeepEqual(*a, want) {
				m.t.Fatalf("slice %d of %v fired with %v after slice %d, up to %d; want %v, %v", slice, k, *a, last, upto, want, had)
			}
			last = slice
			delete(m.panes[slice], k)
			return nil
		}))
		if first, ok := s.slices.First(); ok && first <= upto {
			m.t.Fatalf("slice %d is left after firing up to %d", first, upto)
		}
	}
	for slice, left := range m.panes {
		if slice <= upto {
			if len(left) > 0 {
				m.t.Fatalf("slice %d did not fire %d keys", slice, len(left))
			}
			delete(m.panes, slice)
		}
	}
}

// rescale takes a checkpoint and goes on from it.
func (m *model[K, V, A]) rescale() {
	m.giveUp()
	m.epoch++
	var states []*checkpoint.SubtaskState
	for i, s := range m.subtasks {
		w := m.writer(i)
		must(m.t, s.keyed.Snapshot(w, "uid"))
		f, err := w.Finish(context.Background())
		must(m.t, err)
		state, err := checkpoint.DecodeSubtaskState((&checkpoint.SubtaskState{Vertex: "v", Subtask: i, Files: []checkpoint.File{*f}}).Append(nil))
		must(m.t, err)
		states = append(states, state)
	}
	m.reopen(states)
}

// check compares everything.
func (m *model[K, V, A]) check() {
	for k, want := range m.values {
		if got, ok := m.seek(k).value.Get(); !ok || !reflect.DeepEqual(got, want) {
			m.t.Fatalf("value of %v is %v, %v; want %v", k, got, ok, want)
		}
	}
	missing := m.key(20_000)
	if got, ok := m.seek(missing).value.Get(); ok {
		m.t.Fatalf("a key that was never there has %v", got)
	}
	m.checkCollections()
	values, timers, panes := 0, 0, 0
	for _, s := range m.subtasks {
		must(m.t, s.keyed.Err())
		s.value.t.check()
		s.timers.t.check()
		for _, t := range s.slices.tables {
			t.check()
		}
		values, timers, panes = values+s.value.Len(), timers+s.timers.Len(), panes+s.slices.Len()
	}
	wantTimers, wantPanes := 0, 0
	for _, ats := range m.timers {
		wantTimers += len(ats)
	}
	for _, p := range m.panes {
		wantPanes += len(p)
	}
	if values != len(m.values) || timers != wantTimers || panes != wantPanes {
		m.t.Fatalf("%d values, %d timers, %d panes; want %d, %d, %d", values, timers, panes, len(m.values), wantTimers, wantPanes)
	}
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

func testModel[K comparable, V, A any](t *testing.T, key func(int) K, val func(int) V, acc func(int) A) {
	for _, onHeap := range []bool{false, true} {
		name := map[bool]string{false: "mapped", true: "heap"}[onHeap]
		t.Run(name, func(t *testing.T) {
			hash, err := codec.Hasher[K]()
			if err != nil {
				t.Fatal(err)
			}
			rapid.Check(t, func(t *rapid.T) {
				m := &model[K, V, A]{t: t, fs: storagetest.NewMem(), onHeap: onHeap, hash: hash, key: key, val: val, acc: acc,
					max:      rapid.SampledFrom([]int{1, 3, 128, 1000}).Draw(t, "max parallelism"),
					contents: contents[K, V, A]{map[K]V{}, map[K]map[int64]bool{}, map[int64]map[K]A{}, map[K][]V{}, map[K]map[K]A{}}}
				defer m.stop()
				m.start(rapid.IntRange(1, min(m.max, 5)).Draw(t, "parallelism"))
				t.Repeat(map[string]func(*rapid.T){
					"set": wrap(m, m.set), "update": wrap(m, m.update), "clear": wrap(m, m.clear), "batch": wrap(m, m.batch),
					"set timer": wrap(m, m.setTimer), "set another timer": wrap(m, m.setTimer), "cancel timer": wrap(m, m.cancelTimer),
					"due": wrap(m, m.due), "update slice": wrap(m, m.updateSlice), "fire": wrap(m, m.fire), "rescale": wrap(m, m.rescale),
					"append": wrap(m, m.append), "clear list": wrap(m, m.clearList), "put": wrap(m, m.put), "put another": wrap(m, m.put),
					"delete": wrap(m, m.delete), "clear map": wrap(m, m.clearMap), "delete on the way": wrap(m, m.deleteOnTheWay),
					"begin a snapshot": wrap(m, m.begin), "sweep": wrap(m, m.sweep), "sweep on": wrap(m, m.sweep), "give up": wrap(m, m.giveUp), "restore": wrap(m, m.restore),
				})
				m.check()
				for m.taking != nil {
					m.sweep()
				}
				m.restore()
				m.rescale()
				m.check()
			})
		})
	}
}

func wrap[K comparable, V, A any](m *model[K, V, A], f func()) func(*rapid.T) {
	return func(t *rapid.T) { m.t = t; f() }
}

type compound struct {
	Name string
	N    int32
}

type nested struct {
	Tags []string
	M    map[string]int64
	P    *int32
}

func nestedOf(i int) nested {
	if i%7 == 0 {
		return nested{}
	}
	n := int32(i)
	return nested{Tags: slices.Repeat([]string{fmt.Sprint("tag", i)}, i%40), M: map[string]int64{"x": int64(i)}, P: &n}
}

// Each kind of key with each kind of value, at least once.
func TestModelIntegerKeys(t *testing.T) {
	testModel(t, func(i int) uint64 { return uint64(i) }, func(i int) int64 { return int64(i) }, func(i int) [3]int64 { return [3]int64{int64(i)} })
}

func TestModelSmallIntegerKeys(t *testing.T) {
	testModel(t, func(i int) int16 { return int16(i) }, func(i int) string { return fmt.Sprint(i * i) }, func(i int) struct{} { return struct{}{} })
}

func TestModelStringKeys(t *testing.T) {
	testModel(t, func(i int) string { return fmt.Sprintf("%*d", i%50, i) }, func(i int) int64 { return int64(i) }, nestedOf)
}

func TestModelInlineStructKeys(t *testing.T) {
	type pair struct {
		A uint8
		B int64
	}
	testModel(t, func(i int) pair { return pair{uint8(i), int64(i / 256)} }, nestedOf, func(i int) int8 { return int8(i) })
}

func TestModelEncodedKeys(t *testing.T) {
	testModel(t, func(i int) compound { return compound{fmt.Sprint(i), int32(i)} }, func(i int) [40]uint64 { return [40]uint64{uint64(i)} },
		func(i int) []byte { return make([]byte, i*i%9000) })
}
