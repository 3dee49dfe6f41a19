package codec

import (
	"reflect"
	"time"
	"unsafe"
)

// A Keeper keeps single values of T as they are, for somebody who lends them out to be changed in place and must share no memory with those who give and
// take them. Strings are shared: they do not change.
//
// It knows the slices, maps and pointers that T has in itself, and owns those whose memory it made or has looked at before: what is put there by others it
// copies. A T with something in slices, maps or behind pointers that can be changed in turn has no Keeper, as one would have to look at every element
// to know. Times become what they are when they are read from bytes: UTC, without a monotonic reading.
//
// A Keeper belongs to one goroutine.
type Keeper[T any] struct {
	times []uintptr // offsets of those that are not in slices
	lists []keptList
	refs  []uintptr // offsets of maps and pointers
	marks []keptMark
}

// keptList is a slice in a value.
type keptList struct {
	off   uintptr
	times []uintptr // in an element
	free  []sliceHeader
	elements
}

// What values leave is used by others, up to so much of a list.
const (
	mostFree    = 256
	largestFree = 8 << 10
)

// keptMark is the memory of a list, or of what a ref points to, before it was lent out. It is a pointer so that nobody else's memory comes to lie there
// meanwhile.
type keptMark struct {
	p        unsafe.Pointer
	len, cap int
}

// KeeperOf derives the keeper of T; false: there is none.
func KeeperOf[T any]() (*Keeper[T], bool) {
	c, err := For[T]()
	if err != nil {
		return nil, false
	}
	k := &Keeper[T]{}
	if !k.derive(c.(*columns[T]).root, 0) {
		return nil, false
	}
	k.marks = make([]keptMark, len(k.lists)+len(k.refs))
	return k, true
}

func (k *Keeper[T]) derive(n node, off uintptr) bool {
	switch n := n.(type) {
	case *fixed, *text:
	case *moment:
		k.times = append(k.times, off)
	case *blob:
		k.lists = append(k.lists, keptList{off: off, elements: elements{typ: reflect.TypeFor[[]byte](), size: 1}})
	case *list:
		l := keptList{off: off, elements: elements{typ: n.typ, size: n.size}}
		if !unchanging(n.elem, 0, &l.times) {
			return false
		}
		k.lists = append(k.lists, l)
	case *dict:
		var times []uintptr
		if !unchanging(n.key, 0, &times) || !unchanging(n.val, 0, &times) || len(times) > 0 {
			return false
		}
		k.refs = append(k.refs, off)
	case *pointer:
		var times []uintptr
		if !unchanging(n.elem, 0, &times) || len(times) > 0 {
			return false
		}
		k.refs = append(k.refs, off)
	case *record:
		for _, f := range n.fields {
			if !k.derive(f.node, off+f.off) {
				return false
			}
		}
	case *array:
		for i := range n.len {
			if !k.derive(n.elem, off+uintptr(i)*n.size) || len(k.lists)+len(k.refs)+len(k.times) > maxUnrolled {
				return false
			}
		}
	default:
		return false
	}
	return true
}

// unchanging reports whether a copy of what a node is of shares nothing with it that can be changed, and collects where it has times.
func unchanging(n node, off uintptr, times *[]uintptr) bool {
	switch n := n.(type) {
	case *fixed, *text:
		return true
	case *moment:
		*times = append(*times, off)
		return true
	case *record:
		for _, f := range n.fields {
			if !unchanging(f.node, off+f.off, times) {
				return false
			}
		}
		return true
	case *array:
		for i := range n.len {
			if !unchanging(n.elem, off+uintptr(i)*n.size, times) || len(*times) > maxUnrolled {
				return false
			}
		}
		return true
	}
	return false
}

// Plain reports that a copy of a T shares nothing with it that can be changed.
func (k *Keeper[T]) Plain() bool { return len(k.lists)+len(k.refs) == 0 }

// Copies reports whether Copy and Put can be used: not of a T with maps or pointers.
func (k *Keeper[T]) Copies() bool { return len(k.refs) == 0 }

// Copy makes dst, whatever was there, a copy of a value that is kept.
func (k *Keeper[T]) Copy(dst, src *T) {
	*dst = *src
	for i := range k.lists {
		l := &k.lists[i]
		h := l.header(unsafe.Pointer(dst))
		if n := h.len; n > 0 {
			p := l.take(n)
			l.copy(p, h.p, n)
			*h = sliceHeader{p: p, len: n, cap: n}
		} else if h.p != nil {
			*h = sliceHeader{p: unsafe.Pointer(&nothing)}
		}
	}
}

// Put makes dst, which is kept, a copy of somebody's value. The memory that dst has is used again.
func (k *Keeper[T]) Put(dst, src *T) {
	k.Lend(dst)
	*dst = *src
	for i := range k.lists {
		l, m := &k.lists[i], k.marks[i]
		h := l.header(unsafe.Pointer(dst))
		if h.p == nil {
			continue
		}
		theirs := *h
		*h = sliceHeader{p: m.p, cap: m.cap}
		if n := theirs.len; n > m.cap || m.p == nil {
			*h = l.room(n)
		} else if n < m.len {
			l.clear(m.p, n, m.len)
		}
		if h.len = theirs.len; h.len > 0 {
			l.copy(h.p, theirs.p, h.len)
		}
	}
	k.normalize(dst)
	clear(k.marks)
}

// Lend must come before a value that is kept is changed by others, and Own after it.
func (k *Keeper[T]) Lend(v *T) {
	for i := range k.lists {
		h := k.lists[i].header(unsafe.Pointer(v))
		k.marks[i] = keptMark{h.p, h.len, h.cap}
	}
	for i, off := range k.refs {
		k.marks[len(k.lists)+i] = keptMark{p: *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(v), off))}
	}
}

// Own makes a value that was lent the keeper's again. False: it has a map or a pointer of somebody else's, and may not be kept; nothing else was done.
func (k *Keeper[T]) Own(v *T) bool {
	defer clear(k.marks)
	for i, off := range k.refs {
		if p := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(v), off)); p != nil && p != k.marks[len(k.lists)+i].p {
			return false
		}
	}
	for i := range k.lists {
		l, m := &k.lists[i], k.marks[i]
		h := l.header(unsafe.Pointer(v))
		switch {
		case h.p == m.p:
			if h.len < m.len && h.len < h.cap { // nothing is kept behind the end
				l.clear(h.p, h.len, min(m.len, h.cap))
			}
		case h.p == nil || l.within(h, m):
		case h.len == 0: // it may have room in memory that others write to
			*h = sliceHeader{p: unsafe.Pointer(&nothing)}
		default:
			theirs := *h
			*h = l.room(theirs.len)
			h.len = theirs.len
			l.copy(h.p, theirs.p, h.len)
		}
	}
	k.normalize(v)
	return true
}

// Ready gives a zero value the memory that a Packer's Refill may use.
func (k *Keeper[T]) Ready(v *T) {
	for i := range k.lists {
		*k.lists[i].header(unsafe.Pointer(v)) = k.lists[i].freed()
	}
}

// Empty makes a value that is kept the zero one, and others use its memory.
func (k *Keeper[T]) Empty(v *T) {
	for i := range k.lists {
		l := &k.lists[i]
		h := *l.header(unsafe.Pointer(v))
		if h.cap > 0 && h.cap*int(l.size) <= largestFree && len(l.free) < mostFree {
			if h.len > 0 {
				l.clear(h.p, 0, h.len)
			}
			h.len = 0
			l.free = append(l.free, h)
		}
	}
	var zero T
	*v = zero
}

// Weight is about how many bytes the slices of a value take.
func (k *Keeper[T]) Weight(v *T) (n int) {
	for i := range k.lists {
		n += k.lists[i].header(unsafe.Pointer(v)).cap * int(k.lists[i].size)
	}
	return n
}

func (k *Keeper[T]) normalize(v *T) {
	for _, off := range k.times {
		utc(unsafe.Add(unsafe.Pointer(v), off))
	}
	for i := range k.lists {
		l := &k.lists[i]
		if len(l.times) == 0 {
			continue
		}
		h := l.header(unsafe.Pointer(v))
		for j := range h.len {
			for _, off := range l.times {
				utc(unsafe.Add(h.p, uintptr(j)*l.size+off))
			}
		}
	}
}

func utc(p unsafe.Pointer) {
	t := (*time.Time)(p)
	*t = t.UTC()
}

func (l *keptList) header(v unsafe.Pointer) *sliceHeader { return (*sliceHeader)(unsafe.Add(v, l.off)) }

// within reports whether a slice lies in memory that was marked: it may begin later there.
func (l *keptList) within(h *sliceHeader, m keptMark) bool {
	return m.cap > 0 && uintptr(h.p) >= uintptr(m.p) && uintptr(h.p) < uintptr(m.p)+uintptr(m.cap)*l.size
}

// freed is memory that a value has left, or the nil slice.
func (l *keptList) freed() (h sliceHeader) {
	if n := len(l.free); n > 0 {
		h, l.free[n-1] = l.free[n-1], h
		l.free = l.free[:n-1]
	}
	return h
}

// room is memory for n elements and some more, as what has grown grows again.
func (l *keptList) room(n int) sliceHeader {
	if n == 0 {
		return sliceHeader{p: unsafe.Pointer(&nothing)}
	}
	if h := l.freed(); h.cap >= n {
		return h
	}
	s := reflect.MakeSlice(l.typ, n, n+n/2+1)
	return sliceHeader{p: s.UnsafePointer(), cap: s.Cap()}
}
