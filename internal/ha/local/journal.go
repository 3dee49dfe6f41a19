package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
)

// A step of several changes is decided by one rename: that of its journal. Then it is carried out, and the journal removed. If
// the process ends in between, the next holder of the lock carries it out again before it reads anything; every change may be
// repeated. A step of one change needs no journal: its own rename decides.
//
// The journal is JSON {sum, changes}; sum is the CRC-32C of the encoded changes.
type journal struct {
	Sum     uint32          `json:"sum"`
	Changes json.RawMessage `json:"changes"`
}

// change is one value written or removed.
type change struct {
	Path    string `json:"path"`
	Remove  bool   `json:"remove,omitempty"`
	Version int64  `json:"version"`
	Data    []byte `json:"data,omitempty"`
}

// errUndecided marks an error before the step was decided: nothing has changed.
var errUndecided = errors.New("nothing was changed")

// commit carries out the changes, all or none. An error that is not errUndecided leaves open which; recover decides.
func (s *Services) commit(changes []change) error {
	switch len(changes) {
	case 0:
		return nil
	case 1:
		return s.carryOut(changes)
	}
	encoded, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	b, err := json.Marshal(journal{checksum(encoded), encoded})
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	if err := replaceFile(s.path("journal"), b); err != nil {
		return err
	}
	return s.recover()
}

// recover carries out a journal that was decided, if there is one.
func (s *Services) recover() error {
	name := s.path("journal")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var j journal
	var changes []change
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("%s: corrupt: %w", name, err)
	}
	if sum := checksum(j.Changes); sum != j.Sum {
		return fmt.Errorf("%s: corrupt: its checksum is %08x, not %08x", name, sum, j.Sum)
	}
	if err := json.Unmarshal(j.Changes, &changes); err != nil {
		return fmt.Errorf("%s: corrupt: %w", name, err)
	}
	if err := s.carryOut(changes); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func (s *Services) carryOut(changes []change) error {
	store := files{s.path("store")}
	for _, c := range changes {
		err := error(nil)
		if c.Remove {
			err = store.remove(c.Path)
		} else {
			err = store.write(c.Path, c.Version, c.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
