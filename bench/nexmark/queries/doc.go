// Package queries is the queries of the Nexmark benchmark as jobs, written with package flow alone: each as a user would write it, and copy it.
//
// A query is a function from a job and its Input to a stream of rows, such as [Q5]. Rows of a query that corrects itself have a key, and a later
// row replaces an earlier one of the same key. [All] lists the queries, each with what runs it into a sink that discards, or into a [Collector]
// that keeps its final rows in the text of package naive, which they are compared with.
//
// # What the queries do early
//
// A source makes all events in all their fields, as a user's would read them, and projects each onto the columns that a query needs where the
// event still is in the cache: what moves on is small. Kinds that a query does not ask for are made and dropped.
//
// What the benchmark's schema promises is made use of: an auction and a person have an id of their own. So a bid is dropped once the auction it
// is for is known not to take it, and one that waits for its auction waits in a list that is gone when the auction has come. Joins over all time
// keep their side that has the key for ever, as SQL does.
//
// The package owns the queries and their rows. It never measures, never starts a job, and never knows an answer beforehand.
package queries
