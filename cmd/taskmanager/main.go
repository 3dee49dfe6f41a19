// Command taskmanager offers slots to the leader of a cluster and runs the workers of its jobs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/thalweg-io/thalweg/internal/bootstrap"
	"github.com/thalweg-io/thalweg/internal/config"
)

func main() {
	var flags *config.Flags
	cmd := &cobra.Command{
		Use:   "taskmanager",
		Short: "Offer slots to the leader of a cluster and run the workers of its jobs",
		Long: `Finds the leading jobmanager, offers it slots, and runs one worker process per job out of the job's own binary. Without a leader
everything that runs goes on. SIGTERM and SIGINT end it and its workers.`,
		Args:          cobra.NoArgs,
		Version:       bootstrap.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := flags.Load()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return bootstrap.TaskManager(ctx, conf)
		},
	}
	flags = config.AddFlags(cmd.Flags())
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "taskmanager:", err)
		os.Exit(1)
	}
}
