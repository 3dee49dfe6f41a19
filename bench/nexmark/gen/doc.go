// Package gen makes the events of the Nexmark benchmark: people who join an auction site, auctions they open, and bids on them.
//
// It is the generator of github.com/nexmark/nexmark (at 6b3646c) with its default parameters, but seeded: the same [Config] gives the same
// events, bit by bit, on every machine and in every language, and each event can be made from its position alone. It owns the types of the
// events, the strings they share, and a [Checksum] by which a twin in another language shows that it makes the same. It never reads a clock
// and never draws from anything but the seed.
//
// What follows is the whole definition. Another implementation needs nothing else.
//
// # Arithmetic
//
// All values are 64-bit integers with wrap-around, as Go's uint64 and Java's long have them; >> shifts in zeroes (Java's >>>), hi128 is the
// upper half of the 128-bit product (Java's Math.multiplyHigh: both factors are below 2^63), / rounds down (nothing divided is negative).
// There is no floating point.
//
//	γ      = 0x9E3779B97F4A7C15
//	mix(z) = z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27; z *= 0x94D049BB133111EB; z ^ (z >> 31)
//	out(state, i) = mix(state + (i + 1)·γ)   the i-th output, from 0, of SplitMix64 started with the state
//	hi(r, m)      = ((r >> 32) · m) >> 32            uniform in [0, m), from the upper half of a draw
//	lo(r, m)      = ((r & 0xFFFFFFFF) · m) >> 32     uniform in [0, m), from the lower half
//
// Every draw serves at most two purposes, one by each half.
//
// # Splits, positions, numbers, times
//
// A configuration has a seed, a number of splits P >= 1, a rate (events per second of event time, over all splits) and a number of events
// in all, where 0 stands for 2^44. Split s of 0 … P−1 has
//
//	each  = events / P;  count = each, and for the last split events − (P−1)·each
//	first = 1 + s·each
//	base  = out(seed, s)
//
// Its event at position p = 0 … count−1 has
//
//	n     = p + 1
//	id    = first + n                                (so the ids of the first split begin with 2)
//	time  = 1704067200000 + n·1000·P / rate          milliseconds since 1970; the base is 2024-01-01T00:00:00Z
//	d[k]  = out(base, 8·n + k), k = 0 … 7            its draws
//	epoch = id / 50;  offset = id mod 50
//
// and is a person for offset 0, an auction for 1 … 3, and a bid for 4 … 49.
//
// Numbers that events refer to:
//
//	lastPerson  = epoch
//	lastAuction = epoch·3 + min(offset − 1, 2)       (asked for auctions and bids only)
//	somePerson(half, r)  = a = min(lastPerson + 1, 1000);  lastPerson + 1 − a + half(r, a + 10)
//	someAuction(half, r) = l = max(lastAuction − 100, 0);  l + half(r, lastAuction − l + 11)
//
// where half is hi or lo.
//
// # Shared strings
//
// They depend on no seed. SplitMix64 with a fixed state makes each, by its outputs r0, r1, … in order.
//
//	LETTERS  2^20 characters, state 1; character i is 'a' + hi(r_i, 26)
//	WORDS    2^20 characters, state 2; character i is, with x = hi(r_i, 338), a blank for x < 26, else 'a' + x mod 26
//	CARDS    2^16 strings, state 3; string i is "dddd dddd dddd dddd": the 8 digits of hi(r_2i, 100000000), in decimal with leading zeroes,
//	         and behind them the 8 digits of hi(r_2i+1, 100000000), with a blank after every fourth but the last
//	EMAILS   2^14 strings, state 4; each is text(7, ' ') + "@" + text(5, ' ') + ".com"
//	URLS     10,004 strings, state 5; each is "https://www.nexmark.com/" + text(5, '_') + "/" + text(5, '_') + "/" + text(5, '_') + "/" +
//	         "item.htm?query=1". The first 4 are those of the hot channels. The i-th of the other 10,000 (i from 0) then takes one more
//	         output r, and if hi(r, 10) > 0 has "&channel_id=" + decimal(abs32(reverse32(i))) appended: reverse32 reverses the bits of a
//	         32-bit integer, abs32 is its absolute value as a 32-bit integer (of −2^31, which is for i = 1, it is −2^31 itself)
//
// text(max, special) takes one output r for its length, 3 + hi(r, max − 3), and then one for each character: with x = hi(r, 338), special for
// x < 26, else 'a' + x mod 26. Blanks at both ends are then cut off (it may become empty).
//
// The channels are "Google", "Facebook", "Baidu", "Apple" (hot, with the first four URLs), and "channel-0" … "channel-9999".
//
//	words(r, max) = length = 3 + lo(r, max − 3); offset = hi(r, 2^20 − length)
//	                WORDS[offset, offset + length) without the blanks at both ends
//	extra(r, current, average) = "" for current >= average; else want = average − current; δ = (2·want + 5) / 10
//	                length = want − δ + lo(r, 2·δ); offset = hi(r, 2^20 − length)
//	                LETTERS[offset, offset + length)
//
// (WORDS are the original's random strings, each character a blank with probability 1/13; an event takes a random piece of it instead of
// drawing each character. EMAILS and CARDS are drawn ahead for the same reason. Lengths and frequencies are the original's.)
//
// # Price
//
// A price is log-uniform from 100 to 10^8 cents: 2^(x) · 100 with x uniform in [0, 6·log2(10)).
//
//	W[0] = 2^61;  W[i+1] = hi128(W[i], 4624189567668517720) << 2     (the factor is 2^(1/256) · 2^62)
//	T[i] = W[i] >> 30, i = 0 … 256                                   (2^(i/256) · 2^31)
//	price(v), v of 32 bits:
//	    z = (v · 334396231) >> 24                                    (x with 32 binary places; the factor is 6·log2(10) · 2^24)
//	    e = z >> 32;  i = (z >> 24) & 255;  t = z & 0xFFFFFF
//	    m = T[i] + (((T[i+1] − T[i]) · t) >> 24)                     (between two entries, a straight line: at most 1 in 10^6 too high)
//	    (((100 · m) << e) + 2^30) >> 31
//
// # Person
//
//	id           = lastPerson + 1000
//	name         = FIRST[hi(d0, 11)] + " " + LAST[lo(d0, 9)]
//	emailAddress = EMAILS[hi(d1, 2^14)]
//	creditCard   = CARDS[lo(d1, 2^16)]
//	city         = CITY[hi(d2, 10)]
//	state        = STATE[lo(d2, 6)]
//	dateTime     = time
//	extra        = extra(d3, 8 + len(name) + len(emailAddress) + len(creditCard) + len(city) + len(state), 200)
//
//	FIRST = Peter, Paul, Luke, John, Saul, Vicky, Kate, Julie, Sarah, Deiter, Walter
//	LAST  = Shultz, Abrams, Spencer, White, Bartels, Walton, Smith, Jones, Noris
//	CITY  = Phoenix, Los Angeles, San Francisco, Boise, Portland, Bend, Redmond, Seattle, Kent, Cheyenne
//	STATE = AZ, CA, ID, OR, WA, WY
//
// # Auction
//
//	id           = lastAuction + 1000
//	itemName     = words(d0, 20)
//	description  = words(d1, 100)
//	initialBid   = price(d2 >> 32)
//	reserve      = initialBid + price(d3 >> 32)
//	dateTime     = time
//	expires      = time + 1 + lo(d3, max(2·(time(n + 1666) − time), 1))      (time(n) is the time by the formula above)
//	seller       = 1000 + (lo(d4, 4) > 0 ? lastPerson / 100 · 100 : somePerson(hi, d4))
//	category     = 10 + lo(d2, 5)
//	extra        = extra(d5, 8 + len(itemName) + len(description) + 40, 500)
//
// # Bid
//
//	auction      = 1000 + (lo(d0, 2) > 0 ? lastAuction / 100 · 100 : someAuction(hi, d0))
//	bidder       = 2000 + (lo(d1, 4) > 0 ? lastPerson / 100 · 100 + 1 : somePerson(hi, d1))
//	price        = price(d2 >> 32)
//	channel, url = c = lo(d3, 2) > 0 ? hi(d3, 4) : 4 + hi(d3, 10000); the c-th channel and the c-th of URLS
//	dateTime     = time
//	extra        = extra(d4, 32, 100)
//
// A bidder is 1000 above the person of the same number, because the original adds its first id twice.
//
// # Checksum
//
// It is the 64-bit FNV-1a hash (start 0xcbf29ce484222325; for each byte: xor, then times 0x100000001b3) over all events as lines of ASCII,
// split 0 first, each split in order of position, and each line ended by "\n":
//
//	P|id|name|emailAddress|creditCard|city|state|dateTime|extra
//	A|id|itemName|description|initialBid|reserve|dateTime|expires|seller|category|extra
//	B|auction|bidder|price|channel|url|dateTime|extra
//
// It is written as 16 hexadecimal digits by
//
//	go run ./bench/nexmark/gen/cmd/gensum -n 1000000 -seed 42
//
// whose defaults are a rate of 10,000 and one split; with -print, it prints the lines instead.
package gen
