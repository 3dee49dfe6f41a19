package json

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

type click struct {
	User string    `json:"user"`
	At   time.Time `json:"at"`
	Tags []string  `json:"tags,omitempty"`
}

func TestRoundTrip(t *testing.T) {
	at := time.Date(2015, 5, 17, 10, 5, 3, 7, time.UTC)
	values := []click{{"<a>", at, nil}, {"b\n", at, []string{"x"}}}
	e, err := Lines().Encoder(reflect.TypeFor[click]())
	if err != nil {
		t.Fatal(err)
	}
	b, ends, err := e.Encode([]byte("before\n"), nil, &values)
	if err != nil {
		t.Fatal(err)
	}
	want := "before\n" + `{"user":"<a>","at":"2015-05-17T10:05:03.000000007Z"}` + "\n" + `{"user":"b\n","at":"2015-05-17T10:05:03.000000007Z","tags":["x"]}` + "\n"
	if string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
	d, err := Lines().Decoder(reflect.TypeFor[click]())
	if err != nil {
		t.Fatal(err)
	}
	// What was in the slice before is gone, also where a line has no such field.
	got := []click{{"old", at, []string{"old"}}, {"old", at, nil}}
	if n, err := d.Decode([][]byte{b[len("before\n") : ends[0]-1], b[ends[0] : ends[1]-1]}, &got); n != 2 || err != nil || !reflect.DeepEqual(got, values) {
		t.Errorf("%d, %v, %v", n, err, got)
	}
}

func TestUndecodable(t *testing.T) {
	d, err := Lines().Decoder(reflect.TypeFor[click]())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]click, 3)
	for bad, want := range map[string]string{
		`{"user":"x"`:        "byte 11 of the line: unexpected end of JSON input",
		`{"user":3}`:         "byte 9 of the line: json: cannot unmarshal number",
		``:                   "unexpected end of JSON input",
		`{"user":"x"} {}`:    "byte 14 of the line: invalid character",
		`{"at":"yesterday"}`: "cannot parse",
	} {
		n, err := d.Decode([][]byte{[]byte(`{"user":"fine","unknown":[1]}`), []byte(bad), []byte(`{}`)}, &got)
		if n != 1 || err == nil || !strings.Contains(err.Error(), want) || got[0].User != "fine" {
			t.Errorf("%s: %d, %v", bad, n, err)
		}
	}
}

func TestTypesThatJSONCannotHave(t *testing.T) {
	type inner struct{ C chan int }
	type outer struct{ Inner []inner }
	for _, f := range []func(reflect.Type) error{
		func(t reflect.Type) error { _, err := Lines().Decoder(t); return err },
		func(t reflect.Type) error { _, err := Lines().Encoder(t); return err },
	} {
		if err := f(reflect.TypeFor[outer]()); err == nil || !strings.Contains(err.Error(), "field Inner: field C: JSON has no chan int") {
			t.Errorf("%v", err)
		}
	}
	type recursive struct{ Next *recursive }
	if _, err := Lines().Decoder(reflect.TypeFor[recursive]()); err != nil {
		t.Error(err)
	}
}
