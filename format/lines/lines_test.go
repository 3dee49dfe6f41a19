package lines

import (
	"reflect"
	"strings"
	"testing"
)

func TestBothTypes(t *testing.T) {
	records := [][]byte{[]byte("a"), {}, []byte("b\r"), []byte("\xff\r\r")}
	want := []string{"a", "", "b", "\xff\r"}

	d, err := Text().Decoder(reflect.TypeFor[string]())
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(records))
	if n, err := d.Decode(records, &texts); n != len(records) || err != nil || !reflect.DeepEqual(texts, want) {
		t.Errorf("%d, %v, %q", n, err, texts)
	}
	raw := make([][]byte, len(records))
	if n, err := d.Decode(records, &raw); n != len(records) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for i := range records { // the decoder keeps nothing of the buffer
		for k := range records[i] {
			records[i][k] = 'x'
		}
	}
	for i := range raw {
		if string(raw[i]) != want[i] || texts[i] != want[i] {
			t.Errorf("%d: %q, %q", i, raw[i], texts[i])
		}
	}

	e, err := Text().Encoder(reflect.TypeFor[string]())
	if err != nil {
		t.Fatal(err)
	}
	for _, values := range []any{&[]string{"a", "", "b"}, &[][]byte{[]byte("a"), {}, []byte("b")}} {
		b, ends, err := e.Encode(nil, nil, values)
		if string(b) != "a\n\nb\n" || !reflect.DeepEqual(ends, []int{2, 3, 5}) || err != nil {
			t.Errorf("%q, %v, %v", b, ends, err)
		}
	}
	for _, values := range []any{&[]string{"a", "b\nc"}, &[][]byte{[]byte("a"), []byte("b\nc")}} {
		b, ends, err := e.Encode(nil, nil, values)
		if err == nil || !strings.Contains(err.Error(), `"b\nc" contains a line end at byte 1`) || len(ends) != 1 || string(b) != "a\n" {
			t.Errorf("%q, %v, %v", b, ends, err)
		}
	}
}

func TestOtherTypes(t *testing.T) {
	if _, err := Text().Decoder(reflect.TypeFor[int]()); err == nil || !strings.Contains(err.Error(), "strings or []byte, not int") {
		t.Errorf("%v", err)
	}
	if _, err := Text(Max(0)).Decoder(reflect.TypeFor[string]()); err == nil || !strings.Contains(err.Error(), "lines.Max(0)") {
		t.Errorf("%v", err)
	}
}

func TestOneAllocationABatch(t *testing.T) {
	d := new(decoder)
	records := make([][]byte, 1000)
	for i := range records {
		records[i] = []byte("some text")
	}
	into := make([]string, len(records))
	if n := testing.AllocsPerRun(10, func() { d.Decode(records, &into) }); n > 1 {
		t.Errorf("%v allocations for a batch", n)
	}
}
