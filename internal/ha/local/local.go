// Package local is high availability for one machine: a directory, a file lock and files. Several jobmanager processes on the
// machine race for the lock; no server is needed.
//
// It owns the directory "<dir>/<cluster id>":
//
//	lock      whoever holds flock(LOCK_EX) on it leads; the kernel frees it when the process ends, however it ends
//	epoch     JSON {cluster incarnation, epoch, grantee's incarnation}; replaced by each grant
//	leader    JSON, the published leader; counts while its epoch is the current one and the lock is held
//	journal   a step of several changes that has been decided and not yet been carried out (journal.go)
//	store/    the values (files.go)
//
// It survives kill and crash of any process and of the machine. It cannot tell a stopped leader from a busy one: a leader that
// is merely stopped keeps the lock and is not replaced. It refuses network file systems, where locks and renames do not mean
// what is needed here. It never writes without holding the lock and finding its own grant in the epoch file.
package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/thalweg-io/thalweg/internal/ha"
)

// Config says where.
type Config struct {
	Dir       string // on a disk of this machine; made if it is missing
	ClusterID string // a directory below Dir; default "/default"
	Logger    *slog.Logger
}

const (
	lockPoll     = 20 * time.Millisecond // a contender tries the lock
	discoverPoll = 50 * time.Millisecond // discovery looks at the files
	fencePoll    = 50 * time.Millisecond // a term looks whether it is still the current one
)

// Services implements ha.Services. Each has its own open files, so several of one process race like several processes.
type Services struct {
	dir    string
	log    *slog.Logger
	closed context.Context // with ErrClosed
	close  context.CancelCauseFunc
	work   sync.WaitGroup

	mu struct {
		sync.Mutex
		closed  bool
		leading bool
		cluster string // of the first grant
		term    *term  // the newest; tests kill it as a process dies
	}
}

var _ ha.Services = (*Services)(nil)

// Open checks the directory. It makes nothing: that is for whoever leads.
func Open(c Config) (*Services, error) {
	const key = "high-availability.local.dir"
	if !filepath.IsAbs(c.Dir) {
		return nil, fmt.Errorf("local: %s: %q is not an absolute path", key, c.Dir)
	}
	id := strings.Trim(cmp.Or(c.ClusterID, "/default"), "/")
	if !filepath.IsLocal(id) || id == "." {
		return nil, fmt.Errorf("local: high-availability.cluster-id: %w: %q is no path below %s", ha.ErrBadPath, c.ClusterID, c.Dir)
	}
	if err := checkFileSystem(c.Dir); err != nil {
		return nil, fmt.Errorf("local: %s: %w", key, err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Services{dir: filepath.Join(c.Dir, id), log: c.Logger}
	s.closed, s.close = context.WithCancelCause(context.Background())
	return s, nil
}

func (s *Services) path(name string) string { return filepath.Join(s.dir, name) }

// Close implements ha.Services.
func (s *Services) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	s.mu.Unlock()
	s.close(ha.ErrClosed)
	s.work.Wait()
	return nil
}

func (s *Services) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// epochFile is the content of the epoch file.
type epochFile struct {
	Cluster     string         `json:"clusterIncarnation"`
	Epoch       ha.Epoch       `json:"epoch"`
	Incarnation ha.Incarnation `json:"incarnation"`
}

// readEpoch returns os.ErrNotExist if there is none.
func (s *Services) readEpoch() (epochFile, error) {
	var f epochFile
	b, err := os.ReadFile(s.path("epoch"))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil || f.Cluster == "" {
		return f, fmt.Errorf("%s: not an epoch file of Thalweg: %q", s.path("epoch"), b[:min(len(b), 100)])
	}
	return f, nil
}

// Discover implements ha.Services.
func (s *Services) Discover(ctx context.Context) <-chan ha.Sighting {
	updates := make(chan ha.Sighting, 1)
	if !s.enter() {
		close(updates)
		return updates
	}
	go func() {
		defer s.work.Done()
		defer close(updates)
		tick := time.NewTicker(discoverPoll)
		defer tick.Stop()
		var last ha.Sighting
		for first := true; ; first = false {
			now := s.look()
			if now.Err != nil {
				now.Leader = last.Leader
			}
			if first || now.Leader != last.Leader || (now.Err == nil) != (last.Err == nil) {
				select { // replace what was not taken
				case <-updates:
				default:
				}
				updates <- now
				last = now
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			case <-s.closed.Done():
				return
			}
		}
	}()
	return updates
}

// look finds who leads: the leader file counts while its epoch is the current one and somebody holds the lock.
func (s *Services) look() ha.Sighting {
	if _, err := os.Stat(s.dir); err != nil {
		return ha.Sighting{Err: fmt.Errorf("local: %w: %s: no jobmanager has run here yet, or high-availability.local.dir or "+
			"cluster-id differs from the jobmanager's: %w", ha.ErrUnavailable, s.dir, err)}
	}
	b, err := os.ReadFile(s.path("leader"))
	if errors.Is(err, os.ErrNotExist) {
		return ha.Sighting{}
	}
	var info ha.LeaderInfo
	if err == nil {
		err = json.Unmarshal(b, &info)
	}
	if err != nil {
		return ha.Sighting{Err: fmt.Errorf("local: %s: %w", s.path("leader"), err)}
	}
	epoch, err := s.readEpoch()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ha.Sighting{}
	case err != nil:
		return ha.Sighting{Err: fmt.Errorf("local: %w", err)}
	case epoch.Epoch != info.Epoch || epoch.Incarnation != info.Incarnation || !held(s.path("lock")):
		return ha.Sighting{}
	}
	return ha.Sighting{Leader: info}
}
