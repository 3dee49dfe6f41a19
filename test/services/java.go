package services

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// findJava gives the real path of the java program of JAVA_HOME or PATH.
func findJava() (string, error) {
	name := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		name = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("services: %w (JAVA_HOME=%q): %s", ErrNoJava, os.Getenv("JAVA_HOME"), installCommand)
	}
	return path, nil
}

// javaBuild names one build of Java, without starting it: an upgrade replaces the file of its classes.
func javaBuild(java string) string {
	id := java
	for _, file := range []string{java, filepath.Join(filepath.Dir(java), "..", "lib", "modules")} {
		if info, err := os.Stat(file); err == nil {
			id += fmt.Sprintf(" %d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:6])
}

// javaProgram is a Java program to be run.
type javaProgram struct {
	in *installation
	// role picks the class archive.
	role string
	// dump, if set, is the class archive to be written when the program ends by itself or by SIGTERM.
	dump string
	// flags are those of the virtual machine besides the common ones.
	flags []string
	// classPathEnd, if set, is a folder put after the jars.
	classPathEnd string
	main         string
	args         []string
	env          []string
	dir          string
}

func (j javaProgram) command() *exec.Cmd {
	// Small and quick to start rather than fast: a set of servers is several processes on a machine that also runs the tests.
	args := []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-XX:-UsePerfData", "-Djava.net.preferIPv4Stack=true"}
	if j.dump != "" {
		args = append(args, "-XX:ArchiveClassesAtExit="+j.dump)
	} else if archive := j.in.archives[j.role]; archive != "" {
		args = append(args, "-XX:SharedArchiveFile="+archive, "-Xshare:auto")
	}
	args = append(args, j.flags...)
	classPath := j.in.classPath
	if j.classPathEnd != "" {
		classPath += string(os.PathListSeparator) + j.classPathEnd
	}
	args = append(args, "-cp", classPath, j.main)
	cmd := exec.Command(j.in.java, append(args, j.args...)...)
	cmd.Dir = j.dir
	if j.env != nil {
		cmd.Env = slices.Concat(os.Environ(), j.env)
	}
	return cmd
}
