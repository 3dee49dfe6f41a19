// Package combined reads the lines of a web server's log in Apache's combined format, for the examples. It opens no file.
package combined

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Request is a line of the log. Path is as the client sent it, with what it asks; Method and Path are empty if what it sent is no request.
type Request struct {
	Client string
	Time   time.Time
	Method string
	Path   string
	Status int
	Bytes  int64
}

// Bound is how far a line of a log may be behind the newest before it: a server writes a line when the request ends, and stamps it with its begin.
// The most in examples/accesslog/access.log is 59 s.
const Bound = time.Minute

// timeForm is Apache's %t.
const timeForm = "02/Jan/2006:15:04:05 -0700"

// Parse reads a line of the combined (or common) format:
//
//	host ident user [time] "request" status bytes ...
//
// What follows the bytes is not looked at: it is the client's to say, and may be cut off.
func Parse(line string) (r Request, err error) {
	who, rest, ok := strings.Cut(line, " [")
	stamp, rest, ok2 := strings.Cut(rest, `] "`)
	if !ok || !ok2 {
		return r, fmt.Errorf("no [time] and \"request\" in the line %.200q", line)
	}
	r.Client, _, _ = strings.Cut(who, " ")
	if r.Time, err = time.Parse(timeForm, stamp); err != nil {
		return r, fmt.Errorf("time of the line %.200q: %w", line, err)
	}
	end := quoted(rest)
	if end < 0 {
		return r, fmt.Errorf("the request has no end in the line %.200q", line)
	}
	if asked := strings.Fields(rest[:end]); len(asked) > 1 {
		r.Method, r.Path = asked[0], asked[1]
	}
	status, rest, _ := strings.Cut(strings.TrimPrefix(rest[end+1:], " "), " ")
	size, _, _ := strings.Cut(rest, " ")
	if r.Status, err = strconv.Atoi(status); err != nil || r.Status < 100 || r.Status > 999 {
		return r, fmt.Errorf("status %q of the line %.200q is no number of three digits", status, line)
	}
	if size == "-" {
		return r, nil // nothing was sent
	}
	if r.Bytes, err = strconv.ParseInt(size, 10, 64); err != nil || r.Bytes < 0 {
		return r, fmt.Errorf("size %q of the line %.200q is neither a number nor -", size, line)
	}
	return r, nil
}

// quoted finds the quote that ends a text in which quotes are escaped.
func quoted(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}
