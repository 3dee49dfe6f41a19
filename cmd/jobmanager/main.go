// Command jobmanager contends for leadership of a cluster and, while it leads, runs its jobs.
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
		Use:   "jobmanager",
		Short: "Contend for leadership of a cluster and, while leading, run its jobs",
		Long: `Contends for leadership with the other jobmanagers of the cluster and, while it leads, schedules jobs onto taskmanagers and
coordinates their checkpoints. SIGTERM and SIGINT release leadership at once, so that a standby takes over; running tasks do not notice.`,
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
			return bootstrap.JobManager(ctx, conf)
		},
	}
	flags = config.AddFlags(cmd.Flags())
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "jobmanager:", err)
		os.Exit(1)
	}
}
