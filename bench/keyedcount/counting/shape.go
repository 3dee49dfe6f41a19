package counting

import "fmt"

// Records there are.
const (
	Number = "8B"     // the key
	Wide   = "40B"    // the key, a string of 16 bytes, two numbers
	String = "string" // the key, a string of 16 bytes
)

// Operators there are.
const (
	Rolling = "rolling" // Rolling with Count
	Process = "process" // Process and a Value
	Pair    = "pair"    // Rolling with a value of 16 bytes: a count and a sum
)

// Shape is what a job counts, and how. The zero values of its names are Number and Rolling.
type Shape struct {
	Keys     uint64
	Exchange bool // the count is a task of its own, else everything is one chain
	Operator string
	Record   string
	Zipf     bool // a key is as frequent as one over its rank, else all are equally so
	// SourceOnly has nothing behind the source: what it gives is dropped.
	SourceOnly bool
}

func (s Shape) operator() string { return either(s.Operator, Rolling) }
func (s Shape) record() string   { return either(s.Record, Number) }

func either(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}

// Name is the shape as a benchmark's name. What is usual is not in it.
func (s Shape) Name() string {
	path := "chained"
	if s.Exchange {
		path = "tcp"
	}
	name := "keys=" + Many(s.Keys) + "/path=" + path + "/op=" + s.operator()
	if s.record() != Number {
		name += "/record=" + s.record()
	}
	if s.Zipf {
		name += "/zipf"
	}
	return name
}

// Many is a number in units of 1024 where it is a multiple of them.
func Many(n uint64) string {
	switch {
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dM", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dK", n>>10)
	}
	return fmt.Sprint(n)
}
