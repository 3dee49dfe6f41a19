package bareloop

import (
	"slices"
	"time"
)

// Timing of a comparison: rounds of its sides alternate, so that all meet the same neighbours on the machine, and the median of the rounds
// counts. It is the processor time of the whole process, garbage collection included.
const (
	Rounds     = 7
	RoundTakes = 200 * time.Millisecond
)

// Beside runs the sides in alternating rounds and gives the median of each in nanoseconds of processor time per record. Each side handles n
// records; it is called until a round has taken so long. Rounds and RoundTakes are the usual ones.
func Beside(n, rounds int, takes time.Duration, sides ...func(n int)) []float64 {
	for _, run := range sides { // the first pages, the branch predictor
		run(n)
	}
	times := make([][]float64, len(sides))
	for range rounds {
		for side, run := range sides {
			times[side] = append(times[side], round(n, takes, run))
		}
	}
	medians := make([]float64, len(sides))
	for side := range sides {
		medians[side] = median(times[side])
	}
	return medians
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
