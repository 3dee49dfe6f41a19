package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/connector/datagen"
	"github.com/thalweg-io/thalweg/connector/probe"
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
)

// gap is the longest time in which a subtask of the job was given no record, within a window.
func (d *drill) gap(from, to time.Time) (time.Duration, error) {
	logs, err := probe.ReadAll(d.probes)
	if err != nil {
		return 0, err
	}
	gaps := probe.Gaps(logs, probe.Stamp(from), probe.Stamp(to))
	if len(gaps) == 0 {
		return 0, fmt.Errorf("the probes saw no record")
	}
	return gaps[0].Length(), nil
}

// finish ends the job and holds its committed output against the sources: each record exactly once, in the order of its key, with
// nothing made up. The job has no end of its own, so what is committed is a beginning of the input, key by key.
func (d *drill) finish(ctx context.Context) (failed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if _, err := d.checkpoints(ctx, 1); err != nil {
		return nil, err
	}
	if _, err := d.cluster.Thalweg(ctx, "cancel", "--config-dir", d.cluster.ConfDir(), d.job); err != nil {
		return nil, err
	}
	fs, err := hdfs.Open(d.hdfs.Addr(), hdfs.Options{ConfDir: d.hdfs.ConfDir()})
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	o := newOracle()
	if err := o.read(ctx, fs, d.output); err != nil {
		return nil, err
	}
	fmt.Printf("\noracle: %d records committed of %d keys in %d files; %s\n", o.records, len(o.seen), o.files, o.verdict())
	if bad := o.failed(); bad != "" {
		failed = append(failed, "oracle: "+bad)
	}
	return failed, nil
}

// oracle is check (b) of docs/reliability: the committed sequence of each key is 1..N, outside of the system.
type oracle struct {
	left, right                          datagen.Oracle
	seen                                 map[uint64][]int64
	last                                 map[uint64]int64
	records, files                       int
	lost, duplicated, reordered, phantom int
	example                              string
}

const (
	keys      = 25_000  // of each source; enough that checkpoints write deltas
	rightKeys = 1 << 32 // where the keys of the second source begin: the job's
)

func newOracle() *oracle {
	return &oracle{left: datagen.Oracle{Seed: 1, Keys: keys, Partitions: 2}, right: datagen.Oracle{Seed: 2, Keys: keys, Partitions: 2},
		seen: map[uint64][]int64{}, last: map[uint64]int64{}}
}

func (o *oracle) read(ctx context.Context, fs storage.FileSystem, dir string) error {
	infos, err := fs.List(ctx, dir)
	if err != nil {
		return err
	}
	for _, i := range infos {
		if strings.HasPrefix(i.Name, ".") || strings.HasPrefix(i.Name, "_") {
			continue // pending: no reader of the directory sees it
		}
		if i.Dir {
			if err := o.read(ctx, fs, i.Path); err != nil {
				return err
			}
			continue
		}
		b, err := storage.ReadFile(ctx, fs, i.Path, 1<<30)
		if err != nil {
			return err
		}
		o.files++
		if err := o.file(i.Path, b); err != nil {
			return err
		}
	}
	return nil
}

func (o *oracle) file(name string, b []byte) error {
	inFile := map[uint64]int64{}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var key, payload uint64
		var seq int64
		if _, err := fmt.Sscanf(s.Text(), "%d %d %d", &key, &seq, &payload); err != nil {
			return fmt.Errorf("%s: torn record %q", name, s.Text())
		}
		o.records++
		src, k := o.left, key
		if key >= rightKeys {
			src, k = o.right, key-rightKeys
		}
		if k >= src.Keys || seq < 1 || payload != src.Payload(k, seq) {
			o.phantom++
			o.example = fmt.Sprintf("%s: %q", name, s.Text())
			continue
		}
		if seq <= inFile[key] {
			o.reordered++
		}
		inFile[key] = seq
		o.seen[key] = append(o.seen[key], seq)
	}
	return nil
}

func (o *oracle) failed() string {
	o.lost, o.duplicated = 0, 0
	for key, seqs := range o.seen {
		slices.Sort(seqs)
		o.last[key] = seqs[len(seqs)-1]
		for i, s := range seqs {
			switch {
			case i > 0 && s == seqs[i-1]:
				o.duplicated++
				o.example = fmt.Sprintf("key %d: %d twice", key, s)
			case i > 0 && s != seqs[i-1]+1, i == 0 && s != 1:
				o.lost++
				o.example = fmt.Sprintf("key %d: %d missing", key, s-1)
			}
		}
	}
	if o.lost+o.duplicated+o.reordered+o.phantom == 0 && o.records > 0 {
		return ""
	}
	return fmt.Sprintf("%d records: lost %d, duplicated %d, reordered %d, phantom %d; %s", o.records, o.lost, o.duplicated, o.reordered, o.phantom, o.example)
}

func (o *oracle) verdict() string {
	if bad := o.failed(); bad != "" {
		return bad
	}
	return "each exactly once, in order"
}
