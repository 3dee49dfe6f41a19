package main

import (
	"errors"
	"time"

	"github.com/thalweg-io/thalweg/bench/hosts"
	"github.com/thalweg-io/thalweg/bench/meter"
)

// engine runs the job, and measures.
type engine struct {
	keys   uint64
	source *source
	sink   *sink
	bed    *hosts.Bed
}

func start(keys uint64, dir string) (*engine, error) {
	src := &source{ready: make(chan struct{})}
	e := &engine{keys: keys, source: src, sink: &sink{source: src}}
	g, err := graph(e.source, e.sink)
	if err != nil {
		return nil, err
	}
	if e.bed, err = hosts.Start(g, dir, false); err != nil {
		return nil, err
	}
	select {
	case <-src.ready:
		return e, nil
	case err := <-e.bed.Failed():
		e.close()
		return nil, err
	}
}

func (e *engine) close() { e.bed.Close() }

// result is what happened in a window.
type result struct {
	records int64
	lasted  time.Duration
	pause   meter.Histogram // of records
	stall   meter.Histogram // of a thread that only sleeps
	took    time.Duration
	bytes   int64
}

func (r *result) rate() float64 { return float64(r.records) / r.lasted.Seconds() }

// grow gives every key once.
func (e *engine) grow() (*result, error) {
	r, end, err := e.measure()
	if err != nil {
		return nil, err
	}
	e.source.order(orders{keys: e.keys, inTurn: true, limit: int64(e.keys)})
	err = e.through(int64(e.keys))
	return r, errors.Join(err, end())
}

// through waits until the source has given so many.
func (e *engine) through(n int64) error {
	for e.source.given.Load() < n {
		select {
		case err := <-e.bed.Failed():
			return err
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// measure begins a window; end ends it.
func (e *engine) measure() (r *result, end func() error, err error) {
	r = &result{}
	awake, err := meter.Sleep(&r.stall)
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	e.sink.window.Store(r)
	return r, func() error {
		e.sink.window.Store(nil)
		r.lasted = time.Since(began)
		err := awake()
		time.Sleep(5 * time.Millisecond) // the sink may be in the middle of a batch
		return err
	}, nil
}

// pair is a window without a checkpoint and one with, of the same length.
func (e *engine) pair(rate float64) (without, with *result, err error) {
	if with, err = e.window(rate); err != nil {
		return nil, nil, err
	}
	without, end, err := e.measure()
	if err != nil {
		return nil, nil, err
	}
	time.Sleep(with.lasted)
	return without, with, end()
}

// window lasts as long as a checkpoint.
func (e *engine) window(rate float64) (*result, error) {
	e.source.order(orders{keys: e.keys, rate: rate})
	time.Sleep(300 * time.Millisecond)
	r, end, err := e.measure()
	if err != nil {
		return nil, err
	}
	err = e.checkpoint(r)
	return r, errors.Join(err, end())
}

// checkpoint takes one.
func (e *engine) checkpoint(r *result) (err error) {
	r.took, r.bytes, err = e.bed.Checkpoint()
	return err
}

// few takes a checkpoint after another one, between which n keys change.
func (e *engine) few(n int) (*result, error) {
	stop := orders{keys: e.keys, inTurn: true, limit: 1}
	e.source.order(stop)
	time.Sleep(200 * time.Millisecond)
	// Groups whose deltas had grown are written anew first, some with each checkpoint.
	for range 64 {
		r := &result{}
		if err := e.checkpoint(r); err != nil {
			return nil, err
		}
		if r.bytes < int64(n) {
			break
		}
	}
	e.source.order(orders{keys: e.keys, inTurn: true, limit: int64(n)})
	if err := e.through(int64(n)); err != nil {
		return nil, err
	}
	r := &result{}
	return r, e.checkpoint(r)
}
