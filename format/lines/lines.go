// Package lines is the format of plain text: a record is a line without its end, as a string or as []byte.
//
// It owns nothing but the plan for the type. It never interprets a line: bytes go through as they are, whether or not they are UTF-8. A
// carriage return before the end of a line is part of the end. A value to be written must not contain a line end, which would make two
// records of it: that is an error.
package lines

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/thalweg-io/thalweg/flow"
)

// DefaultMax is the most bytes of a line.
const DefaultMax = 1 << 20

// Option adjusts the format.
type Option func(*format)

// Max is the most bytes of a line; a longer one is undecodable.
func Max(n int) Option { return func(f *format) { f.max = n } }

// Text is the format of lines.
func Text(o ...Option) flow.Format {
	f := &format{max: DefaultMax}
	for _, option := range o {
		option(f)
	}
	return f
}

type format struct{ max int }

func (f *format) Framing() flow.Framing { return flow.Framing{Delimiter: '\n', Max: f.max} }
func (f *format) Suffix() string        { return ".txt" }

var (
	stringType = reflect.TypeFor[string]()
	bytesType  = reflect.TypeFor[[]byte]()
)

func (f *format) check(t reflect.Type) error {
	if f.max < 1 {
		return fmt.Errorf("lines.Max(%d): a line has room for at least one byte", f.max)
	}
	if t != stringType && t != bytesType {
		return fmt.Errorf("format lines has strings or []byte, not %v: convert by flow.Map, or use another format", t)
	}
	return nil
}

// Decoder implements flow.Format.
func (f *format) Decoder(t reflect.Type) (flow.Decoder, error) { return new(decoder), f.check(t) }

// Encoder implements flow.Format.
func (f *format) Encoder(t reflect.Type) (flow.Encoder, error) { return encoder{}, f.check(t) }

// decoder copies all lines of a batch into one piece of memory: one allocation a batch.
type decoder struct{ scratch []byte }

func (d *decoder) Decode(records [][]byte, into any) (int, error) {
	size := 0
	for _, r := range records {
		size += len(r)
	}
	switch into := into.(type) {
	case *[]string:
		d.scratch = d.scratch[:0]
		for _, r := range records {
			d.scratch = append(d.scratch, line(r)...)
		}
		all := string(d.scratch)
		for i, r := range records {
			n := len(line(r))
			(*into)[i], all = all[:n], all[n:]
		}
	case *[][]byte:
		all := make([]byte, 0, size)
		for i, r := range records {
			from := len(all)
			all = append(all, line(r)...)
			(*into)[i] = all[from:len(all):len(all)]
		}
	default:
		return 0, fmt.Errorf("format lines was given a %T to fill", into)
	}
	return len(records), nil
}

func line(r []byte) []byte {
	if n := len(r); n > 0 && r[n-1] == '\r' {
		return r[:n-1]
	}
	return r
}

type encoder struct{}

func (encoder) Encode(dst []byte, ends []int, values any) ([]byte, []int, error) {
	switch values := values.(type) {
	case *[]string:
		for _, v := range *values {
			from := len(dst)
			dst = append(append(dst, v...), '\n')
			if err := whole(dst[from : len(dst)-1]); err != nil {
				return dst[:from], ends, err
			}
			ends = append(ends, len(dst))
		}
	case *[][]byte:
		for _, v := range *values {
			if err := whole(v); err != nil {
				return dst, ends, err
			}
			dst = append(append(dst, v...), '\n')
			ends = append(ends, len(dst))
		}
	default:
		return dst, ends, fmt.Errorf("format lines was given a %T to write", values)
	}
	return dst, ends, nil
}

func whole(v []byte) error {
	if i := bytes.IndexByte(v, '\n'); i >= 0 {
		return fmt.Errorf("the value %.60q contains a line end at byte %d: it would be read as two records", v, i)
	}
	return nil
}
