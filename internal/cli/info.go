package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/progress"
)

func newInfo(s *shared) *cobra.Command {
	var subtasks bool
	cmd := &cobra.Command{
		Use:   "info <JobID>",
		Short: "Show a job: its state, what its vertices do, checkpoints and exceptions",
		Long: `Show a job: its state, what its vertices do, checkpoints and exceptions.

A vertex has the records, bytes and rates of all its subtasks together; BUSY and BACKPRESSURED are those of the subtask that is
it most, IDLE that of the one that is it least, as parts of about the last second; WATERMARK is the lowest, of a source that of its output. Bytes are counted on
connections only: what stays in a process is not encoded. Of the newest checkpoint a vertex has the bytes of all its subtasks and
the longest times: SYNC is what the subtask stood still for, ASYNC what was done beside its work, ALIGNMENT the wait for the last barrier.`,
		Args: cobra.ExactArgs(1),
		RunE: s.withJob(func(ctx context.Context, cmd *cobra.Command, c *client.Client, id string) error {
			i, err := c.Info(ctx, id)
			if err != nil {
				return err
			}
			printInfo(cmd.OutOrStdout(), i, subtasks)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&subtasks, "subtasks", false, "a line for each subtask instead of each vertex")
	return cmd
}

func printInfo(out io.Writer, i *thalwegv1.JobInfo, subtasks bool) {
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
	printCheckpoints(out, i.Checkpoints)
	printTasks(out, i, subtasks)
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

func printCheckpoints(out io.Writer, c *thalwegv1.CheckpointStats) {
	if c == nil {
		return
	}
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
