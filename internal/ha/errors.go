package ha

import "errors"

// What a Store answers, to be told apart by errors.Is.
var (
	ErrNotFound    = errors.New("no such path")
	ErrConflict    = errors.New("conflict")                                        // a known refusal: nothing was changed
	ErrUnknown     = errors.New("outcome unknown")                                 // all or nothing was changed
	ErrUnavailable = errors.New("the high-availability service cannot be reached") // nothing was changed
	ErrTooLarge    = errors.New("value too large for the metadata store")          // nothing was sent
	ErrBadPath     = errors.New("bad path")                                        // nothing was sent
)

// Why a term ended: the cause of its context.
var (
	ErrFenced       = errors.New("fenced: a newer epoch has been granted")
	ErrSessionLost  = errors.New("the session is lost, or the latch with it")
	ErrSuspended    = errors.New("the connection is suspended, and suspension is not tolerated")
	ErrLeaseExpired = errors.New("the own lease has expired: no answer for a whole session timeout")
	ErrResigned     = errors.New("resigned")
	ErrStopped      = errors.New("stopped")
)

// What ends Lead for good.
var (
	// ErrOtherCluster: the service holds the state of another cluster than the one this process belongs to, or none any more.
	ErrOtherCluster = errors.New("another cluster's state")
	// ErrClosed: the Services have been closed.
	ErrClosed = errors.New("high-availability services are closed")
)
