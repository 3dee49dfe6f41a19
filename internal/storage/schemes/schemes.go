// Package schemes is the registry of every file system that Thalweg brings: file and hdfs. It exists so that the processes and
// the user's binaries know the same ones; it holds nothing of its own.
package schemes

import (
	"github.com/thalweg-io/thalweg/internal/storage"
	"github.com/thalweg-io/thalweg/internal/storage/file"
	"github.com/thalweg-io/thalweg/internal/storage/hdfs"
)

// Open makes a registry of all schemes. Nothing is connected before it is used.
func Open() *storage.Registry {
	return storage.NewRegistry(map[string]storage.Opener{
		"file": file.Open,
		"hdfs": hdfs.Opener(hdfs.Options{}),
	})
}
