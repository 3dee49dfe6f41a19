package meter

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestProcessorTimeGrowsWithWork(t *testing.T) {
	before, err := ProcessorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const work = 200 * time.Millisecond
	for start := time.Now(); ; {
		now, err := ProcessorTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now-before >= work {
			return
		}
		if time.Since(start) > time.Minute {
			t.Fatalf("processor time of a busy process is still %v after a minute, from %v", now, before)
		}
	}
}

func TestProcessorTimeOfAnEndedProcess(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got, err := ProcessorTime(cmd.Process.Pid); err == nil {
		t.Errorf("%v for a process that has ended, want an error", got)
	}
}
