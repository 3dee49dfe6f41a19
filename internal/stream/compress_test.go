package stream

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/codec"
	"github.com/thalweg-io/thalweg/internal/job"
)

// packedFrame is a compressed frame with any body.
func packedFrame(block []byte) []byte {
	return endFrame(append(beginFrame(nil, 1, framePacked), block...), 0)
}

// lyingBlocks are bodies of compressed frames that are not what they say.
func lyingBlocks() map[string][]byte {
	honest := s2.Encode(nil, bytes.Repeat([]byte("thalweg "), 100))
	size, rest := binary.Uvarint(honest)
	resized := func(n uint64) []byte { return append(binary.AppendUvarint(nil, n), honest[rest:]...) }
	return map[string][]byte{
		"nothing":        {},
		"no end of size": {0xff, 0xff},
		"too much":       append(binary.AppendUvarint(nil, mostPacked+1), honest[rest:]...),
		"far too much":   append(binary.AppendUvarint(nil, 1<<40), honest[rest:]...),
		"longer":         resized(size + 1),
		"shorter":        resized(size - 1),
		"cut":            honest[:len(honest)-1],
		"empty":          {0},
		"nothing said":   {5},
		"noise":          append(binary.AppendUvarint(nil, 1000), bytes.Repeat([]byte{0xfe}, 50)...),
	}
}

// TestBlocksThatLie are errors that say what they are, before more memory than is allowed is given for them.
func TestBlocksThatLie(t *testing.T) {
	for name, block := range lyingBlocks() {
		f, b, err := readFrame(bufio.NewReader(bytes.NewReader(packedFrame(block))))
		if err != nil {
			t.Fatal(err)
		}
		e, err := elementOf(f, b)
		if err == nil {
			if e.weight > mostPacked {
				t.Errorf("%s: weighs %d", name, e.weight)
			}
			_, err = NewGate(nil, 0, wireCodec(t), Input[wireRecord](nil)).push(e)
		}
		if !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOnlyWhatGainsIsCompressed: noise, what is short and what is too large for the bound go as they are.
func TestOnlyWhatGainsIsCompressed(t *testing.T) {
	noise := make([]byte, 64<<10)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	even := bytes.Repeat([]byte("thalweg "), mostPacked/8+1)
	for name, c := range map[string]struct {
		body   []byte
		packed bool
	}{
		"noise":     {noise, false},
		"short":     {even[:leastPacked-1], false},
		"not short": {even[:leastPacked], true},
		"full":      {even[:fullFrame], true},
		"largest":   {even[:mostPacked], true},
		"too large": {even[:mostPacked+1], false},
	} {
		f := newBuffer(0)
		f.b = append(beginFrame(f.b, 7, frameRecords), c.body...)
		pack(f)
		endFrame(f.b, 0)
		fr, b, err := readFrame(bufio.NewReader(bytes.NewReader(f.b)))
		if err != nil {
			t.Fatal(err)
		}
		e, err := elementOf(fr, b)
		if err != nil {
			t.Fatal(err)
		}
		if e.packed != c.packed || e.weight != len(c.body) || fr.channel != 7 || len(e.frame) > len(c.body) {
			t.Errorf("%s: compressed %v, in %d bytes, weight %d of %d, channel %d", name, e.packed, len(e.frame), e.weight, len(c.body), fr.channel)
		}
		if body, _, err := e.unpack(); err != nil || !bytes.Equal(body, c.body) {
			t.Errorf("%s: %d bytes came back, of %d: %v", name, len(body), len(c.body), err)
		}
	}
}

// TestCompressionOnLinks: whichever ends of the connections compress, every record comes, in its order, and credit is given in full; fewer bytes travel
// if the sender compresses.
func TestCompressionOnLinks(t *testing.T) {
	const limit = 64 << 10
	plain := int64(0)
	for _, on := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
		t.Run(fmt.Sprintf("sender %v, receiver %v", on[0], on[1]), func(t *testing.T) {
			r := newRec()
			var mu sync.Mutex
			next := map[int64]int{} // how often each number has come
			o := &options{limit: limit, batch: 1024, compress: func(host int) bool { return on[host] }}
			last, falls := int64(-1), 0
			o.push = func(b *Batch[int64]) error {
				mu.Lock()
				defer mu.Unlock()
				for i, v := range b.Values {
					next[v]++
					if b.Times[i] != v {
						return fmt.Errorf("%d came with time %d", v, b.Times[i])
					}
					if i > 0 && v != last+1 {
						falls++
					}
					last = v
				}
				return nil
			}
			hs := start(t, o, r, map[string]int{"s": 1}, 2, nil)
			if !r.wait(t, "ended", 20*time.Second, r.all(thalwegv1.TaskState_TASK_STATE_ENDED, everyone...)) {
				t.Fatalf("not ended: %v", r.states)
			}
			if falls > 0 {
				t.Errorf("%d records are not behind their own in a batch", falls)
			}
			for i := range int64(limit) {
				if next[i] != 2 { // one of each reader
					t.Fatalf("%d came %d times", i, next[i])
				}
			}
			receiver := hs[1].current().tasks[job.TaskID{Vertex: "s"}]
			got := receiver.counters.bytesIn.Load()
			for _, v := range []string{"r0", "r1"} {
				c := hs[0].current().tasks[job.TaskID{Vertex: v}].outs[0]
				for deadline := time.Now().Add(10 * time.Second); !c.room(); runtime.Gosched() { // credit is still on its way
					if time.Now().After(deadline) {
						t.Fatalf("%s: %d batches of %d bytes are unconsumed at the end", v, c.unconsumed.Load(), c.weight.Load())
					}
				}
				if c.weight.Load() < 0 || c.unconsumed.Load() < 0 {
					t.Errorf("%s: %d batches of %d bytes are unconsumed", v, c.unconsumed.Load(), c.weight.Load())
				}
			}
			if !on[0] && plain == 0 {
				plain = got
			}
			if on[0] != (got < plain*7/8) {
				t.Errorf("%d bytes travelled, of %d", got, plain)
			}
		})
	}
}

// TestBlocksOfOthers: a block as another encoder may write it, a literal and a copy, the one of testdata/frames.txt.
func TestBlocksOfOthers(t *testing.T) {
	f, b, err := readFrame(bufio.NewReader(bytes.NewReader(packedFrame([]byte(abcd)))))
	if err != nil {
		t.Fatal(err)
	}
	e, err := elementOf(f, b)
	if err != nil {
		t.Fatal(err)
	}
	if body, _, err := e.unpack(); err != nil || string(body) != "abcdabcdabcdabcd" || e.weight != len(body) {
		t.Errorf("%q of weight %d, %v", body, e.weight, err)
	}
}

// abcd is a block of four times these letters: their number, a literal of four bytes, and a copy of twelve from four before.
const abcd = "\x10\x0cabcd\x2e\x04\x00"
