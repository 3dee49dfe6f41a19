package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/job"
)

// window is how much before and after a fault is compared.
const window = 2 * time.Second

// trial is one fault and what was seen.
type trial struct {
	recovered     time.Duration
	before, after time.Duration // longest gap in the processing of records in the window before and after the fault
	problems      []string
}

type result struct {
	row    row
	trials []trial
}

// row does the fault n times. Between two, the job is left alone until checkpoints complete again.
func (d *drill) row(ctx context.Context, r row, n int) (*result, error) {
	res := &result{row: r}
	for range n {
		t, err := d.trial(ctx, r)
		if err != nil {
			return nil, err
		}
		res.trials = append(res.trials, *t)
	}
	return res, nil
}

func (d *drill) trial(ctx context.Context, r row) (*trial, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	before, err := d.checkpoints(ctx, 2)
	if err != nil {
		return nil, fmt.Errorf("before the fault: %w", err)
	}
	if err := sleep(ctx, window); err != nil {
		return nil, err
	}
	d.recovered = 0
	at, err := r.fault(ctx, d)
	if err != nil {
		return nil, err
	}
	t := &trial{}
	if r.kind == restarted {
		if _, err := d.cluster.WaitRunning(ctx, d.job, before.Restarts); err != nil {
			return nil, err
		}
		d.recovered = time.Since(at)
	}
	t.recovered = d.recovered
	for _, f := range d.later {
		if err := f(); err != nil {
			return nil, err
		}
	}
	d.later = nil
	after, err := d.checkpoints(ctx, 2)
	if err != nil {
		return nil, fmt.Errorf("after the fault: %w", err)
	}
	until := at.Add(t.recovered + window)
	if err := sleep(ctx, time.Until(until)); err != nil { // a window that has not passed would end in a gap
		return nil, err
	}
	d.judge(r, before, after, t)
	if r.kind == unbroken {
		if t.before, err = d.gap(at.Add(-window), at); err != nil {
			return nil, err
		}
		if t.after, err = d.gap(at, until); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// judge compares the structure before and after.
func (d *drill) judge(r row, before, after *thalwegv1.JobInfo, t *trial) {
	g, h := job.GenerationOf(before.Generation), job.GenerationOf(after.Generation)
	switch r.kind {
	case unbroken:
		if g != h || before.Restarts != after.Restarts {
			t.problems = append(t.problems, fmt.Sprintf("the job was restarted: generation %v -> %v", g, h))
		}
	case restarted:
		if after.Restarts != before.Restarts+1 {
			t.problems = append(t.problems, fmt.Sprintf("%d restarts instead of one", after.Restarts-before.Restarts))
		}
	}
}

// checkpoints waits until n more checkpoints have completed and the job runs with all its subtasks.
func (d *drill) checkpoints(ctx context.Context, n int64) (*thalwegv1.JobInfo, error) {
	i, err := d.cluster.WaitRunning(ctx, d.job, -1)
	if err != nil {
		return nil, err
	}
	from := i.Checkpoints.GetLatestId()
	seen := int64(0)
	return d.cluster.WaitFor(ctx, d.job, func(i *thalwegv1.JobInfo) bool {
		if id := i.Checkpoints.GetLatestId(); id > from {
			from = id
			seen++
		}
		return seen >= n && i.Summary.Status == thalwegv1.JobStatus_JOB_STATUS_RUNNING && i.Summary.TasksRunning == i.Summary.TasksTotal
	})
}

// print says what was measured and returns what is wrong. In a short drill only structure is judged.
func (r *result) print(short bool) []string {
	var failed []string
	var times []time.Duration
	line := fmt.Sprintf("row %-6s %s\n", r.row.id, r.row.what)
	for i, t := range r.trials {
		times = append(times, t.recovered)
		line += fmt.Sprintf("  trial %2d: %7.0f ms", i+1, ms(t.recovered))
		if r.row.kind == unbroken {
			line += fmt.Sprintf("   gap before %5.1f ms, after %5.1f ms", ms(t.before), ms(t.after))
		}
		if len(t.problems) > 0 {
			line += "   " + strings.Join(t.problems, "; ")
			failed = append(failed, fmt.Sprintf("row %s trial %d: %s", r.row.id, i+1, strings.Join(t.problems, "; ")))
		}
		line += "\n"
	}
	slices.Sort(times)
	median, longest := times[len(times)/2], times[len(times)-1]
	line += fmt.Sprintf("  median %.0f ms, longest %.0f ms, target %.0f ms", ms(median), ms(longest), ms(r.row.target))
	if !short && (median > r.row.target || longest > 3*r.row.target) {
		failed = append(failed, fmt.Sprintf("row %s: median %v, longest %v, target %v", r.row.id, median, longest, r.row.target))
		line += "   MISSED"
	}
	if r.row.kind == unbroken {
		verdict, ok := gapVerdict(r.trials)
		line += "\n  " + verdict
		if !ok && !short {
			failed = append(failed, fmt.Sprintf("row %s: %s", r.row.id, verdict))
		}
	}
	fmt.Println(line)
	return failed
}

// gapVerdict applies the definition of gap 0: median paired difference at most 20 ms, and none above the largest control gap + 100 ms.
func gapVerdict(ts []trial) (string, bool) {
	var diffs []time.Duration
	control, worst := time.Duration(0), time.Duration(0)
	for _, t := range ts {
		diffs = append(diffs, t.after-t.before)
		control, worst = max(control, t.before), max(worst, t.after)
	}
	slices.Sort(diffs)
	median := diffs[len(diffs)/2]
	ok := median <= 20*time.Millisecond && worst <= control+100*time.Millisecond
	verdict := fmt.Sprintf("gap: median difference %.1f ms (at most 20), longest %.1f ms (control %.1f ms + 100)", ms(median), ms(worst), ms(control))
	if !ok {
		verdict += "   NOT ZERO"
	}
	return verdict, ok
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
