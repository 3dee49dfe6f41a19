package checkpoint

import (
	"encoding/binary"

	"github.com/thalweg-io/thalweg/internal/job"
)

// Metadata is a whole checkpoint: all that a restore begins from.
type Metadata struct {
	JobID        job.ID
	ID           int64
	Generation   job.Generation
	GraphVersion uint64
	Base         int64 // the completed checkpoint whose files it may refer to; 0: none
	Subtasks     []*SubtaskState
}

// The payload of an envelope with magic "TWMD". Numbers are uvarint where nothing else is said.
//
//	job id string | id | epoch | n | graph version | base
//	subtasks u32, each: length u32 | an envelope with magic "TWSS"
const (
	metadataMagic = "TWMD"
	leastSubtask  = 4 + envelopeSize
)

// Encode gives the content of the file.
func (m *Metadata) Encode() []byte {
	b := make([]byte, envelopeSize)
	b = appendString(b, string(m.JobID))
	b = binary.AppendUvarint(b, uint64(m.ID))
	b = binary.AppendUvarint(b, m.Generation.Epoch)
	b = binary.AppendUvarint(b, m.Generation.N)
	b = binary.AppendUvarint(b, m.GraphVersion)
	b = binary.AppendUvarint(b, uint64(m.Base))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Subtasks)))
	for _, s := range m.Subtasks {
		at := len(b)
		b = s.Append(append(b, 0, 0, 0, 0))
		binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return seal(b, 0, metadataMagic)
}

// DecodeMetadata reads the content of the file called name. Inline content and entries are parts of b.
func DecodeMetadata(name string, b []byte) (*Metadata, error) {
	payload, err := unseal(name, b, metadataMagic)
	if err != nil {
		return nil, err
	}
	p := &parser{b: payload}
	m := &Metadata{JobID: job.ID(p.string()), ID: p.int64()}
	m.Generation = job.Generation{Epoch: p.uvarint(), N: p.uvarint()}
	m.GraphVersion, m.Base = p.uvarint(), p.int64()
	if n := p.count(leastSubtask); n > 0 {
		m.Subtasks = make([]*SubtaskState, n)
		for i := range m.Subtasks {
			b := p.bytes(uint64(p.u32()))
			if p.err != nil {
				break
			}
			if m.Subtasks[i], err = decodeSubtaskState(name, b); err != nil {
				return nil, err
			}
		}
	}
	p.end()
	if p.err != nil {
		return nil, corrupt(name, "%w", p.err)
	}
	return m, nil
}

// Files are the paths of all files that the checkpoint needs, relative to <checkpoint directory>/<job id>, its own and its base's.
func (m *Metadata) Files() []string {
	var paths []string
	for _, s := range m.Subtasks {
		for i := range s.Files {
			if s.Files[i].Path != "" {
				paths = append(paths, s.Files[i].Path)
			}
		}
	}
	return paths
}
