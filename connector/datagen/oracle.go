package datagen

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/thalweg-io/thalweg/flow"
)

// Record is one record of an Oracle.
type Record struct {
	Key       uint64
	Seq       int64 // of the key: 1, 2, 3, ... in the order of its partition
	Partition int
	Offset    int64
	Payload   uint64 // a function of seed, key and seq: a record that was damaged or made up has another
	// Created is when the record was due, ns since 1970. It is the only field that depends on when the job was started.
	Created int64
}

// Time is Created as a time.
func (r Record) Time() time.Time { return time.Unix(0, r.Created) }

// Oracle is an input whose right output is known: record(partition, offset) is a function, all records of a key are in one partition, and its
// sequence numbers are dense. Each round of a partition has every key of it once, in an order of its own.
type Oracle struct {
	Seed       uint64
	Keys       uint64  // of all partitions: 0, 1, ... Keys-1; key k is in partition k modulo Partitions
	Partitions int     // at most so many subtasks have something to do
	Records    int64   // of each partition; 0: no end
	Rate       float64 // records a second, of all partitions; 0: no limit
}

// Source makes the oracle's records.
func (o Oracle) Source() flow.Source[Record] {
	g := &generator[Record]{settings: settings{partitions: o.Partitions, rate: o.Rate}, err: o.check()}
	if o.Records > 0 {
		g.size = func(int) int64 { return o.Records }
	}
	g.make = func(partition int, offset int64, due time.Time) Record {
		r := o.Record(partition, offset)
		r.Created = due.UnixNano()
		return r
	}
	return g
}

func (o Oracle) check() error {
	if o.Partitions < 1 || o.Keys < uint64(o.Partitions) {
		return fmt.Errorf("datagen: oracle with %d keys in %d partitions: at least one partition, and one key in each", o.Keys, o.Partitions)
	}
	return nil
}

// Record is the record at an offset of a partition, without Created.
func (o Oracle) Record(partition int, offset int64) Record {
	n := o.keysOf(partition)
	round, i := uint64(offset)/n, uint64(offset)%n
	// i -> (a i + b) mod n is a permutation if a and n have no common factor.
	draw := mix(o.Seed ^ mix(uint64(partition)+1) ^ mix(round))
	a, b := draw%n, mix(draw)%n
	for gcd(a, n) != 1 {
		a++
	}
	hi, lo := bits.Mul64(a, i)
	_, index := bits.Div64(hi%n, lo, n)
	index = (index + b) % n
	key := index*uint64(o.Partitions) + uint64(partition)
	seq := int64(round) + 1
	return Record{Key: key, Seq: seq, Partition: partition, Offset: offset, Payload: o.Payload(key, seq)}
}

// Payload is what the record of a key and sequence number carries.
func (o Oracle) Payload(key uint64, seq int64) uint64 { return mix(mix(o.Seed^key) ^ uint64(seq)) }

// Count is how many records a key has among the first `offset` ones of its partition, which is the sequence number of the last of them.
func (o Oracle) Count(key uint64, offset int64) int64 {
	partition := int(key % uint64(o.Partitions))
	n := int64(o.keysOf(partition))
	count := offset / n
	for i := count * n; i < offset; i++ {
		if o.Record(partition, i).Key == key {
			return count + 1
		}
	}
	return count
}

func (o Oracle) keysOf(partition int) uint64 {
	return (o.Keys - uint64(partition) + uint64(o.Partitions) - 1) / uint64(o.Partitions)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
