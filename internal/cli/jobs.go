package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/progress"
)

func newList(s *shared) *cobra.Command {
	var running, scheduled, all bool
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List running and scheduled jobs",
		Args:  cobra.NoArgs,
		RunE: s.withClient(func(ctx context.Context, cmd *cobra.Command, c *client.Client, _ []string) error {
			l, err := c.List(ctx, all)
			if err != nil {
				return err
			}
			if !running && !scheduled {
				running, scheduled = true, true
			}
			printList(cmd.OutOrStdout(), l.Jobs, running, scheduled, all)
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&running, "running", "r", false, "only those that run or restart")
	cmd.Flags().BoolVarP(&scheduled, "scheduled", "s", false, "only those that wait for slots")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "those that have ended, too")
	return cmd
}

func printList(out io.Writer, jobs []*thalwegv1.JobSummary, running, scheduled, all bool) {
	slices.SortStableFunc(jobs, func(a, b *thalwegv1.JobSummary) int {
		return cmp.Or(cmp.Compare(a.StartedMs, b.StartedMs), cmp.Compare(progress.StatusName(a.Status), progress.StatusName(b.Status)))
	})
	var waiting, ended, others []*thalwegv1.JobSummary
	for _, j := range jobs {
		switch {
		case client.Ended(j.Status):
			ended = append(ended, j)
		case j.Status == thalwegv1.JobStatus_JOB_STATUS_CREATED || j.Status == thalwegv1.JobStatus_JOB_STATUS_INITIALIZING:
			waiting = append(waiting, j)
		default:
			others = append(others, j)
		}
	}
	section := func(title, none string, jobs []*thalwegv1.JobSummary) {
		if len(jobs) == 0 {
			fmt.Fprintln(out, none)
			return
		}
		fmt.Fprintln(out, title)
		for _, j := range jobs {
			fmt.Fprintf(out, "%s : %s : %s (%s)\n", timeText(j.StartedMs), j.Id, j.Name, progress.StatusName(j.Status))
		}
		fmt.Fprintln(out, strings.Repeat("-", 62))
	}
	if running {
		section("------------------ Running/Restarting Jobs -------------------", "No running jobs.", others)
	}
	if scheduled {
		section("----------------------- Scheduled Jobs -----------------------", "No scheduled jobs.", waiting)
	}
	if all {
		section("---------------------- Terminated Jobs -----------------------", "No terminated jobs.", ended)
	}
}

func newCancel(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel <JobID>",
		Short: "Cancel a job",
		Args:  cobra.ExactArgs(1),
		RunE: s.withJob(func(ctx context.Context, cmd *cobra.Command, c *client.Client, id string) error {
			fmt.Fprintf(cmd.OutOrStdout(), "Cancelling job %s.\n", id)
			if _, err := c.Cancel(ctx, id, job.RandomHex()); err != nil {
				return err
			}
			err := c.Watch(ctx, id, func(*thalwegv1.JobInfo) bool { return true })
			if err != nil {
				return fmt.Errorf("the cancellation of job %s is recorded and will be carried out, but it did not end while this command waited: %w", id, err)
			}
			i, err := c.Info(ctx, id)
			if err != nil {
				return err
			}
			if i.Summary.Status != thalwegv1.JobStatus_JOB_STATUS_CANCELED {
				return fmt.Errorf("job %s ended as %s before it was cancelled", id, progress.StatusName(i.Summary.Status))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Cancelled job %s.\n", id)
			return nil
		}),
	}
}

func newCheckpoint(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint <JobID>",
		Short: "Take a checkpoint of a job now, and wait for it",
		Args:  cobra.ExactArgs(1),
		RunE: s.withJob(func(ctx context.Context, cmd *cobra.Command, c *client.Client, id string) error {
			fmt.Fprintf(cmd.OutOrStdout(), "Triggering checkpoint for job %s.\n", id)
			r, err := c.TriggerCheckpoint(ctx, id, job.RandomHex())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Checkpoint(CONFIGURED) %d for job %s completed.\n%s\n", r.Checkpoint, id, r.Path)
			return nil
		}),
	}
}
