// Command answer prints the naive interpreter's answer to a Nexmark query on generated events: what the answer of anything else has to be,
// line by line.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
	"github.com/thalweg-io/thalweg/bench/nexmark/naive"
)

func main() {
	c := gen.Config{}
	query := flag.String("q", "q0", "`query`, q0 to q22")
	flag.Int64Var(&c.Events, "n", 1_000_000, "`events` over all splits")
	flag.Uint64Var(&c.Seed, "seed", 42, "seed")
	flag.Int64Var(&c.Rate, "rate", 10_000, "`events` per second of event time")
	flag.IntVar(&c.Splits, "splits", 1, "number of splits")
	flag.Parse()
	if err := run(*query, c); err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
		os.Exit(1)
	}
}

func run(query string, c gen.Config) error {
	events, err := gen.InTime(c)
	if err != nil {
		return err
	}
	rows, err := naive.Answer(query, events)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for _, row := range rows {
		if _, err := fmt.Fprintln(out, row); err != nil {
			return err
		}
	}
	return out.Flush()
}
