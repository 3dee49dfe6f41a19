package flow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/stream"
	"github.com/thalweg-io/thalweg/internal/worker"
	"github.com/thalweg-io/thalweg/internal/worker/local"
)

// How the process was started is said by its environment, so that the program's flags are its own.
const (
	modeVariable        = "THALWEG_MODE"        // "plan", "worker"; empty: local
	planFileVariable    = "THALWEG_PLAN_FILE"   // where a plan goes, instead of descriptor 3
	parallelismVariable = "THALWEG_PARALLELISM" // the job's default; the same for the plan and the workers
)

// planDescriptor is inherited from the client.
const planDescriptor = 3

// Main builds the job and runs it: in this process, or, started as a worker, the subtasks that it is told to. It does not return. Mistakes in
// building end the process with all of them on standard error, before anything has started.
func Main(name string, build func(*Job) error) {
	if err := run(name, build); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, context.Canceled) {
			os.Exit(130) // interrupted
		}
		os.Exit(1)
	}
	os.Exit(0)
}

func run(name string, build func(*Job) error) error {
	parallelism, err := defaultParallelism(os.Getenv(parallelismVariable))
	if err != nil {
		return err
	}
	g, err := Build(name, parallelism, build)
	if err != nil {
		return err
	}
	switch mode := os.Getenv(modeVariable); mode {
	case "plan":
		return writePlan(g.Job)
	case "worker":
		worker.Main(g)
		return nil
	case "":
		return runLocal(g)
	default:
		return fmt.Errorf("%s=%s: want plan, worker, or nothing for a run in this process", modeVariable, mode)
	}
}

func runLocal(g *stream.Graph) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := local.Run(ctx, g, local.Options{Progress: os.Stderr}); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("job %s was interrupted: %w", g.Job.Name, context.Canceled)
		}
		return fmt.Errorf("job %s: %w", g.Job.Name, err)
	}
	return nil
}

func defaultParallelism(s string) (int, error) {
	if s == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxKeyGroups {
		return 0, fmt.Errorf("%s=%s: want a number between 1 and %d", parallelismVariable, s, maxKeyGroups)
	}
	return n, nil
}

// Build makes the graph of a job without running it, or gives all mistakes in one error. Sources that set no parallelism get the given one.
// Programs call Main; this is for what tests and measures jobs.
func Build(name string, parallelism int, build func(*Job) error) (*stream.Graph, error) {
	j := newJob(name, parallelism)
	at := caller()
	if !nameForm.MatchString(name) {
		j.fail(at, "job name %q: it has 1 to 200 letters, digits, spaces and . _ - : / ( ) >, and begins with a letter or digit", name)
	}
	if err := build(j); err != nil {
		// What the program has found itself comes before what its half-built graph lacks.
		return nil, errors.Join(fmt.Errorf("build job %s: %w", name, err), j.err())
	}
	g, err := j.plan()
	if err != nil {
		return nil, fmt.Errorf("build job %s:\n%w", name, err)
	}
	return g, nil
}

func writePlan(g *thalwegv1.JobGraph) error {
	b, err := proto.Marshal(g)
	if err != nil {
		return fmt.Errorf("encode the job graph: %w", err)
	}
	if name := os.Getenv(planFileVariable); name != "" {
		return os.WriteFile(name, b, 0o644)
	}
	f := os.NewFile(planDescriptor, "plan")
	if f == nil {
		return fmt.Errorf("no descriptor %d to write the plan to: set %s to a file", planDescriptor, planFileVariable)
	}
	if _, err := f.Write(b); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return f.Close()
}
