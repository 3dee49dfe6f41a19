package config

import (
	"testing"

	"github.com/spf13/pflag"
)

func TestFlags(t *testing.T) {
	file := writeDir(t, FileName, "parallelism.default: 2\ntaskmanager.host: from-file\n")
	other := writeDir(t, FileName, "parallelism.default: 7\n")
	for _, tc := range []struct {
		name, variable string
		args           []string
		parallelism    int
		host           string
	}{
		{"nothing", "", nil, 1, "localhost"},
		{"folder", "", []string{"--config-dir", file}, 2, "from-file"},
		{"variable", file, nil, 2, "from-file"},
		{"flag over variable", other, []string{"--config-dir=" + file}, 2, "from-file"},
		{"overrides", file, []string{"-D", "parallelism.default=3", "-Dtaskmanager.host=a,b"}, 3, "a,b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(DirVariable, tc.variable)
			set := pflag.NewFlagSet("test", pflag.ContinueOnError)
			flags := AddFlags(set)
			if err := set.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			c, err := flags.Load()
			if err != nil {
				t.Fatal(err)
			}
			if p, h := Parallelism.Get(c), TaskManagerHost.Get(c); p != tc.parallelism || h != tc.host {
				t.Errorf("parallelism %d, host %q; want %d, %q", p, h, tc.parallelism, tc.host)
			}
		})
	}
}
