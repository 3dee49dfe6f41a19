// Package ha is the seam between Thalweg and whatever makes it highly available: the election of one leading jobmanager,
// its discovery, and the small fenced store that outlives every leader.
//
// It owns the interface, its errors and the values that cross it. The kinds live below it: ha/zookeeper (production),
// ha/local (one machine: a directory and a file lock); ha/hatest is the one conformance suite that all of them pass, and
// ha/zkmodel an in-memory ZooKeeper for the simulator. Package ha itself does no I/O, starts no goroutine, and never holds
// bulk data: the store keeps pointers, the bytes are on storage.
//
// An election gives at most one current leader, never at most one that believes it leads. So nothing here rests on a clock:
// every grant makes a new Epoch, every mutation is applied only while that epoch is current, and a Term whose write was
// refused is over. Leases only make a deposed leader notice sooner.
package ha

import (
	"context"
	"fmt"

	"github.com/thalweg-io/thalweg/internal/job"
)

// Epoch numbers the grants of leadership. It grows by at least one with each grant and is never used twice; 0 is no epoch.
type Epoch uint64

// Incarnation is the random identity of one process, made at its start. Process ids identify nothing: in containers all are 1.
type Incarnation string

// NewIncarnation makes a random Incarnation: 128 bits, 32 hexadecimal digits.
func NewIncarnation() Incarnation { return Incarnation(job.RandomHex()) }

// Contender says who contends for leadership, and where it is reached once it leads.
type Contender struct {
	Incarnation Incarnation
	RPCAddress  string // host:port of the gRPC front end
	RESTAddress string // host:port of the REST front end; may be empty

	// Cluster is the cluster incarnation that this process belongs to, empty if it knows none yet. A service that holds
	// another one, or none any more, is refused with ErrOtherCluster instead of being led: somebody wiped it or pointed us at
	// the wrong one. Lead remembers the incarnation of its first grant by itself.
	Cluster string
}

// LeaderInfo is what a leader publishes about itself: the content of the leader znode, as JSON.
type LeaderInfo struct {
	Epoch              Epoch       `json:"epoch"`
	Incarnation        Incarnation `json:"incarnation"`
	RPCAddress         string      `json:"rpcAddress"`
	RESTAddress        string      `json:"restAddress,omitempty"`
	ClusterIncarnation string      `json:"clusterIncarnation"`
}

// Present reports whether this names a leader; the zero LeaderInfo names none.
func (l LeaderInfo) Present() bool { return l.Epoch != 0 }

// String is for logs and messages.
func (l LeaderInfo) String() string {
	if !l.Present() {
		return "no leader"
	}
	return fmt.Sprintf("leader %s at %s (epoch %d)", l.Incarnation, l.RPCAddress, l.Epoch)
}

// Sighting is one update of discovery.
type Sighting struct {
	Leader LeaderInfo // the zero value: nobody leads, as far as the service knows
	Err    error      // not nil: the service cannot be asked now; Leader is then the last one seen, which may well still lead
}

// Services is one process's access to high availability. It is safe for concurrent use; Lead may run at most once at a time.
type Services interface {
	// Lead contends until ctx ends. For every grant it calls serve exactly once, on its own goroutine, with at most one serve
	// running; the next contention begins only after serve has returned. A serve that returns while its term lives resigns it.
	// When ctx ends, the term ends too and leadership is released, so that a standby leads at once; Lead then returns nil,
	// after serve has returned. Any other error is final and says what to do about it (ErrOtherCluster, a bad configuration).
	// An unreachable service is not final: it is waited for.
	Lead(ctx context.Context, me Contender, serve func(Term)) error

	// Discover follows the published leader until ctx ends, then closes the channel. The channel holds the newest sighting
	// only: a slow reader skips what was replaced. The first sighting comes as soon as the service has been asked, or could
	// not be.
	Discover(ctx context.Context) <-chan Sighting

	// Close ends Lead and every Discover, waits for them, and gives up the session. It is idempotent.
	Close() error
}

// Term is one period of leadership. All methods are safe for concurrent use; after the term's end they fail with the cause.
type Term interface {
	// Context ends with the term; context.Cause is one of ErrFenced, ErrSessionLost, ErrSuspended, ErrLeaseExpired,
	// ErrResigned, ErrStopped (or wraps it). All work of the term hangs on it, and nothing is sent for the term once it is done.
	Context() context.Context

	// Epoch is the number of this grant.
	Epoch() Epoch

	// ClusterIncarnation names the cluster whose state this store holds: made once, when the service was first used.
	ClusterIncarnation() string

	// Publish makes this leader the one that Discover reports, replacing whatever an earlier leader left. It is fenced, waits
	// for the service as long as ctx and the term live, and may be repeated.
	Publish(ctx context.Context) error

	// Resign releases leadership so that a standby leads at once, and ends the term (ErrResigned). It does not block; Lead
	// finishes the release before it contends again or returns.
	Resign()

	Store
}
