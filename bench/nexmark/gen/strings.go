package gen

import (
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

const (
	textSize    = 1 << 20 // characters of letters and of words
	cardCount   = 1 << 16
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

// place is a channel and its URL: what a bid came by.
type place struct{ channel, url string }

// shared is the strings that events point into. It is made once and never written again, so that no event allocates and any number of
// generators read it.
type shared struct {
	letters, words string
	names          [len(firstNames) * len(lastNames)]string // by the first name, then by the last
	cards          []string
	emails         []string
	places         []place // the hot ones first
}

var sharedStrings = sync.OnceValue(func() *shared {
	s := &shared{letters: makeLetters(1), words: makeWords(2), cards: makeCards(3), emails: makeEmails(4), places: makePlaces(5)}
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
func makeCards(state uint64) []string {
	r, cards := sequence{state}, make([]string, cardCount)
	for i := range cards {
		var digits []byte
		for range 2 {
			eight := hi(r.next(), 100_000_000)
			digits = append(digits, strconv.Itoa(int(100_000_000 + eight))[1:]...)
		}
		cards[i] = string(digits[:4]) + " " + string(digits[4:8]) + " " + string(digits[8:12]) + " " + string(digits[12:])
	}
	return cards
}

func makeEmails(state uint64) []string {
	r, emails := sequence{state}, make([]string, emailCount)
	for i := range emails {
		user := r.text(7, ' ')
		emails[i] = user + "@" + r.text(5, ' ') + ".com"
	}
	return emails
}

func makePlaces(state uint64) []place {
	r, places := sequence{state}, make([]place, hotChannels+coldOnes)
	for i := range places {
		first, second, third := r.text(5, '_'), r.text(5, '_'), r.text(5, '_')
		url := "https://www.nexmark.com/" + first + "/" + second + "/" + third + "/item.htm?query=1"
		if i < hotChannels {
			places[i] = place{hotNames[i], url}
			continue
		}
		number := i - hotChannels
		if hi(r.next(), 10) > 0 {
			id := int32(bits.Reverse32(uint32(number)))
			url += "&channel_id=" + strconv.Itoa(int(max(id, -id))) // the least int32 stays negative, as with Java's Math.abs
		}
		places[i] = place{"channel-" + strconv.Itoa(number), url}
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
	for from < to && s.words[from] == ' ' {
		from++
	}
	for from < to && s.words[to-1] == ' ' {
		to--
	}
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
