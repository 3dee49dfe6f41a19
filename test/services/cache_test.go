package services

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// machine is a PATH with a java and an mvn that only note that they ran.
type machine struct {
	bin, cache string
	trained    *int
}

func newMachine(t *testing.T, mvn string) machine {
	t.Helper()
	m := machine{bin: t.TempDir(), cache: t.TempDir(), trained: new(int)}
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", m.bin+":/usr/bin:/bin")
	t.Setenv(CacheVariable, m.cache)
	pause := mavenPause
	mavenPause = func(int) time.Duration { return 0 }
	t.Cleanup(func() { mavenPause = pause })
	m.program(t, "java", "exit 1")
	if mvn != "" {
		m.program(t, "mvn", "echo run >> "+filepath.Join(m.bin, "runs")+"\n"+
			`for a; do case $a in -DoutputDirectory=*) lib=${a#*=};; esac; done`+"\n"+mvn)
	}
	return m
}

func (m machine) program(t *testing.T, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (m machine) runs(t *testing.T) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(m.bin, "runs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(content), "run\n")
}

// software is a server that is trained by leaving a file.
func (m machine) software() *software {
	return &software{name: "zookeeper", roles: []string{"zookeeper"}, train: func(_ context.Context, _ *installation, _ string, dump map[string]string) error {
		*m.trained++
		return os.WriteFile(dump["zookeeper"], []byte("archive"), 0o644)
	}}
}

const copiesJars = `mkdir -p $lib; echo b > $lib/b.jar; echo a > $lib/a.jar`

func TestMavenRunsOnceAndOnlyWhenSomethingIsMissing(t *testing.T) {
	m := newMachine(t, copiesJars)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := m.software().install(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	in, err := m.software().install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m.runs(t) != 1 || *m.trained != 1 {
		t.Errorf("five starts ran maven %d times and recorded %d archives, want 1 and 1", m.runs(t), *m.trained)
	}
	jars := strings.Split(in.classPath, ":")
	if len(jars) != 2 || filepath.Base(jars[0]) != "a.jar" || filepath.Base(jars[1]) != "b.jar" {
		t.Errorf("the class path is %q, want a.jar before b.jar", in.classPath)
	}
	if content, err := os.ReadFile(in.archives["zookeeper"]); err != nil || string(content) != "archive" {
		t.Errorf("the class archive: %q, %v", content, err)
	}
}

func TestADamagedCacheIsFilledAgain(t *testing.T) {
	for name, damage := range map[string]func(jar string) error{
		"jar removed": os.Remove,
		"jar cut":     func(jar string) error { return os.Truncate(jar, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, copiesJars)
			in, err := m.software().install(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(strings.Split(in.classPath, ":")[0]); err != nil {
				t.Fatal(err)
			}
			again, err := m.software().install(t.Context())
			if err != nil || again.classPath != in.classPath || m.runs(t) != 2 {
				t.Errorf("after the damage: %+v, %v, and maven ran %d times in all, want 2", again, err, m.runs(t))
			}
		})
	}
}

func TestMavenIsAskedAgainAfterAFailure(t *testing.T) {
	m := newMachine(t, `if [ ! -e $0.failed ]; then touch $0.failed; echo "could not transfer"; exit 1; fi; `+copiesJars)
	if _, err := m.software().install(t.Context()); err != nil || m.runs(t) != 2 {
		t.Errorf("install: %v after %d runs of maven, want success at the second", err, m.runs(t))
	}
}

func TestMavensErrorIsShownAndNothingIsKept(t *testing.T) {
	m := newMachine(t, `echo "no such artefact"; exit 1`)
	_, err := m.software().install(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such artefact") || m.runs(t) != mavenAttempts {
		t.Errorf("install: %v after %d runs of maven, want what it said after %d", err, m.runs(t), mavenAttempts)
	}
	if left, err := filepath.Glob(filepath.Join(m.cache, "zookeeper-*")); err != nil || len(left) != 0 {
		t.Errorf("left in the cache: %v, %v", left, err)
	}
}

func TestWhatIsMissingIsNamedWithTheRemedy(t *testing.T) {
	m := newMachine(t, "")
	t.Setenv("PATH", m.bin) // no other mvn
	_, err := m.software().install(t.Context())
	if !errors.Is(err, ErrNoMaven) || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("without mvn: %v", err)
	}
	t.Setenv("JAVA_HOME", t.TempDir())
	if _, err = m.software().install(t.Context()); !errors.Is(err, ErrNoJava) || !strings.Contains(err.Error(), "deploy/install-deps.sh") {
		t.Errorf("without java: %v", err)
	}
}

func TestAFailedRecordingIsNotTriedAgain(t *testing.T) {
	m := newMachine(t, copiesJars)
	s := m.software()
	s.train = func(context.Context, *installation, string, map[string]string) error {
		*m.trained++
		return errors.New("this Java cannot")
	}
	for range 2 {
		in, err := s.install(t.Context())
		if err != nil || len(in.archives) != 0 {
			t.Fatalf("install: %+v, %v; want one without archives", in, err)
		}
	}
	if *m.trained != 1 {
		t.Errorf("recorded %d times, want 1", *m.trained)
	}
}

func TestWaitingForTheLockEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := lockFile(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a held lock: %v, want %v", err, context.DeadlineExceeded)
	}
	unlock()
	again, err := lockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
