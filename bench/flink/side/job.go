package side

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/queries"
)

// Job is what is run.
type Job struct {
	Query       string // q5; source/q5 is its source alone; keyedcount, and source-keys its source alone
	Seed, Rate  int64
	Parallelism int
	Keys        int64 // of the keyed count
	Exchange    bool  // the count is in another process than its source
	PretouchMiB int64 // of state, before the first record
}

// arguments is the job for the command line of a process.
func (j Job) arguments() []string {
	return []string{"-query", j.Query, "-seed", strconv.FormatInt(j.Seed, 10), "-rate", strconv.FormatInt(j.Rate, 10),
		"-parallelism", strconv.Itoa(j.Parallelism), "-keys", strconv.FormatInt(j.Keys, 10), "-exchange=" + strconv.FormatBool(j.Exchange),
		"-pretouch", strconv.FormatInt(j.PretouchMiB, 10)}
}

// parse is the inverse of arguments, with what is said to one process only.
func parse(args []string) (j Job, peer string, err error) {
	f := flag.NewFlagSet("side", flag.ContinueOnError)
	f.StringVar(&j.Query, "query", "", "")
	f.Int64Var(&j.Seed, "seed", 0, "")
	f.Int64Var(&j.Rate, "rate", 0, "")
	f.IntVar(&j.Parallelism, "parallelism", 1, "")
	f.Int64Var(&j.Keys, "keys", 0, "")
	f.BoolVar(&j.Exchange, "exchange", false, "")
	f.Int64Var(&j.PretouchMiB, "pretouch", 0, "")
	f.StringVar(&peer, "peer", "", "the receiving end; none: of an exchange this is it")
	return j, peer, f.Parse(args)
}

// keyed says whether it is a keyed count or its source.
func (j Job) keyed() bool { return j.Query == "keyedcount" || j.Query == "source-keys" }

// query is the Nexmark query, or the source of one.
func (j Job) query() (queries.Query, error) {
	name, alone := strings.CutPrefix(j.Query, "source/")
	q, err := queries.Find(name)
	if err != nil || !alone {
		return q, err
	}
	return q.SourceOnly()
}

// Check says what is wrong with the job.
func (j Job) Check() error {
	if j.keyed() {
		if j.Keys < 1 {
			return fmt.Errorf("%s of %d keys: there has to be at least one", j.Query, j.Keys)
		}
		return nil
	}
	if j.Exchange {
		return fmt.Errorf("%s: only a keyed count runs in two processes", j.Query)
	}
	if _, err := j.query(); err != nil {
		return err
	}
	return j.config().Check()
}

func (j Job) config() gen.Config {
	return gen.Config{Seed: uint64(j.Seed), Rate: j.Rate, Splits: j.Parallelism}
}
