package side

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/thalweg-io/thalweg/bench/meter"
)

// Running is a job that was started. It belongs to one goroutine.
type Running struct {
	processes []*process // the source is in the last
}

type process struct {
	cmd     *exec.Cmd
	asks    io.WriteCloser
	answers *bufio.Reader
	errors  bytes.Buffer // complete when the process has ended
	address string
}

// Start runs a job in processes of a command, which has to call Serve with the arguments that follow, and returns when it runs.
func Start(command []string, j Job) (*Running, error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	r := &Running{}
	if !j.Exchange {
		return r, r.add(command, j.arguments())
	}
	if err := r.add(command, j.arguments()); err != nil {
		return r, err
	}
	return r, r.add(command, append(j.arguments(), "-peer", r.processes[0].address))
}

// add starts a process. After an error there is nothing to close.
func (r *Running) add(command, arguments []string) error {
	p := &process{cmd: exec.Command(command[0], append(command[1:len(command):len(command)], arguments...)...)}
	p.cmd.Stderr = &p.errors
	var err error
	if p.asks, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.answers = bufio.NewReader(output)
	if err := p.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start a process of thalweg's side: %w", err), r.Close())
	}
	r.processes = append(r.processes, p)
	line, err := p.answer()
	if err != nil {
		return errors.Join(err, r.Close())
	}
	p.address = strings.TrimSpace(strings.TrimPrefix(line, "ready"))
	return nil
}

func (p *process) answer() (string, error) {
	line, err := p.answers.ReadString('\n')
	if err != nil {
		p.asks.Close()
		_ = p.cmd.Wait() // why it ended is in what it wrote
		return "", fmt.Errorf("thalweg's side has ended: %s", bytes.TrimSpace(p.errors.Bytes()))
	}
	return strings.TrimSpace(line), nil
}

// Sample implements meter.Sampler.
func (r *Running) Sample() (s meter.Sample, err error) {
	source := r.processes[len(r.processes)-1]
	s.At = time.Now()
	if _, err := fmt.Fprintln(source.asks, "count"); err != nil {
		_, ended := source.answer()
		return s, errors.Join(err, ended)
	}
	line, err := source.answer()
	if err != nil {
		return s, err
	}
	if s.Events, err = strconv.ParseInt(line, 10, 64); err != nil {
		return s, err
	}
	for _, p := range r.processes {
		used, err := meter.ProcessorTime(p.cmd.Process.Pid)
		if err != nil {
			return s, err
		}
		s.Processor += used
	}
	return s, nil
}

// Close ends the job.
func (r *Running) Close() error {
	for i := len(r.processes) - 1; i >= 0; i-- {
		p := r.processes[i]
		p.asks.Close()
		late := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
		_ = p.cmd.Wait() // an end of the exchange fails when the other has gone; what has failed before, a sample has told
		late.Stop()
	}
	return nil
}

// Window runs a job and measures a time of it.
func Window(ctx context.Context, command []string, j Job, t meter.Timing) (s meter.Span, err error) {
	r, err := Start(command, j)
	if err != nil {
		return s, fmt.Errorf("%s: %w", j.Query, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return meter.Measure(ctx, r, t)
}
