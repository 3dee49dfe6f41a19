// Command gensum prints the checksum of Nexmark events, by which another implementation of the generator is compared, or the events
// themselves, by which it is found where the two differ. It makes nothing else of them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/thalweg-io/thalweg/bench/nexmark/gen"
)

func main() {
	c := gen.Config{}
	flag.Int64Var(&c.Events, "n", 1_000_000, "`events` over all splits")
	flag.Uint64Var(&c.Seed, "seed", 42, "seed")
	flag.Int64Var(&c.Rate, "rate", 10_000, "`events` per second of event time")
	flag.IntVar(&c.Splits, "splits", 1, "number of splits")
	lines := flag.Bool("print", false, "print the events as lines instead")
	flag.Parse()
	if err := run(c, *lines); err != nil {
		fmt.Fprintln(os.Stderr, "gensum:", err)
		os.Exit(1)
	}
}

func run(c gen.Config, lines bool) error {
	if !lines {
		sum, err := gen.Checksum(c)
		if err == nil {
			fmt.Printf("%016x\n", sum)
		}
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	err := gen.Lines(c, func(line []byte) error {
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return err
	}
	return out.Flush()
}
