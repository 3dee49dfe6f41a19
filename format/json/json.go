// Package json is the format of JSON lines: one JSON value a line, read and written by encoding/json as its struct tags say. Fields that the
// type does not have are left out; fields that a line does not have stay zero; empty lines are undecodable.
//
// It owns nothing but the plan for the type. It never reads a value over several lines.
package json

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/thalweg-io/thalweg/flow"
)

// DefaultMax is the most bytes of a line.
const DefaultMax = 8 << 20

// Option adjusts the format.
type Option func(*format)

// Max is the most bytes of a line; a longer one is undecodable.
func Max(n int) Option { return func(f *format) { f.max = n } }

// Lines is the format of one JSON value a line.
func Lines(o ...Option) flow.Format {
	f := &format{max: DefaultMax}
	for _, option := range o {
		option(f)
	}
	return f
}

type format struct{ max int }

func (f *format) Framing() flow.Framing { return flow.Framing{Delimiter: '\n', Max: f.max} }
func (f *format) Suffix() string        { return ".json" }

// Decoder implements flow.Format.
func (f *format) Decoder(t reflect.Type) (flow.Decoder, error) {
	if f.max < 1 {
		return nil, fmt.Errorf("json.Max(%d): a line has room for at least one byte", f.max)
	}
	if err := check(t, make(map[reflect.Type]bool)); err != nil {
		return nil, fmt.Errorf("format json cannot read %v: %w", t, err)
	}
	return decoder{}, nil
}

// Encoder implements flow.Format.
func (f *format) Encoder(t reflect.Type) (flow.Encoder, error) {
	if err := check(t, make(map[reflect.Type]bool)); err != nil {
		return nil, fmt.Errorf("format json cannot write %v: %w", t, err)
	}
	return new(encoder), nil
}

var (
	marshaler   = reflect.TypeFor[json.Marshaler]()
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// check finds what encoding/json would only refuse when it meets a value.
func check(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] || t.Implements(marshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("JSON has no %v", t)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return check(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				continue
			}
			if err := check(f.Type, seen); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

type decoder struct{}

func (decoder) Decode(records [][]byte, into any) (int, error) {
	all := reflect.ValueOf(into).Elem()
	for i, r := range records {
		v := all.Index(i)
		v.SetZero() // what the line does not have is zero, not what was there before
		if err := json.Unmarshal(r, v.Addr().Interface()); err != nil {
			return i, explain(r, err)
		}
	}
	return len(records), nil
}

// explain adds the place in the line, and some of the line.
func explain(line []byte, err error) error {
	at := int64(-1)
	var syntax *json.SyntaxError
	var value *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &value):
		at = value.Offset
	}
	if at < 0 {
		return fmt.Errorf("JSON: %w in %.80q", err, line)
	}
	return fmt.Errorf("JSON, byte %d of the line: %w in %.80q", at, err, line)
}

// encoder writes into one buffer; HTML is not escaped.
type encoder struct {
	buffer bytes.Buffer
	json   *json.Encoder
}

func (e *encoder) Encode(dst []byte, ends []int, values any) ([]byte, []int, error) {
	if e.json == nil {
		e.json = json.NewEncoder(&e.buffer)
		e.json.SetEscapeHTML(false)
	}
	all := reflect.ValueOf(values).Elem()
	for i := range all.Len() {
		e.buffer.Reset()
		if err := e.json.Encode(all.Index(i).Addr().Interface()); err != nil { // it ends each value with a line end
			return dst, ends, fmt.Errorf("JSON: %w", err)
		}
		dst = append(dst, e.buffer.Bytes()...)
		ends = append(ends, len(dst))
	}
	return dst, ends, nil
}
