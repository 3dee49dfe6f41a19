package codec

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"
	"unsafe"
)

// A Packer keeps single values of T as bytes, for memory and never for files: the pieces of a value that hold no pointer as they lie in memory, the
// rest as lengths, and the content of all strings together at the end.
//
//	piece, length u32, piece, ... depth first through slices | bytes of all strings and byte slices, in the same order | text u32
//
// text is where the strings begin; it is there only if T has slices of something else, as otherwise all values have the same. A length of what can be
// nil is one higher, 0 being nil. So numbers that T begins with are where they are in T.
//
// Equal keys (key.go) have equal bytes. What Unpack makes lies in chunks that many values share, so that it allocates once in many values, and a chunk is garbage when nothing of it is
// used any more. A Packer belongs to one goroutine.
type Packer[T any] struct {
	parts []packPart
	head  int // bytes before the strings of every value; where there are slices, of one without elements
	tail  int // bytes of text
	texts Texts
}

// packPart is a piece of a value.
type packPart struct {
	kind packKind
	off  uintptr
	n    int // bytes of packRaw

	// Of packList.
	elems []packPart
	each  int // bytes before the strings of an element without elements
	even  bool
	deep  bool // an element has slices of its own
	elements
}

// elements makes memory for the elements of slices of one type.
type elements struct {
	typ   reflect.Type // of the slice
	size  uintptr
	chunk unsafe.Pointer // what is left of the memory that they are made in
	left  int
	hands *hands // nil: not needed yet
}

// hands are two slices for reflection, which knows which elements hold pointers. They are made once, as making them costs more than most copies.
type hands struct {
	headers [2]sliceHeader
	slices  [2]reflect.Value // of the headers
}

type packKind uint8

const (
	packRaw  packKind = iota
	packWord          // 8 bytes of it
	packTime          // seconds and nanoseconds
	packText
	packBytes
	packList
)

const (
	lengthSize = 4
	timeSize   = 12
	// maxUnrolled is how many pieces an array may be cut into.
	maxUnrolled = 256
	// unpackChunk is what is allocated at a time. Who keeps one string keeps all of its chunk.
	unpackChunk = 8 << 10
)

// PackerOf derives the packer of T. False: T has a map, a pointer or something that marshals itself in it, or cannot be encoded at all.
func PackerOf[T any]() (*Packer[T], bool) {
	c, err := For[T]()
	if err != nil {
		return nil, false
	}
	p := &Packer[T]{}
	if !packParts(&p.parts, c.(*columns[T]).root, 0) {
		return nil, false
	}
	p.head = headSize(p.parts)
	for i := range p.parts {
		if p.parts[i].kind == packList {
			p.tail = lengthSize
		}
	}
	return p, true
}

// packParts cuts what a node encodes into parts.
func packParts(parts *[]packPart, n node, off uintptr) bool {
	switch n := n.(type) {
	case *fixed:
		raw(parts, off, n.min())
	case *moment:
		*parts = append(*parts, packPart{kind: packTime, off: off})
	case *text:
		*parts = append(*parts, packPart{kind: packText, off: off})
	case *blob:
		*parts = append(*parts, packPart{kind: packBytes, off: off})
	case *record:
		for _, f := range n.fields {
			if !packParts(parts, f.node, off+f.off) {
				return false
			}
		}
	case *array:
		for i := range n.len {
			if !packParts(parts, n.elem, off+uintptr(i)*n.size) || len(*parts) > maxUnrolled {
				return false
			}
		}
	case *list:
		p := packPart{kind: packList, off: off, elements: elements{typ: n.typ, size: n.size}}
		if !packParts(&p.elems, n.elem, 0) {
			return false
		}
		p.each, p.even = headSize(p.elems), packsEvenly(p.elems)
		p.deep = slices.ContainsFunc(p.elems, func(e packPart) bool { return e.kind == packList })
		*parts = append(*parts, p)
	default:
		return false
	}
	return true
}

// raw adds bytes to the last part if they follow it. What lies between fields is left out: it may be anything.
func raw(parts *[]packPart, off uintptr, n int) {
	if n == 0 {
		return
	}
	if last := len(*parts) - 1; last >= 0 && (*parts)[last].kind <= packWord && (*parts)[last].off+uintptr((*parts)[last].n) == off {
		p := &(*parts)[last]
		p.n += n
		p.kind = rawKind(p.n)
		return
	}
	*parts = append(*parts, packPart{kind: rawKind(n), off: off, n: n})
}

func rawKind(n int) packKind {
	if n == 8 {
		return packWord
	}
	return packRaw
}

func headSize(parts []packPart) (n int) {
	for i := range parts {
		switch p := &parts[i]; p.kind {
		case packRaw, packWord:
			n += p.n
		case packTime:
			n += timeSize
		default:
			n += lengthSize
		}
	}
	return n
}

func packsEvenly(parts []packPart) bool {
	for i := range parts {
		if parts[i].kind >= packText {
			return false
		}
	}
	return true
}

// Size is how many bytes Pack takes for a value.
func (p *Packer[T]) Size(v *T) int {
	head, text := packSize(p.parts, unsafe.Pointer(v))
	return p.head + head + text + p.tail
}

// packSize is what a value takes beyond its head: in slices, and in strings. What cannot be counted counts as more than there can be.
func packSize(parts []packPart, v unsafe.Pointer) (head, text int) {
	for i := range parts {
		p := &parts[i]
		switch p.kind {
		case packText:
			text += len(*(*string)(unsafe.Add(v, p.off)))
		case packBytes:
			text += len(*(*[]byte)(unsafe.Add(v, p.off)))
		case packList:
			h := (*sliceHeader)(unsafe.Add(v, p.off))
			if h.len >= math.MaxUint32 {
				return 0, math.MaxInt32
			}
			head += h.len * p.each
			for j := 0; j < h.len && !p.even; j++ {
				below, t := packSize(p.elems, unsafe.Add(h.p, uintptr(j)*p.size))
				head, text = head+below, text+t
			}
		}
	}
	return head, text
}

// packHeads is what the slices of a value take before the strings.
func packHeads(parts []packPart, v unsafe.Pointer) (head int) {
	for i := range parts {
		p := &parts[i]
		if p.kind != packList {
			continue
		}
		h := (*sliceHeader)(unsafe.Add(v, p.off))
		head += h.len * p.each
		for j := 0; j < h.len && p.deep; j++ {
			head += packHeads(p.elems, unsafe.Add(h.p, uintptr(j)*p.size))
		}
	}
	return head
}

// Pack writes a value to dst, which has Size bytes.
func (p *Packer[T]) Pack(dst []byte, v *T) {
	text, end := p.head, len(dst)-p.tail
	if p.tail > 0 {
		text += packHeads(p.parts, unsafe.Pointer(v))
		putLength(dst[end:], text)
	}
	if at, upto := pack(p.parts, dst, 0, text, unsafe.Pointer(v)); at != text || upto != end {
		panic(fmt.Sprintf("codec: packing a %T made %d bytes before its strings, for %d, and %d in all, for %d", *v, at, text, upto, end))
	}
}

func putLength(dst []byte, n int) {
	*(*uint32)(unsafe.Pointer(unsafe.SliceData(dst[:lengthSize]))) = uint32(n)
}

func lengthAt(src []byte, at int) int {
	return int(*(*uint32)(unsafe.Pointer(unsafe.SliceData(src[at : at+lengthSize]))))
}

// pack writes the head of a value at at and its strings at text, and returns where each ends.
func pack(parts []packPart, dst []byte, at, text int, v unsafe.Pointer) (int, int) {
	for i := range parts {
		p := &parts[i]
		from := unsafe.Add(v, p.off)
		switch p.kind {
		case packWord:
			*(*[8]byte)(dst[at:]) = *(*[8]byte)(from)
			at += 8
		case packRaw:
			at += copy(dst[at:at+p.n], unsafe.Slice((*byte)(from), p.n))
		case packTime:
			t := (*time.Time)(from)
			*(*int64)(unsafe.Pointer((*[8]byte)(dst[at:]))) = t.Unix()
			putLength(dst[at+8:], t.Nanosecond())
			at += timeSize
		case packText:
			s := *(*string)(from)
			putLength(dst[at:], len(s))
			at += lengthSize
			text += copy(dst[text:], s)
		case packBytes:
			b := *(*[]byte)(from)
			putLength(dst[at:], nullable(b))
			at += lengthSize
			text += copy(dst[text:], b)
		default:
			h := (*sliceHeader)(from)
			n := 0
			if h.p != nil {
				n = h.len + 1
			}
			putLength(dst[at:], n)
			at += lengthSize
			for j := range h.len {
				at, text = pack(p.elems, dst, at, text, unsafe.Add(h.p, uintptr(j)*p.size))
			}
		}
	}
	return at, text
}

// Unpack reads a value from what Pack has written. It overwrites all of v, and keeps nothing of src.
func (p *Packer[T]) Unpack(src []byte, v *T) { p.unpack(src, v, false) }

// Refill is Unpack for a v whose slices nobody else has: their memory is used again.
func (p *Packer[T]) Refill(src []byte, v *T) { p.unpack(src, v, true) }

func (p *Packer[T]) unpack(src []byte, v *T, again bool) {
	text, end := p.head, len(src)-p.tail
	if p.tail > 0 {
		text = lengthAt(src, end)
	}
	unpack(p.parts, src, 0, p.texts.copy(src[text:end]), unsafe.Pointer(v), again)
}

// unpack reads the head of a value at at and cuts its strings off text, and returns what follows both. again: see Refill.
func unpack(parts []packPart, src []byte, at int, text []byte, v unsafe.Pointer, again bool) (int, []byte) {
	for i := range parts {
		p := &parts[i]
		to := unsafe.Add(v, p.off)
		switch p.kind {
		case packWord:
			*(*[8]byte)(to) = *(*[8]byte)(src[at:])
			at += 8
		case packRaw:
			at += copy(unsafe.Slice((*byte)(to), p.n), src[at:at+p.n])
		case packTime:
			seconds := *(*int64)(unsafe.Pointer((*[8]byte)(src[at:])))
			*(*time.Time)(to) = time.Unix(seconds, int64(lengthAt(src, at+8))).UTC()
			at += timeSize
		case packText:
			n := lengthAt(src, at)
			at += lengthSize
			*(*string)(to) = unsafe.String(unsafe.SliceData(text), len(text[:n]))
			text = text[n:]
		case packBytes:
			n := lengthAt(src, at)
			at += lengthSize
			if n <= 1 {
				*(*sliceHeader)(to) = empty(n)
				continue
			}
			*(*[]byte)(to) = text[: n-1 : n-1] // an append to it must not reach what follows
			text = text[n-1:]
		default:
			n := lengthAt(src, at)
			at += lengthSize
			if n <= 1 {
				*(*sliceHeader)(to) = empty(n)
				continue
			}
			h := sliceHeader{cap: n - 1}
			if had := (*sliceHeader)(to); again && had.cap >= n-1 {
				h = *had
				if had.len > n-1 { // nothing is kept behind the end
					p.clear(h.p, n-1, had.len)
				}
			} else {
				h.p = p.take(n - 1)
			}
			h.len = n - 1
			for j := range n - 1 {
				at, text = unpack(p.elems, src, at, text, unsafe.Add(h.p, uintptr(j)*p.size), false)
			}
			*(*sliceHeader)(to) = h
		}
	}
	return at, text
}

// empty is the slice of a length that is written as 0, which is nil, or as 1.
func empty(n int) sliceHeader {
	if n == 0 {
		return sliceHeader{}
	}
	return sliceHeader{p: unsafe.Pointer(&nothing)}
}

// take makes n > 0 elements. They are zero.
func (p *elements) take(n int) unsafe.Pointer {
	if p.size == 0 {
		return unsafe.Pointer(&nothing)
	}
	if n > p.left {
		count := int(unpackChunk / p.size)
		if n > count/4 {
			return reflect.MakeSlice(p.typ, n, n).UnsafePointer()
		}
		p.chunk, p.left = reflect.MakeSlice(p.typ, count, count).UnsafePointer(), count
	}
	elems := p.chunk
	if p.left -= n; p.left > 0 {
		p.chunk = unsafe.Add(elems, uintptr(n)*p.size)
	} else {
		p.chunk = nil // behind the end is somebody else's memory
	}
	return elems
}

// hold gives reflection n elements.
func (p *elements) hold(hand int, at unsafe.Pointer, n int) reflect.Value {
	if p.hands == nil {
		p.hands = new(hands)
		for i := range p.hands.slices {
			p.hands.slices[i] = reflect.NewAt(p.typ, unsafe.Pointer(&p.hands.headers[i])).Elem()
		}
	}
	p.hands.headers[hand] = sliceHeader{at, n, n}
	return p.hands.slices[hand]
}

func (p *elements) copy(dst, src unsafe.Pointer, n int) {
	reflect.Copy(p.hold(0, dst, n), p.hold(1, src, n))
	p.hands.headers = [2]sliceHeader{}
}

// clear forgets the elements [from, to).
func (p *elements) clear(at unsafe.Pointer, from, to int) {
	p.hold(0, unsafe.Add(at, uintptr(from)*p.size), to-from).Clear()
	p.hands.headers[0] = sliceHeader{}
}

// Texts copy bytes to chunks that many copies share: it allocates once in many, and a chunk is garbage when nothing of it is used any more. They belong
// to one goroutine.
type Texts struct{ free []byte }

// String is b as a string of its own.
func (t *Texts) String(b []byte) string {
	c := t.copy(b)
	return unsafe.String(unsafe.SliceData(c), len(c))
}

// copy is b in memory of its own, which nothing else is written to.
func (t *Texts) copy(b []byte) []byte {
	n := len(b)
	if n > len(t.free) {
		if n > unpackChunk/4 {
			return append([]byte(nil), b...)
		}
		t.free = make([]byte, unpackChunk)
	}
	c := t.free[:n:n]
	t.free = t.free[n:]
	copy(c, b)
	return c
}
