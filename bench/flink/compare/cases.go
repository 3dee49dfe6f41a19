package main

import (
	"fmt"
	"time"

	"github.com/thalweg-io/thalweg/bench/flink/harness"
	"github.com/thalweg-io/thalweg/bench/flink/side"
)

// contest is a case: what both sides run.
type contest struct {
	name, group string
	query       string // of both sides
	source      string // of Flink: the one whose cost is shown beside
	ownSource   string // of Thalweg
	keys        int64  // of a keyed count
	exchange    bool   // the keyed count runs in two processes
}

// contests are all cases, in the order of the table.
var contests = func() (all []contest) {
	for _, q := range []string{"q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8", "q9", "q11", "q12", "q13", "q14", "q15", "q16", "q17", "q18", "q19", "q20", "q21", "q22"} {
		all = append(all, contest{name: q, group: "sql", query: q, source: "source/" + q, ownSource: "source/" + q})
	}
	for _, q := range []string{"q1", "q2", "q5", "q8"} {
		all = append(all, contest{name: "datastream-" + q, group: "datastream", query: q, source: "source-events/" + q, ownSource: "source/" + q})
	}
	for _, exchange := range []string{"", "-exchange"} {
		for _, millions := range []int64{1, 8} {
			all = append(all, contest{name: fmt.Sprintf("keyedcount-%dM%s", millions, exchange), group: "keyedcount", query: "keyedcount", source: "source-keys",
				ownSource: "source-keys", keys: millions << 20, exchange: exchange != ""})
		}
	}
	return all
}()

func all() (names []string) {
	for _, c := range contests {
		names = append(names, c.name)
	}
	return names
}

// api is the one of Flink that its job is written in.
func (c contest) api() string {
	if c.group == "sql" {
		return "sql"
	}
	return "datastream"
}

// settings are what Flink is started with.
func (c contest) settings(s Schedule, backend string) harness.Settings {
	f := harness.Defaults()
	f.Backend, f.Pretouch = backend, s.Pretouch
	if c.exchange {
		f.TaskManagers = 2
	}
	return f
}

// flink is the case as a job of Flink. It makes only the events that the query reads, and so does Thalweg's.
func (c contest) flink(s Schedule) harness.Job {
	return harness.Job{API: c.api(), Query: c.query, Seed: s.Seed, Rate: s.Rate, Keys: max(1, c.keys), Parallelism: 1, Exchange: c.exchange, MiniBatch: true}
}

// flinkSource is the source alone.
func (c contest) flinkSource(s Schedule) harness.Job {
	j := c.flink(s)
	j.API, j.Query, j.Exchange = "datastream", c.source, false
	return j
}

func (c contest) thalweg(s Schedule) side.Job {
	j := side.Job{Query: c.query, Seed: s.Seed, Rate: s.Rate, Parallelism: 1, Keys: c.keys, Exchange: c.exchange}
	if s.Pretouch {
		memory := c.settings(s, "hashmap")
		j.PretouchMiB = int64(memory.HeapMiB + memory.ManagedMiB)
	}
	return j
}

func (c contest) thalwegSource(s Schedule) side.Job {
	j := c.thalweg(s)
	j.Query, j.Exchange, j.PretouchMiB = c.ownSource, false, 0
	return j
}

// fill is how many records a job counts before it is measured: four times as many as keys, of which it then has 98 %.
func (c contest) fill(s Schedule) (records int64, within time.Duration) { return 4 * c.keys, s.Fill }
