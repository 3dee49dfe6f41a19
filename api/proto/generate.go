//go:build ignore

// Generate compiles the .proto files of this folder and writes the Go beside them (make proto). It is the compiler (bufbuild/protocompile, which
// is what buf itself is built on) in front of the two official plugins: everything comes from the pins of tools.mod, builds in seconds where
// buf takes minutes, and needs no protoc on the machine.
//
// With -check nothing is written: it says which generated file is not what the .proto files give, and fails.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"
)

// plugins write Go files whose paths follow the .proto file's own, not its import path.
var plugins = []struct{ name, options string }{
	{"protoc-gen-go", "paths=source_relative"},
	{"protoc-gen-go-grpc", "paths=source_relative"},
}

func main() {
	root := flag.String("root", "api/proto", "folder that imports are relative to")
	check := flag.Bool("check", false, "write nothing; fail if a generated file is missing, different or left over")
	flag.Parse()
	if err := run(context.Background(), *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "proto:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, check bool) error {
	sources, old, err := scan(root)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("no .proto file under %s: run from the top of the repository", root)
	}
	request, err := compile(ctx, root, sources)
	if err != nil {
		return err
	}
	fresh := map[string]string{}
	for _, p := range plugins {
		if err := generate(p.name, p.options, request, fresh); err != nil {
			return err
		}
	}
	if check {
		return compare(root, old, fresh)
	}
	return write(root, old, fresh)
}

// scan returns the .proto files and the generated files there are, both relative to root and sorted.
func scan(root string) (sources, generated []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch name = filepath.ToSlash(name); {
		case strings.HasSuffix(name, ".proto"):
			sources = append(sources, name)
		case strings.HasSuffix(name, ".pb.go"):
			generated = append(generated, name)
		}
		return nil
	})
	return sources, generated, err
}

// compile checks the sources and builds the request that every plugin gets: dependencies first, with comments.
func compile(ctx context.Context, root string, sources []string) (*pluginpb.CodeGeneratorRequest, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, sources...)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: sources}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protoutil.ProtoFromFileDescriptor(file))
	}
	for _, file := range files {
		add(file)
	}
	return request, nil
}

// generate runs one plugin and adds the files it gives to out, by name.
func generate(plugin, options string, request *pluginpb.CodeGeneratorRequest, out map[string]string) error {
	request.Parameter = proto.String(options)
	in, err := proto.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s: encode request: %w", plugin, err)
	}
	cmd := exec.Command("go", "tool", "-modfile=tools.mod", plugin)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	reply, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", plugin, err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(reply, &response); err != nil {
		return fmt.Errorf("%s: decode response: %w", plugin, err)
	}
	if response.Error != nil {
		return fmt.Errorf("%s: %s", plugin, response.GetError())
	}
	for _, f := range response.File {
		out[f.GetName()] = f.GetContent()
	}
	return nil
}

// compare reports every difference between what is on disk and what should be.
func compare(root string, old []string, fresh map[string]string) error {
	var differences []error
	for _, name := range sorted(fresh) {
		have, err := os.ReadFile(filepath.Join(root, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			differences = append(differences, fmt.Errorf("%s is missing", filepath.Join(root, name)))
		case err != nil:
			return err
		case string(have) != fresh[name]:
			differences = append(differences, fmt.Errorf("%s is not what its .proto file gives", filepath.Join(root, name)))
		}
	}
	for _, name := range old {
		if _, ok := fresh[name]; !ok {
			differences = append(differences, fmt.Errorf("%s belongs to no .proto file", filepath.Join(root, name)))
		}
	}
	if len(differences) > 0 {
		return fmt.Errorf("generated code is not current, run `make proto` and commit the result:\n%w", errors.Join(differences...))
	}
	return nil
}

// write puts the fresh files in place and removes those that no .proto file gives any more.
func write(root string, old []string, fresh map[string]string) error {
	for _, name := range old {
		if _, ok := fresh[name]; !ok {
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range sorted(fresh) {
		path := filepath.Join(root, name)
		if have, err := os.ReadFile(path); err == nil && string(have) == fresh[name] {
			continue // keeps the time stamp, and with it the build cache
		}
		if err := os.WriteFile(path, []byte(fresh[name]), 0o644); err != nil {
			return err
		}
		fmt.Println("proto: wrote", path)
	}
	return nil
}

func sorted(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
