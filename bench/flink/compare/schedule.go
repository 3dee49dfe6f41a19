package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
	"github.com/thalweg-io/thalweg/bench/flink/side"
	"github.com/thalweg-io/thalweg/bench/meter"
)

// Schedule is how a case is measured.
type Schedule struct {
	Warmup  time.Duration `json:"warmup_ns"`
	Runs    int           `json:"runs"`
	Run     time.Duration `json:"run_ns"`
	Settle  time.Duration `json:"settle_ns"`
	Fill    time.Duration `json:"fill_ns"`
	Rate    int64         `json:"rate"`
	Seed    int64         `json:"seed"`
	RocksDB bool          `json:"rocksdb"`
	// Pretouch says that both sides' memory for state is touched before they are measured, Flink's heap and as much of Thalweg's as Flink has in all.
	Pretouch bool `json:"pretouch"`
}

func (s Schedule) String() string {
	return fmt.Sprintf("warm-up %v, %d runs of %v after %v", s.Warmup, s.Runs, s.Run, s.Settle)
}

// check says which flag has a value that cannot be meant.
func (s Schedule) check() error {
	switch {
	case s.Warmup < 0:
		return fmt.Errorf("-warmup %v: it is not negative", s.Warmup)
	case s.Runs < 1:
		return fmt.Errorf("-runs %d: it has to be at least 1", s.Runs)
	case s.Run <= 0:
		return fmt.Errorf("-run %v: it is above 0", s.Run)
	case s.Settle < 0 || s.Fill < 0:
		return fmt.Errorf("-settle %v, -fill %v: they are not negative", s.Settle, s.Fill)
	case s.Rate < 1:
		return fmt.Errorf("-rate %d: it has to be at least 1", s.Rate)
	}
	return nil
}

// measure goes through a case.
func (s Schedule) measure(ctx context.Context, command []string, c contest, out io.Writer) (r Record, err error) {
	r = Record{Case: c.name, API: c.api(), At: time.Now().UTC(), Machine: machine(), Schedule: s}
	t := meter.Timing{Settle: s.Settle, Length: s.Run}
	alone := t // no state to fill
	t.Fill, t.FillWithin = c.fill(s)
	say := func(what string, m Run) {
		fmt.Fprintf(out, "%s: %-22s %12.0f events/core-second\n", c.name, what, m.PerCore())
	}
	err = s.withFlink(ctx, c.settings(s, "hashmap"), func(f *harness.Cluster) error {
		if err := s.warm(ctx, f, c); err != nil {
			return err
		}
		for range s.Runs {
			span, err := f.Window(ctx, c.flink(s), t)
			if err != nil {
				return fmt.Errorf("flink: %w", err)
			}
			r.HashMap = append(r.HashMap, runOf(span))
			say("flink, hashmap", runOf(span))
			if span, err = side.Window(ctx, command, c.thalweg(s), t); err != nil {
				return fmt.Errorf("thalweg: %w", err)
			}
			r.Thalweg = append(r.Thalweg, runOf(span))
			say("thalweg", runOf(span))
		}
		span, err := f.Window(ctx, c.flinkSource(s), alone)
		if err != nil {
			return fmt.Errorf("flink's source: %w", err)
		}
		r.FlinkSource = runOf(span)
		say("flink, source alone", r.FlinkSource)
		if span, err = side.Window(ctx, command, c.thalwegSource(s), alone); err != nil {
			return fmt.Errorf("thalweg's source: %w", err)
		}
		r.ThalwegSource = runOf(span)
		say("thalweg, source alone", r.ThalwegSource)
		return nil
	})
	if err != nil || !s.RocksDB {
		return r, err
	}
	return r, s.withFlink(ctx, c.settings(s, "rocksdb"), func(f *harness.Cluster) error {
		if err := s.warm(ctx, f, c); err != nil {
			return err
		}
		span, err := f.Window(ctx, c.flink(s), t)
		if err != nil {
			return fmt.Errorf("flink with rocksdb: %w", err)
		}
		r.RocksDB = append(r.RocksDB, runOf(span))
		say("flink, rocksdb", runOf(span))
		return nil
	})
}

// warm runs a job for as long as Flink compiles what is hot.
func (s Schedule) warm(ctx context.Context, f *harness.Cluster, c contest) error {
	if s.Warmup == 0 {
		return nil
	}
	if _, err := f.Window(ctx, c.flink(s), meter.Timing{Length: s.Warmup}); err != nil {
		return fmt.Errorf("warm-up of flink: %w", err)
	}
	return nil
}

// withFlink has a cluster for a while. Its logs stay when something fails.
func (s Schedule) withFlink(ctx context.Context, settings harness.Settings, use func(*harness.Cluster) error) (err error) {
	dir, err := os.MkdirTemp("", "thalweg-flink-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w; the logs are in %s", err, dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	cluster, err := harness.Start(ctx, settings, filepath.Join(dir, "cluster"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	return use(cluster)
}
