package services

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// procStat gives the fields of a stat file of /proc after the name (which may hold anything, blanks and parentheses too): the state first.
func procStat(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(content, ')')
	if end < 0 {
		return nil, fmt.Errorf("services: %s: no process name in %q", path, content)
	}
	return strings.Fields(string(content[end+1:])), nil
}

// startTime is when a process was started, in ticks since boot: together with its id it names one process for ever (until a reboot).
func startTime(pid int) (uint64, error) {
	const field = 22 - 3 // field 22 of proc(5), the first here being field 3
	fields, err := procStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	if len(fields) <= field {
		return 0, fmt.Errorf("services: /proc/%d/stat has %d fields", pid, len(fields))
	}
	return strconv.ParseUint(fields[field], 10, 64)
}

// allThreadsStopped says whether every thread of a process stands (state T). A process that is gone does not stand.
func allThreadsStopped(pid int) bool {
	tasks := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(tasks)
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, thread := range threads {
		fields, err := procStat(tasks + "/" + thread.Name() + "/stat")
		if err != nil || fields[0] != "T" {
			return false
		}
	}
	return true
}
