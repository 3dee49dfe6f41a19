package queries

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Query is one of the benchmark's questions as a job. Its two functions build the same job, but for the sink.
type Query struct {
	Name string
	// Discard runs it for nobody, as a measurement does.
	Discard func(*flow.Job, Input)
	// Collect runs it into a collector.
	Collect func(*flow.Job, Input, *Collector)
}

// All is the queries that there are, in the order of their numbers.
var All = []Query{
	query("q0", Q0),
	query("q1", Q1),
	query("q2", Q2),
	query("q3", Q3),
	queryAs("q4", Q4, func(r flow.Entry[int64, Mean]) row { return average(r) }),
	query("q5", Q5),
	queryAs("q6", Q6, func(r flow.Entry[int64, Mean]) row { return average(r) }),
	query("q7", Q7),
	query("q8", Q8),
	query("q9", Q9),
	query("q11", Q11),
	query("q12", Q12),
	query("q13", Q13),
	query("q14", Q14),
	queryAs("q15", Q15, func(r flow.Entry[int64, Statistics]) row { return day(r) }),
	queryAs("q16", Q16, func(r flow.Entry[ChannelDay, Statistics]) row { return channelDay(r) }),
	queryAs("q17", Q17, func(r flow.Entry[AuctionDay, Prices]) row { return auctionDay(r) }),
	query("q18", Q18),
	query("q19", Q19),
	query("q20", Q20),
	query("q21", Q21),
	query("q22", Q22),
}

// Find gives the query of a name.
func Find(name string) (Query, error) {
	i := slices.IndexFunc(All, func(q Query) bool { return q.Name == name })
	if i < 0 {
		return Query{}, fmt.Errorf("nexmark: there is no job for a query %q", name)
	}
	return All[i], nil
}

func query[R row](name string, build func(*flow.Job, Input) flow.Stream[R]) Query {
	return queryAs(name, build, func(r R) row { return r })
}

// queryAs is a query whose records are no rows themselves.
func queryAs[R any](name string, build func(*flow.Job, Input) flow.Stream[R], as func(R) row) Query {
	return Query{
		Name:    name,
		Discard: func(j *flow.Job, in Input) { flow.To(build(j, in), "discard", flow.Sink[R](discard[R]{})) },
		Collect: func(j *flow.Job, in Input, c *Collector) {
			flow.To(build(j, in), "collect", flow.Sink[R](collecting[R]{c, as}))
		},
	}
}

// row is what a query gives.
type row interface {
	// line is the row in the text of package naive.
	line() text
}

// keyed is a row that replaces an earlier one of its key.
type keyed interface {
	row
	key() text
}

// text is a row as it is being written.
type text []byte

func (t text) between() text {
	if len(t) > 0 {
		return append(t, '|')
	}
	return t
}

func (t text) ints(fields ...int64) text {
	for _, n := range fields {
		t = strconv.AppendInt(t.between(), n, 10)
	}
	return t
}

// strings may begin with an empty one only if it is not the first field: no row does.
func (t text) strings(fields ...string) text {
	for _, s := range fields {
		t = append(t.between(), s...)
	}
	return t
}

// euros writes thousandths of a cent.
func (t text) euros(thousandths int64) text {
	return fmt.Appendf(t.between(), "%d.%03d", thousandths/1000, thousandths%1000)
}

// day writes days since 1970.
func (t text) day(days int64) text {
	return time.Unix(days*24*3600, 0).UTC().AppendFormat(t.between(), "2006-01-02")
}

const millisPerDay = 24 * 3600 * 1000

// at is a time in milliseconds since 1970, as events have it.
func at(millis int64) time.Time { return time.UnixMilli(millis) }
