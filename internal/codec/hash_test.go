package codec

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWyhash checks the vectors that the author of wyhash publishes with version 4.2.
func TestWyhash(t *testing.T) {
	for seed, tc := range []struct {
		s    string
		want uint64
	}{
		{"", 0x93228a4de0eec5a2},
		{"a", 0xc5bac3db178713c4},
		{"abc", 0xa97f2f7b1d9b3314},
		{"message digest", 0x786d1f1df3801df4},
		{"abcdefghijklmnopqrstuvwxyz", 0xdca5a8138ad37c87},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 0xb9e734f117cfaf70},
		{"12345678901234567890123456789012345678901234567890123456789012345678901234567890", 0x6cc5eab49a92d617},
	} {
		if got := wyhash([]byte(tc.s), uint64(seed)); got != tc.want {
			t.Errorf("wyhash(%q, %d) = %#x, want %#x", tc.s, seed, got, tc.want)
		}
	}
}

func TestMixIsABijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64().Draw(t, "x")
		if got := Unmix(Mix(x)); got != x {
			t.Fatalf("Unmix(Mix(%#x)) = %#x", x, got)
		}
		if got := Mix(Unmix(x)); got != x {
			t.Fatalf("Mix(Unmix(%#x)) = %#x", x, got)
		}
	})
}
