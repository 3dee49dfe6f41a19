package services

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell makes a process of a shell's script, which needs neither Java nor a network.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	p := &Process{
		name:    "shell",
		log:     filepath.Join(t.TempDir(), "shell.log"),
		spawn:   newSpawner(),
		command: func() *exec.Cmd { return exec.Command("/bin/sh", "-c", script) },
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		p.spawn.close()
	})
	return p
}

func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := poll(ctx, 5*time.Millisecond, func() (bool, error) { return ask(), nil }); err != nil {
		t.Fatalf("not within 30 s: %s", what)
	}
}

func logged(p *Process, text string) func() bool {
	return func() bool {
		for line := range strings.Lines(LogTail(p.log, 1000)) {
			if strings.TrimSpace(line) == text {
				return true
			}
		}
		return false
	}
}

func TestStopLetsTheProcessEndByItself(t *testing.T) {
	p := shell(t, "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script is up", logged(p, "up"))
	if err := p.Start(); err == nil {
		t.Error("started twice")
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if p.Running() || !logged(p, "bye")() {
		t.Errorf("after Stop: running=%v, log:\n%s", p.Running(), LogTail(p.log, 10))
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop of a process that has ended: %v", err)
	}
}

func TestKillTakesTheWholeGroup(t *testing.T) {
	p := shell(t, "sleep 1000 & echo child $!; echo up; wait")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script is up", logged(p, "up"))
	group := p.PID()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	// The child is not ours to wait for: init has it until it is gone.
	eventually(t, "the group is empty", func() bool { return groupIsGone(group) })
}

// groupIsGone says whether all processes of a group have ended, those that nobody has waited for included.
func groupIsGone(group int) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		fields, err := procStat("/proc/" + e.Name() + "/stat")
		if err != nil || fields[0] == "Z" {
			continue
		}
		if pgrp, err := syscall.Getpgid(atoi(e.Name())); err == nil && pgrp == group {
			return false
		}
	}
	return true
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

func TestPauseStandsStillUntilContinue(t *testing.T) {
	p := shell(t, "while :; do echo tick; sleep 0.001; done")
	if err := p.Pause(); err == nil {
		t.Error("paused before the start")
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script ticks", logged(p, "tick"))
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if !allThreadsStopped(p.PID()) {
		t.Error("Pause has returned and the process runs")
	}
	if err := p.Continue(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process goes on", func() bool { return !allThreadsStopped(p.PID()) })
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p.Running() {
		t.Error("a paused process survived Kill")
	}
}

func TestEndedEarlyShowsTheLog(t *testing.T) {
	p := shell(t, "echo no such thing; exit 3")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script has ended", func() bool { return !p.Running() })
	if err := p.endedEarly(); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("the error does not show the log: %v", err)
	}
}

func TestServersDieWithTheirParent(t *testing.T) {
	skipShort(t)
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var id Identity
	if err := json.NewDecoder(stdout).Decode(&id); err != nil {
		t.Fatal(errors.Join(err, cmd.Wait()))
	}
	if !id.Alive() {
		t.Fatalf("the server %+v is not alive before its parent is killed", id)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the server has died with its parent", func() bool { return !id.Alive() })
}

func TestIdentityIsNotTakenOverByTheId(t *testing.T) {
	me, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !me.Alive() {
		t.Error("this process is not alive")
	}
	other := Identity{PID: me.PID, StartTime: me.StartTime - 1}
	if other.Alive() {
		t.Error("an earlier process of the same id counts as alive")
	}
	if err := other.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
