package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// installCommand is the remedy in every error about Java or Maven.
	installCommand = "run deploy/install-deps.sh test as root, or: apt-get install --no-install-recommends openjdk-17-jdk-headless maven"

	// The plugin is pinned: each Maven has another default.
	dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"

	mavenAttempts = 4
)

// mavenPause is the time after a failed attempt. Tests have none.
var mavenPause = func(attempt int) time.Duration { return time.Duration(attempt*attempt) * time.Second }

// ErrNoJava and ErrNoMaven mark an error that installing a package cures.
var (
	ErrNoJava  = errors.New("java not found")
	ErrNoMaven = errors.New("mvn not found")
)

// copyDependencies puts the jars of a pom's run-time class path into lib. A registry that fails for a moment is asked again.
func copyDependencies(ctx context.Context, pom []byte, dir, lib string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w: %s", ErrNoMaven, installCommand)
	}
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		args := []string{"-B", "-ntp", "-q", "-f", file, dependencyPlugin, "-DincludeScope=runtime", "-DoutputDirectory=" + lib}
		if attempt > 1 {
			args = append(args, "-U") // Maven remembers a miss
		}
		err := runMaven(ctx, mvn, args)
		if err == nil || attempt == mavenAttempts || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(mavenPause(attempt)):
		case <-ctx.Done():
			return err
		}
	}
}

func runMaven(ctx context.Context, mvn string, args []string) error {
	cmd := exec.Command(mvn, args...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	spawn := newSpawner()
	defer spawn.close()
	if err := spawn.run(ctx, cmd); err != nil {
		return fmt.Errorf("maven: %w:\n%s", err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}
