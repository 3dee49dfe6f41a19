package flow_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thalweg-io/thalweg/connector/files"
	"github.com/thalweg-io/thalweg/flow"
	"github.com/thalweg-io/thalweg/format/json"
	"github.com/thalweg-io/thalweg/format/lines"
)

type user struct{ Name string }

// What cannot be decoded fails the job and is named with its file, place and number; or it is left out.
func TestUndecodableRecords(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in.json")
	content := `{"Name":"a"}` + "\n" + `{"Name":` + "\n" + `{"Name":"` + strings.Repeat("x", 100) + `"}` + "\n" + `{"Name":"b"}` + "\n"
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	read := func(j *flow.Job, o ...flow.Option) flow.Stream[string] {
		users := flow.Read[user](j, "users", files.From(name), json.Lines(json.Max(50)), o...)
		return flow.Map(users, "name", func(u user) string { return u.Name })
	}
	equal(t, output(t, func(j *flow.Job) flow.Stream[string] { return read(j, flow.Skip()) }), []string{"a", "b"})

	err := run(t, func(j *flow.Job) { flow.To(read(j), "sink", flow.Sink[string](&collected[string]{})) })
	if err == nil || !strings.Contains(err.Error(), name+", byte 13, record 2 of the split from 0 to") || !strings.Contains(err.Error(), "unexpected end of JSON input") {
		t.Errorf("%v", err)
	}
}

func TestMissingInput(t *testing.T) {
	name := filepath.Join(t.TempDir(), "nothing")
	err := run(t, func(j *flow.Job) {
		flow.To(flow.Read[string](j, "text", files.From(name), lines.Text()), "sink", flow.Sink[string](&collected[string]{}))
	})
	if err == nil || !strings.Contains(err.Error(), "the input "+name+" does not exist") {
		t.Errorf("%v", err)
	}
}

func TestFormatsThatDoNotFit(t *testing.T) {
	_, err := flow.Build("job", 1, func(j *flow.Job) error {
		s := flow.Read[int](j, "text", files.From(""), lines.Text())
		flow.Write(s, "store", files.To(""), lines.Text())
		return nil
	})
	for _, want := range []string{`source "text": format lines has strings or []byte, not int`, `source "text": files.From("")`,
		`sink "store": format lines has`, `sink "store": files.To("")`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}
