// Package progress shows a job's state to a person: one line that is rewritten on a terminal, plain lines when piped. It owns
// the words for states and sizes; it asks nobody and changes nothing.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// quietFor is how long a piped progress says nothing while only counters change.
const quietFor = 10 * time.Second

// Progress is one job's display. It belongs to one goroutine.
type Progress struct {
	out      io.Writer
	terminal bool
	width    int
	line     bool // an unfinished line is on the terminal
	status   thalwegv1.JobStatus
	waiting  string
	restarts int32
	epoch    uint64
	failed   int64
	spoke    time.Time
	rate     float64
	records  int64
	counted  time.Time
}

// New makes a display on out; whether that is a terminal is found out here.
func New(out io.Writer) *Progress {
	p := &Progress{out: out, width: 80}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			p.width = w
		}
	}
	return p
}

// Say prints a whole line of its own.
func (p *Progress) Say(format string, args ...any) {
	if p.line {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.line = false
	}
	fmt.Fprintf(p.out, format+"\n", args...)
	p.spoke = time.Now()
}

// Show takes the job's newest state.
func (p *Progress) Show(i *thalwegv1.JobInfo) {
	p.measure(i)
	if e := i.Leader.GetEpoch(); e != p.epoch {
		if p.epoch != 0 {
			p.Say("The leader has changed: epoch %d at %s.", e, i.Leader.GetAddress())
		}
		p.epoch = e
	}
	if i.Restarts > p.restarts {
		cause := ""
		if len(i.Exceptions) > 0 {
			cause = ": " + FirstLine(i.Exceptions[0].Message)
		}
		p.Say("The job restarts (restart %d)%s", i.Restarts, cause)
	}
	p.restarts = i.Restarts
	if f := i.Checkpoints.GetFailed(); f > p.failed {
		p.Say("A checkpoint failed: %s", FirstLine(i.Checkpoints.GetLastFailure()))
		p.failed = f
	}
	if w := i.WaitingFor; w != "" && w != p.waiting {
		p.Say("Waiting: %s", w)
	}
	p.waiting = i.WaitingFor
	if p.terminal {
		line := p.text(i)
		if len(line) >= p.width {
			line = line[:p.width-1]
		}
		fmt.Fprint(p.out, "\r\x1b[K"+line)
		p.line = true
	} else if i.Summary.Status != p.status || time.Since(p.spoke) >= quietFor {
		p.Say("%s", p.text(i))
	}
	p.status = i.Summary.Status
}

func (p *Progress) measure(i *thalwegv1.JobInfo) {
	now := time.Now()
	if !p.counted.IsZero() && i.RecordsRead > p.records {
		if d := now.Sub(p.counted); d >= 500*time.Millisecond {
			p.rate = float64(i.RecordsRead-p.records) / d.Seconds()
		} else {
			return
		}
	}
	p.records, p.counted = i.RecordsRead, now
}

func (p *Progress) text(i *thalwegv1.JobInfo) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  tasks %d/%d  read %d", StatusName(i.Summary.Status), i.Summary.TasksRunning, i.Summary.TasksTotal, i.RecordsRead)
	if p.rate > 0 {
		fmt.Fprintf(&b, " (%.0f/s)", p.rate)
	}
	fmt.Fprintf(&b, "  written %d", i.RecordsWritten)
	if c := i.Checkpoints; c.GetCompleted() > 0 {
		fmt.Fprintf(&b, "  checkpoint %d (%d ms, %s)", c.LatestId, c.LatestDurationMs, Bytes(c.LatestSize))
	}
	return b.String()
}

// End finishes the line.
func (p *Progress) End() {
	if p.line {
		fmt.Fprintln(p.out)
		p.line = false
	}
}

// StatusName gives a job's status as people write it: "RUNNING".
func StatusName(s thalwegv1.JobStatus) string { return strings.TrimPrefix(s.String(), "JOB_STATUS_") }

// TaskStateName gives a task's state as people write it.
func TaskStateName(s thalwegv1.TaskState) string {
	return strings.TrimPrefix(s.String(), "TASK_STATE_")
}

// FirstLine is the first line of a message, for places that have room for one.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// Bytes gives a size in a unit that fits it.
func Bytes(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
