package flow

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/stream/drift"
)

// Aligned has the readers of a group wait for the slowest: none reads on in a split whose watermark is further ahead of the group's than drift, while it
// reads its others. So what a join or a window holds for one source does not grow with how far another lies behind, as when a job reads old records of
// both. The group is all sources of the job that say its name, each in all of its subtasks and in all processes; its watermark is the lowest of
// its readers', and all say the same drift. Readers begin to wait up to a quarter of the drift early. Records of one Read are not held back: a reader is
// ahead by the drift and the times of those at most.
//
// A split that has given nothing yet holds the group, as it holds the watermark; one that is Idle does not, and one that is held does not become
// Idle. Splits at their end, and readers without any, hold nobody. When records come from behind, as from a split that has woken, the others wait until
// they have caught up; what has been read is not taken back.
//
// Readers hear of each other through the task that hands out their splits, which the sources of a group share: no leader is needed for it, and
// nothing of it is in a checkpoint. While an Enumerator of theirs blocks, they hear nothing, and come no further than the drift. The EventTime must be in the chain of its source, and only one of a source is Aligned. A source of flowtest is
// never held: what a test pushes is read.
func Aligned(group string, drift time.Duration) TimeOption {
	return TimeOption{func(s *timeSettings) {
		if group == "" {
			s.problems = append(s.problems, sprintf("Aligned(\"\", %v): the group needs a name, which its other sources say as well", drift))
		}
		if drift <= 0 {
			s.problems = append(s.problems, sprintf("Aligned(%q, %v): readers are never at one time exactly: the drift is above 0", group, drift))
		}
		s.aligned = alignment{group, drift}
	}}
}

// alignment is a group as an EventTime names it. The zero alignment is none.
type alignment struct {
	group string
	drift time.Duration
}

// cohort is sources whose enumerators are in one vertex: those of an alignment group, or one that is in none.
type cohort struct {
	sources []*node
	drift   time.Duration // 0: in none
	aligned *node         // the first EventTime that has named the group
}

// cohorts gives each source its cohort.
func (j *Job) cohorts() map[*node]*cohort {
	of, groups := make(map[*node]*cohort), make(map[string]*cohort)
	for _, source := range j.nodes {
		if source.takes != nil {
			continue
		}
		var aligned *node
		for _, n := range chainOf(source) {
			switch {
			case n.aligned == (alignment{}):
			case aligned != nil:
				j.fail(n.at, "%s: Aligned(%q, %v): %s is Aligned, and in the chain of source %q as well: its readers can go by one of them", n.name, n.aligned.group,
					n.aligned.drift, aligned.name, source.name)
			default:
				aligned = n
			}
		}
		c := &cohort{}
		if aligned != nil {
			a := aligned.aligned
			if groups[a.group] == nil {
				groups[a.group] = &cohort{drift: a.drift, aligned: aligned}
			}
			if c = groups[a.group]; c.drift != a.drift {
				j.fail(aligned.at, "%s: Aligned(%q, %v): %s has said Aligned(%q, %v): a group has one drift", aligned.name, a.group, a.drift, c.aligned.name, a.group, c.drift)
			}
		}
		c.sources = append(c.sources, source)
		of[source] = c
	}
	return of
}

// coordinating is the coordinator of a cohort: it leads each source's enumerator and its readers together, and keeps the readers in their group.
type coordinating struct {
	enumerators []coordinator // of the sources, in order of the vertex's edges
	firsts      []int         // reader of each; set by Start
	drift       int64         // ns; 0: none
	group       *drift.Group  // nil: none, or not started
	ended       []bool        // of the readers in it
	c           *stream.CoordinatorContext
}

// coordinator hands out the splits of one source.
type coordinator interface {
	Start(c *stream.CoordinatorContext) error
	Request(reader int) error
}

func (c *coordinating) Start(x *stream.CoordinatorContext) error {
	c.c = x
	if c.drift > 0 {
		c.group, c.ended = drift.NewGroup(c.drift, x.Readers), make([]bool, x.Readers)
	}
	for i, e := range c.enumerators {
		of, first := x.Of(i)
		c.firsts = append(c.firsts, first)
		if err := e.Start(of); err != nil {
			return err
		}
	}
	return nil
}

// Request is a reader that has nothing left to read, or how far it has come.
func (c *coordinating) Request(reader int, event []byte) error {
	if len(event) == 0 {
		source := len(c.firsts) - 1
		for c.firsts[source] > reader {
			source--
		}
		return c.enumerators[source].Request(reader - c.firsts[source])
	}
	if len(event) != 8 || c.group == nil {
		return fmt.Errorf("reader %d says %d bytes, which are no time that it has come to", reader, len(event))
	}
	c.come(reader, int64(binary.LittleEndian.Uint64(event)))
	return nil
}

func (c *coordinating) ReaderEnded(reader int) {
	if c.group == nil {
		return
	}
	c.ended[reader] = true
	c.come(reader, drift.Free)
}

// come hears how far a reader has come, and says it to all if it matters to them.
func (c *coordinating) come(reader int, to int64) {
	slowest, news := c.group.Come(reader, to)
	if !news {
		return
	}
	for r, ended := range c.ended {
		if !ended {
			c.c.Slowest(r, slowest)
		}
	}
}

// aligning is what a reader of a group goes by.
type aligning struct {
	*drift.Reader
	times progressing
}

// progressing is an operator in a source's chain that knows how far splits have come in event time, for Aligned.
type progressing interface {
	// progress is the watermark that a split would have if it were looked at now; stream.NoTime: it has given nothing.
	progress(split int32) int64
	// slowest is the lowest of those that are not idle; stream.MaxWatermark: there are none.
	slowest() int64
}

// Slowest implements stream.Source.
func (r *reading[T]) Slowest(at int64) {
	if r.aligned != nil {
		r.aligned.Heard(at)
	}
}

// held reports whether a split has to wait for others of the group.
func (r *reading[T]) held(split *openSplit[T]) bool {
	if r.aligned == nil {
		return false
	}
	if _, itself := split.reader.(marker); itself { // of a test
		return false
	}
	waits := r.aligned.Waits(r.aligned.times.progress(split.number))
	if waits != split.held {
		split.held = waits
		for _, o := range r.marks {
			o.hold(split.number)
		}
	}
	return waits
}

// come tells the group how far this reader has come, if it has to know. Between its splits it stays where it was.
func (r *reading[T]) come() error {
	if r.aligned == nil || len(r.splits) == 0 {
		return nil
	}
	if to := r.aligned.times.slowest(); r.aligned.Come(to) {
		return r.task.Request(binary.LittleEndian.AppendUint64(nil, uint64(to)))
	}
	return nil
}
