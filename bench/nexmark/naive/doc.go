// Package naive answers the Nexmark queries in the most obvious way: the whole input in slices, one map or sort per query, no operator, no
// state, no time but that of the events. It is what other implementations are compared with, so it owns the definition of each query's result
// and of its text. It never uses the runtime, and it is never used to measure anything.
//
// # Results
//
// A result is final: what is left when the input has ended, all windows have closed, and every correction of an earlier row has been made.
// Its rows are a bag (a row can occur more than once) written as lines of text, sorted by their bytes. [Queries] lists each query's columns.
//
// A line is the row's fields with "|" between them and none at the ends; no field contains one. A field is written
//
//	a number of items, an id, a category   in decimal
//	a price, or a sum of prices            in cents, in decimal
//	an average of prices                   the same, rounded towards zero
//	a price in another currency            price·0.908 with exactly three places: 9080.000
//	a point in time                        milliseconds since 1970, in decimal
//	a day, a minute                        2024-01-01 and 23:59, of UTC
//	a string                               as it is
//
// # Where the queries leave a choice
//
//   - Rows with nothing between them in the order that a query ranks by are in the order of the input: of equal prices, the bid that came first
//     ranks higher (q9, q19); of bids at the same millisecond, the one that came last is the last (q6, q18).
//   - Windows begin at multiples of their slide since 1970, and contain their start but not their end. Only q7 joins bids back by a closed
//     interval, as its text says: a bid at the very end of a window that is as high as the window's highest is a row too.
//   - Two bids exactly 10 s apart are in one session (q11), which ends 10 s after its last bid.
//   - q12 counts by the clock of whoever runs it, which no two runs share; its result is the sum per bidder over all windows.
//   - q6's last ten winners of a seller are those with the latest winning bids, and of the same millisecond those with the higher auction id.
package naive
