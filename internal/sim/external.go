package sim

import (
	"fmt"

	"github.com/thalweg-io/thalweg/internal/job"
)

// external is the transactional system behind the sink: it outlives every process of Thalweg and knows nothing of it.
type external struct {
	s         *Sim
	txns      map[txnID]*txn
	committed map[int32]txnID // record -> the transaction that committed it
	last      map[seqKey]int32
	failing   bool // it does not answer
}

// txnID names a transaction: every name carries its generation (E4).
type txnID struct {
	generation job.Generation
	checkpoint int64
	subtask    int
}

func (t txnID) String() string {
	return fmt.Sprintf("%v/%d/%d", t.generation, t.checkpoint, t.subtask)
}

type txnState uint8

const (
	prepared txnState = iota
	committed
	discarded
)

type txn struct {
	state   txnState
	records []int32
}

// seqKey is one input partition's key: its records are numbered densely.
type seqKey struct{ source, key int32 }

func (x *external) prepare(id txnID, records []int32) {
	if x.txns[id] != nil {
		x.s.fail("E4: transaction %v is prepared twice", id)
		return
	}
	x.txns[id] = &txn{records: records}
}

// commit is idempotent.
func (x *external) commit(id txnID) {
	t := x.txns[id]
	switch {
	case t == nil:
		x.s.fail("E3: a commit of transaction %v, which was never prepared", id)
	case t.state == discarded:
		x.s.fail("E3: a commit finds transaction %v discarded", id)
	case t.state == committed:
	default:
		x.s.truth.committing(id)
		t.state = committed
		for _, r := range t.records {
			if by, ok := x.committed[r]; ok {
				x.s.fail("E2: record %d is committed twice, by %v and %v", r, by, id)
				return
			}
			x.committed[r] = id
			source, offset := recordOf(r)
			k := seqKey{source, offset % keys}
			if seq := offset / keys; seq != x.last[k] {
				x.s.fail("E2: source %d key %d: record number %d is committed after %d", k.source, k.key, seq, x.last[k]-1)
			} else {
				x.last[k] = seq + 1
			}
		}
		if len(t.records) > 0 {
			x.s.log("committed %v: %v", id, t.records)
		}
	}
}

// discard ends the transactions of lower generations of a subtask that a restored state does not name.
func (x *external) discard(subtask int, below job.Generation, named map[txnID]bool) {
	for id, t := range x.txns { // each alone: the order does not matter
		if id.subtask == subtask && id.generation.Less(below) && !named[id] && t.state == prepared {
			t.state = discarded
		}
	}
}

const (
	keys    = 4
	perSide = 1 << 20
)

func recordID(source, offset int32) int32     { return source*perSide + offset }
func recordOf(r int32) (source, offset int32) { return r / perSide, r % perSide }
