package flow

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/stream"
)

// defaultSlotGroup is the slot-sharing group of operators that are in no other.
const defaultSlotGroup = "default"

// splitsSuffix makes the uid of a source's enumerator; no name can contain it.
const splitsSuffix = "#splits"

// plan checks the whole graph, divides it into chains and gives what the runtime takes; or all mistakes in one error.
func (j *Job) plan() (*stream.Graph, error) {
	for _, n := range j.nodes {
		j.settle(n)
	}
	for _, n := range j.nodes {
		for _, e := range n.inputs {
			j.route(e)
		}
		j.divide(n)
	}
	j.complete()
	g := j.chains()
	if err := j.err(); err != nil {
		return nil, err
	}
	return g, nil
}

// settle gives a node what its options left open; its inputs have theirs already.
func (j *Job) settle(n *node) {
	s := &n.settings
	for _, e := range n.inputs {
		from := &e.from.settings
		if s.slotGroup == "" {
			s.slotGroup = from.slotGroup
		}
	}
	if s.slotGroup == "" {
		s.slotGroup = defaultSlotGroup
	}
	if s.parallelism == 0 {
		for _, e := range n.inputs {
			s.parallelism = max(s.parallelism, e.from.settings.parallelism)
		}
		if s.parallelism == 0 {
			s.parallelism = j.parallelism
		}
	}
	if s.maxParallelism == 0 {
		s.maxParallelism = DefaultMaxParallelism
		for s.maxParallelism < s.parallelism {
			s.maxParallelism *= 2
		}
		s.maxParallelism = min(s.maxParallelism, maxKeyGroups)
	}
	if !n.joins && (s.lateLeft != nil || s.lateRight != nil) {
		j.fail(n.at, "operator %q: LateLeftTo and LateRightTo are for Join and IntervalJoin; windows have LateTo", n.name)
	}
	if s.parallelism > s.maxParallelism {
		j.fail(n.at, "operator %q: parallelism %d is above its max parallelism %d: raise MaxParallelism, which state that exists does not survive",
			n.name, s.parallelism, s.maxParallelism)
	}
}

// route decides how the records of an edge travel, and whether it is inside of a chain.
func (j *Job) route(e *edge) {
	from, to := &e.from.settings, &e.to.settings
	e.partitioning = e.kind
	switch {
	case e.kind == thalwegv1.Partitioning_PARTITIONING_UNSPECIFIED && from.parallelism == to.parallelism:
		e.partitioning = thalwegv1.Partitioning_PARTITIONING_FORWARD
	case e.kind == thalwegv1.Partitioning_PARTITIONING_UNSPECIFIED:
		e.partitioning = thalwegv1.Partitioning_PARTITIONING_REBALANCE
	case e.kind == thalwegv1.Partitioning_PARTITIONING_FORWARD && from.parallelism != to.parallelism:
		j.fail(e.to.at, "operator %q: Forward from %q joins parallelism %d to %d: give both the same, or use Rebalance",
			e.to.name, e.from.name, from.parallelism, to.parallelism)
	}
	// With one subtask on either side there is nobody else to send a key to.
	direct := e.partitioning == thalwegv1.Partitioning_PARTITIONING_FORWARD ||
		e.partitioning == thalwegv1.Partitioning_PARTITIONING_HASH && from.parallelism == 1 && to.parallelism == 1
	e.chained = direct && len(e.to.inputs) == 1 && from.parallelism == to.parallelism && from.maxParallelism == to.maxParallelism &&
		from.slotGroup == to.slotGroup && !from.noChain && !to.noChain && !to.startChain
	if e.chained {
		return
	}
	if _, err := e.gives.schema(); err != nil {
		j.fail(e.to.at, "operator %q: its input %v comes from another task (%q), and cannot be encoded: %w", e.to.name, e.gives, e.from.name, err)
	}
}

// complete says what a graph lacks as a whole.
func (j *Job) complete() {
	sinks := 0
	for _, n := range j.nodes {
		if n.gives == nil {
			sinks++
		}
	}
	if sinks > 0 {
		return
	}
	if len(j.nodes) == 0 {
		j.fail(caller(), "job %q is empty: begin with flow.Read or flow.From, and end with flow.Write or flow.To", j.name)
		return
	}
	j.fail(j.nodes[len(j.nodes)-1].at, "job %q has no sink, so nothing would come of it: end a stream with flow.Write or flow.To", j.name)
}

// chains makes one vertex of each chain, and one of each source's enumerator before it.
func (j *Job) chains() *stream.Graph {
	g := &stream.Graph{Job: &thalwegv1.JobGraph{Name: j.name, Checkpoints: j.checkpoints}}
	ids := make(map[*node]string) // of each node's vertex
	cohorts := j.cohorts()
	for _, head := range j.nodes {
		if len(head.inputs) == 1 && head.inputs[0].chained {
			continue
		}
		members := chainOf(head)
		id := vertexID(head.uid())
		for _, n := range members {
			ids[n] = id
			if n.inSource != "" && head.takes != nil {
				j.fail(n.at, "operator %q: %s", n.name, n.inSource)
			}
		}
		if c := cohorts[head]; c != nil && c.sources[0] == head {
			v := enumeratorVertex(c)
			g.Job.Vertices = append(g.Job.Vertices, v)
			g.Vertices = append(g.Vertices, &stream.Vertex{Build: c.buildEnumerators})
			for _, source := range c.sources {
				g.Job.Edges = append(g.Job.Edges, &thalwegv1.Edge{Id: int32(len(g.Job.Edges)), From: v.Id, To: vertexID(source.uid()),
					Partitioning: thalwegv1.Partitioning_PARTITIONING_COORDINATOR})
			}
		}
		for _, e := range head.inputs { // members behind the head have no edge but the chain's
			e.id = len(g.Job.Edges)
			schema, _ := e.gives.schema() // checked by route
			g.Job.Edges = append(g.Job.Edges, &thalwegv1.Edge{Id: int32(e.id), From: ids[e.from], To: id, Partitioning: e.partitioning, Codec: schema})
		}
		g.Job.Vertices = append(g.Job.Vertices, chainVertex(members, id))
		g.Vertices = append(g.Vertices, &stream.Vertex{Build: head.build})
	}
	g.Job.Fingerprint = fingerprint(g.Job)
	return g
}

// chainOf is head and all that is chained to it, upstream first.
func chainOf(head *node) []*node {
	members := []*node{head}
	for _, e := range head.outputs {
		if e.chained {
			members = append(members, chainOf(e.to)...)
		}
	}
	return members
}

func chainVertex(members []*node, id string) *thalwegv1.Vertex {
	s := members[0].settings
	v := &thalwegv1.Vertex{Id: id, Parallelism: int32(s.parallelism), MaxParallelism: int32(s.maxParallelism), SlotGroup: s.slotGroup}
	names := make([]string, len(members))
	for i, n := range members {
		names[i] = n.name
		v.Operators = append(v.Operators, &thalwegv1.Operator{Uid: n.uid(), Kind: n.kind, States: n.states})
	}
	v.Name = strings.Join(names, " -> ")
	return v
}

// enumeratorVertex has the id and the slot group of the first source's.
func enumeratorVertex(c *cohort) *thalwegv1.Vertex {
	first := c.sources[0]
	v := &thalwegv1.Vertex{Id: vertexID(first.uid() + splitsSuffix), Parallelism: 1, MaxParallelism: 1, SlotGroup: first.settings.slotGroup, Coordinator: true}
	names := make([]string, len(c.sources))
	for i, source := range c.sources {
		names[i] = source.name
		v.Operators = append(v.Operators, &thalwegv1.Operator{Uid: source.uid() + splitsSuffix, Kind: "enumerator"})
	}
	v.Name = strings.Join(names, ", ") + " splits"
	return v
}

// vertexID has the form of Flink's: 32 hexadecimal digits.
func vertexID(uid string) string {
	sum := sha256.Sum256([]byte("vertex\x00" + uid))
	return hex.EncodeToString(sum[:16])
}

// fingerprint covers all of the graph but itself.
func fingerprint(g *thalwegv1.JobGraph) uint64 {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(g)
	if err != nil {
		panic("flow: encode the job graph: " + err.Error()) // only strings that are not UTF-8 can do that, and names are checked
	}
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:])
}

// build makes the chain that begins with n for one subtask. If a part of it cannot be made, those before it are closed: nobody else knows of them.
func (n *node) build(t *stream.TaskContext) (chain *stream.Chain, err error) {
	b := &builder{t: t, chain: &stream.Chain{}}
	defer func() {
		if chain == nil { // an error, or a panic of user code
			err = errors.Join(err, b.unbuild())
		}
	}()
	if n.takes == nil {
		next, err := n.output(b)
		if err != nil {
			return nil, err
		}
		if err := n.source(b, next); err != nil {
			return nil, n.wrap(err)
		}
	} else {
		input, err := n.attach(b)
		if err != nil {
			return nil, err
		}
		if err := n.gates(b, input); err != nil {
			return nil, n.wrap(err)
		}
	}
	slices.Reverse(b.chain.Operators)
	return b.chain, nil
}

// unbuild closes what was made, the last first.
func (b *builder) unbuild() error {
	slices.Reverse(b.chain.Operators)
	err := b.chain.Close()
	for _, release := range slices.Backward(b.memory) {
		release()
	}
	return err
}

// attach makes n and all that is behind it in its chain, and gives n's input.
func (n *node) attach(b *builder) (any, error) {
	var next any
	if n.gives != nil {
		var err error
		if next, err = n.output(b); err != nil {
			return nil, err
		}
	}
	ends, err := n.sideEnds(b)
	if err != nil {
		return nil, err
	}
	if len(ends) > 0 {
		next = n.gives.behindSides(next, ends)
	}
	b.ends = ends // those that were made for operators behind n are made use of already
	input, err := n.make(b, next)
	if err != nil {
		return nil, n.wrap(err)
	}
	if len(ends) == 0 {
		return input, nil
	}
	if two, ok := input.(twoInputs); ok {
		return twoInputs{n.takes.beforeSides(two.left, ends), n.right.beforeSides(two.right, ends), two.control}, nil
	}
	return n.takes.beforeSides(input, ends), nil
}

// twoInputs are the stream.Inputs of an operator with two of them. What is no record comes to control, for both together.
type twoInputs struct {
	left, right any
	control     stream.Control
}

// gates makes the head of n's chain: a gate for each edge, typed as the input that it leads to.
func (n *node) gates(b *builder, input any) error {
	two, isTwo := input.(twoInputs)
	if isTwo {
		b.chain.Head = two.control
	}
	for _, e := range n.inputs {
		takes, in := n.takes, input
		switch {
		case isTwo && e.port == 0:
			in = two.left
		case isTwo:
			takes, in = n.right, two.right
		}
		gate, err := takes.gate(b.t, e.id, in)
		if err != nil {
			return err
		}
		b.chain.Gates = append(b.chain.Gates, gate)
	}
	return nil
}

// sideEnds makes what takes the records of n's side outputs.
func (n *node) sideEnds(b *builder) (ends sideEnds, err error) {
	for _, s := range n.sides {
		next, err := n.outputOf(b, s.name, s.gives)
		if err != nil {
			return nil, err
		}
		ends = append(ends, namedEnd{s.name, s.gives.sideEnd(b.t, n.name, next)})
	}
	return ends, nil
}

// output makes what takes the records of n: operators of the chain, routers to other tasks.
func (n *node) output(b *builder) (any, error) { return n.outputOf(b, "", n.gives) }

// outputOf is that of a side output, or of the main one, which has no name.
func (n *node) outputOf(b *builder, side string, gives element) (any, error) {
	var next []any
	for _, e := range n.outputs {
		if e.side != side {
			continue
		}
		var in any
		var err error
		switch {
		case e.chained:
			in, err = e.to.attach(b)
		case e.combiner != nil:
			in, err = e.combine(b)
		default:
			in, err = gives.router(b.t, e)
		}
		if err != nil {
			return nil, err
		}
		if e.hash != nil && !e.chained && e.combiner == nil { // in a chain the keyed operator hashes for itself
			in = e.hash(in)
		}
		next = append(next, in)
	}
	return gives.fanout(next), nil
}

func (c *cohort) buildEnumerators(t *stream.TaskContext) (*stream.Chain, error) {
	b := &builder{t: t, chain: &stream.Chain{}}
	for _, source := range c.sources {
		if err := source.enumerate(b); err != nil {
			return nil, source.wrap(err)
		}
	}
	b.chain.Coordinator = &coordinating{enumerators: b.enumerators, drift: int64(c.drift)}
	return b.chain, nil
}

func (n *node) wrap(err error) error { return &OperatorError{Operator: n.name, Err: err} }

// OperatorError says in which operator something failed.
type OperatorError struct {
	Operator string
	Err      error
}

func (e *OperatorError) Error() string { return "operator " + e.Operator + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *OperatorError) Unwrap() error { return e.Err }
