package services

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// LogTail gives the last lines of a file for a failure's message: at most n lines and 16 KiB. It never fails: what is wrong is in the text.
func LogTail(path string, n int) string {
	const most = 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	from := max(0, info.Size()-most)
	content, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return fmt.Sprintf("(log cut short: %v)\n%s", err, content)
	}
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	if from > 0 {
		lines = lines[1:] // the first may be half a line
	}
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}
