package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// printTable prints what has been measured in Markdown, a table for each schedule, machine and commit.
func printTable(w io.Writer, folder string) error {
	var records []Record
	for _, c := range contests {
		r, err := read(folder, c.name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return fmt.Errorf("-table: nothing has been measured in %s", folder)
	}
	for len(records) > 0 {
		heads := records[0]
		same := func(r Record) bool { return r.Schedule == heads.Schedule && r.Machine == heads.Machine }
		var group []Record
		for _, r := range records {
			if same(r) {
				group = append(group, r)
			}
		}
		records = slices.DeleteFunc(records, same)
		markdown(w, group)
	}
	return nil
}

func markdown(w io.Writer, records []Record) {
	m, s := records[0].Machine, records[0].Schedule
	fmt.Fprintf(w, "%d processors, %s; %s, commit %s; seed %d, %d events per second of event time; %s.\n\n", m.Processors, m.Processor, m.Go, either(m.Commit, "unknown"), s.Seed, s.Rate, s)
	fmt.Fprintln(w, "| case | Flink hashmap | Flink RocksDB | Flink, source alone | Thalweg | Thalweg, source alone | ratio | source-bound |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, r := range records {
		bound := ""
		switch thalweg, flink := r.SourceBound(); {
		case thalweg && flink:
			bound = "both"
		case thalweg:
			bound = "Thalweg"
		case flink:
			bound = "Flink"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %.1f | %s |\n", r.Case, millions(median(r.HashMap)), millions(median(r.RocksDB)), millions(r.FlinkSource.PerCore()),
			millions(median(r.Thalweg)), millions(r.ThalwegSource.PerCore()), r.Ratio(), bound)
	}
	fmt.Fprintf(w, "\nMillion events per core-second, medians; the ratio is to Flink's better backend. Source-bound: what costs less than %.1f times its source alone.\n\n", bound)
}

// millions of events per core-second; empty if there is no figure.
func millions(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.3g", n/1e6)
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
