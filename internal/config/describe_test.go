package config

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestDescribe compares what is printed with what was reviewed; docs/configuration.md is the page itself.
func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		golden   string
		describe func(io.Writer) error
	}{
		{filepath.Join("testdata", "describe.txt"), Describe},
		{filepath.Join("..", "..", "docs", "configuration.md"), DescribeMarkdown},
	} {
		var out bytes.Buffer
		if err := tc.describe(&out); err != nil {
			t.Fatal(err)
		}
		if *rewrite {
			if err := os.MkdirAll(filepath.Dir(tc.golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(tc.golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(tc.golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s is not what the table gives: review, then `go test ./internal/config -run TestDescribe -rewrite`", tc.golden)
		}
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
