package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/config"
	"github.com/thalweg-io/thalweg/internal/job"
	"github.com/thalweg-io/thalweg/internal/progress"
)

func newRun(s *shared) *cobra.Command {
	var detached bool
	var parallelism int
	var id string
	cmd := &cobra.Command{
		Use:   "run [flags] <binary | package directory> [-- job arguments]",
		Short: "Submit a job: a binary, or a Go package directory that is built for the cluster",
		Long: `Submits a job and, unless --detached is given, shows its state until it ends.

The binary is run once on this machine to build the job's graph; then it is shipped, with its arguments, to the cluster.
Ctrl-C leaves the job running and only stops watching it.`,
		Example: `  thalweg run ./examples/wordcount -- --input hdfs:///in --output hdfs:///out
  thalweg run -d -p 4 bin/examples/accesslog -- --input /data/access.log --output /data/out`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conf, err := s.jobConfiguration()
			if err != nil {
				return err
			}
			if parallelism != 0 {
				if parallelism < 1 {
					return fmt.Errorf("--parallelism %d: at least 1", parallelism)
				}
				conf["parallelism.default"] = fmt.Sprint(parallelism)
			}
			if id == "" {
				id = string(job.NewID())
			} else if _, err := job.ParseID(id); err != nil {
				return fmt.Errorf("--job-id: %w", err)
			}
			return s.run(cmd, id, args[0], args[1:], c, conf, detached)
		},
	}
	cmd.Flags().BoolVarP(&detached, "detached", "d", false, "return as soon as the job is accepted")
	cmd.Flags().IntVarP(&parallelism, "parallelism", "p", 0, "parallelism of the operators that set none (default: parallelism.default)")
	cmd.Flags().StringVar(&id, "job-id", "", "submit under this id (32 hexadecimal digits): repeating a submission whose answer was lost is harmless")
	return cmd
}

func (s *shared) run(cmd *cobra.Command, id, path string, args []string, settings *config.Config, conf map[string]string, detached bool) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	out, note := cmd.OutOrStdout(), cmd.ErrOrStderr()
	p, err := openProgram(ctx, path, note)
	if err != nil {
		return err
	}
	defer p.remove()
	graph, err := p.plan(ctx, args, conf)
	if err != nil {
		return err
	}
	applySettings(graph, settings)
	c, err := s.connect(note)
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := c.Submit(ctx, &thalwegv1.SubmitHeader{
		Id: id, Graph: graph, Arguments: args, Configuration: conf, Digest: submissionDigest(p.sha256, args, conf),
		BinarySha256: p.sha256, BinarySize: p.size, OsArch: p.osArch,
	}, p.path)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted while job %s was being submitted; it may have been accepted: thalweg info %s", id, id)
		}
		return err
	}
	fmt.Fprintf(out, "Job has been submitted with JobID %s\n", answer.Id)
	if detached {
		return nil
	}
	return s.attach(ctx, cmd, c, answer.Id)
}

// attach shows a job until it ends or the person leaves.
func (s *shared) attach(ctx context.Context, cmd *cobra.Command, c *client.Client, id string) error {
	out := cmd.OutOrStdout()
	p := progress.New(out)
	s.say = p.Say
	defer func() { s.say = nil }()
	var last *thalwegv1.JobInfo
	err := c.Watch(ctx, id, func(i *thalwegv1.JobInfo) bool {
		p.Show(i)
		last = i
		return true
	})
	p.End()
	if ctx.Err() != nil && (last == nil || !client.Ended(last.Summary.Status)) {
		fmt.Fprintf(out, "Detached: job %s goes on.\n  thalweg info %s      shows it\n  thalweg cancel %s    ends it\n", id, id, id)
		return nil
	}
	if err != nil {
		return err
	}
	if last == nil {
		return errors.New("the leader said nothing of the job")
	}
	switch last.Summary.Status {
	case thalwegv1.JobStatus_JOB_STATUS_FINISHED:
		fmt.Fprintf(out, "Program execution finished\nJob with JobID %s has finished.\nJob Runtime: %d ms\n", id, last.Summary.EndedMs-last.Summary.StartedMs)
		return nil
	case thalwegv1.JobStatus_JOB_STATUS_CANCELED:
		return fmt.Errorf("job %s was cancelled", id)
	}
	cause := "no cause was recorded"
	if len(last.Exceptions) > 0 {
		cause = last.Exceptions[0].Message
		if t := last.Exceptions[0].Task; t != "" {
			cause = t + ": " + cause
		}
	}
	return fmt.Errorf("job %s failed: %s", id, cause)
}

// timeText is the form of times in lists: local zone, as dd.MM.yyyy HH:mm:ss.
func timeText(ms int64) string { return time.UnixMilli(ms).Format("02.01.2006 15:04:05") }
