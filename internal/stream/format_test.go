package stream

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/golden"
	"github.com/thalweg-io/thalweg/internal/stream/align"
)

// TestFrameFormat: frames are, byte by byte, what docs/format/exchange.md says of exchangeVersion. A difference means that workers of before do not
// understand them: raise exchangeVersion and change the document first.
func TestFrameFormat(t *testing.T) {
	c := wireCodec(t)
	records := func(b *Batch[wireRecord]) []byte {
		f, err := appendBatch(beginFrame(nil, 7, frameRecords), c, b)
		if err != nil {
			t.Fatal(err)
		}
		return endFrame(f, 0)
	}
	values := []wireRecord{{1, "a"}, {0x0203, "bc"}}
	frames := []struct {
		name  string
		bytes []byte
	}{
		{"open", appendOpen(nil, 7, channelName{2, 3, 4})},
		{"records without times", records(&Batch[wireRecord]{Values: values, Times: []int64{NoTime, NoTime}})},
		{"records with near times", records(&Batch[wireRecord]{Values: values, Times: []int64{1e18 + 5, 1e18}})},
		{"records with raw times", records(&Batch[wireRecord]{Values: values, Times: []int64{NoTime, 1}})},
		{"compressed records", packedFrame([]byte(abcd))},
		{"records with hashes", records(&Batch[wireRecord]{Values: values, Times: []int64{5, 6}, Hashes: []uint64{7, 8}})},
		{"watermark", appendElement(nil, 7, element{kind: watermark, at: -2})},
		{"idle", appendElement(nil, 7, element{kind: idle})},
		{"barrier", appendElement(nil, 7, element{kind: barrier, barrier: align.Barrier{Epoch: 1, ID: 2, Base: 3, Deadline: time.Second, Final: true}})},
		{"cancel marker", appendElement(nil, 7, element{kind: cancelMarker, id: 2})},
		{"end", appendElement(nil, 7, element{kind: end})},
		{"finished", appendElement(nil, 7, element{kind: finished})},
		{"assignment", appendElement(nil, 7, element{kind: assignment, payload: []byte("split")})},
		{"no more splits", appendElement(nil, 7, element{kind: noMoreSplits})},
		{"slowest", appendElement(nil, 7, element{kind: slowest, at: -2})},
		{"credit", appendCredit(nil, 7, 8, 65536)},
		{"request", appendRequest(nil, 7, []byte("event"), false)},
		{"request of an ended reader", appendRequest(nil, 7, nil, true)},
	}
	var got strings.Builder
	fmt.Fprintf(&got, "version %d\n", exchangeVersion)
	for _, f := range frames {
		fmt.Fprintf(&got, "%s: %s\n", f.name, hex.EncodeToString(f.bytes))
		if _, _, err := readFrame(bufio.NewReader(bytes.NewReader(f.bytes))); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	golden.File(t, "testdata/frames.txt", []byte(got.String()))
}
