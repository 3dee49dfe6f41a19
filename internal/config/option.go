package config

import "strings"

// Scope says whose setting a key is.
type Scope int

const (
	Cluster Scope = iota // of a process: read at its start
	Job                  // of a job: the cluster's value is the default, and the job may give its own
)

func (s Scope) String() string {
	if s == Job {
		return "job"
	}
	return "cluster"
}

// Option is one key with values of type T. The variables of table.go are all there are.
type Option[T any] struct{ entry *entry }

// Named is an option of any type.
type Named interface{ Key() string }

// Key is the option's full name.
func (o Option[T]) Key() string { return o.entry.key }

// Get returns the value that c sets, or the default. c may be nil. A slice is shared: do not write to it.
func (o Option[T]) Get(c *Config) T {
	if s, ok := c.get(o.entry.key); ok {
		return s.value.(T)
	}
	return o.entry.fallback.(T)
}

// IsSet reports whether c sets the option, to its default or otherwise.
func (o Option[T]) IsSet(c *Config) bool {
	_, ok := c.get(o.entry.key)
	return ok
}

// Default is the value of the option where nothing sets it.
func (o Option[T]) Default() T { return o.entry.fallback.(T) }

// entry is an option without its type: a row of the table.
type entry struct {
	section  string
	key      string
	aliases  []string // older names, still accepted
	scope    Scope
	own      bool // Thalweg's own name: Flink has no such key
	kind     string
	list     bool
	fallback any
	shown    string // the default in words, where its value would say nothing
	doc      string
	parse    func(string) (any, error)
	format   func(any) string
	check    func(any) error
}

// spec is what table.go says of a key.
type spec[T any] struct {
	Key     string
	Aliases []string
	Default T
	Shown   string
	Job     bool
	Own     bool
	Doc     string
	Check   func(T) error
}

// table has the options in the order of their definition, which is the order of the documentation.
var table []*entry

func define[T any](section string, k kind[T], s spec[T]) Option[T] {
	e := &entry{
		section: section, key: s.Key, aliases: s.Aliases, own: s.Own, kind: k.name, list: k.list,
		fallback: s.Default, shown: s.Shown, doc: s.Doc,
		parse:  func(text string) (any, error) { v, err := k.parse(text); return v, err },
		format: func(v any) string { return k.format(v.(T)) },
	}
	if s.Job {
		e.scope = Job
	}
	if s.Check != nil {
		e.check = func(v any) error { return s.Check(v.(T)) }
	}
	table = append(table, e)
	return Option[T]{entry: e}
}

// lookup finds an option by its key or an older name of it; nil if there is none.
func lookup(key string) *entry {
	for _, e := range table {
		if e.key == key {
			return e
		}
		for _, alias := range e.aliases {
			if alias == key {
				return e
			}
		}
	}
	return nil
}

// unknown is the message for a key that the table does not have.
func unknown(key string) string {
	message := "is not a key that Thalweg has (`thalweg config describe` lists them)"
	if near := nearest(key); near != "" {
		message += "; did you mean " + near + "?"
	}
	return message
}

// nearest returns the key that someone who wrote key most likely meant, or nothing: one that differs by few letters, else one that ends in key.
func nearest(key string) string {
	const longest = 128
	if len(key) > longest {
		return ""
	}
	key = strings.ToLower(key)
	best, bestDistance := "", max(2, len(key)/6)+1
	for _, e := range table {
		for _, name := range append([]string{e.key}, e.aliases...) {
			if d := editDistance(key, strings.ToLower(name)); d < bestDistance {
				best, bestDistance = e.key, d
			}
		}
	}
	if best != "" {
		return best
	}
	for _, e := range table {
		if strings.Contains(key, ".") && strings.HasSuffix(strings.ToLower(e.key), "."+key) {
			return e.key
		}
	}
	return ""
}

// editDistance is Levenshtein's: how many letters must be changed, added or removed.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
