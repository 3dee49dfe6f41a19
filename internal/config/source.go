package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rawSetting is a key and a value as they are written, before the table is asked about them.
type rawSetting struct {
	key    string
	value  string
	list   bool // written as a YAML list
	origin Origin
}

// parser reads a file's content. What it cannot read it reports; what it can it returns all the same, so that one run shows every problem.
type parser func(path string, data []byte, p *problems) []rawSetting

// deepest bounds the nesting of a file: the longest key of the table has six parts.
const deepest = 16

// parseYAML reads config.yaml: nested (`taskmanager:` with `host:` below it), flat (`taskmanager.host:`), or a mixture.
func parseYAML(path string, data []byte, p *problems) []rawSetting {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) { // an empty file
			p.add(syntaxOrigin(path, err), "", "", "is not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return nil
	}
	var next yaml.Node
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		p.add(Origin{path, next.Line}, "", "", "has more than one YAML document")
	}
	f := flattener{path: path, problems: p}
	if root := document.Content[0]; !isNull(root) {
		if root.Kind != yaml.MappingNode {
			p.add(Origin{path, root.Line}, "", "", `is not a mapping of keys to values, as "taskmanager.numberOfTaskSlots: 4"`)
			return nil
		}
		f.mapping("", root, 0)
	}
	return f.settings
}

var lineNumber = regexp.MustCompile(`line ([0-9]+)`)

func syntaxOrigin(path string, err error) Origin {
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return Origin{path, n}
		}
	}
	return Origin{Source: path}
}

// flattener joins the keys of nested mappings with dots.
type flattener struct {
	path     string
	problems *problems
	settings []rawSetting
}

func (f *flattener) mapping(prefix string, node *yaml.Node, depth int) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		origin := Origin{f.path, name.Line}
		if name.Kind != yaml.ScalarNode || name.Value == "" {
			f.problems.add(origin, prefix, "", "has a key that is not a word")
			continue
		}
		key := name.Value
		if prefix != "" {
			key = prefix + "." + key
		}
		f.value(key, value, origin, depth)
	}
}

func (f *flattener) value(key string, node *yaml.Node, origin Origin, depth int) {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		f.problems.add(origin, key, "*"+node.Value, "is a YAML anchor or alias, which are not supported here")
	case isNull(node):
		f.problems.add(origin, key, "", "has no value: give one, or remove the line")
	case node.Kind == yaml.ScalarNode:
		f.settings = append(f.settings, rawSetting{key: key, value: strings.TrimSpace(node.Value), origin: origin})
	case node.Kind == yaml.SequenceNode:
		f.sequence(key, node, origin)
	case depth == deepest:
		f.problems.add(origin, key, "", "is nested deeper than any key")
	default:
		f.mapping(key, node, depth+1)
	}
}

func (f *flattener) sequence(key string, node *yaml.Node, origin Origin) {
	var items []string
	for _, item := range node.Content {
		if item.Kind != yaml.ScalarNode || isNull(item) || strings.ContainsAny(item.Value, ",;") {
			f.problems.add(Origin{f.path, item.Line}, key, item.Value, "in a list is not a single value")
			return
		}
		items = append(items, item.Value)
	}
	f.settings = append(f.settings, rawSetting{key: key, value: strings.Join(items, ","), list: true, origin: origin})
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// parseLines reads flink-conf.yaml as Flink does: one `key: value` a line, # begins a comment wherever it stands, nothing is quoted.
func parseLines(path string, data []byte, p *problems) []rawSetting {
	var settings []rawSetting
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		origin := Origin{path, number}
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case ok && key != "" && value != "":
			settings = append(settings, rawSetting{key: key, value: value, origin: origin})
		case strings.HasSuffix(line, ":"):
			p.add(origin, strings.TrimSuffix(line, ":"), "", "has no value: give one, or remove the line")
		default:
			p.add(origin, "", "", strconv.Quote(clip(line))+` is not "key: value"`)
		}
	}
	return settings
}
