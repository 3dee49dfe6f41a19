package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/thalweg-io/thalweg/internal/golden"
	"pgregory.net/rapid"
)

type small struct {
	A int8
	B string
}

type Inner struct {
	X, Y int32
	S    *small
}

// everything has each kind of column, nested into each other, and padding between.
type everything struct {
	Bool  bool
	I     int
	I8    int8
	I16   int16
	I32   int32
	I64   int64
	U     uint
	U8    uint8
	U16   uint16
	U32   uint32
	U64   uint64
	F32   float32
	F64   float64
	Str   string
	Bytes []byte
	Raw   [5]byte
	Grid  [2][3]int32
	Flags [3]bool
	Names [2]string
	At    time.Time
	Ats   []time.Time
	Tags  []string
	Ints  []int64
	Deep  [][]small
	Ptr   *int64
	PtrS  *small
	PtrP  **string
	Map   map[string]int64
	MapS  map[small][]string
	Inner
	Few   [2]small
	URL   url.URL
	Unit  struct{}
	Units []struct{}
	Color color
}

type color uint8

func mustFor[T any](t testing.TB) Codec[T] {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// roundTrip encodes between other bytes, decodes over dirty memory, and compares.
func roundTrip[T any](t interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}, vs []T) {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append([]byte("before"), vs)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:6]) != "before" {
		t.Fatalf("Append changed what was there: %q", b[:6])
	}
	if least := c.Schema().MinSize() * len(vs); len(b)-6 < least {
		t.Fatalf("%d values in %d bytes: MinSize says %d", len(vs), len(b)-6, least)
	}
	src := append(b[6:len(b):len(b)], "after"...)
	got := make([]T, len(vs))
	copy(got, vs[len(vs)/2:])
	rest, err := c.Decode(src, got)
	if err != nil {
		t.Fatal(err)
	}
	if string(rest) != "after" {
		t.Fatalf("Decode leaves %q", rest)
	}
	for i := range src { // decoded values must not hang on the source
		src[i] = 0xa5
	}
	if len(vs) > 0 && !reflect.DeepEqual(got, vs) {
		t.Fatalf("decoded %+v\nwant %+v", got, vs)
	}
}

func TestRoundTripOfEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, rapid.SliceOfN(everythings(), 0, 5).Draw(t, "values"))
	})
}

func TestRoundTripOfPlainTypes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roundTrip(t, rapid.SliceOf(rapid.Uint64()).Draw(t, "u64"))
		roundTrip(t, rapid.SliceOf(rapid.String()).Draw(t, "string"))
		roundTrip(t, rapid.SliceOf(rapid.Bool()).Draw(t, "bool"))
		roundTrip(t, rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "bytes"))
		roundTrip(t, rapid.SliceOf(times()).Draw(t, "time"))
		roundTrip(t, rapid.SliceOf(rapid.MapOf(rapid.String(), rapid.Int16())).Draw(t, "map"))
		roundTrip(t, rapid.SliceOf(rapid.Ptr(rapid.Int(), true)).Draw(t, "pointer"))
	})
}

func TestRoundTripOfBorders(t *testing.T) {
	roundTrip(t, []float64{math.Inf(1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64})
	roundTrip(t, []struct{}{{}, {}, {}})
	roundTrip(t, [][]struct{}{nil, {}, make([]struct{}, 1<<20)})
	roundTrip(t, []map[struct{}]struct{}{nil, {}, {{}: {}}})
	roundTrip(t, [][0]int{{}, {}})
	roundTrip(t, [][]byte{nil, {}, {0}, make([]byte, math.MaxUint16-1), make([]byte, math.MaxUint16)})
	roundTrip(t, []string{"", strings.Repeat("x", math.MaxUint16), strings.Repeat("x", math.MaxUint16+1)})
	roundTrip(t, [][]bool{make([]bool, math.MaxUint16), nil, {}})
	roundTrip(t, []time.Time{{}, time.Unix(0, 0).UTC(), earliest.UTC(), latest.UTC(), earliest.Add(-1).UTC(), latest.Add(1).UTC(),
		time.Unix(1<<40, 999_999_999).UTC()})
	nan := math.Float64frombits(0x7ff8_0000_dead_beef)
	c := mustFor[float64](t)
	b, err := c.Append(nil, []float64{nan})
	if err != nil || binary.LittleEndian.Uint64(b) != math.Float64bits(nan) {
		t.Errorf("a NaN becomes %x, %v", b, err)
	}
}

func TestTimeComesBackInUTC(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 5, time.FixedZone("X", 3600))
	c := mustFor[time.Time](t)
	b, _ := c.Append(nil, []time.Time{at})
	var got [1]time.Time
	if _, err := c.Decode(b, got[:]); err != nil || got[0] != at.UTC() {
		t.Errorf("%v becomes %v, %v", at, got[0], err)
	}
}

// TestSlicesEndWhereTheyEnd: neighbours share memory, so an append must not reach it.
func TestSlicesEndWhereTheyEnd(t *testing.T) {
	ints, blobs := [][]int32{{1, 2}, {3}}, [][]byte{{1, 2}, {3}}
	ib, _ := mustFor[[]int32](t).Append(nil, ints)
	bb, _ := mustFor[[]byte](t).Append(nil, blobs)
	gotInts, gotBlobs := make([][]int32, 2), make([][]byte, 2)
	mustFor[[]int32](t).Decode(ib, gotInts)
	mustFor[[]byte](t).Decode(bb, gotBlobs)
	_, _ = append(gotInts[0], 9), append(gotBlobs[0], 9)
	if gotInts[1][0] != 3 || gotBlobs[1][0] != 3 {
		t.Errorf("an append to one value changed the next: %v %v", gotInts, gotBlobs)
	}
}

func TestRefusedTypes(t *testing.T) {
	type node struct{ Next *node }
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errOf[struct{ Done chan int }](), "value.Done (chan int): a chan has no encoding"},
		{errOf[struct{ In struct{ F []func() } }](), "value.In.F[] (func()): a func has no encoding"},
		{errOf[struct{ M map[string]any }](), "value.M[value] (interface {}): an interface does not say"},
		{errOf[struct{ E error }](), "value.E (error): an interface does not say"},
		{errOf[Hidden](), "Hidden.n (int): the field is not exported; export it, or give codec.Hidden MarshalBinary"},
		{errOf[struct{ P uintptr }](), "value.P (uintptr): a uintptr has no encoding"},
		{errOf[struct{ C complex128 }](), "value.C (complex128): a complex128 has no encoding"},
		{errOf[node](), "node.Next (codec.node): the type contains itself"},
		{errOf[struct {
			L []struct {
				B struct {
					B bool
					_ [0]int64
				}
			}
		}](), "value.L[].B._ ([0]int64): the field is not exported"},
		{errOf[[]struct {
			A struct {
				B bool
				Z [0]int64
			}
			Z [0]int64
		}](), "24 bytes of memory for as few as 1 encoded ones"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("got %v, want %q in it", tc.err, tc.want)
		}
	}
}

func errOf[T any]() error { _, err := For[T](); return err }

type Hidden struct{ n int }

var _ = Hidden{}.n

func TestFailingMarshalerNamesTheField(t *testing.T) {
	type outer struct{ In []failing }
	dst := []byte("kept")
	b, err := mustFor[outer](t).Append(dst, []outer{{In: []failing{{}}}})
	if err == nil || !strings.Contains(err.Error(), "outer.In[]: no luck") || string(b) != "kept" {
		t.Errorf("got %q, %v", b, err)
	}
}

type failing struct{ _ int }

func (failing) MarshalBinary() ([]byte, error)  { return nil, errors.New("no luck") }
func (*failing) UnmarshalBinary(b []byte) error { return nil }

func TestSchema(t *testing.T) {
	const want = `{Bool bool;I i64;I8 i8;I16 i16;I32 i32;I64 i64;U u64;U8 u8;U16 u16;U32 u32;U64 u64;F32 f32;F64 f64;Str string;Bytes bytes;` +
		`Raw [5]u8;Grid [2][3]i32;Flags [3]bool;Names [2]string;At time;Ats []time;Tags []string;Ints []i64;Deep [][]{A i8;B string};Ptr *i64;` +
		`PtrS *{A i8;B string};PtrP **string;Map map[string]i64;MapS map[{A i8;B string}][]string;Inner {X i32;Y i32;S *{A i8;B string}};` +
		`Few [2]{A i8;B string};URL binary("net/url.URL");Unit {};Units []{};Color u8}`
	s := mustFor[everything](t).Schema()
	if s.String() != want {
		t.Errorf("schema %s\nwant   %s", s, want)
	}
	if s.Fingerprint() != HashString(want) {
		t.Errorf("fingerprint %#x", s.Fingerprint())
	}
	if a, b := mustFor[struct{ A int }](t).Schema(), mustFor[struct{ A int64 }](t).Schema(); a != b {
		t.Errorf("schemas of int and int64 differ: %v, %v", a, b)
	}
}

func TestFixedSize(t *testing.T) {
	type mixed struct {
		A bool
		B [3]uint64
	}
	if n, ok := FixedSize[mixed](); !ok || n != int(unsafe.Sizeof(mixed{})) {
		t.Errorf("mixed: %d %v", n, ok)
	}
	if _, ok := FixedSize[struct{ S string }](); ok {
		t.Error("a string is pointer-free")
	}
	if _, ok := FixedSize[time.Time](); ok {
		t.Error("a Time is pointer-free")
	}
}

// TestSteadyStateAllocations: nothing per record; a string column costs one arena per batch.
func TestSteadyStateAllocations(t *testing.T) {
	type rec struct {
		K uint64
		S string
		N int32
	}
	c := mustFor[rec](t)
	vs, got := make([]rec, 1024), make([]rec, 1024)
	for i := range vs {
		vs[i] = rec{uint64(i), "some text", int32(i)}
	}
	b, _ := c.Append(nil, vs)
	if n := testing.AllocsPerRun(100, func() { b, _ = c.Append(b[:0], vs) }); n > 0 && !raceEnabled {
		t.Errorf("Append of a batch allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { c.Decode(b, got) }); n > 1 {
		t.Errorf("Decode of a batch allocates %v times", n)
	}
	u := mustFor[uint64](t)
	keys := make([]uint64, 1024)
	b, _ = u.Append(nil, keys)
	if n := testing.AllocsPerRun(100, func() { b, _ = u.Append(b[:0], keys); u.Decode(b, keys) }); n > 0 && !raceEnabled {
		t.Errorf("a round trip of numbers allocates %v times", n)
	}
}

// TestExampleOfTheDocument is the example in docs/format/columns.md.
func TestExampleOfTheDocument(t *testing.T) {
	type rec struct {
		N int32
		S string
	}
	b, err := mustFor[rec](t).Append(nil, []rec{{1, "ab"}, {-1, ""}})
	want := []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 2, 0, 0, 0, 'a', 'b'}
	if err != nil || !bytes.Equal(b, want) {
		t.Errorf("got % x, %v, want % x", b, err, want)
	}
}

// TestColumnsGolden holds every kind of column to bytes that were written before.
func TestColumnsGolden(t *testing.T) {
	n := int64(7)
	s := "deep"
	p := &s
	vs := []everything{{}, {Bool: true, I: -1, I8: -2, I16: -3, I32: -4, I64: -5, U: 1, U8: 2, U16: 3, U32: 4, U64: 5, F32: 1.5, F64: -2.5, Str: "text",
		Bytes: []byte{}, Raw: [5]byte{1, 2, 3, 4, 5}, Grid: [2][3]int32{{1, 2, 3}, {4, 5, 6}}, Flags: [3]bool{true, false, true}, Names: [2]string{"a", "bc"},
		At: time.Unix(1, 2), Ats: []time.Time{{}, time.Unix(1<<40, 3)}, Tags: []string{"x", ""}, Ints: []int64{}, Deep: [][]small{nil, {}, {{1, "s"}}},
		Ptr: &n, PtrS: &small{9, "nine"}, PtrP: &p, Map: map[string]int64{"k": 1}, MapS: map[small][]string{{1, "m"}: {"v"}}, Inner: Inner{1, 2, nil},
		Few: [2]small{{1, "f"}, {}}, URL: url.URL{Scheme: "https", Host: "example.org"}, Units: make([]struct{}, 3), Color: 4}}
	b, err := mustFor[everything](t).Append(nil, vs)
	if err != nil {
		t.Fatal(err)
	}
	kept := golden.File(t, "testdata/columns.bin", b)
	got := make([]everything, len(vs))
	if rest, err := mustFor[everything](t).Decode(kept, got); err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	vs[1].At, vs[1].Ats[1] = vs[1].At.UTC(), vs[1].Ats[1].UTC()
	if !reflect.DeepEqual(got, vs) {
		t.Errorf("got %+v\nwant %+v", got, vs)
	}
}
