package gen

import (
	"strings"
	"testing"
)

func TestWordsHaveNoBlanksAtTheirEnds(t *testing.T) {
	s := sharedStrings()
	if long := strings.Repeat(" ", run); strings.Contains(s.words, long) {
		t.Fatalf("the words have %d blanks in a row: trimming sees no more of them", run)
	}
	r := sequence{7}
	for range 200_000 {
		d, most := r.next(), 4+hi(r.next(), 97)
		length := 3 + lo(d, most-3)
		offset := hi(d, textSize-length)
		if got, want := s.wordsOf(d, most), strings.Trim(s.words[offset:offset+length], " "); got != want {
			t.Fatalf("%d characters from %d on without blanks at the ends: %q, want %q", length, offset, got, want)
		}
	}
}

func TestBlanks(t *testing.T) {
	text := "  a" + strings.Repeat(" ", run-1) + "b  c " + strings.Repeat(" ", 70)
	b := newBlanks(text)
	for i := range uint64(len(text) + 1) {
		behind, before := text[i:], text[:i]
		if got, want := b.from(i), uint64(len(behind)-len(strings.TrimLeft(behind, " "))); got != min(want, got) || got < min(want, run) {
			t.Errorf("%d blanks from %d on, want %d", got, i, want)
		}
		if got, want := b.before(i), uint64(len(before)-len(strings.TrimRight(before, " "))); got != min(want, run) {
			t.Errorf("%d blanks before %d, want %d", got, i, want)
		}
	}
}
