package meter

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor times in /proc: USER_HZ, which is 100 on every architecture of Linux that Go runs on.
const tick = 10 * time.Millisecond

// ProcessorTime is what all threads of a process, those that have ended included, have used in user and system mode.
func ProcessorTime(pid int) (time.Duration, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	// The name may hold anything, blanks and parentheses too. Behind it come field 3, the state, and all others (proc(5)).
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	const state, user, system = 3, 14, 15
	if len(fields) <= system-state {
		return 0, fmt.Errorf("%s has only %d fields", path, len(fields))
	}
	if fields[0] == "Z" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	var ticks int64
	for _, field := range []int{user, system} {
		n, err := strconv.ParseInt(fields[field-state], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}
