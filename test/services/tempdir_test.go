package services

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTempDirRemovesOnlyWhatTheDeadHaveLeft(t *testing.T) {
	root := t.TempDir()
	alive, removeAlive, err := tempDir(root)
	if err != nil {
		t.Fatal(err)
	}
	dead, beginning, other := filepath.Join(root, tempDirPrefix+"1"), filepath.Join(root, tempDirPrefix+"2"), filepath.Join(root, "other")
	for _, dir := range []string{dead, beginning, other} {
		if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{dead, other} {
		if err := os.WriteFile(filepath.Join(dir, tempDirLock), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second, removeSecond, err := tempDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{alive, beginning, other, second} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s was removed: %v", dir, err)
		}
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s, whose lock nobody holds, is still there: %v", dead, err)
	}
	if err := errors.Join(removeAlive(), removeSecond()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{alive, second} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after its removal: %v", dir, err)
		}
	}
}
