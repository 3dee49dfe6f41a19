// Command thalweg submits jobs to a cluster and steers them.
package main

import (
	"fmt"
	"os"

	"github.com/thalweg-io/thalweg/internal/bootstrap"
	"github.com/thalweg-io/thalweg/internal/cli"
)

func main() {
	if err := cli.New(bootstrap.Version()).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "thalweg:", err)
		os.Exit(1)
	}
}
