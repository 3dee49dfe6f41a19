package checkpoint

import (
	"fmt"

	"github.com/thalweg-io/thalweg/internal/codec"
)

// ErrCorrupt marks every error that says that a file or message is not what was written.
var ErrCorrupt = codec.ErrCorrupt

// corrupt is such an error about the thing called name: a file's path, or what it is otherwise known by.
func corrupt(name, format string, args ...any) error {
	return fmt.Errorf("%s is %w: %w", name, ErrCorrupt, fmt.Errorf(format, args...))
}

func wrapf(format string, args ...any) error { return fmt.Errorf(format, args...) }
