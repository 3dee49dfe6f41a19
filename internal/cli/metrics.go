package cli

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
	"github.com/thalweg-io/thalweg/internal/progress"
)

// taskRow is a line of the tables of tasks: one subtask, or several of a vertex together.
type taskRow struct {
	name        string
	states      map[thalwegv1.TaskState]int
	taskmanager string // of one subtask

	recordsIn, recordsOut, bytesIn, bytesOut int64 // sums
	late, skipped                            int64
	rates                                    *thalwegv1.TaskRates // records and bytes are sums; times are the most busy, least idle, most backpressured
	watermark                                *int64               // the lowest of those that have one
	checkpoint                               *thalwegv1.TaskCheckpoint
}

// rowOf is the row of one subtask.
func rowOf(v *thalwegv1.Vertex, t *thalwegv1.TaskStatus) *taskRow {
	r, c := t.Report, t.Report.GetCounters()
	row := &taskRow{
		name: fmt.Sprintf("%s (%d/%d)", v.GetName(), r.Task.Subtask+1, v.GetParallelism()), states: map[thalwegv1.TaskState]int{r.State: 1}, taskmanager: t.Taskmanager,
		recordsIn: c.GetRecordsIn(), recordsOut: c.GetRecordsOut(), bytesIn: c.GetBytesIn(), bytesOut: c.GetBytesOut(), late: c.GetLate(), skipped: c.GetSkipped(),
		rates: c.GetRates(), checkpoint: c.GetCheckpoint(),
	}
	if c != nil {
		row.watermark = c.InputWatermark
		if row.watermark == nil { // of a source, which has no input
			row.watermark = c.OutputWatermark
		}
	}
	return row
}

// add joins another subtask's row.
func (r *taskRow) add(o *taskRow) {
	for s, n := range o.states {
		r.states[s] += n
	}
	r.recordsIn, r.recordsOut, r.bytesIn, r.bytesOut = r.recordsIn+o.recordsIn, r.recordsOut+o.recordsOut, r.bytesIn+o.bytesIn, r.bytesOut+o.bytesOut
	r.late, r.skipped = r.late+o.late, r.skipped+o.skipped
	if x, y := r.rates, o.rates; x == nil {
		r.rates = y
	} else if y != nil {
		r.rates = &thalwegv1.TaskRates{
			RecordsIn: x.RecordsIn + y.RecordsIn, RecordsOut: x.RecordsOut + y.RecordsOut, BytesIn: x.BytesIn + y.BytesIn, BytesOut: x.BytesOut + y.BytesOut,
			BusyMs: max(x.BusyMs, y.BusyMs), IdleMs: min(x.IdleMs, y.IdleMs), BackpressuredMs: max(x.BackpressuredMs, y.BackpressuredMs),
		}
	}
	if r.watermark == nil || o.watermark != nil && *o.watermark < *r.watermark { // a reader without splits never has one
		r.watermark = o.watermark
	}
	switch x, y := r.checkpoint, o.checkpoint; {
	case x.GetId() < y.GetId():
		r.checkpoint = y
	case x != nil && x.Id == y.GetId():
		r.checkpoint = &thalwegv1.TaskCheckpoint{Id: x.Id, Bytes: x.Bytes + y.Bytes, AlignmentNs: max(x.AlignmentNs, y.AlignmentNs),
			SyncNs: max(x.SyncNs, y.SyncNs), AsyncNs: max(x.AsyncNs, y.AsyncNs)}
	}
}

// taskRows are the rows of a job, in the order of its graph.
func taskRows(i *thalwegv1.JobInfo, subtasks bool) []*taskRow {
	var rows []*taskRow
	for _, v := range i.Graph.GetVertices() {
		var vertex *taskRow
		for _, t := range i.Tasks {
			switch row := rowOf(v, t); {
			case t.Report.Task.Vertex != v.Id:
			case subtasks:
				rows = append(rows, row)
			case vertex == nil:
				row.name, row.taskmanager, vertex = v.Name, "", row
				rows = append(rows, row)
			default:
				vertex.add(row)
			}
		}
	}
	return rows
}

func printTasks(out io.Writer, i *thalwegv1.JobInfo, subtasks bool) {
	rows := taskRows(i, subtasks)
	if len(rows) == 0 {
		return
	}
	title, first := "Vertices", "VERTEX"
	if subtasks {
		title, first = "Subtasks", "SUBTASK"
	}
	fmt.Fprintf(out, "\n%s\n", title)
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	heads := first + "\tSTATE\tIN\tOUT\tIN/S\tOUT/S\tBYTES IN\tBYTES OUT\tBUSY\tIDLE\tBACKPRESSURED\tWATERMARK"
	if subtasks {
		heads += "\tTASKMANAGER"
	}
	fmt.Fprintln(w, "  "+heads)
	for _, r := range rows {
		line := fmt.Sprintf("  %s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", r.name, stateText(r.states), r.recordsIn, r.recordsOut,
			rateText(r.rates, r.rates.GetRecordsIn()), rateText(r.rates, r.rates.GetRecordsOut()), progress.Bytes(r.bytesIn), progress.Bytes(r.bytesOut),
			partText(r.rates, r.rates.GetBusyMs()), partText(r.rates, r.rates.GetIdleMs()), partText(r.rates, r.rates.GetBackpressuredMs()), watermarkText(r.watermark))
		if subtasks {
			line += "\t" + r.taskmanager
		}
		fmt.Fprintln(w, line)
	}
	w.Flush()
	for _, r := range rows {
		if r.late > 0 || r.skipped > 0 {
			fmt.Fprintf(out, "  %s: %d late records, %d skipped\n", r.name, r.late, r.skipped)
		}
	}
	printParts(out, first, rows)
}

// printParts shows what each had to do for the newest checkpoint.
func printParts(out io.Writer, first string, rows []*taskRow) {
	if !slices.ContainsFunc(rows, func(r *taskRow) bool { return r.checkpoint != nil }) {
		return
	}
	fmt.Fprintln(out, "\nCheckpoints")
	w := tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)
	fmt.Fprintf(w, "  %s\tCHECKPOINT\tSIZE\tALIGNMENT\tSYNC\tASYNC\n", first)
	for _, r := range rows {
		if c := r.checkpoint; c != nil {
			fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\n", r.name, c.Id, progress.Bytes(c.Bytes), shortText(c.AlignmentNs), shortText(c.SyncNs), shortText(c.AsyncNs))
		}
	}
	w.Flush()
}

// stateText is one state, or how many are in each.
func stateText(states map[thalwegv1.TaskState]int) string {
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(states)) {
		if len(states) == 1 {
			return progress.TaskStateName(s)
		}
		parts = append(parts, fmt.Sprintf("%d %s", states[s], progress.TaskStateName(s)))
	}
	return strings.Join(parts, ", ")
}

// none stands for what is not known, as before the first second or after the end.
const none = "-"

func rateText(r *thalwegv1.TaskRates, perSecond float64) string {
	if r == nil {
		return none
	}
	return fmt.Sprintf("%.0f", perSecond)
}

// partText is a part of a second in percent.
func partText(r *thalwegv1.TaskRates, ms float64) string {
	if r == nil {
		return none
	}
	return fmt.Sprintf("%.0f%%", min(ms/10, 100))
}

func watermarkText(at *int64) string {
	switch {
	case at == nil:
		return none
	case *at == math.MaxInt64:
		return "end"
	}
	return time.Unix(0, *at).UTC().Format("2006-01-02T15:04:05.000Z")
}

// shortText is a duration to about three digits.
func shortText(ns int64) string {
	d := time.Duration(ns)
	for unit := time.Second; unit >= time.Microsecond; unit /= 1000 {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}
