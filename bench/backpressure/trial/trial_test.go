package trial

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/connector/datagen"
)

func TestOutputIsHeldAgainstTheInput(t *testing.T) {
	src := datagen.Oracle{Seed: 1, Keys: keys, Partitions: parallelism}
	line := func(key uint64, seq int64) string { return fmt.Sprintf("%d %d %d", key, seq, src.Payload(key, seq)) }
	var all []string
	for key := range uint64(keys) {
		all = append(all, line(key, 1), line(key, 2))
	}
	for name, tc := range map[string]struct {
		lines []string
		want  Output
	}{
		"all":        {all, Output{Records: 2 * keys}},
		"lost":       {all[1:], Output{Records: 2*keys - 1, Lost: 1}},
		"duplicated": {append([]string{line(0, 1)}, all...), Output{Records: 2*keys + 1, Duplicated: 1, Reordered: 1}},
		"reordered":  {append([]string{all[1], all[0]}, all[2:]...), Output{Records: 2 * keys, Reordered: 1}},
		"phantom":    {append([]string{"1 1 1"}, all...), Output{Records: 2*keys + 1, Phantom: 1}},
	} {
		dir := t.TempDir()
		for file, content := range map[string]string{"part": strings.Join(tc.lines, "\n"), ".pending": "torn"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := check(dir, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got.Right() != (name == "all") {
			t.Errorf("%s: %s", name, got.String())
		}
		if got.Example = ""; got.Records != tc.want.Records || got.Lost != tc.want.Lost || got.Duplicated != tc.want.Duplicated || got.Reordered != tc.want.Reordered || got.Phantom != tc.want.Phantom {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestMemoryThatGrows(t *testing.T) {
	line := func(perSecond int64) *Memory {
		m := &Memory{}
		for s := range int64(301) {
			rss := int64(50<<20) + max(s-20, 0)*perSecond
			if s < 20 { // starts up
				rss = s << 21
			}
			m.Samples = append(m.Samples, Sample{time.Duration(s) * time.Second, rss})
		}
		m.settle(20 * time.Second)
		return m
	}
	if m := line(0); !m.Flat() || m.Over != 280*time.Second || m.Slope > 1 || m.Slope < -1 {
		t.Errorf("a flat line: %+v", m)
	}
	if m := line(64 << 10); m.Flat() || m.Grows() < 17<<20 || m.Grows() > 18<<20 {
		t.Errorf("a line that grows by 64 KiB a second grows by %.0f bytes", m.Grows())
	}
	m := &Memory{pid: os.Getpid()}
	if err := m.sample(0); err != nil || m.Max < 1<<20 {
		t.Errorf("this process has %d bytes: %v", m.Max, err)
	}
}
