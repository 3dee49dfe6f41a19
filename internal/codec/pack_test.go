package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"
)

type packedLine struct {
	Product string
	Count   int32
	Tags    []string
	Nothing []struct{}
}

type packedOrder struct {
	ID     int64
	Paid   bool
	Name   string
	When   time.Time
	Lines  []packedLine
	Raw    []byte
	Grid   [3]int16
	Pairs  [2]struct{ A, B string }
	Prices []float64
	Last   uint8
}

// drawOrder makes a value of which everything may be empty, nil or long.
func drawOrder(r *rand.Rand) packedOrder {
	word := func() string { return strings.Repeat("aé日", r.IntN(4)) + fmt.Sprint(r.IntN(1000)) }
	o := packedOrder{ID: r.Int64() - r.Int64(), Paid: r.IntN(2) == 0, Name: word(), Last: uint8(r.IntN(256)), Grid: [3]int16{int16(r.Int()), -1, 3}}
	if r.IntN(3) > 0 {
		o.When = time.Unix(r.Int64N(1e10)-5e9, r.Int64N(1e9)).UTC()
	}
	if r.IntN(3) > 0 {
		o.Lines = make([]packedLine, r.IntN(5)*r.IntN(40))
		for i := range o.Lines {
			o.Lines[i] = packedLine{Product: word(), Count: int32(r.Int())}
			if r.IntN(2) == 0 {
				o.Lines[i].Tags = []string{word(), "", word()}[:r.IntN(4)]
				o.Lines[i].Nothing = make([]struct{}, r.IntN(3))
			}
		}
	}
	if r.IntN(3) > 0 {
		o.Raw = []byte(strings.Repeat(word(), r.IntN(3000)*r.IntN(2)))
	}
	for i := range o.Pairs {
		o.Pairs[i].A, o.Pairs[i].B = word(), word()
	}
	if r.IntN(2) == 0 {
		o.Prices = []float64{1.5, -2}[:r.IntN(3)]
	}
	return o
}

// TestPackedValuesComeBack packs values and unpacks them into one that has others in it; what was unpacked before must stay as it is.
func TestPackedValuesComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	p, ok := PackerOf[packedOrder]()
	if !ok {
		t.Fatal("there is no packer")
	}
	var want, got []packedOrder
	var v packedOrder
	for range 2000 {
		o := drawOrder(r)
		b := make([]byte, p.Size(&o))
		p.Pack(b, &o)
		if id := int64(binary.NativeEndian.Uint64(b)); id != o.ID {
			t.Fatalf("the number it begins with is %d, want %d", id, o.ID)
		}
		p.Unpack(b, &v)
		clear(b) // nothing may be kept of it
		want, got = append(want, o), append(got, v)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("value %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
	for i := range got { // no one's capacity reaches another's memory
		for j := range got[i].Lines {
			got[i].Lines[j].Tags = append(got[i].Lines[j].Tags, "more")
		}
		got[i].Raw = append(got[i].Raw, "more"...)
		got[i].Prices = append(got[i].Prices, 7)
		got[i].Lines = append(got[i].Lines, packedLine{Product: "more"})
	}
	for i := range want {
		w, g := want[i], got[i]
		if g.Name != w.Name || g.Pairs != w.Pairs || len(w.Raw) > 0 && !strings.HasPrefix(string(g.Raw), string(w.Raw)) {
			t.Fatalf("value %d: %+v after appends to others, want %+v", i, g, w)
		}
		for j, l := range w.Lines {
			if g.Lines[j].Product != l.Product || !reflect.DeepEqual(g.Lines[j].Tags[:len(l.Tags)], append([]string{}, l.Tags...)) {
				t.Fatalf("value %d, line %d: %+v after appends to others, want %+v", i, j, g.Lines[j], l)
			}
		}
	}
}

func TestEmptyIsNotNil(t *testing.T) {
	p, _ := PackerOf[[][]byte]()
	want := [][]byte{nil, {}, nil}
	b := make([]byte, p.Size(&want))
	p.Pack(b, &want)
	var got [][]byte
	if p.Unpack(b, &got); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	q, _ := PackerOf[[]byte]()
	raw, none := []byte("before"), []byte{}
	b = make([]byte, q.Size(&none))
	q.Pack(b, &none)
	if q.Unpack(b, &raw); raw == nil || len(raw) > 0 {
		t.Errorf("got %#v, want an empty slice", raw)
	}
}

// TestEqualKeysHaveEqualBytes: what lies between the fields of a struct is no part of a key.
func TestEqualKeysHaveEqualBytes(t *testing.T) {
	type key struct {
		A uint8
		B int64
		C string
		D bool
		E int32
	}
	p, _ := PackerOf[key]()
	var packed [2][]byte
	for i := range packed {
		var k key
		head := unsafe.Slice((*byte)(unsafe.Pointer(&k)), unsafe.Offsetof(k.C))
		for j := range head {
			head[j] = byte(i * 255)
		}
		tail := unsafe.Slice((*byte)(unsafe.Pointer(&k.D)), unsafe.Sizeof(k)-unsafe.Offsetof(k.D))
		for j := range tail {
			tail[j] = byte(i * 255)
		}
		k.A, k.B, k.C, k.D, k.E = 1, 2, "three", true, 5
		packed[i] = make([]byte, p.Size(&k))
		p.Pack(packed[i], &k)
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Errorf("%x and %x are of equal keys", packed[0], packed[1])
	}
}

func TestWhatIsNotPacked(t *testing.T) {
	refuse := func(name string, ok bool) {
		if ok {
			t.Errorf("%s has a packer", name)
		}
	}
	_, ok := PackerOf[map[string]int]()
	refuse("a map", ok)
	_, ok = PackerOf[struct{ P *int }]()
	refuse("a pointer", ok)
	_, ok = PackerOf[[1000]string]()
	refuse("a long array of strings", ok)
	_, ok = PackerOf[[]map[string]int]()
	refuse("a slice of maps", ok)
	_, ok = PackerOf[chan int]()
	refuse("a channel", ok)
}

func TestUnpackingAllocatesOnceInMany(t *testing.T) {
	type bid struct {
		Auction, Bidder int64
		Channel, URL    string
		At              int64
	}
	one, _ := PackerOf[bid]()
	few, _ := PackerOf[[]bid]()
	v := bid{1, 2, "channel", "https://example.org/some/where", 3}
	vs := []bid{v, v, v}
	b, bs := make([]byte, one.Size(&v)), make([]byte, few.Size(&vs))
	if n := testing.AllocsPerRun(10_000, func() { one.Pack(b, &v); one.Unpack(b, &v) }); n >= 1 {
		t.Errorf("%v allocations to unpack a struct", n)
	}
	if n := testing.AllocsPerRun(10_000, func() { few.Pack(bs, &vs); few.Unpack(bs, &vs) }); n >= 1 {
		t.Errorf("%v allocations to unpack a slice", n)
	}
}

func BenchmarkUnpack(b *testing.B) {
	type bid struct {
		Auction, Bidder, Price int64
		Channel, URL           string
		At                     int64
		Extra                  string
	}
	v := bid{1, 2, 3, "Google", "https://www.nexmark.com/abc/def/item.htm?query=1", 3, strings.Repeat("x", 60)}
	p, _ := PackerOf[bid]()
	c, _ := For[bid]()
	packed := make([]byte, p.Size(&v))
	p.Pack(packed, &v)
	columns, _ := c.Append(nil, []bid{v})
	one := make([]bid, 1)
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			p.Pack(packed, &v)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		for b.Loop() {
			p.Unpack(packed, &one[0])
		}
	})
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			columns, _ = c.Append(columns[:0], one)
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			_, _ = c.Decode(columns, one)
		}
	})
}
