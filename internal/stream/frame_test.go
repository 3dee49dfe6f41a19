package stream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"

	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// wireRecord has a fixed and a variable column.
type wireRecord struct {
	N uint64
	S string
}

func wireCodec(t testing.TB) codec.Codec[wireRecord] {
	t.Helper()
	c, err := codec.For[wireRecord]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestElementsSurviveTheirFrames(t *testing.T) {
	sent := []element{
		{kind: watermark, at: -5}, {kind: watermark, at: MaxWatermark}, {kind: idle}, {kind: cancelMarker, id: 9}, {kind: end}, {kind: finished}, {kind: noMoreSplits}, {kind: slowest, at: -7},
		{kind: barrier, barrier: align.Barrier{Epoch: 3, ID: 7, Base: 6, Deadline: time.Second, Final: true}},
		{kind: assignment, payload: []byte("split")},
	}
	var b bytes.Buffer
	for i, e := range sent {
		b.Write(appendElement(nil, uint32(i), e))
	}
	r := bufio.NewReader(&b)
	for i, want := range sent {
		f, b, err := readFrame(r)
		if err != nil || f.channel != uint32(i) {
			t.Fatalf("frame %d: channel %d, %v", i, f.channel, err)
		}
		got, err := elementOf(f, b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("frame %d: got %+v, %v; want %+v", i, got, err, want)
		}
	}
	if _, _, err := readFrame(r); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestEveryFlippedBitIsNoticed: a frame is either what was sent or an error.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	frame := appendElement(nil, 5, element{kind: barrier, barrier: align.Barrier{Epoch: 1, ID: 2}})
	for bit := range 8 * len(frame) {
		damaged := bytes.Clone(frame)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(damaged))); err == nil {
			t.Errorf("bit %d flipped, and no error", bit)
		}
	}
}

func TestBatchesSurviveTheirEncoding(t *testing.T) {
	c := wireCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "n")
		in := &Batch[wireRecord]{Split: -1}
		mode := rapid.SampledFrom([]string{"none", "near", "far", "mixed"}).Draw(t, "times")
		hashed := rapid.Bool().Draw(t, "hashed")
		for range n {
			in.Values = append(in.Values, wireRecord{rapid.Uint64().Draw(t, "v"), rapid.String().Draw(t, "s")})
			at := NoTime
			switch mode {
			case "near":
				at = 1e18 + rapid.Int64Range(0, 1e9).Draw(t, "at")
			case "far":
				at = rapid.Int64Range(-9e18, 9e18).Draw(t, "at")
			case "mixed":
				if rapid.Bool().Draw(t, "timed") {
					at = rapid.Int64().Draw(t, "at")
				}
			}
			in.Times = append(in.Times, at)
			if hashed {
				in.Hashes = append(in.Hashes, rapid.Uint64().Draw(t, "h"))
			}
		}
		b, err := appendBatch(nil, c, in)
		if err != nil {
			t.Fatal(err)
		}
		out := &Batch[wireRecord]{}
		if err := decodeBatch(b, c, out); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(out.Values, in.Values) || !reflect.DeepEqual(out.Times, in.Times) || len(out.Hashes) != len(in.Hashes) || hashed && !reflect.DeepEqual(out.Hashes, in.Hashes) {
			t.Fatalf("got %+v, want %+v", out, in)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(appendElement(nil, 1, element{kind: barrier, barrier: align.Barrier{Epoch: 1, ID: 2}}))
	f.Add(appendElement(nil, 1, element{kind: assignment, payload: []byte("x")}))
	for _, block := range lyingBlocks() {
		f.Add(packedFrame(block))
	}
	f.Add(packedFrame(s2.Encode(nil, bytes.Repeat([]byte("river"), 100))))
	f.Fuzz(func(t *testing.T, in []byte) {
		fr, b, err := readFrame(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		e, err := elementOf(fr, b)
		if err != nil && !errors.Is(err, codec.ErrCorrupt) {
			t.Fatalf("unmarked error: %v", err)
		}
		if err != nil || e.kind != records {
			return
		}
		if e.packed && e.weight > mostPacked {
			t.Fatalf("a block of %d bytes is said to need %d", len(e.frame), e.weight)
		}
		switch body, _, err := e.unpack(); {
		case err != nil && !errors.Is(err, codec.ErrCorrupt):
			t.Fatalf("unmarked error: %v", err)
		case err == nil && len(body) != e.weight:
			t.Fatalf("%d bytes weigh %d", len(body), e.weight)
		}
	})
}

func FuzzBatch(f *testing.F) {
	c := wireCodec(f)
	b, err := appendBatch(nil, c, &Batch[wireRecord]{Values: []wireRecord{{1, "a"}, {2, "bc"}}, Times: []int64{5, 6}, Hashes: []uint64{7, 8}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, in []byte) {
		out := &Batch[wireRecord]{}
		if err := decodeBatch(in, c, out); err != nil {
			if !errors.Is(err, codec.ErrCorrupt) {
				t.Fatalf("unmarked error: %v", err)
			}
			return
		}
		if len(out.Values) != len(out.Times) || len(out.Hashes) != 0 && len(out.Hashes) != len(out.Values) {
			t.Fatalf("columns of %d, %d and %d", len(out.Values), len(out.Times), len(out.Hashes))
		}
	})
}

// What a sender lets pass, a receiver takes: the largest split and the largest event are just within a frame. Beyond, nothing is sent.
func TestTheLargestPayloadFits(t *testing.T) {
	largest := make([]byte, maxPayload)
	for what, f := range map[string][]byte{
		"split": appendElement(nil, 1, element{kind: assignment, payload: largest}),
		"event": appendRequest(nil, 1, largest, false),
	} {
		_, b, err := readFrame(bufio.NewReader(bytes.NewReader(f)))
		if err != nil {
			t.Errorf("the largest %s: %v", what, err)
			continue
		}
		b.free()
	}
	in := newInChannel(&task{wake: make(chan struct{}, 1)}, 0)
	reader := &task{inputs: []*inChannel{in}}
	coordinator := &CoordinatorContext{t: &task{outs: []*outChannel{{local: in}}}}
	if err := coordinator.Assign(0, append(largest, 0)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("a split of %d bytes for reader 0: at most %d", maxPayload+1, maxPayload)) {
		t.Errorf("a split that is too large: %v", err)
	}
	if err := (&TaskContext{reader}).Request(append(largest, 0)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("an event of %d bytes for the enumerator: at most %d", maxPayload+1, maxPayload)) {
		t.Errorf("an event that is too large: %v", err)
	}
	if in.size.Load() != 0 || len(in.mu.asked) != 0 {
		t.Error("it was sent nevertheless")
	}
	if err := coordinator.Assign(0, largest); err != nil || in.size.Load() != 1 {
		t.Errorf("the largest split: %v, %d elements", err, in.size.Load())
	}
}
