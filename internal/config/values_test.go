package config

import (
	"strings"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "500": 500 * time.Millisecond, "10 s": 10 * time.Second, "10s": 10 * time.Second, "10 SEC": 10 * time.Second, "500ms": 500 * time.Millisecond,
		"1 min": time.Minute, "2 m": 2 * time.Minute, "1 minute": time.Minute, "3 hours": 3 * time.Hour, "1 d": 24 * time.Hour, "7 us": 7 * time.Microsecond,
		"7 µs": 7 * time.Microsecond, "9 nanoseconds": 9, "  4 s ": 4 * time.Second, "106751 d": 106751 * 24 * time.Hour,
	} {
		if got, err := durations.parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "s", "-1 s", "1.5 s", "1 s 2 ms", "1m30s", "10 parsecs", "9223372036854775808", "106752 d", "1 s\n2"} {
		if got, err := durations.parse(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
	if got, err := seconds.parse("3600"); err != nil || got != time.Hour {
		t.Errorf("seconds: %v, %v", got, err)
	}
	for d, want := range map[time.Duration]string{0: "0 ms", 90 * time.Second: "90 s", time.Hour: "1 h", 1500 * time.Microsecond: "1500 µs", 1: "1 ns"} {
		if got := durations.format(d); got != want {
			t.Errorf("%d ns is written %q, want %q", d, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "4096": 4096, "12 b": 12, "32k": 32 << 10, "32 kb": 32 << 10, "1 gb": 1 << 30, "2 mebibytes": 2 << 20, "3T": 3 << 40,
	} {
		if got, err := sizes.parse(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "kb", "-1", "1.5 mb", "1 px", "9000000 tb"} {
		if got, err := sizes.parse(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
	for size, want := range map[Size]string{0: "0 b", 1: "1 b", 20 << 10: "20 kb", 1<<20 + 1: "1048577 b", 64 << 20: "64 mb"} {
		if got := size.String(); got != want {
			t.Errorf("%d is written %q, want %q", int64(size), got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "12": 12, "-1": Unlimited, "unlimited": Unlimited, "Infinite": Unlimited} {
		if got, err := counts.parse(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1.5", "0x10", "1 000", "99999999999999999999"} {
		if got, err := counts.parse(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
	if got := counts.format(Unlimited); got != "unlimited" {
		t.Errorf("unlimited is written %q", got)
	}
}

func TestNearest(t *testing.T) {
	for key, want := range map[string]string{
		"heartbeat.intervall":           "heartbeat.interval",
		"HEARTBEAT.interval":            "heartbeat.interval",
		"paralellism.default":           "parallelism.default",
		"state.checkpoint.dir":          "execution.checkpointing.dir", // near an older name: the present one is offered
		"zookeeper.quorum":              "high-availability.zookeeper.quorum",
		"quorum":                        "",
		"":                              "",
		"taskmanager.memory.size":       "",
		strings.Repeat("x", 10_000):     "",
		"execution.checkpoint.interval": "execution.checkpointing.interval",
	} {
		if got := nearest(key); got != want {
			t.Errorf("nearest to %q is %q, want %q", clip(key), got, want)
		}
	}
}
