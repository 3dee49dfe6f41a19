package services

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// record makes the class archives of a Java build (AppCDS: they save a third of a server's start). They are an extra: where they cannot be
// made the reason is left in their folder, which is not tried again, and servers start without.
func (s *software) record(ctx context.Context, dir, java string) error {
	classPath, err := readManifest(dir)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, ".record")
	// Under the lock: what is there was left by a process that was killed.
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	archives := filepath.Join(temp, "archives")
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return err
	}
	dump := map[string]string{}
	for _, role := range s.roles {
		dump[role] = filepath.Join(archives, role+".jsa")
	}
	in := &installation{java: java, classPath: classPath}
	if err := s.train(ctx, in, filepath.Join(temp, "run"), dump); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("record class archives: %w", err)
		}
		if err := os.WriteFile(filepath.Join(archives, "failed.txt"), []byte(err.Error()), 0o644); err != nil {
			return err
		}
	}
	return os.Rename(archives, filepath.Join(dir, "cds-"+javaBuild(java)))
}
