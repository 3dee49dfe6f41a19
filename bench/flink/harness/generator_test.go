package harness

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

func TestTheGeneratorsMakeTheSameEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Java")
	}
	path, err := classPath(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []gen.Config{
		{Seed: 42, Rate: 10_000, Splits: 1, Events: 1_000_000},
		{Seed: 1 << 62, Rate: 123_456, Splits: 7, Events: 100_003},
	} {
		want, err := gen.Checksum(c)
		if err != nil {
			t.Fatal(err)
		}
		output, err := exec.CommandContext(t.Context(), "java", "-cp", path, "thalweg.Checksum",
			fmt.Sprint(c.Seed), fmt.Sprint(c.Rate), fmt.Sprint(c.Splits), fmt.Sprint(c.Events)).CombinedOutput()
		if got := strings.TrimSpace(string(output)); err != nil || got != fmt.Sprintf("%016x", want) {
			t.Errorf("%+v: Java says %s, %v; Go says %016x", c, got, err, want)
		}
	}
}
