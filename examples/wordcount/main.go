// Command wordcount counts the words of text files. A word is a run of the letters A to Z in either case; it is counted in lower case. The
// output has a line "word count" for each, in no order, once the whole input has been read.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/lines"
)

func main() {
	input := flag.String("input", "", "text `file`, directory or pattern to read")
	output := flag.String("output", "", "`directory` to write the counts to")
	parallelism := flag.Int("parallelism", 0, "number of subtasks of each step (default: the job's)")
	flag.Parse()
	if *input == "" || *output == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: wordcount --input FILE --output DIRECTORY [--parallelism N]")
		os.Exit(2)
	}
	flow.Main("wordcount", func(job *flow.Job) error { return build(job, *input, *output, *parallelism) })
}

// build makes the job; parallelism 0 leaves it to the configuration.
func build(job *flow.Job, input, output string, parallelism int) error {
	var read []flow.Option
	from := []files.SourceOption{}
	if parallelism != 0 {
		read = append(read, flow.Parallelism(parallelism))
		from = append(from, files.Splits(max(parallelism, 1)))
	}
	text := flow.Read[string](job, "lines", files.From(input, from...), lines.Text(), read...)
	found := flow.FlatMap(text, "words", words)
	counts := flow.Aggregate(flow.KeyBy(found, func(word string) string { return word }).Window(flow.Global()), "count", flow.Count[string]())
	flow.Write(flow.Map(counts, "format", format), "store", files.To(output), lines.Text())
	return nil
}

// words emits the words of a line.
func words(line string, out *flow.Out[string]) error {
	for {
		begin := strings.IndexFunc(line, letter)
		if begin < 0 {
			return nil
		}
		line = line[begin:]
		end := strings.IndexFunc(line, func(r rune) bool { return !letter(r) })
		if end < 0 {
			end = len(line)
		}
		out.Emit(strings.ToLower(line[:end]))
		line = line[end:]
	}
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func format(p flow.Pane[string, int64]) string { return p.Key + " " + strconv.FormatInt(p.Value, 10) }
