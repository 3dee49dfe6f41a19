package config

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/thalweg-io/thalweg/internal/golden"
)

// TestDescribe compares what is printed with what was reviewed; docs/configuration.md is the page itself.
func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		name     string
		describe func(io.Writer) error
	}{
		{filepath.Join("testdata", "describe.txt"), Describe},
		{filepath.Join("..", "..", "docs", "configuration.md"), DescribeMarkdown},
	} {
		var out bytes.Buffer
		if err := tc.describe(&out); err != nil {
			t.Fatal(err)
		}
		golden.File(t, tc.name, out.Bytes())
	}
}

// failing is a writer whose disk is full.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestDescribeReportsWriteErrors(t *testing.T) {
	if err := Describe(failing{}); err == nil {
		t.Error("Describe: no error")
	}
	if err := DescribeMarkdown(failing{}); err == nil {
		t.Error("DescribeMarkdown: no error")
	}
}
