package trial

import "fmt"

// pressed is how many milliseconds of a second a source has to have waited, to count as held up.
const pressed = 800

// Broken is what must not be, whatever the machine: something lost, a restart, a checkpoint without an outcome in its time, sources that were never held up.
func (r *Result) Broken() (bad []string) {
	if !r.Output.Right() {
		bad = append(bad, "output: "+r.Output.String())
	}
	if r.Restarts != 0 {
		bad = append(bad, fmt.Sprintf("the job restarted %d times", r.Restarts))
	}
	if len(r.Checkpoints) == 0 {
		bad = append(bad, "no checkpoint was asked for")
	}
	for _, c := range r.Checkpoints {
		if c.Took > r.Timeout+grace/2 {
			bad = append(bad, fmt.Sprintf("a checkpoint had no outcome within its %v: %s", r.Timeout, c))
		}
	}
	if len(r.Sources) != parallelism {
		bad = append(bad, fmt.Sprintf("%d sources were seen, want %d", len(r.Sources), parallelism))
	}
	for _, s := range r.Sources {
		if s.BackpressuredMs < pressed {
			bad = append(bad, fmt.Sprintf("a source was held up for %.0f ms of a second only", s.BackpressuredMs))
		}
	}
	return bad
}

// Completed is how many checkpoints did.
func (r *Result) Completed() (n int) {
	for _, c := range r.Checkpoints {
		if c.ID != 0 {
			n++
		}
	}
	return n
}

// Growing are the processes whose memory is not flat.
func (r *Result) Growing() (m []*Memory) {
	for _, p := range r.Memory {
		if !p.Flat() {
			m = append(m, p)
		}
	}
	return m
}
