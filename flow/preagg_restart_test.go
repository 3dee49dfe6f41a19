package flow_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Partial aggregates are in no checkpoint, so all of them have to be before its barrier: each record counts once, though the job fails in the middle of
// every window.
func TestPartialsSurviveARestart(t *testing.T) {
	for name, w := range map[string]flow.Window{
		"tumbling": flow.Tumbling(3 * time.Second),
		"sliding":  flow.Sliding(3*time.Second, time.Second),
		"global":   flow.Global(),
	} {
		for _, options := range [][]flow.Option{nil, {flow.NoPreAggregation()}} {
			t.Run(fmt.Sprint(name, len(options)), func(t *testing.T) {
				t.Parallel()
				got := restarted(t, func(j *flow.Job, r *restarting) flow.Stream[string] {
					s := flow.From(j, "views", halves(r, views(3000, 5), views(3000, 5)), flow.Parallelism(2)).EventTime(view.time)
					counts := flow.Aggregate(flow.KeyBy(s, view.user).Window(w), "count", flow.Count[view](), append(options, flow.Parallelism(3))...)
					return flow.Map(counts, "show", func(p flow.Pane[int64, int64]) string {
						if p.Start.IsZero() {
							return fmt.Sprint(p.Key, ": ", p.Value)
						}
						return fmt.Sprint(p.Key, " from ", p.Start.UnixMilli(), ": ", p.Value)
					})
				})
				var want []string
				for user := range 5 {
					switch name {
					case "tumbling":
						want = append(want, fmt.Sprint(user, " from 0: 1200"))
					case "global":
						want = append(want, fmt.Sprint(user, ": 1200"))
					case "sliding":
						for i, n := range []int{400, 800, 1200, 800, 400} {
							want = append(want, fmt.Sprint(user, " from ", (i-2)*1000, ": ", n))
						}
					}
				}
				slices.Sort(want)
				equal(t, got, want)
			})
		}
	}
}
