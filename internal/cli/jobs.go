package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

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

func newInfo(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "info <JobID>",
		Short: "Show a job: its state, subtasks, checkpoints and exceptions",
		Args:  cobra.ExactArgs(1),
		RunE: s.withJob(func(ctx context.Context, cmd *cobra.Command, c *client.Client, id string) error {
			i, err := c.Info(ctx, id)
			if err != nil {
				return err
			}
			printInfo(cmd.OutOrStdout(), i)
			return nil
		}),
	}
}

func printInfo(out io.Writer, i *thalwegv1.JobInfo) {
	j := i.Summary
	fmt.Fprintf(out, "Job          %s\nName         %s\nState        %s\n", j.Id, j.Name, progress.StatusName(j.Status))
	if i.WaitingFor != "" {
		fmt.Fprintf(out, "Waiting      %s\n", i.WaitingFor)
	}
	fmt.Fprintf(out, "Started      %s\n", timeText(j.StartedMs))
	if j.EndedMs > 0 {
		fmt.Fprintf(out, "Ended        %s (after %v)\n", timeText(j.EndedMs), (time.Duration(j.EndedMs-j.StartedMs) * time.Millisecond))
	}
	fmt.Fprintf(out, "Generation   %v, %d restarts\n", job.GenerationOf(i.Generation), i.Restarts)
	fmt.Fprintf(out, "Leader       epoch %d at %s\n", i.Leader.GetEpoch(), i.Leader.GetAddress())
	fmt.Fprintf(out, "Records      %d read, %d written\n", i.RecordsRead, i.RecordsWritten)
	if c := i.Checkpoints; c != nil {
		fmt.Fprintf(out, "Checkpoints  %d completed, %d failed", c.Completed, c.Failed)
		if c.InProgress != 0 {
			fmt.Fprintf(out, ", %d in progress", c.InProgress)
		}
		fmt.Fprintln(out)
		if c.LatestId != 0 {
			fmt.Fprintf(out, "  latest     %d, %s, %d ms, %s\n", c.LatestId, progress.Bytes(c.LatestSize), c.LatestDurationMs, c.LatestPath)
		}
		if c.RestoredId != 0 {
			fmt.Fprintf(out, "  restored   %d\n", c.RestoredId)
		}
		if c.LastFailure != "" {
			fmt.Fprintf(out, "  failure    %s\n", progress.FirstLine(c.LastFailure))
		}
	}
	if len(i.Tasks) > 0 {
		names := map[string]*thalwegv1.Vertex{}
		for _, v := range i.Graph.GetVertices() {
			names[v.Id] = v
		}
		fmt.Fprintln(out, "\nSubtasks")
		w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
		fmt.Fprintln(w, "  VERTEX\tSUBTASK\tSTATE\tIN\tOUT\tTASKMANAGER")
		for _, t := range i.Tasks {
			r := t.Report
			v := names[r.Task.Vertex]
			fmt.Fprintf(w, "  %s\t%d/%d\t%s\t%d\t%d\t%s\n", v.GetName(), r.Task.Subtask+1, v.GetParallelism(), progress.TaskStateName(r.State),
				r.Counters.GetRecordsIn(), r.Counters.GetRecordsOut(), t.Taskmanager)
		}
		w.Flush()
	}
	if len(i.Exceptions) > 0 {
		fmt.Fprintln(out, "\nExceptions, newest first")
		for _, e := range i.Exceptions {
			fmt.Fprintf(out, "  %s  generation %v  %s\n", timeText(e.TimeMs), job.GenerationOf(e.Generation), strings.TrimSpace(e.Task+" "+e.Taskmanager))
			fmt.Fprintf(out, "    %s\n", strings.ReplaceAll(strings.TrimSpace(e.Message), "\n", "\n    "))
			for _, f := range e.Further {
				fmt.Fprintf(out, "    further: %s\n", progress.FirstLine(f))
			}
		}
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
