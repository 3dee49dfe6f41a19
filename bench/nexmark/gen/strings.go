package gen

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

const (
	textSize    = 1 << 20 // characters of letters and of words
	cardCount   = 1 << 16
	cardLength  = 4*4 + 3
	emailCount  = 1 << 14
	hotChannels = 4
	coldOnes    = 10_000
)

var (
	firstNames = [...]string{"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"}
	lastNames  = [...]string{"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"}
	cities     = [...]string{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"}
	states     = [...]string{"AZ", "CA", "ID", "OR", "WA", "WY"}
	hotNames   = [hotChannels]string{"Google", "Facebook", "Baidu", "Apple"}
)

// shared is the strings that events point into. It is made once and never written again, so that no event allocates and any number of
// generators read it.
//
// Making an event reads as little of it as there is to read, because each read that misses the caches costs as much as all the rest of the event: where
// strings are, instead of a header of each, and of words which are blank.
type shared struct {
	letters, words string
	blanks         blanks                                   // of the words
	names          [len(firstNames) * len(lastNames)]string // by the first name, then by the last
	cards          string                                   // cardLength each
	emails         pieces
	places         pieces // what a bid came by: a channel and its URL in turn, the hot ones first
}

// pieces are many strings in one.
type pieces struct {
	text string
	ends []uint32 // the i-th ends where the next begins: at ends[i+1]
}

func newPieces(all []string) pieces {
	p := pieces{text: strings.Join(all, ""), ends: make([]uint32, 1, len(all)+1)}
	end := 0
	for _, s := range all {
		end += len(s)
		p.ends = append(p.ends, uint32(end))
	}
	return p
}

func (p *pieces) at(i uint64) string { return p.text[p.ends[i]:p.ends[i+1]] }

// blanks has a bit for each character of a text, which is set for a blank: bit i%8 of byte i/8 + 8.
type blanks []byte

// run is how many blanks in a row behind a place, or before it, are told apart: what eight bytes have, from any bit on.
const run = 64 - 7

func newBlanks(text string) blanks {
	b := make(blanks, 8+len(text)/8+8+1)
	for i := range len(text) {
		if text[i] == ' ' {
			b[i/8+8] |= 1 << (i % 8)
		}
	}
	return b
}

// from is the number of blanks from i on.
func (b blanks) from(i uint64) uint64 {
	return uint64(bits.TrailingZeros64(^(binary.LittleEndian.Uint64(b[i/8+8:]) >> (i % 8))))
}

// before is the number of blanks before i.
func (b blanks) before(i uint64) uint64 {
	i += 64 - run
	return uint64(bits.LeadingZeros64(^(binary.LittleEndian.Uint64(b[i/8:]) >> (i % 8) << (64 - run))))
}

var sharedStrings = sync.OnceValue(func() *shared {
	s := &shared{letters: makeLetters(1), words: makeWords(2), cards: makeCards(3), emails: newPieces(makeEmails(4)), places: newPieces(makePlaces(5))}
	s.blanks = newBlanks(s.words)
	for i := range s.names {
		s.names[i] = firstNames[i/len(lastNames)] + " " + lastNames[i%len(lastNames)]
	}
	return s
})

func makeLetters(state uint64) string {
	r, b := sequence{state}, make([]byte, textSize)
	for i := range b {
		b[i] = 'a' + byte(hi(r.next(), 26))
	}
	return string(b)
}

func makeWords(state uint64) string {
	r, b := sequence{state}, make([]byte, textSize)
	for i := range b {
		b[i] = r.character(' ')
	}
	return string(b)
}

// makeCards gives 16 digits each, in groups of four.
func makeCards(state uint64) string {
	r, cards := sequence{state}, make([]byte, 0, cardCount*cardLength)
	for range cardCount {
		var digits []byte
		for range 2 {
			eight := hi(r.next(), 100_000_000)
			digits = append(digits, strconv.Itoa(int(100_000_000 + eight))[1:]...)
		}
		cards = fmt.Appendf(cards, "%s %s %s %s", digits[:4], digits[4:8], digits[8:12], digits[12:])
	}
	return string(cards)
}

func makeEmails(state uint64) []string {
	r, emails := sequence{state}, make([]string, emailCount)
	for i := range emails {
		user := r.text(7, ' ')
		emails[i] = user + "@" + r.text(5, ' ') + ".com"
	}
	return emails
}

func makePlaces(state uint64) []string {
	r, places := sequence{state}, make([]string, 0, 2*(hotChannels+coldOnes))
	for i := range hotChannels + coldOnes {
		first, second, third := r.text(5, '_'), r.text(5, '_'), r.text(5, '_')
		url := "https://www.nexmark.com/" + first + "/" + second + "/" + third + "/item.htm?query=1"
		if i < hotChannels {
			places = append(places, hotNames[i], url)
			continue
		}
		number := i - hotChannels
		if hi(r.next(), 10) > 0 {
			id := int32(bits.Reverse32(uint32(number)))
			url += "&channel_id=" + strconv.Itoa(int(max(id, -id))) // the least int32 stays negative, as with Java's Math.abs
		}
		places = append(places, "channel-"+strconv.Itoa(number), url)
	}
	return places
}

// character is one of the original's random strings: special with probability 1/13, else a letter.
func (s *sequence) character(special byte) byte {
	x := hi(s.next(), 13*26)
	if x < 26 {
		return special
	}
	return 'a' + byte(x%26)
}

func (s *sequence) text(max uint64, special byte) string {
	b := make([]byte, 3+hi(s.next(), max-3))
	for i := range b {
		b[i] = s.character(special)
	}
	return strings.Trim(string(b), " ")
}

// wordsOf is a piece of the words, at most max characters, without blanks at its ends.
func (s *shared) wordsOf(r, max uint64) string {
	length := 3 + lo(r, max-3)
	offset := hi(r, textSize-length)
	from, to := offset, offset+length
	from += min(s.blanks.from(from), length)
	to -= min(s.blanks.before(to), to-from)
	return s.words[from:to]
}

// extra fills an event whose other fields take current bytes up to the average, more or less a fifth of what is missing.
func (s *shared) extra(r, current, average uint64) string {
	if current >= average {
		return ""
	}
	want := average - current
	delta := (2*want + 5) / 10
	length := want - delta + lo(r, 2*delta)
	offset := hi(r, textSize-length)
	return s.letters[offset : offset+length]
}
