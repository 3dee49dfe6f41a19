package files

import (
	"bufio"
	"bytes"
	"io"
	"os"
)

// memorySpool is how much of a spool lies in memory before it goes to the local disk.
const memorySpool = 4 << 20

// spool holds the records of one interval until storage has them. It can be read any number of times.
type spool struct {
	dir    string
	size   int64
	memory []byte
	file   *os.File // nil while all is in memory
	out    *bufio.Writer
}

func (s *spool) write(p []byte) error {
	s.size += int64(len(p))
	if s.file == nil {
		if len(s.memory)+len(p) <= memorySpool {
			s.memory = append(s.memory, p...)
			return nil
		}
		if err := s.spill(); err != nil {
			return err
		}
	}
	_, err := s.out.Write(p)
	return err
}

// spill moves to a file that has no name: it goes with the process.
func (s *spool) spill() error {
	f, err := os.CreateTemp(s.dir, "spool-")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return err
	}
	s.file, s.out = f, bufio.NewWriterSize(f, 256<<10)
	_, err = s.out.Write(s.memory)
	s.memory = nil
	return err
}

// content reads all from the beginning. Nothing is written any more.
func (s *spool) content() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory), nil
	}
	if err := s.out.Flush(); err != nil {
		return nil, err
	}
	return io.NewSectionReader(s.file, 0, s.size), nil
}

func (s *spool) close() {
	s.memory = nil
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}
