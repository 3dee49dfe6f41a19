package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/thalweg-io/thalweg/test/services"
)

//go:embed java
var java embed.FS

// remedy is part of every error about Java or Maven.
const remedy = "run deploy/install-deps.sh test as root, or: apt-get install --no-install-recommends openjdk-17-jdk-headless maven"

// classPath gives Flink's jars and the compiled Java side, and makes what is missing in the cache of the test services:
//
//	<cache>/flink-<hash of the pom>/*.jar
//	<cache>/flink-classes-<hash of java/>/
//
// A folder is filled under another name and renamed, so it is complete or not there.
func classPath(ctx context.Context) (string, error) {
	cache, err := services.CacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	pom, err := java.ReadFile("java/pom.xml")
	if err != nil {
		return "", err
	}
	jars := filepath.Join(cache, "flink-"+short(pom))
	if err := fill(jars, func(dir string) error { return fetchJars(ctx, pom, dir) }); err != nil {
		return "", fmt.Errorf("flink: fetch the jars: %w", err)
	}
	all, err := everything()
	if err != nil {
		return "", err
	}
	classes := filepath.Join(cache, "flink-classes-"+short(all))
	if err := fill(classes, func(dir string) error { return compile(ctx, jars, dir) }); err != nil {
		return "", fmt.Errorf("flink: compile the Java side: %w", err)
	}
	return classes + string(os.PathListSeparator) + filepath.Join(jars, "*"), nil
}

func short(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

// everything is all that the Java side is made of, for its hash.
func everything() ([]byte, error) {
	var all bytes.Buffer
	err := fs.WalkDir(java, "java", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := java.ReadFile(path)
		fmt.Fprintf(&all, "%s %d\n%s", path, len(content), content)
		return err
	})
	return all.Bytes(), err
}

// fill makes dir unless it is there.
func fill(dir string, make func(dir string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".flink-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := make(temp); err != nil {
		return err
	}
	err = os.Rename(temp, dir)
	if _, there := os.Stat(dir); there == nil {
		return nil // another process was quicker with the same
	}
	return err
}

func fetchJars(ctx context.Context, pom []byte, dir string) error {
	file, err := os.CreateTemp("", "flink-pom-*.xml")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(pom); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return run(ctx, "mvn", "-B", "-ntp", "-q", "-f", file.Name(), "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+dir)
}

// compile writes the classes, and beside them the queries and the list of table factories, which Flink looks for on the class path.
func compile(ctx context.Context, jars, dir string) error {
	source, err := os.MkdirTemp("", "flink-source-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	if err := os.CopyFS(source, java); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(source, "java", "src", "thalweg", "*.java"))
	if err != nil {
		return err
	}
	args := []string{"--release", "17", "-Xlint:all,-serial,-processing,-classfile", "-proc:none", "-d", dir, "-cp", filepath.Join(jars, "*")}
	if err := run(ctx, "javac", append(args, files...)...); err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(filepath.Join(source, "java", "sql")))
}

func run(ctx context.Context, program string, args ...string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%w: %s", err, remedy)
	}
	if output, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w:\n%s", program, err, strings.TrimSpace(string(output)))
	}
	return nil
}
