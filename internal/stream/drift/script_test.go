package drift

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/internal/golden"
)

// TestScripts carries out each line of testdata/*.txt and compares what the file says comes of it:
//
//	group <drift> <readers>     begins: times are plain numbers; ? is Unknown, free is Free
//	come <reader> <time>        what the reader has come to; the group hears it at once if it has to, and the readers hear the group
//	silent <reader> <time>      the same, but what it says to the group is kept back
//	late <reader>               what was kept back arrives
//	at <time>                   which readers would have to wait with what has come so far
func TestScripts(t *testing.T) {
	golden.Scripts(t, "testdata/*.txt", func(t *testing.T, text string) string {
		var s script
		return golden.Lines(text, func(line string) string { return strings.Join(s.do(t, strings.Fields(line)), "\n") })
	})
}

type script struct {
	group   *Group
	readers []*Reader
	kept    map[int]int64
}

func (s *script) do(t *testing.T, words []string) (effects []string) {
	number := func(i int) int {
		n, err := strconv.Atoi(words[i])
		if err != nil {
			t.Fatalf("%q: %v", words, err)
		}
		return n
	}
	time := func(i int) int64 {
		switch words[i] {
		case "?":
			return Unknown
		case "free":
			return Free
		}
		return int64(number(i))
	}
	arrive := func(reader int, to int64) {
		if slowest, news := s.group.Come(reader, to); news {
			effects = append(effects, "all hear "+shown(slowest))
			for _, r := range s.readers {
				r.Heard(slowest)
			}
		}
	}
	switch words[0] {
	case "group":
		s.group, s.readers, s.kept = NewGroup(int64(number(1)), number(2)), nil, map[int]int64{}
		for range number(2) {
			s.readers = append(s.readers, NewReader(int64(number(1))))
		}
	case "come", "silent":
		reader, to := number(1), time(2)
		if !s.readers[reader].Come(to) {
			return []string{"nothing to say"}
		}
		if effects = append(effects, fmt.Sprintf("%d says %s", reader, shown(to))); words[0] == "silent" {
			s.kept[reader] = to
			return effects
		}
		arrive(reader, to)
	case "late":
		arrive(number(1), s.kept[number(1)])
	case "at":
		var waiting []string
		for i, r := range s.readers {
			if r.Waits(time(1)) {
				waiting = append(waiting, strconv.Itoa(i))
			}
		}
		effects = append(effects, "waiting: "+strings.Join(waiting, " "))
	default:
		t.Fatalf("%q is no step", words)
	}
	return effects
}

func shown(at int64) string {
	switch at {
	case Unknown:
		return "?"
	case Free:
		return "free"
	}
	return strconv.FormatInt(at, 10)
}
