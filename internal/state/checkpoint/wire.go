package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Payloads are made of: uvarint (in its shortest form), u32 (little-endian), strings (uvarint length, bytes).

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parser reads a payload. The first thing that is wrong sticks; everything read after it is zero.
type parser struct {
	b   []byte
	at  int
	err error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("at byte %d: %w", p.at, fmt.Errorf(format, args...))
	}
	p.at = len(p.b)
}

func (p *parser) left() int { return len(p.b) - p.at }

// bytes returns the next n bytes, a part of the input.
func (p *parser) bytes(n uint64) []byte {
	if n > uint64(p.left()) {
		p.fail("%d bytes needed, %d left", n, p.left())
		return nil
	}
	b := p.b[p.at : p.at+int(n) : p.at+int(n)]
	p.at += int(n)
	return b
}

func (p *parser) byte() byte {
	if b := p.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (p *parser) u32() uint32 {
	if b := p.bytes(4); len(b) == 4 {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b[p.at:])
	if n <= 0 || n > 1 && p.b[p.at+n-1] == 0 {
		p.fail("no whole number in its shortest form")
		return 0
	}
	p.at += n
	return v
}

// number is a uvarint of at most max.
func (p *parser) number(max int64) int64 {
	v := p.uvarint()
	if v > uint64(max) {
		p.fail("%d is above %d", v, max)
		return 0
	}
	return int64(v)
}

func (p *parser) int32() int     { return int(p.number(math.MaxInt32)) }
func (p *parser) int64() int64   { return p.number(math.MaxInt64) }
func (p *parser) string() string { return string(p.bytes(p.uvarint())) }

// count reads how many things follow, each of at least least bytes, so that room for them can be made at once.
func (p *parser) count(least int) int {
	n := p.u32()
	if uint64(n)*uint64(least) > uint64(p.left()) {
		p.fail("%d entries of %d bytes or more, %d bytes left", n, least, p.left())
		return 0
	}
	return int(n)
}

func (p *parser) end() {
	if p.err == nil && p.left() > 0 {
		p.fail("%d bytes after the end", p.left())
	}
}
