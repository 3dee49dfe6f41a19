package main

import (
	"regexp"

	"github.com/thalweg-io/thalweg/bench/keyedcount/counting"
)

// benchmark is a shape that is measured, and what the criterion of the engine's speed asks for: its part of the bare loop, in percent; 0: it is only
// reported.
type benchmark struct {
	counting.Shape
	wanted float64
}

// benchmarks are all cases. Those that need some GiB of memory are long.
func benchmarks(long bool) (all []benchmark) {
	for _, of := range []struct {
		keys         uint64
		chained, tcp float64
	}{{16 << 10, 45, 18}, {1 << 20, 90, 40}, {8 << 20, 90, 40}} {
		for _, op := range []string{counting.Rolling, counting.Process} {
			chained, tcp := of.chained, of.tcp
			if op != counting.Rolling {
				chained, tcp = 0, 0
			}
			all = append(all,
				benchmark{counting.Shape{Keys: of.keys, Operator: op}, chained},
				benchmark{counting.Shape{Keys: of.keys, Operator: op, Exchange: true}, tcp})
		}
	}
	add := func(s counting.Shape) { all = append(all, benchmark{Shape: s}) }
	for _, exchange := range []bool{false, true} {
		for _, keys := range []uint64{16 << 10, 1 << 20} {
			add(counting.Shape{Keys: keys, Exchange: exchange, Record: counting.Wide})
			add(counting.Shape{Keys: keys, Exchange: exchange, Operator: counting.Pair})
			add(counting.Shape{Keys: keys, Exchange: exchange, Record: counting.String})
			add(counting.Shape{Keys: keys, Exchange: exchange, Zipf: true})
		}
	}
	add(counting.Shape{Keys: 8 << 20, Operator: counting.Pair})
	add(counting.Shape{Keys: 8 << 20, Zipf: true})
	cardinalities := []uint64{512, 4 << 10, 128 << 10}
	if long {
		cardinalities = append(cardinalities, 32<<20, 64<<20)
	}
	for _, keys := range cardinalities {
		add(counting.Shape{Keys: keys})
	}
	return all
}

// chosen are the cases whose whole name an expression matches; all if it is empty.
func chosen(all []benchmark, only string) ([]benchmark, error) {
	if only == "" {
		return all, nil
	}
	r, err := regexp.Compile("^(?:" + only + ")$")
	if err != nil {
		return nil, err
	}
	var some []benchmark
	for _, b := range all {
		if r.MatchString(b.Name()) {
			some = append(some, b)
		}
	}
	return some, nil
}
