package config

import (
	"os"

	"github.com/spf13/pflag"
)

// DirVariable is the environment variable that stands in for --config-dir.
const DirVariable = "THALWEG_CONF_DIR"

// Flags are the two flags by which every command gets its configuration.
type Flags struct {
	Dir       string
	Overrides []string
}

// AddFlags registers --config-dir and -D, as in config.AddFlags(command.PersistentFlags()).
func AddFlags(set *pflag.FlagSet) *Flags {
	f := &Flags{}
	set.StringVar(&f.Dir, "config-dir", "", "folder of config.yaml (default: $"+DirVariable+", else none: every key has its default)")
	set.StringArrayVarP(&f.Overrides, "define", "D", nil, "set a configuration key, as -D parallelism.default=4; may be repeated, and wins over the file")
	return f
}

// Load reads what the flags name. Call it after they have been parsed.
func (f *Flags) Load() (*Config, error) {
	dir := f.Dir
	if dir == "" {
		dir = os.Getenv(DirVariable)
	}
	return Load(dir, f.Overrides)
}
