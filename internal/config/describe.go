package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Describe prints the table of keys for a terminal.
func Describe(w io.Writer) error {
	b := bufio.NewWriter(w)
	section := ""
	for _, e := range table {
		if e.section != section {
			if section != "" {
				fmt.Fprintln(b)
			}
			section = e.section
			fmt.Fprintf(b, "%s\n%s\n", section, strings.Repeat("=", len(section)))
		}
		fmt.Fprintf(b, "\n%s\n", e.key)
		fmt.Fprintf(b, "    %s; %s; %s\n", e.kind, e.defaultText(), e.notes())
		if len(e.aliases) > 0 {
			fmt.Fprintf(b, "    older names: %s\n", strings.Join(e.aliases, ", "))
		}
		for _, line := range wrap(e.doc, 96) {
			fmt.Fprintf(b, "    %s\n", line)
		}
	}
	fmt.Fprintf(b, "\n%s\n", strings.Join(wrap(forms, 100), "\n"))
	return b.Flush()
}

// DescribeMarkdown prints the table of keys as a page of documentation.
func DescribeMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# Configuration\n\n%s\n\n%s\n", strings.Join(wrap(sources, 120), "\n"), strings.Join(wrap(forms, 120), "\n"))
	section := ""
	for _, e := range table {
		if e.section != section {
			section = e.section
			fmt.Fprintf(b, "\n## %s\n\n| Key | Type | Default | Of | Meaning |\n| --- | --- | --- | --- | --- |\n", section)
		}
		doc := e.doc
		if len(e.aliases) > 0 {
			doc += " Older names: `" + strings.Join(e.aliases, "`, `") + "`."
		}
		cells := []string{"`" + e.key + "`", e.kind, strings.TrimPrefix(e.defaultText(), "default "), e.notes(), doc}
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.Flush()
}

const (
	sources = "A process reads `config.yaml` in the folder that `--config-dir` (or the variable `THALWEG_CONF_DIR`) names, nested or flat; an " +
		"older `flink-conf.yaml` is read where there is no `config.yaml`. `-D key=value` wins over the file. A key of a job is the default " +
		"of all jobs there, and may be set for one by `thalweg run -D key=value`. An unknown key or a bad value stops the process, with the " +
		"file and the line. `thalweg config describe` prints this table."
	forms = "Durations are a number and a unit (d, h, min, s, ms, us, ns), as \"10 s\"; a number alone is in milliseconds. Sizes are a number and " +
		"a unit (b, kb, mb, gb, tb, of 1024), as \"32 kb\"; a number alone is in bytes."
)

func (e *entry) defaultText() string {
	if e.shown != "" {
		return "default " + e.shown
	}
	if text := e.format(e.fallback); text != "" {
		return "default " + text
	}
	return "not set"
}

func (e *entry) notes() string {
	if e.own {
		return e.scope.String() + " (not in Flink)"
	}
	return e.scope.String()
}

// wrap breaks text into lines of at most width letters, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
