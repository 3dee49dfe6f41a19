package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// program is a job's binary as it will be shipped.
type program struct {
	path   string
	sha256 string
	size   int64
	osArch string
	remove func() // what was built for the occasion
}

// openProgram takes a binary as it is, or builds a Go package directory for the cluster.
func openProgram(ctx context.Context, path string, progress io.Writer) (*program, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the job %s: %w; give the path of a binary or of a Go package directory", path, errors.Unwrap(err))
	}
	p := &program{path: path, remove: func() {}}
	if info.IsDir() {
		if err := p.build(ctx, path, progress); err != nil {
			return nil, err
		}
	}
	if p.path, err = filepath.Abs(p.path); err != nil {
		return nil, err
	}
	if p.osArch, err = osArch(p.path); err != nil {
		p.remove()
		return nil, err
	}
	if p.sha256, p.size, err = digestFile(p.path); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

func (p *program) build(ctx context.Context, dir string, progress io.Writer) error {
	tmp, err := os.MkdirTemp("", "thalweg-run-")
	if err != nil {
		return err
	}
	p.remove = func() { os.RemoveAll(tmp) }
	p.path = filepath.Join(tmp, filepath.Base(filepath.Clean(dir)))
	fmt.Fprintf(progress, "Building %s.\n", dir)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", p.path, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		p.remove()
		return fmt.Errorf("build the job in %s: %w\n%s", dir, err, bytes.TrimSpace(out))
	}
	if _, err := os.Stat(p.path); err != nil {
		p.remove()
		return fmt.Errorf("build the job in %s: the directory holds no main package", dir)
	}
	return nil
}

// osArch reads from a binary's header for which system it was built, and refuses what this machine cannot plan with.
func osArch(path string) (string, error) {
	of := ""
	if f, err := elf.Open(path); err == nil {
		f.Close()
		of = "linux/" + map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
			elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_PPC64: "ppc64"}[f.Machine]
	} else if f, err := macho.Open(path); err == nil {
		f.Close()
		of = "darwin/" + map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]
	} else if f, err := pe.Open(path); err == nil {
		f.Close()
		of = "windows/" + map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]
	} else {
		return "", fmt.Errorf("%s is not an executable binary: give one built with go build, or a Go package directory", path)
	}
	here := runtime.GOOS + "/" + runtime.GOARCH
	if of != here {
		return "", fmt.Errorf("%s is built for %s, and this machine is %s: the client runs the binary once to plan the job; build it with GOOS=%s GOARCH=%s, as for the cluster",
			path, of, here, runtime.GOOS, runtime.GOARCH)
	}
	return of, nil
}

func digestFile(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// plan runs the binary once in plan mode: its main builds the graph, which comes back on descriptor 3. Nothing of the job runs.
func (p *program) plan(ctx context.Context, args []string, conf map[string]string) (*thalwegv1.JobGraph, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env = append(os.Environ(), "THALWEG_MODE=plan", "THALWEG_PARALLELISM="+conf["parallelism.default"])
	cmd.ExtraFiles = []*os.File{write}
	cmd.Stdout = &stderr
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("plan the job: %w", err)
	}
	write.Close()
	b, readErr := io.ReadAll(io.LimitReader(read, 64<<20))
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("the job does not build its graph (%w):\n%s", err, strings.TrimSpace(stderr.String()))
	}
	if readErr != nil {
		return nil, fmt.Errorf("plan the job: %w", readErr)
	}
	g := new(thalwegv1.JobGraph)
	if err := proto.Unmarshal(b, g); err != nil || len(g.Vertices) == 0 {
		return nil, fmt.Errorf("%s gave no job graph: does its main call flow.Main?\n%s", p.path, strings.TrimSpace(stderr.String()))
	}
	return g, nil
}

// submissionDigest identifies what was submitted: the same id with another digest is another job.
func submissionDigest(binary string, args []string, conf map[string]string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n", binary, len(args))
	for _, a := range args {
		fmt.Fprintf(h, "%d:%s\n", len(a), a)
	}
	for _, k := range slices.Sorted(maps.Keys(conf)) {
		fmt.Fprintf(h, "%d:%s=%d:%s\n", len(k), k, len(conf[k]), conf[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}
