package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/thalweg-io/thalweg/test/services"
)

// record is services.json: what runs and how it is reached.
type record struct {
	Supervisor services.Identity `json:"supervisor"`
	Servers    []server          `json:"servers"`
	// Env is what programs are told, also in the file env.
	Env map[string]string `json:"env"`
}

// server is one process.
type server struct {
	Name string `json:"name"`
	services.Identity
	Log string `json:"log"`
}

func recordPath(dir string) string { return filepath.Join(dir, "services.json") }
func envPath(dir string) string    { return filepath.Join(dir, "env") }

// envNames fixes the order in the file env.
var envNames = []string{"ZOOKEEPER_QUORUM", "HDFS_URI", "HADOOP_CONF_DIR", "HADOOP_USER_NAME"}

func (r *record) add(p *services.Process) error {
	id, err := services.Identify(p.PID())
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name(), err)
	}
	r.Servers = append(r.Servers, server{Name: p.Name(), Identity: id, Log: p.LogPath()})
	return nil
}

// write makes both files; services.json last and whole, as it is what others wait for.
func (r *record) write(dir string) error {
	var env strings.Builder
	for _, name := range envNames {
		if value, set := r.Env[name]; set {
			fmt.Fprintf(&env, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
		}
	}
	if err := os.WriteFile(envPath(dir), []byte(env.String()), 0o644); err != nil {
		return err
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	temp := recordPath(dir) + ".new"
	if err := os.WriteFile(temp, append(content, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, recordPath(dir))
}

// read gives the record of a folder, nil if there is none.
func read(dir string) (*record, error) {
	content, err := os.ReadFile(recordPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", recordPath(dir), err)
	}
	return &r, nil
}

func remove(dir string) error {
	var errs []error
	for _, path := range []string{envPath(dir), recordPath(dir)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
