package bareloop

import (
	"slices"
	"time"
)

// Timing of a comparison: rounds of the two sides alternate, so that both meet the same neighbours on the machine, and the median of the rounds
// counts. It is the processor time of the whole process, garbage collection included.
const (
	Rounds     = 7
	RoundTakes = 200 * time.Millisecond
)

// Beside runs two sides in alternating rounds and gives the median of each in nanoseconds of processor time per record. Each side handles n
// records; it is called until a round has taken RoundTakes.
func Beside(n int, bare, engine func(n int)) (bareNS, engineNS float64) {
	return beside(n, RoundTakes, bare, engine)
}

func beside(n int, takes time.Duration, bare, engine func(n int)) (bareNS, engineNS float64) {
	bare(n) // the first pages, the branch predictor
	engine(n)
	var times [2][]float64
	for range Rounds {
		for side, run := range []func(int){bare, engine} {
			times[side] = append(times[side], round(n, takes, run))
		}
	}
	return median(times[0]), median(times[1])
}

// round is nanoseconds per record.
func round(n int, takes time.Duration, run func(int)) float64 {
	begin, records := processorTime(), 0
	for {
		run(n)
		records += n
		if took := processorTime() - begin; took >= takes {
			return float64(took) / float64(records)
		}
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
