package flow

import (
	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// node is one operator of the graph as the program describes it.
type node struct {
	index    int // in Job.nodes
	name     string
	kind     string // "source", "map", "window", "sink", ...
	at       position
	settings settings
	inputs   []*edge
	outputs  []*edge
	takes    element // nil: a source
	right    element // the second input's; nil: there is none
	gives    element // nil: a sink
	sides    []side
	keyed    bool // has keyed state: max parallelism matters
	states   []string
	joins    bool // it is a join, which LateLeftTo and LateRightTo are for
	// times: its output carries event time and watermarks.
	times bool
	// aligned is the group that its source's readers are in.
	aligned alignment
	// inSource: it must be chained to a source to work; says why.
	inSource string

	// split says how the operator may be split between the tasks of its inputs and its own; nil: it is not.
	split *split

	// make makes the operator of one subtask: the stream.Input of takes, or both of them as twoInputs. next is the Input of gives; nil for a sink.
	make func(b *builder, next any) (any, error)
	// source makes the reader of a source; enumerate its enumerator.
	source    func(b *builder, next any) error
	enumerate func(b *builder) error
}

// edge is a connection of two operators.
type edge struct {
	from, to *node
	side     string // output of from; empty: the main one
	gives    element
	port     int // input of to, which most have one of
	partition
	chained      bool
	combiner     func(next any) (any, error) // of a split operator: what is before the router; gives is what it gives
	id           int                         // in the job graph, if not chained
	partitioning thalwegv1.Partitioning      // what partition came to
}

func (n *node) uid() string {
	if n.settings.uid != "" {
		return n.settings.uid
	}
	return n.name
}

// add makes a node, claims its name and remembers what its options got wrong.
func (j *Job) add(n *node, o []Option) *node {
	n.index = len(j.nodes)
	for _, option := range o {
		if option.set != nil {
			option.set(&n.settings)
		}
	}
	for _, p := range n.settings.problems {
		j.fail(n.at, "operator %q: %s", n.name, p)
	}
	j.claim(n.name, n.at)
	if n.settings.uid != "" && n.settings.uid != n.name {
		j.claim(n.settings.uid, n.at)
	}
	j.nodes = append(j.nodes, n)
	return n
}

// output is one operator's output on its way to another.
type output struct {
	from *node
	side string // empty: its main output
	partition
}

// gives is the type of its records.
func (o output) gives() element {
	if o.side == "" {
		return o.from.gives
	}
	s, _ := o.from.has(o.side)
	return s.gives
}

// connect leads outputs into n, those of each stream into an input of its own.
func (n *node) connect(ports ...[]output) {
	n.times = len(ports[0]) > 0
	for port, outs := range ports {
		n.lead(outs, port)
	}
}

func (n *node) lead(outs []output, port int) {
	for _, out := range outs {
		e := &edge{from: out.from, to: n, side: out.side, gives: out.gives(), port: port, partition: out.partition}
		n.inputs = append(n.inputs, e)
		out.from.outputs = append(out.from.outputs, e)
		n.times = n.times && out.from.times
	}
}

// builder collects what the chain of one subtask consists of.
type builder struct {
	t     *stream.TaskContext
	chain *stream.Chain
	// quiet are those in the source's chain that look for silent splits.
	quiet []quieting
	// marks are what in the source's chain places watermarks.
	marks []marked
	// memory is released if the chain cannot be built: state of operators that are perhaps not in it yet.
	memory []func()
	// aligned is the one that knows how far splits have come, for Aligned, and its drift in ns; nil: there is none.
	aligned progressing
	drift   int64
	// enumerators are those of a vertex that hands out splits.
	enumerators []coordinator
	// ends are the side outputs of the operator that is being made.
	ends sideEnds
}

// quieting is an operator in a source's chain that looks for silent splits. A split is silent by what it answers, not by the time without records
// alone: while nobody asks, as behind a full output or in a process that stands still, it may have much to give.
type quieting interface {
	// nothing says that a split was asked at now, in ns since 1970, and had nothing to give.
	nothing(split int32, now int64)
	// settle acts on what was said since the last time. It says when a split is to be asked at the latest, because it will be idle if it has nothing
	// then; 0: any time.
	settle() (next int64, err error)
}

// marked is an operator in a source's chain that hears of its splits, and lets a reader say how far event time has come: see marker.
type marked interface {
	// begin says that a split is open: until it has given records, nothing is known of their times.
	begin(split int32)
	// hold says that a split is not read for now, or again: what it has been silent until then does not count.
	hold(split int32)
	// mark hands a watermark on, unless it is behind the operator's own.
	mark(at int64) error
}

// add appends an operator that takes part in checkpoints. Chains are built from their ends, so the list is turned round at last.
func (b *builder) add(n *node, op stream.Operator) {
	b.chain.Operators = append(b.chain.Operators, stream.NamedOperator{UID: n.uid(), Operator: op})
}

// skipped counts records that a policy has left out.
func (b *builder) skipped(n int) { b.t.Counters().AddSkipped(n) }

// late counts records that came behind the watermark.
func (b *builder) late(n int) { b.t.Counters().AddLate(n) }
