package config

import (
	"errors"
	"os"
	"reflect"
	"testing"
)

// FuzzParse: no content of a file makes a panic; what is refused is refused with a place; what is accepted says the same when written out and read again.
func FuzzParse(f *testing.F) {
	if shipped, err := os.ReadFile("../../deploy/conf/config.yaml"); err != nil {
		f.Fatal(err)
	} else {
		f.Add(shipped)
	}
	for _, seed := range []string{"", "a: b", "a:\n  - b\n  - c: d", "heartbeat: {timeout: 20 s, interval: 1}", "high-availability: zookeeper\nhigh-availability.zookeeper.quorum: [a, b]",
		"? [x]\n: y", "a: &b c\nd: *b", "<<: {a: b}", "a: |\n  b\n", "--- a\n--- b", "a: b: c", "\xff", "taskmanager.host: \"\\u0000\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []parser{parseYAML, parseLines} {
			c, err := parseWith(parse, "file", data)
			if err != nil {
				var invalid *Error
				if !errors.As(err, &invalid) || len(invalid.Problems) == 0 {
					t.Fatalf("error without a problem: %v", err)
				}
				for _, p := range invalid.Problems {
					if p.Origin.Source != "file" || p.Message == "" {
						t.Fatalf("problem without place or message: %+v", p)
					}
				}
				continue
			}
			for _, scope := range []Scope{Cluster, Job} {
				written := c.Effective(scope)
				for key, text := range written {
					if text == "" {
						delete(written, key)
					}
				}
				again, err := FromMap("again", written)
				if err != nil {
					t.Fatalf("does not read back: %v", err)
				}
				for key, text := range again.Effective(scope) {
					if text != written[key] {
						t.Fatalf("%s: %q is read back as %q", key, written[key], text)
					}
				}
			}
		}
	})
}

// FuzzValues: a value that an option accepts is written in a form that gives the same value.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"10 s", "32 kb", "a,b;c", "1-2,3", "unlimited", "0.5", "true", "/x", "hdfs://a/b", "local", "9223372036854775807", "1e308"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range table {
			v, err := e.parse(text)
			if err != nil {
				continue
			}
			again, err := e.parse(e.format(v))
			if err != nil || !reflect.DeepEqual(again, v) {
				t.Fatalf("%s: %q is %v, written %q, which is %v (%v)", e.key, text, v, e.format(v), again, err)
			}
		}
	})
}
