// Package cli is the thalweg command: its verbs, flags and what they print, after Flink's where Flink has them. It owns the
// words that a person reads. It holds no knowledge of the cluster but what the client package gives it, and changes nothing
// except through the leader.
package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/bootstrap"
	"github.com/thalweg-io/thalweg/internal/client"
	"github.com/thalweg-io/thalweg/internal/config"
	"github.com/thalweg-io/thalweg/internal/job"
)

// shared is what the commands have in common: the flags by which they find their configuration and the leader.
type shared struct {
	flags      *config.Flags
	jobmanager string
	clusterID  string
	timeout    time.Duration
	say        func(format string, args ...any) // set while a progress owns the terminal
}

// New makes the thalweg command.
func New(version string) *cobra.Command {
	s := &shared{}
	root := &cobra.Command{
		Use:   "thalweg",
		Short: "Submit and steer stream-processing jobs",
		Long: `thalweg submits jobs to a cluster and steers them.

It finds the leading jobmanager through the high-availability service that the configuration names (ZooKeeper, or the directory
of a single machine), or asks the one given by --jobmanager. While no jobmanager leads, it waits.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	s.flags = config.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVarP(&s.jobmanager, "jobmanager", "m", "", "host:port of the leading jobmanager, instead of looking it up")
	root.PersistentFlags().StringVarP(&s.clusterID, "cluster-id", "z", "", "cluster to speak to (high-availability.cluster-id)")
	root.PersistentFlags().DurationVar(&s.timeout, "timeout", time.Minute, "how long to wait for a leader and its answer; run waits for ever")
	root.AddCommand(newRun(s), newList(s), newInfo(s), newCancel(s), newCheckpoint(s), newConfig(s))
	return root
}

func (s *shared) configuration() (*config.Config, error) {
	if s.clusterID != "" {
		s.flags.Overrides = append(s.flags.Overrides, config.ClusterID.Key()+"="+s.clusterID)
		s.clusterID = ""
	}
	return s.flags.Load()
}

// jobConfiguration is what this client's configuration says about jobs.
func (s *shared) jobConfiguration() (*config.Config, map[string]string, error) {
	c, err := s.configuration()
	if err != nil {
		return nil, nil, err
	}
	conf := c.JobSettings()
	conf[config.Parallelism.Key()] = fmt.Sprint(config.Parallelism.Get(c))
	return c, conf, nil
}

// applySettings has the client's explicit settings stand where the job's program has set nothing.
func applySettings(g *thalwegv1.JobGraph, c *config.Config) {
	if g.Checkpoints == nil {
		g.Checkpoints = &thalwegv1.CheckpointOptions{}
	}
	o := g.Checkpoints
	if config.CheckpointInterval.IsSet(c) && o.IntervalMs == 0 && !o.Disabled {
		o.IntervalMs = config.CheckpointInterval.Get(c).Milliseconds()
		o.Disabled = o.IntervalMs == 0
	}
	set := func(field *int64, option config.Option[time.Duration]) {
		if *field == 0 && option.IsSet(c) {
			*field = option.Get(c).Milliseconds()
		}
	}
	set(&o.TimeoutMs, config.CheckpointTimeout)
	set(&o.AlignedTimeoutMs, config.AlignedCheckpointTimeout)
	set(&o.MinPauseMs, config.CheckpointMinPause)
	if o.Retained == 0 && config.RetainedCheckpoints.IsSet(c) {
		o.Retained = int32(config.RetainedCheckpoints.Get(c))
	}
	if o.TolerableFailures == 0 && config.TolerableFailedCheckpoints.IsSet(c) {
		o.TolerableFailures = int32(config.TolerableFailedCheckpoints.Get(c))
	}
	if g.Restart == nil && config.RestartStrategy.IsSet(c) {
		g.Restart = bootstrap.RestartOptions(c)
	}
}

// connect makes a client that tells on note when it has to wait.
func (s *shared) connect(note io.Writer) (*client.Client, error) {
	c, err := s.configuration()
	if err != nil {
		return nil, err
	}
	tell := func(text string) {
		if s.say != nil {
			s.say("%s", text)
			return
		}
		fmt.Fprintln(note, text)
	}
	if s.jobmanager != "" {
		if _, _, err := net.SplitHostPort(s.jobmanager); err != nil {
			return nil, fmt.Errorf("--jobmanager %q: want host:port: %w", s.jobmanager, err)
		}
		return client.New(client.Static(s.jobmanager), tell), nil
	}
	services, err := bootstrap.HA(c, bootstrap.Quiet())
	if err != nil {
		return nil, err
	}
	return client.New(bootstrap.Discovery(services), tell), nil
}

// withClient runs a command that asks the leader something, under --timeout.
func (s *shared) withClient(f func(context.Context, *cobra.Command, *client.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		c, err := s.connect(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		defer c.Close()
		return f(ctx, cmd, c, args)
	}
}

// withJob is withClient for a command whose one argument is a job id.
func (s *shared) withJob(f func(context.Context, *cobra.Command, *client.Client, string) error) func(*cobra.Command, []string) error {
	ask := s.withClient(func(ctx context.Context, cmd *cobra.Command, c *client.Client, args []string) error {
		return f(ctx, cmd, c, args[0])
	})
	return func(cmd *cobra.Command, args []string) error {
		if _, err := job.ParseID(args[0]); err != nil {
			return err
		}
		return ask(cmd, args)
	}
}

func newConfig(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Explain and check the configuration"}
	var markdown bool
	describe := &cobra.Command{
		Use:   "describe",
		Short: "Print every configuration key with its type, default and meaning",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if markdown {
				return config.DescribeMarkdown(cmd.OutOrStdout())
			}
			return config.Describe(cmd.OutOrStdout())
		},
	}
	describe.Flags().BoolVar(&markdown, "markdown", false, "as a Markdown table")
	check := &cobra.Command{
		Use:   "check",
		Short: "Read the configuration that --config-dir and -D give, and report what is wrong with it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := s.configuration(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The configuration is valid.")
			return nil
		},
	}
	cmd.AddCommand(describe, check)
	return cmd
}
