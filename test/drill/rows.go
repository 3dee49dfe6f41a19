package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/test/cluster"
)

// kind says what a row expects of the running job.
type kind int

const (
	unbroken  kind = iota // no record is delayed, no task restarted: gap 0
	restarted             // the region restarts once, from the newest checkpoint
)

// row is one fault of the matrix in docs/reliability.
type row struct {
	id     string
	what   string
	kind   kind
	target time.Duration // from the fault to the expected outcome
	trials int           // of a full drill; one in a short one
	long   bool          // a longer form of another row: not in a short drill
	// fault does the damage and repairs what the row repairs. It returns when the repair is done; at is when the damage was done.
	fault func(ctx context.Context, d *drill) (at time.Time, err error)
}

func rows(session time.Duration) []row {
	return []row{
		{id: "1", what: "SIGTERM of the leader", kind: unbroken, target: 300 * time.Millisecond, trials: 10, fault: onLeader((*cluster.Process).Terminate)},
		{id: "2", what: "kill -9 of the leader", kind: unbroken, target: session + time.Second, trials: 10, fault: onLeader((*cluster.Process).Kill)},
		{id: "5", what: "both jobmanagers dead for 30 s", kind: unbroken, target: session + 2*time.Second, trials: 1, fault: allLeadersDead(30 * time.Second)},
		{id: "7a", what: "both jobmanagers killed between the triggers of one checkpoint, none for 30 s", kind: unbroken, target: session + 2*time.Second, trials: 1, fault: betweenTriggers},
		{id: "11d", what: "the leader stopped for 15 s, longer than the heartbeat timeout, shorter than the session", kind: unbroken, target: 16 * time.Second, trials: 1, fault: leaderStopped(15*time.Second, false)},
		{id: "23", what: "all ZooKeeper nodes killed, started again after 60 s", kind: unbroken, target: 5 * time.Second, trials: 1, fault: zooKeeperDown},
		{id: "6", what: "SIGSTOP of the leader for 30 s: its term ends by its own lease", kind: unbroken, target: session + time.Second, trials: 1, fault: leaderStopped(30*time.Second, true)},
		{id: "6-fence", what: "the same with the lease off: the old leader's first write is refused by the fence", kind: unbroken, target: session + time.Second, trials: 1, fault: leaseOff},
		{id: "8", what: "kill -9 of a worker", kind: restarted, target: 500 * time.Millisecond, trials: 10, fault: killWorker},
		{id: "9", what: "kill -9 of a taskmanager and its workers", kind: restarted, target: time.Second, trials: 10, fault: killTaskManager(true)},
		{id: "11c", what: "kill -9 of a taskmanager alone", kind: restarted, target: time.Second, trials: 10, fault: killTaskManager(false)},
		{id: "11", what: "SIGSTOP of a taskmanager and its workers for 15 s", kind: restarted, target: 11 * time.Second, trials: 3, fault: stopTaskManager(true, true, 15*time.Second)},
		{id: "11a", what: "SIGSTOP of a taskmanager alone for 15 s", kind: restarted, target: 11 * time.Second, trials: 3, fault: stopTaskManager(true, false, 15*time.Second)},
		{id: "11b", what: "SIGSTOP of a worker for 15 s", kind: restarted, target: 11 * time.Second, trials: 3, fault: stopTaskManager(false, true, 15*time.Second)},
		{id: "17", what: "the data connections of two taskmanagers fall silent; both reach the leader", kind: restarted, target: 11 * time.Second, trials: 3, fault: cutTaskManagers},
		{id: "11-60", what: "SIGSTOP of a taskmanager and its workers for 60 s", kind: restarted, target: 11 * time.Second, trials: 1, long: true, fault: stopTaskManager(true, true, 60*time.Second)},
	}
}

// onLeader does something that ends the leading jobmanager, and starts it again once another one leads.
func onLeader(end func(*cluster.Process)) func(context.Context, *drill) (time.Time, error) {
	return func(ctx context.Context, d *drill) (time.Time, error) {
		p, err := d.leader(ctx)
		if err != nil {
			return time.Time{}, err
		}
		at := time.Now()
		end(p)
		if err := d.newLeader(ctx, p.Address, at); err != nil {
			return at, err
		}
		return at, d.replaceJobManager(p)
	}
}

func allLeadersDead(pause time.Duration) func(context.Context, *drill) (time.Time, error) {
	return func(ctx context.Context, d *drill) (time.Time, error) {
		at := time.Now()
		for _, p := range d.jobmanagers {
			p.Kill()
		}
		if err := sleep(ctx, pause); err != nil {
			return at, err
		}
		started := time.Now()
		for _, p := range append([]*cluster.Process(nil), d.jobmanagers...) {
			if err := d.replaceJobManager(p); err != nil {
				return at, err
			}
		}
		return at, d.newLeader(ctx, "", started)
	}
}

// betweenTriggers has the leader kill itself after the first of two triggers of a checkpoint, and the standby die with it.
func betweenTriggers(ctx context.Context, d *drill) (time.Time, error) {
	leader, err := d.leader(ctx)
	if err != nil {
		return time.Time{}, err
	}
	// A leader that kills itself at the named point takes over from the present one.
	for _, p := range append([]*cluster.Process(nil), d.jobmanagers...) {
		if p != leader {
			p.Kill()
			if err := d.replaceJobManager(p, "THALWEG_KILL_AT=trigger:1"); err != nil {
				return time.Time{}, err
			}
		}
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // until it stands by
		return time.Time{}, err
	}
	leader.Kill()
	var doomed *cluster.Process
	for _, p := range d.jobmanagers {
		if p != leader {
			doomed = p
		}
	}
	for doomed.Alive() {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return time.Time{}, fmt.Errorf("the leader was to kill itself between two triggers: %w", err)
		}
	}
	at := time.Now()
	if err := sleep(ctx, 30*time.Second); err != nil {
		return at, err
	}
	started := time.Now()
	for _, p := range append([]*cluster.Process(nil), d.jobmanagers...) {
		if err := d.replaceJobManager(p); err != nil {
			return at, err
		}
	}
	return at, d.newLeader(ctx, "", started)
}

// leaderStopped stops the leader. Where the stop outlives its session another one leads meanwhile, and the old term has ended by
// itself when the process goes on: it commands nothing.
func leaderStopped(pause time.Duration, replaced bool) func(context.Context, *drill) (time.Time, error) {
	return func(ctx context.Context, d *drill) (time.Time, error) {
		p, err := d.leader(ctx)
		if err != nil {
			return time.Time{}, err
		}
		at := time.Now()
		p.Pause()
		defer p.Continue()
		if replaced {
			if err := d.newLeader(ctx, p.Address, at); err != nil {
				return at, err
			}
		}
		if err := sleep(ctx, pause-time.Since(at)); err != nil {
			return at, err
		}
		woke := time.Now()
		p.Continue()
		if !replaced {
			return at, d.newLeader(ctx, "", woke)
		}
		return at, waitLog(ctx, p, "leadership ended")
	}
}

// leaseOff has a leader that is blind to everything but the fence: it is stopped, replaced, and learns of it by a refused write.
func leaseOff(ctx context.Context, d *drill) (time.Time, error) {
	old, err := d.leader(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, p := range append([]*cluster.Process(nil), d.jobmanagers...) {
		if p != old {
			p.Kill()
			if err := d.replaceJobManager(p, "THALWEG_FAILPOINT_LEASE_OFF=1"); err != nil {
				return time.Time{}, err
			}
		}
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // until it stands by
		return time.Time{}, err
	}
	old.Kill()
	if err := d.newLeader(ctx, old.Address, time.Now()); err != nil {
		return time.Time{}, err
	}
	if err := d.replaceJobManager(old); err != nil {
		return time.Time{}, err
	}
	blind, err := d.leader(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if _, err := d.checkpoints(ctx, 2); err != nil {
		return time.Time{}, err
	}
	at := time.Now()
	blind.Pause()
	defer blind.Continue()
	for _, t := range d.taskmanagers { // they would tell it of the new leader, and it would write nothing
		n, err := cut(blind.Pid(), t.Pid())
		if n == 0 && err == nil {
			err = errors.New("they have no connection")
		}
		if err != nil {
			return at, fmt.Errorf("cut %s from %s: %w", t.Name, blind.Name, err)
		}
	}
	if err := d.newLeader(ctx, blind.Address, at); err != nil {
		return at, err
	}
	if err := sleep(ctx, time.Second); err != nil {
		return at, err
	}
	blind.Continue()
	if err := deafCancel(ctx, d, blind); err != nil {
		return at, err
	}
	if err := waitLog(ctx, blind, "refused by the fence"); err != nil {
		return at, fmt.Errorf("the old leader's write was to be refused: %w", err)
	}
	if err := waitLog(ctx, blind, "leadership ended"); err != nil {
		return at, err
	}
	blind.Kill()
	return at, d.replaceJobManager(blind)
}

// deafCancel asks a leader of the past to cancel the job, so that it has something to write: it may have lost every taskmanager
// between two checkpoints, and then nothing else makes it write. It must not say that it has been done.
func deafCancel(ctx context.Context, d *drill, past *cluster.Process) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if out, err := d.cluster.Thalweg(ctx, "--jobmanager", past.Address, "cancel", d.job); err == nil {
		return fmt.Errorf("a leader of the past accepted a cancel: %s", out)
	}
	return nil
}

// waitLog waits until a process has said something.
func waitLog(ctx context.Context, p *cluster.Process, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !strings.Contains(p.Log(), text) {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%s did not say %q: %w", p.Name, text, err)
		}
	}
	return nil
}

func zooKeeperDown(ctx context.Context, d *drill) (time.Time, error) {
	at := time.Now()
	for i := range d.zookeeper.Len() {
		if err := d.zookeeper.Node(i).Kill(); err != nil {
			return at, err
		}
	}
	if err := sleep(ctx, 60*time.Second); err != nil {
		return at, err
	}
	for i := range d.zookeeper.Len() {
		if err := d.zookeeper.Node(i).Start(); err != nil {
			return at, err
		}
	}
	if err := d.zookeeper.WaitReady(ctx); err != nil {
		return at, err
	}
	return at, d.newLeader(ctx, "", time.Now())
}

func killWorker(ctx context.Context, d *drill) (time.Time, error) {
	tm, err := d.busyTaskManager(ctx)
	if err != nil {
		return time.Time{}, err
	}
	workers := tm.Children()
	if len(workers) == 0 {
		return time.Time{}, fmt.Errorf("%s has no worker", tm.Name)
	}
	at := time.Now()
	return at, syscall.Kill(workers[0], syscall.SIGKILL)
}

// killTaskManager kills a taskmanager, with its workers or alone, and starts another one in its place once the job runs again.
func killTaskManager(withWorkers bool) func(context.Context, *drill) (time.Time, error) {
	return func(ctx context.Context, d *drill) (time.Time, error) {
		tm, err := d.busyTaskManager(ctx)
		if err != nil {
			return time.Time{}, err
		}
		workers := tm.Children()
		at := time.Now()
		tm.Kill()
		if withWorkers {
			for _, pid := range workers {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		} else if err := gone(ctx, workers, 100*time.Millisecond); err != nil {
			return at, err
		}
		d.later = append(d.later, func() error { return d.replaceTaskManager(tm) })
		return at, nil
	}
}

// gone checks that processes end within the given time by themselves.
func gone(ctx context.Context, pids []int, within time.Duration) error {
	deadline := time.Now().Add(within + 400*time.Millisecond) // a busy machine may be late to schedule them; printed, not judged
	for _, pid := range pids {
		for alive(pid) {
			if time.Now().After(deadline) {
				return fmt.Errorf("worker %d lives on without its taskmanager", pid)
			}
			if err := sleep(ctx, 2*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopTaskManager stops a taskmanager, its workers, or both, and continues them after the pause.
func stopTaskManager(itself, workers bool, pause time.Duration) func(context.Context, *drill) (time.Time, error) {
	return func(ctx context.Context, d *drill) (time.Time, error) {
		tm, err := d.busyTaskManager(ctx)
		if err != nil {
			return time.Time{}, err
		}
		pids := tm.Children()
		signal := func(s syscall.Signal) {
			if workers {
				for _, pid := range pids {
					syscall.Kill(pid, s)
				}
			}
			if itself {
				syscall.Kill(tm.Pid(), s)
			}
		}
		at := time.Now()
		signal(syscall.SIGSTOP)
		d.later = append(d.later, func() error {
			if left := pause - time.Since(at); left > 0 {
				time.Sleep(left)
			}
			signal(syscall.SIGCONT)
			return nil
		})
		return at, nil
	}
}

// cutTaskManagers has two workers that exchange records hear nothing of each other any more, while their taskmanagers and the leader go on as before. Their
// kernels give the connections up after as long as heartbeats have.
func cutTaskManagers(ctx context.Context, d *drill) (time.Time, error) {
	before, err := d.cluster.WaitRunning(ctx, d.job, -1)
	if err != nil {
		return time.Time{}, err
	}
	for i, a := range d.taskmanagers {
		for _, b := range d.taskmanagers[i+1:] {
			for _, p := range a.Children() {
				for _, q := range b.Children() {
					at := time.Now()
					n, err := cut(p, q)
					if err != nil {
						return at, fmt.Errorf("cut %s from %s: %w", a.Name, b.Name, err)
					}
					if n > 0 {
						d.later = append(d.later, func() error { return d.lostConnection(ctx, before, a, b) })
						return at, nil
					}
				}
			}
		}
	}
	return time.Time{}, errors.New("no two taskmanagers of this drill exchange records of the job")
}

// lostConnection checks that the job was restarted because a data connection was lost, and that nobody took either of its ends for dead.
func (d *drill) lostConnection(ctx context.Context, before *thalwegv1.JobInfo, ends ...*cluster.Process) error {
	i, err := d.cluster.WaitRunning(ctx, d.job, before.Restarts)
	if err != nil {
		return err
	}
	if len(i.Exceptions) == 0 || !strings.Contains(i.Exceptions[0].Message, "the data connection to") {
		return fmt.Errorf("the job was restarted for another reason than a lost data connection: %v", i.Exceptions)
	}
	c, err := d.cluster.Client()
	if err != nil {
		return err
	}
	all, err := c.Cluster(ctx)
	if err != nil {
		return err
	}
	for _, p := range ends {
		if !p.Alive() || !slices.ContainsFunc(all.Taskmanagers, func(t *thalwegv1.TaskManagerInfo) bool { return t.Id == p.Name }) {
			return fmt.Errorf("%s was cut from another taskmanager only, and the leader has lost it", p.Name)
		}
	}
	return nil
}
