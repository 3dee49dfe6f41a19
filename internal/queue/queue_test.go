package queue_test

import (
	"sync"
	"testing"

	"github.com/thalweg-io/thalweg/internal/queue"
)

func TestOrderPerProducerAndNothingLost(t *testing.T) {
	q := queue.New[[2]int]()
	const producers, each = 4, 10_000
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				q.Push([2]int{p, i})
			}
		})
	}
	go func() { wg.Wait(); q.Close() }()
	var next [producers]int
	for {
		<-q.Ready()
		items, ok := q.Drain()
		for _, it := range items {
			if it[1] != next[it[0]] {
				t.Fatalf("producer %d: got %d, want %d", it[0], it[1], next[it[0]])
			}
			next[it[0]]++
		}
		if !ok {
			break
		}
	}
	if next != [producers]int{each, each, each, each} {
		t.Fatalf("received %v", next)
	}
	if q.Push([2]int{}) {
		t.Fatal("Push after Close reported true")
	}
}
