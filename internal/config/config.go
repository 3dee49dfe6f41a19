// Package config is the configuration of every Thalweg process: one typed table of keys (table.go), read from a folder and
// from `-D key=value`, with Flink's names where Flink has the key, and its older names as aliases.
//
// It owns the names, types, units, defaults and documentation of all keys, and the forms in which they are written. Nothing
// else in the tree spells a default or a unit. It never opens a connection, nor a file other than the configuration's, keeps
// no state, and knows nothing of what a value is for: packages take plain values in structs of their own, and the mains fill
// these from here.
//
// Input that is wrong is refused whole: every unknown key and every bad value is reported, each with the file and line (or
// the -D) that it came from, and no Config is returned.
package config

import (
	"fmt"
	"sort"
	"strings"
)

// Config is a set of values that were given explicitly; every other key has its default. It does not change once made, so it may be read from
// any goroutine. A nil *Config has nothing set.
type Config struct {
	values map[string]setting // by canonical key
}

// setting is one key that was given.
type setting struct {
	text   string // as written, without quotes
	value  any    // of the option's type
	origin Origin
}

// Origin says where a value came from.
type Origin struct {
	Source string // a file's path, "-D", or what the caller of FromMap named
	Line   int    // 1 is the first; 0 where there are no lines
}

func (o Origin) String() string {
	if o.Line > 0 {
		return fmt.Sprintf("%s:%d", o.Source, o.Line)
	}
	return o.Source
}

// FromMap reads settings that arrive by other ways than a file, as those of a job that was submitted. source names them in errors. Whether the
// values go together is not looked at, since the rest of them may be elsewhere: see Over and Check.
func FromMap(source string, settings map[string]string) (*Config, error) {
	var raw []rawSetting
	for key, value := range settings {
		raw = append(raw, rawSetting{key: key, value: value, origin: Origin{Source: source}})
	}
	sort.Slice(raw, func(i, j int) bool { return raw[i].key < raw[j].key })
	var p problems
	c := resolve(raw, false, &p)
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// ForJob is FromMap for one job's settings: a key that belongs to the cluster is refused, since it would have no effect.
func ForJob(source string, settings map[string]string) (*Config, error) {
	c, err := FromMap(source, settings)
	if err != nil {
		return nil, err
	}
	var p problems
	for _, e := range table {
		if s, ok := c.values[e.key]; ok && e.scope != Job {
			p.add(s.origin, e.key, s.text, "is a setting of the cluster: a job cannot change it")
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Over returns c with base beneath it: what c sets wins, what it does not is taken from base.
func (c *Config) Over(base *Config) *Config {
	merged := &Config{values: map[string]setting{}}
	for _, from := range []*Config{base, c} {
		if from == nil {
			continue
		}
		for key, s := range from.values {
			merged.values[key] = s
		}
	}
	return merged
}

// JobSettings are the values of job keys that were given explicitly, as a client sends them along with a job: each in its one canonical form, so
// that equal settings are equal text. ForJob of it gives them back.
func (c *Config) JobSettings() map[string]string {
	m := map[string]string{}
	for _, e := range table {
		if s, ok := c.get(e.key); ok && e.scope == Job {
			m[e.key] = e.format(s.value)
		}
	}
	return m
}

// Effective is the value of every key of the scope, defaults included, as text.
func (c *Config) Effective(scope Scope) map[string]string {
	m := map[string]string{}
	for _, e := range table {
		if e.scope != scope {
			continue
		}
		if s, ok := c.get(e.key); ok {
			m[e.key] = e.format(s.value)
		} else {
			m[e.key] = e.format(e.fallback)
		}
	}
	return m
}

func (c *Config) get(key string) (setting, bool) {
	if c == nil {
		return setting{}, false
	}
	s, ok := c.values[key]
	return s, ok
}

// Require reports which of the options are not set, for a process that cannot start without them. by is that process, as "the jobmanager".
func Require(c *Config, by string, options ...Named) error {
	var missing []string
	for _, o := range options {
		if s, ok := c.get(o.Key()); !ok || s.text == "" {
			missing = append(missing, o.Key())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("configuration: %s needs a value for %s: give it in config.yaml (--config-dir; deploy/conf has one to start from) or by -D %s=VALUE",
		by, strings.Join(missing, " and "), missing[0])
}

// resolve turns raw settings into values: it finds the option by key or alias, parses, and checks. The later of two settings of one key wins
// where override is true (-D after a file, a -D after another); otherwise the second one is a problem.
func resolve(raw []rawSetting, override bool, p *problems) *Config {
	c := &Config{values: map[string]setting{}}
	for _, r := range raw {
		e := lookup(r.key)
		if e == nil {
			p.add(r.origin, r.key, r.value, unknown(r.key))
			continue
		}
		if r.list && !e.list {
			p.add(r.origin, r.key, r.value, "is a list; one "+e.kind+" is wanted")
			continue
		}
		value, err := e.parse(r.value)
		if err == nil && e.check != nil {
			err = e.check(value)
		}
		if err != nil {
			p.add(r.origin, r.key, r.value, err.Error())
			continue
		}
		if earlier, ok := c.values[e.key]; ok && !override {
			p.add(r.origin, r.key, r.value, fmt.Sprintf("is set a second time%s; the first is at %s: keep one", underName(e.key, r.key), earlier.origin))
			continue
		}
		c.values[e.key] = setting{text: r.value, value: value, origin: r.origin}
	}
	return c
}

func underName(key, alias string) string {
	if key == alias {
		return ""
	}
	return fmt.Sprintf(" (%s is an older name of %s)", alias, key)
}
