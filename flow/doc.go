// Package flow is how jobs are written: sources, streams of typed values, keyed state and timers, windows and sinks.
//
//	func main() {
//		flow.Main("wordcount", func(job *flow.Job) error {
//			lines := flow.Read[string](job, "lines", files.From("input.txt"), lines.Text())
//			words := flow.FlatMapSeq(lines, "words", strings.FieldsSeq)
//			counts := flow.Aggregate(flow.KeyBy(words, word).Window(flow.Global()), "count", flow.Count[string]())
//			flow.Write(flow.Map(counts, "format", format), "store", files.To("output"), lines.Text())
//			return nil
//		})
//	}
//
// Contracts that hold throughout:
//
//   - Functions of one subtask never run concurrently; those of two subtasks do, so what they share besides values is theirs to guard.
//   - A value is immutable once it has been emitted: others may hold it.
//   - State handles, timers and an Out are valid only inside a call of their operator. Get returns a copy; only Set and Update write.
//   - The program's main runs in the client and again in every worker, with the same arguments: it has no side effects before Main, and
//     what it builds does not depend on the machine, the time, the environment or files.
//   - The watermark of a stream is the lowest of its inputs' that are neither idle nor at their end. A split of a source that is open and has given nothing
//     holds it back, and with it windows and timers, unless EventTime has Idle.
//   - A record whose address goes where the compiler cannot follow it (&v handed to a function value or to an interface's method) is moved to the heap as
//     soon as the function that has it for a parameter is called: an allocation for every record, not only for those that come to that line. Copy it
//     first, in the branch that needs it (w := v). A function literal that uses v and is handed to Update is an allocation as well; Get and Set are none.
//   - A mistake in building is remembered with the caller's file and line; all are reported together, before anything starts.
//   - Names are unique in a job and become the uids under which state is found again; option UID keeps a uid when a name changes.
//   - An operator that sets no parallelism takes its input's; a source that sets none, the job's default.
//
// The package owns the graph that a program describes, its check, its fingerprint and its division into chains, and the generic code of
// every operator, which handles batches: per record it makes no call but the user's functions, and allocates nothing. It never moves a record
// between tasks, takes a checkpoint or schedules anything: that is the runtime's, which knows no user type. Sources, sinks and formats live in
// packages of their own, behind Source, Sink, Transport, Target and Format.
package flow
