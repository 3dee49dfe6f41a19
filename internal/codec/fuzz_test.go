package codec

import (
	"bytes"
	"errors"
	"net/url"
	"runtime"
	"testing"
	"time"
)

// allocated is what f allocates, in bytes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// plain is everything but maps, whose memory Go decides, and MarshalBinary, whose memory the type decides.
type plain struct {
	Bool  bool
	Raw   [5]byte
	Flags [2]bool
	Str   string
	Names [2]string
	Bytes []byte
	At    time.Time
	Ats   []time.Time
	Tags  [][]string
	Ptr   **Inner
	Units []struct{}
	Few   [2]small
}

// FuzzDecode: hostile bytes are refused or decoded, never a panic; memory stays in proportion; what is decoded survives another round.
func FuzzDecode(f *testing.F) {
	p := &Inner{1, 2, &small{3, "x"}}
	seed(f, []plain{{}, {Bool: true, Str: "text", Bytes: []byte{1}, At: time.Unix(1, 1), Ats: []time.Time{{}, time.Unix(1<<40, 5)},
		Tags: [][]string{nil, {}, {"a", ""}}, Ptr: &p, Units: make([]struct{}, 1000), Few: [2]small{{1, "y"}}}})
	f.Fuzz(func(t *testing.T, count uint16, src []byte) {
		c := mustFor[plain](t)
		dst := make([]plain, int(count)%(len(src)/c.Schema().MinSize()+2))
		var rest []byte
		var err error
		if n, most := allocated(func() { rest, err = c.Decode(src, dst) }), uint64(16*len(src)+1<<20); n > most {
			t.Fatalf("%d bytes allocated for %d, at most %d allowed", n, len(src), most)
		}
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("not marked: %v", err)
			}
			return
		}
		again(t, c, dst, len(src)-len(rest))
	})
}

// FuzzDecodeMaps is the same for what has no bound of its own.
func FuzzDecodeMaps(f *testing.F) {
	type maps struct {
		M map[string]map[bool]*string
		Z map[struct{}]struct{}
		U url.URL
	}
	s := "x"
	seed(f, []maps{{}, {M: map[string]map[bool]*string{"a": nil, "b": {true: &s}}, Z: map[struct{}]struct{}{{}: {}}, U: url.URL{Host: "h"}}})
	f.Fuzz(func(t *testing.T, count uint16, src []byte) {
		c := mustFor[maps](t)
		dst := make([]maps, int(count)%(len(src)/c.Schema().MinSize()+2))
		var err error
		if n, most := allocated(func() { _, err = c.Decode(src, dst) }), uint64(128*len(src)+1<<20); n > most {
			t.Fatalf("%d bytes allocated for %d, at most %d allowed", n, len(src), most)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("not marked: %v", err)
		}
	})
}

func seed[T any](f *testing.F, vs []T) {
	b, err := mustFor[T](f).Append(nil, vs)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(len(vs)), b)
	f.Add(uint16(1), b[:len(b)/2])
	f.Add(uint16(0), []byte{})
}

// again encodes what was decoded: it takes no more bytes than it came from, and is the same after another round.
func again[T any](t *testing.T, c Codec[T], vs []T, took int) {
	b, err := c.Append(nil, vs)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > took {
		t.Fatalf("%d bytes decoded, %d encoded", took, len(b))
	}
	back := make([]T, len(vs))
	if rest, err := c.Decode(b, back); err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	if b2, err := c.Append(nil, back); err != nil || !bytes.Equal(b, b2) {
		t.Fatalf("%x becomes %x, %v", b, b2, err)
	}
}

// TestHostileLengths: bytes that announce far more than there is cost nothing.
func TestHostileLengths(t *testing.T) {
	big := []byte{width32, 0xff, 0xff, 0xff, 0xff}
	for name, decode := range map[string]func() error{
		"string": decodeOne[string](t, big), "bytes": decodeOne[[]byte](t, big), "slice": decodeOne[[]uint64](t, big),
		"map": decodeOne[map[int64]bool](t, big), "map of nothing": decodeOne[map[struct{}]struct{}](t, big),
		"slice of slices": decodeOne[[][]string](t, big), "self": decodeOne[url.URL](t, big),
	} {
		var err error
		if n := allocated(func() { err = decode() }); n > 1<<20 || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d bytes allocated, %v", name, n, err)
		}
	}
	var many [1000]uint64
	if _, err := mustFor[uint64](t).Decode(make([]byte, 7999), many[:]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("1000 numbers in 7999 bytes: %v", err)
	}
}

func decodeOne[T any](t *testing.T, src []byte) func() error {
	c := mustFor[T](t)
	return func() error { _, err := c.Decode(src, make([]T, 1)); return err }
}
