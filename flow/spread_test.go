package flow

import "testing"

// dealt is a source of two splits for each of two readers.
type dealt struct{}

func (dealt) Enumerator(_ Task, restored [][]byte) (Enumerator, error) {
	if restored == nil {
		restored = [][]byte{{1}, {2}, {3}, {4}}
	}
	return Spread(restored), nil
}
func (dealt) Reader(Task, []byte) (Reader[int], error) { panic("nobody reads") }

// A checkpoint between the first questions of two readers: behind a restore, the one that has its splits may never ask again, as they do not end.
// What is left is all for the other.
func TestSpreadGoesOnBehindARestore(t *testing.T) {
	first := &enumerating[int]{src: dealt{}}
	if err := first.resume(nil, false); err != nil {
		t.Fatal(err)
	}
	first.begin(2)
	if splits, err := first.enumerator.Next(0, 2); err != nil || len(splits) != 2 {
		t.Fatalf("the first reader has %v, %v", splits, err)
	}
	entries := first.entries()
	again := &enumerating[int]{src: dealt{}}
	if err := again.resume(entries, true); err != nil {
		t.Fatal(err)
	}
	again.begin(2)
	if splits, err := again.enumerator.Next(1, 2); err != nil || len(splits) != 2 {
		t.Errorf("the second reader has %v, %v: the rest is never read", splits, err)
	}
	other := &enumerating[int]{src: dealt{}} // of another number of readers nobody has asked
	if err := other.resume(entries, true); err != nil {
		t.Fatal(err)
	}
	other.begin(1)
	if splits, err := other.enumerator.Next(0, 1); err != nil || len(splits) != 2 {
		t.Errorf("the only reader has %v, %v", splits, err)
	}
	if err := other.resume([][]byte{{0x80}}, true); err == nil {
		t.Error("what no enumerator wrote was taken")
	}
}
