package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWordCount counts the words of Shakespeare from HDFS to HDFS, and holds the result against tr, sort and uniq.
func TestWordCount(t *testing.T) {
	f := start(t, 2, nil)
	text := absolute(t, "../../examples/wordcount/shakespeare.txt")
	f.put(t, text, f.hdfs.URI()+"/in/shakespeare.txt")
	out, err := f.Thalweg(within(t, 2*time.Minute), "run", "--config-dir", f.ConfDir(), "-p", "4", filepath.Join(bin, "examples/wordcount"), "--",
		"--input", f.hdfs.URI()+"/in/shakespeare.txt", "--output", f.hdfs.URI()+"/out")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "Program execution finished") {
		t.Errorf("the command line did not say that the job has finished:\n%s", out)
	}
	id := strings.Fields(strings.SplitN(out, "JobID ", 2)[1])[0]
	got := f.output(t, f.hdfs.URI()+"/out")
	slices.Sort(got)
	want := strings.Split(strings.TrimSpace(shell(t, `tr -cs 'A-Za-z' '\n' <"$1" | tr A-Z a-z | grep . | sort | uniq -c | awk '{print $2" "$1}'`, text)), "\n")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d; first difference: %s", len(got), len(want), difference(got, want))
	}
	// Nothing of the job is left in ZooKeeper but its result.
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if left = f.znodes(t, f.root+"/jobs/"+id); len(left) == 1 {
			break
		}
	}
	if want := []string{f.root + "/jobs/" + id + "/result"}; !slices.Equal(left, want) {
		t.Errorf("left in ZooKeeper: %v, want %v", left, want)
	}
	// The same id again is the same job, which has ended; with other arguments it is refused.
	again, err := f.Thalweg(within(t, time.Minute), "run", "--config-dir", f.ConfDir(), "-p", "4", "--job-id", id, filepath.Join(bin, "examples/wordcount"), "--",
		"--input", f.hdfs.URI()+"/in/shakespeare.txt", "--output", f.hdfs.URI()+"/out")
	if err != nil || !strings.Contains(again, "has finished") {
		t.Errorf("submitting it again: %v\n%s", err, again)
	}
	_, err = f.Thalweg(within(t, time.Minute), "run", "--config-dir", f.ConfDir(), "--job-id", id, filepath.Join(bin, "examples/wordcount"), "--",
		"--input", f.hdfs.URI()+"/in/shakespeare.txt", "--output", f.hdfs.URI()+"/out2")
	if err == nil || !strings.Contains(err.Error(), "taken by another submission") {
		t.Errorf("another submission under the same id: %v", err)
	}
}

func difference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "missing " + want[i]
		case i >= len(want):
			return "too much " + got[i]
		case got[i] != want[i]:
			return "got " + got[i] + ", want " + want[i]
		}
	}
	return "none"
}

// TestEverythingDown kills every process while a job runs, ZooKeeper too, and starts them again: the job goes on by itself, and
// its output is as if nothing had happened.
func TestEverythingDown(t *testing.T) {
	f := start(t, 2, nil)
	log := absolute(t, "../../examples/accesslog/access.log")
	f.put(t, log, f.hdfs.URI()+"/in/access.log")
	id, err := f.Run(within(t, time.Minute), []string{"-p", "2"}, filepath.Join(bin, "examples/accesslog"),
		"--input", f.hdfs.URI()+"/in/access.log", "--output", f.hdfs.URI()+"/out", "--rate", "500", "--splits", "4")
	if err != nil {
		t.Fatal(err)
	}
	before, err := f.WaitFor(within(t, time.Minute), id, atLeastCheckpoints(3))
	if err != nil {
		t.Fatal(err)
	}
	f.KillAll()
	for i := range f.zookeeper.Len() {
		if err := f.zookeeper.Node(i).Kill(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range f.zookeeper.Len() {
		if err := f.zookeeper.Node(i).Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.zookeeper.WaitReady(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.up(t, 2)
	i, err := f.WaitFor(within(t, 2*time.Minute), id, finished)
	if err != nil {
		t.Fatal(err)
	}
	if i.Restarts != before.Restarts+1 {
		t.Errorf("%d restarts, want one more than %d", i.Restarts, before.Restarts)
	}
	got := f.output(t, f.hdfs.URI()+"/out")
	slices.Sort(got)
	want := plainAccessLog(t, log)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d: %s", len(got), len(want), difference(got, want))
	}
}

// TestWhatANewcomerGetsWrong reads the messages.
func TestWhatANewcomerGetsWrong(t *testing.T) {
	f := start(t, 1, nil)
	ctx := within(t, 3*time.Minute)
	conf := []string{"--config-dir", f.ConfDir()}
	wordcount := filepath.Join(bin, "examples/wordcount")
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"an unknown key", append([]string{"list", "-D", "parallelism.defualt=2"}, conf...), []string{"parallelism.defualt", "parallelism.default"}},
		{"a bad value", append([]string{"list", "-D", "heartbeat.interval=soon"}, conf...), []string{"heartbeat.interval", "soon"}},
		{"no such binary", append([]string{"run"}, append(conf, "no-such-file")...), []string{"no-such-file"}},
		{"not a binary", append([]string{"run"}, append(conf, absolute(t, "e2e_test.go"))...), []string{"not an executable binary"}},
		{"a binary that is no job", append([]string{"run"}, append(conf, filepath.Join(bin, "thalweg"), "--", "config", "describe")...), []string{"flow.Main"}},
		{"not a job id", append([]string{"info"}, append(conf, "abc")...), []string{"abc", "32 hexadecimal digits"}},
		{"an unknown job", append([]string{"cancel"}, append(conf, strings.Repeat("0", 32))...), []string{"not found"}},
		{"an input that is missing", append([]string{"run"}, append(conf, "-D", "restart-strategy.type=none", wordcount, "--", "--input", f.hdfs.URI()+"/nothing/here", "--output", f.hdfs.URI()+"/o")...),
			[]string{"/nothing/here"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := f.Thalweg(ctx, c.args...)
			if err == nil {
				t.Fatalf("no error; it printed:\n%s", out)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the message lacks %q:\n%v", w, err)
				}
			}
		})
	}
	t.Run("too few slots", func(t *testing.T) {
		f.put(t, absolute(t, "../../examples/wordcount/shakespeare.txt"), f.hdfs.URI()+"/in/shakespeare.txt")
		id, err := f.Run(ctx, []string{"-p", "9"}, wordcount, "--input", f.hdfs.URI()+"/in/shakespeare.txt", "--output", f.hdfs.URI()+"/slots")
		if err != nil {
			t.Fatal(err)
		}
		i, err := f.WaitFor(within(t, 30*time.Second), id, waits)
		if err != nil {
			t.Fatal(err)
		}
		if want := "needs 9 slots, 4 offered by 1 taskmanager"; !strings.Contains(i.WaitingFor, want) {
			t.Errorf("it waits for %q, want %q", i.WaitingFor, want)
		}
		if out, err := f.Thalweg(ctx, append([]string{"cancel", id}, conf...)...); err != nil || !strings.Contains(out, "Cancelled job "+id) {
			t.Errorf("cancel: %v\n%s", err, out)
		}
	})
}
