package services

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed pom/*.xml
var poms embed.FS

// CacheVariable names the environment variable with the folder of the cache.
const CacheVariable = "THALWEG_SERVICES_CACHE"

// CacheDir is where jars and class archives are kept: $THALWEG_SERVICES_CACHE, by default thalweg-services in the user's cache folder.
//
//	<cache>/<server>.lock                 locked by the process that fills the folder below
//	<cache>/<server>-<hash of its pom>/
//	    manifest                          one line per jar, "size name", in the order of the class path; written last: it makes the folder complete
//	    lib/*.jar
//	    cds-<Java build>/<role>.jsa       class archives, which only save start-up time
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("services: no folder for the cache: %w; set %s", err, CacheVariable)
	}
	return filepath.Join(dir, "thalweg-services"), nil
}

// Fetch fills the cache for all servers, so that no later start needs Maven or a network.
func Fetch(ctx context.Context) error {
	for _, s := range []*software{zooKeeperSoftware, hdfsSoftware} {
		if _, err := s.install(ctx); err != nil {
			return err
		}
	}
	return nil
}

// software is one kind of server: what it is made of and how its class archives are recorded.
type software struct {
	// name is that of the pom, and of the folder in the cache.
	name string
	// complete, if set, adds to the folder of jars what Maven does not have.
	complete func(lib string) error
	// roles are the programs that have a class archive each.
	roles []string
	// train runs every role once with its archive being recorded into dump(role), and ends each by SIGTERM.
	train func(ctx context.Context, in *installation, dir string, dump map[string]string) error
}

// installation is a filled folder of the cache.
type installation struct {
	java      string
	classPath string
	// archives are the class archives by role; a role without one starts slower.
	archives map[string]string
}

// install gives the installation, and makes it first if it is not there. Parallel processes wait for the one that makes it.
func (s *software) install(ctx context.Context) (*installation, error) {
	java, err := findJava()
	if err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	pom, err := poms.ReadFile("pom/" + s.name + ".xml")
	if err != nil {
		return nil, fmt.Errorf("services: fetch %s: %w", s.name, err)
	}
	sum := sha256.Sum256(pom)
	dir := filepath.Join(cache, s.name+"-"+hex.EncodeToString(sum[:6]))
	if in := s.load(dir, java); in != nil {
		return in, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("services: fetch %s: %w; set %s to a folder that can be written", s.name, err, CacheVariable)
	}
	unlock, err := lockFile(ctx, filepath.Join(cache, s.name+".lock"))
	if err != nil {
		return nil, fmt.Errorf("services: fetch %s: wait for another process that fetches it: %w", s.name, err)
	}
	defer unlock()
	if in := s.load(dir, java); in != nil {
		return in, nil
	}
	if _, err := readManifest(dir); err != nil {
		if err := s.fetch(ctx, pom, cache, dir); err != nil {
			return nil, fmt.Errorf("services: fetch %s: %w", s.name, err)
		}
	}
	if err := s.record(ctx, dir, java); err != nil {
		return nil, fmt.Errorf("services: fetch %s: %w", s.name, err)
	}
	in := s.load(dir, java)
	if in == nil {
		return nil, fmt.Errorf("services: fetch %s: %s is not complete right after it was filled; remove it", s.name, dir)
	}
	return in, nil
}

// load reads a complete folder; nil if something is still to be done there.
func (s *software) load(dir, java string) *installation {
	classPath, err := readManifest(dir)
	if err != nil {
		return nil
	}
	archives := filepath.Join(dir, "cds-"+javaBuild(java))
	if _, err := os.Stat(archives); err != nil {
		return nil
	}
	in := &installation{java: java, classPath: classPath, archives: map[string]string{}}
	for _, role := range s.roles {
		archive := filepath.Join(archives, role+".jsa")
		if _, err := os.Stat(archive); err == nil {
			in.archives[role] = archive
		}
	}
	return in
}

// fetch fills a new folder beside dir and renames it, so that dir is complete or not there.
func (s *software) fetch(ctx context.Context, pom []byte, cache, dir string) error {
	temp := filepath.Join(cache, ".fetch-"+s.name)
	// Under the lock: what is there was left by a process that was killed.
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.Mkdir(temp, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	lib := filepath.Join(temp, "lib")
	if err := copyDependencies(ctx, pom, temp, lib); err != nil {
		return err
	}
	if s.complete != nil {
		if err := s.complete(lib); err != nil {
			return err
		}
	}
	if err := writeManifest(temp, lib); err != nil {
		return err
	}
	// What is there was found to be incomplete.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(temp, dir)
}

func writeManifest(dir, lib string) error {
	entries, err := os.ReadDir(lib) // sorted: a class archive fits one order only
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%d %s\n", info.Size(), e.Name())
	}
	if lines.Len() == 0 {
		return fmt.Errorf("maven copied no jar into %s", lib)
	}
	return os.WriteFile(filepath.Join(dir, "manifest"), []byte(lines.String()), 0o644)
}

// readManifest gives the class path, and an error unless every jar is there in its full size.
func readManifest(dir string) (classPath string, err error) {
	content, err := os.ReadFile(filepath.Join(dir, "manifest"))
	if err != nil {
		return "", err
	}
	var jars []string
	for line := range strings.Lines(string(content)) {
		var size int64
		var name string
		if _, err := fmt.Sscanf(line, "%d %s\n", &size, &name); err != nil {
			return "", fmt.Errorf("manifest of %s: line %q: %w", dir, line, err)
		}
		jar := filepath.Join(dir, "lib", name)
		info, err := os.Stat(jar)
		if err != nil {
			return "", err
		}
		if info.Size() != size {
			return "", fmt.Errorf("%s has %d bytes, not %d", jar, info.Size(), size)
		}
		jars = append(jars, jar)
	}
	if len(jars) == 0 {
		return "", fmt.Errorf("manifest of %s is empty", dir)
	}
	return strings.Join(slices.Clip(jars), string(os.PathListSeparator)), nil
}
