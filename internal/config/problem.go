package config

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is in the chain of every error about what a configuration says, as opposed to one of reading its file.
var ErrInvalid = errors.New("configuration is not valid")

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Origin  Origin
	Key     string // empty where a line has none
	Value   string
	Message string
}

func (p Problem) String() string {
	if p.Key == "" {
		return fmt.Sprintf("%s: %s", p.Origin, p.Message)
	}
	return fmt.Sprintf("%s: %s: %q %s", p.Origin, p.Key, clip(p.Value), p.Message)
}

// Error is everything that is wrong with a configuration, in the order in which it is written there.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problems:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

func (e *Error) Is(target error) bool { return target == ErrInvalid }

// problems collects while a configuration is read.
type problems []Problem

func (p *problems) add(origin Origin, key, value, message string) {
	*p = append(*p, Problem{Origin: origin, Key: clip(key), Value: value, Message: message})
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Problems: p}
}

// clip keeps a message readable when a file that is no configuration was given.
func clip(s string) string {
	const longest = 120
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "..."
}
