package flow_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// shy is a source of three splits in one reader: split 1 has nothing when it is asked for the first time, and everything the second time. Between
// them the others give a batch each.
type shy struct{ splits fixed[int] }

func (s shy) Enumerator(flow.Task, [][]byte) (flow.Enumerator, error) {
	return flow.Spread([][]byte{[]byte("0 0"), []byte("1 0"), []byte("2 0")}), nil
}

func (s shy) Reader(t flow.Task, split []byte) (flow.Reader[int], error) {
	in, err := s.splits.Reader(t, split)
	return &shyReader{in.(*fixedReader[int]), string(split) != "1 0"}, err
}

type shyReader struct {
	*fixedReader[int]
	asked bool
}

func (s *shyReader) Read(dst []int) (int, flow.Next, error) {
	if !s.asked {
		s.asked = true
		return 0, flow.WaitUntil(time.Now()), nil
	}
	return s.fixedReader.Read(dst)
}

// The time that a chain takes for the records of one split is not another's silence: nothing of it is late.
func TestASlowChainMakesNobodyIdle(t *testing.T) {
	const idle = 20 * time.Millisecond
	var slow []int
	for at := range 16 {
		slow = append(slow, slices.Repeat([]int{1000 + at}, 256)...) // each 256 records may have a watermark behind them
	}
	splits := fixed[int]{slow, {5}, slow}
	got := output(t, func(j *flow.Job) flow.Stream[string] {
		s := flow.From(j, "shy", flow.Source[int](shy{splits}), flow.Parallelism(1)).
			EventTime(func(i int) time.Time { return time.Unix(int64(i), 0) }, flow.Idle(idle))
		s = flow.MapBatch(s, "slow", func(in []int, out []int) []int {
			time.Sleep(2 * idle)
			return append(out, in...)
		})
		w := flow.KeyBy(s, func(int) bool { return true }).Window(flow.Tumbling(1000 * time.Second))
		return flow.AggregateThen(w, "count", flow.Count[int](), func(p flow.Pane[bool, int64], out *flow.Out[string]) error {
			out.Emit(fmt.Sprintf("%04d %d", p.Start.Unix(), p.Value))
			return nil
		})
	})
	equal(t, got, []string{"0000 1", fmt.Sprintf("1000 %d", 2*len(slow))})
}
