package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// FileName is the configuration file in the configuration folder.
	FileName = "config.yaml"
	// LegacyFileName is Flink's older file, one `key: value` a line, which is not quite YAML. It is read where there is no config.yaml.
	LegacyFileName = "flink-conf.yaml"

	largestFile = 1 << 20
)

// Load reads the configuration folder dir and lays the overrides, each "key=value", over it; of two for one key the later wins. An empty dir
// stands for no file. What is wrong is one *Error that lists all of it.
func Load(dir string, overrides []string) (*Config, error) {
	var p problems
	file := &Config{}
	if dir != "" {
		path, parse, err := find(dir)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		data, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		file = resolve(parse(path, data, &p), false, &p)
	}
	c := resolve(parseOverrides(overrides, &p), true, &p).Over(file)
	if len(p) == 0 {
		checkRules(c, &p)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse reads one configuration file's content in the form of config.yaml. path names it in errors.
func Parse(path string, data []byte) (*Config, error) {
	return parseWith(parseYAML, path, data)
}

func parseWith(parse parser, path string, data []byte) (*Config, error) {
	var p problems
	c := resolve(parse(path, data, &p), false, &p)
	if len(p) == 0 {
		checkRules(c, &p)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// find says which file of the folder is the configuration, and in which form it is.
func find(dir string) (string, parser, error) {
	if info, err := os.Stat(dir); err != nil {
		return "", nil, err
	} else if !info.IsDir() {
		return "", nil, fmt.Errorf("%s is a file: --config-dir wants the folder that %s is in", dir, FileName)
	}
	current, legacy := filepath.Join(dir, FileName), filepath.Join(dir, LegacyFileName)
	hasCurrent, err := exists(current)
	if err != nil {
		return "", nil, err
	}
	hasLegacy, err := exists(legacy)
	if err != nil {
		return "", nil, err
	}
	switch {
	case hasCurrent && hasLegacy:
		return "", nil, fmt.Errorf("both %s and %s are there: remove the one that is not meant", current, legacy)
	case hasCurrent:
		return current, parseYAML, nil
	case hasLegacy:
		return legacy, parseLines, nil
	}
	return "", nil, fmt.Errorf("there is no %s in %s", FileName, dir)
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > largestFile {
		return nil, fmt.Errorf("%s is larger than 1 MiB: it cannot be a configuration", path)
	}
	return data, nil
}

func parseOverrides(overrides []string, p *problems) []rawSetting {
	var raw []rawSetting
	origin := Origin{Source: "-D"}
	for _, o := range overrides {
		key, value, ok := strings.Cut(o, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			p.add(origin, "", "", fmt.Sprintf("%q is not key=value", clip(o)))
			continue
		}
		raw = append(raw, rawSetting{key: key, value: strings.TrimSpace(value), origin: origin})
	}
	return raw
}
