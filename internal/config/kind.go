package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// kind is a type of values: its name in the documentation, how it is read and how it is written. parse(format(v)) is v.
type kind[T any] struct {
	name   string
	list   bool
	parse  func(string) (T, error)
	format func(T) string
}

// Size is a number of bytes.
type Size int64

func (s Size) String() string { return sizes.format(s) }

// Unlimited is the count written as "unlimited", or as Flink's "infinite" and -1.
const Unlimited = -1

var (
	texts     = kind[string]{name: "text", parse: func(s string) (string, error) { return s, nil }, format: func(s string) string { return s }}
	paths     = kind[string]{name: "directory", parse: texts.parse, format: texts.format}
	uris      = kind[string]{name: "URI", parse: parseURI, format: texts.format}
	lists     = kind[[]string]{name: "list", list: true, parse: parseList, format: func(l []string) string { return strings.Join(l, ",") }}
	booleans  = kind[bool]{name: "true | false", parse: parseBool, format: strconv.FormatBool}
	counts    = kind[int]{name: "number", parse: parseCount, format: formatCount}
	fractions = kind[float64]{name: "fraction", parse: parseFraction, format: func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }}
	durations = kind[time.Duration]{name: "duration", parse: func(s string) (time.Duration, error) { return parseDuration(s, time.Millisecond) }, format: formatDuration}
	// seconds is for keys that Flink has as a plain number of seconds.
	seconds = kind[time.Duration]{name: "duration", parse: func(s string) (time.Duration, error) { return parseDuration(s, time.Second) }, format: formatDuration}
	sizes   = kind[Size]{name: "size", parse: parseSize, format: formatSize}
)

// oneOf is a word out of a few. Case does not matter; synonyms maps other spellings to one of the words.
func oneOf(synonyms map[string]string, words ...string) kind[string] {
	return kind[string]{
		name: strings.Join(words, " | "),
		parse: func(s string) (string, error) {
			word := strings.ToLower(s)
			if to, ok := synonyms[word]; ok {
				word = to
			}
			for _, w := range words {
				if w == word {
					return w, nil
				}
			}
			return "", fmt.Errorf("is not one of %s", strings.Join(words, ", "))
		},
		format: texts.format,
	}
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("is neither true nor false")
}

func parseCount(s string) (int, error) {
	switch strings.ToLower(s) {
	case "unlimited", "infinite":
		return Unlimited, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("is not a whole number")
	}
	return n, nil
}

func formatCount(n int) string {
	if n == Unlimited {
		return "unlimited"
	}
	return strconv.Itoa(n)
}

func parseFraction(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("is not a number")
	}
	return f, nil
}

// parseList splits at commas and at semicolons, which is how Flink writes lists in the flat form.
func parseList(s string) ([]string, error) {
	var list []string
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' }) {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("is an empty list")
	}
	return list, nil
}

var uriForm = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*):/`)

// parseURI takes scheme:/..., or an absolute path, which stands for file://. What schemes there are is the file systems' to say.
func parseURI(s string) (string, error) {
	switch {
	case strings.HasPrefix(s, "/"):
		return "file://" + s, nil
	case uriForm.MatchString(s):
		return s, nil
	}
	return "", fmt.Errorf("is neither a URI, as hdfs:///thalweg or file:///var/lib/thalweg, nor an absolute path")
}

// units maps the spellings of a unit, lower case, to how many of the smallest it is.
type units struct {
	what    string
	example string
	by      map[string]int64
}

var quantity = regexp.MustCompile(`^([0-9]+)\s*([a-zA-Zµμ]*)$`)

// parse reads "<number> <unit>"; a number alone is in units of plain.
func (u units) parse(s string, plain int64) (int64, error) {
	m := quantity.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, fmt.Errorf("is not a %s, as %s", u.what, u.example)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("is too large a %s", u.what)
	}
	unit := plain
	if m[2] != "" {
		var ok bool
		if unit, ok = u.by[strings.ToLower(m[2])]; !ok {
			return 0, fmt.Errorf("has no unit of a %s in %q; write it as %s", u.what, m[2], u.example)
		}
	}
	if n > math.MaxInt64/unit {
		return 0, fmt.Errorf("is too large a %s", u.what)
	}
	return n * unit, nil
}

// byName spells the same amounts in all their names.
func byName(amounts map[int64]string) map[string]int64 {
	by := map[string]int64{}
	for amount, names := range amounts {
		for name := range strings.FieldsSeq(names) {
			by[name] = amount
		}
	}
	return by
}

// The names are those of Flink's TimeUtils and MemorySize.
var (
	timeUnits = units{what: "duration", example: `"10 s", "500 ms" or "1 min"`, by: byName(map[int64]string{
		int64(24 * time.Hour):   "d day days",
		int64(time.Hour):        "h hour hours",
		int64(time.Minute):      "min m minute minutes",
		int64(time.Second):      "s sec secs second seconds",
		int64(time.Millisecond): "ms milli millis millisecond milliseconds",
		int64(time.Microsecond): "µs μs us micro micros microsecond microseconds",
		int64(time.Nanosecond):  "ns nano nanos nanosecond nanoseconds",
	})}
	sizeUnits = units{what: "size", example: `"32 kb", "64m" or "1 gb"`, by: byName(map[int64]string{
		1:       "b bytes",
		1 << 10: "k kb kibibytes",
		1 << 20: "m mb mebibytes",
		1 << 30: "g gb gibibytes",
		1 << 40: "t tb tebibytes",
	})}
)

func parseDuration(s string, plain time.Duration) (time.Duration, error) {
	n, err := timeUnits.parse(s, int64(plain))
	return time.Duration(n), err
}

func formatDuration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d != 0 && d%u.unit == 0 {
			return fmt.Sprintf("%d %s", d/u.unit, u.name)
		}
	}
	if d == 0 {
		return "0 ms"
	}
	return fmt.Sprintf("%d ns", d)
}

func parseSize(s string) (Size, error) {
	n, err := sizeUnits.parse(s, 1)
	return Size(n), err
}

func formatSize(s Size) string {
	for _, u := range []struct {
		shift int
		name  string
	}{{40, "tb"}, {30, "gb"}, {20, "mb"}, {10, "kb"}} {
		if s != 0 && s&(1<<u.shift-1) == 0 {
			return fmt.Sprintf("%d %s", s>>u.shift, u.name)
		}
	}
	return fmt.Sprintf("%d b", s)
}
