// Package side runs Thalweg's side of the comparison in processes of its own, as Flink's runs in its own: one with the whole job, or for a keyed count
// over an exchange one with the source and one with the count. They are this program again, told by their arguments to be a side (Serve).
//
// It owns those processes. It says how many events the source of a job is through, and how much processor time the processes have used. It never
// decides how long something is measured, and never judges.
//
// Between both sides there are lines. A process says on its standard output that it runs, and answers each line on its standard input; it ends with
// its standard input, and so with whoever started it:
//
//	           ready ADDRESS    the address is that of the receiving end, else empty
//	count      EVENTS           behind the source
package side
