package worker

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
)

// statm is kept open: it is read ten times a second.
var statm = sync.OnceValues(func() (*os.File, error) { return os.Open("/proc/self/statm") })

// residentMemory is the process's resident memory in bytes, and how much of it are pages of files or shared.
func residentMemory() (resident, file int64, err error) {
	f, err := statm()
	if err != nil {
		return 0, 0, err
	}
	var b [128]byte
	n, err := f.ReadAt(b[:], 0)
	if n == 0 && err != nil {
		return 0, 0, err
	}
	return parseStatm(b[:n])
}

// parseStatm reads "size resident shared ...", in pages.
func parseStatm(b []byte) (resident, file int64, err error) {
	fields := bytes.Fields(b)
	if len(fields) < 3 {
		return 0, 0, fmt.Errorf("statm: %q has fewer than three numbers", b)
	}
	var pages [2]int64
	for i := range pages {
		if pages[i], err = strconv.ParseInt(string(fields[i+1]), 10, 64); err != nil {
			return 0, 0, fmt.Errorf("statm: %w", err)
		}
	}
	page := int64(os.Getpagesize())
	return pages[0] * page, pages[1] * page, nil
}
