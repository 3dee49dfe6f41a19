package codec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/thalweg-io/thalweg/internal/golden"
	"pgregory.net/rapid"
)

type userID int64
type name string

type address struct {
	Host name
	Port uint16
	Path [2]string
	MAC  [6]byte
}

func hashOf[K comparable](t testing.TB, k K) uint64 {
	t.Helper()
	one, err := Hasher[K]()
	if err != nil {
		t.Fatal(err)
	}
	many, err := BatchHasher[K]()
	if err != nil {
		t.Fatal(err)
	}
	var got [2]uint64
	many(got[:], []K{k, k})
	if h := one(k); got != [2]uint64{h, h} {
		t.Fatalf("%v hashes to %#x alone, to %#x in a batch", k, h, got)
	}
	return one(k)
}

// TestHashGolden holds the hash to what docs/format/hash.md says: it is in every checkpoint, so a difference is data loss, never to be accepted
// by writing the file anew.
func TestHashGolden(t *testing.T) {
	var b strings.Builder
	add := func(k any, h uint64) { fmt.Fprintf(&b, "%T\t%#v\t%#016x\n", k, k, h) }
	for _, k := range []uint64{0, 1, 2, 42, 1 << 32, 1<<64 - 1} {
		add(k, hashOf(t, k))
	}
	add(int64(-1), hashOf(t, int64(-1)))
	add(int(42), hashOf(t, int(42)))
	add(int32(-1), hashOf(t, int32(-1)))
	add(int16(-1), hashOf(t, int16(-1)))
	add(int8(-1), hashOf(t, int8(-1)))
	add(uint8(255), hashOf(t, uint8(255)))
	add(uint16(1), hashOf(t, uint16(1)))
	add(uint32(1), hashOf(t, uint32(1)))
	add(false, hashOf(t, false))
	add(true, hashOf(t, true))
	for _, n := range []int{0, 1, 3, 4, 8, 15, 16, 17, 47, 48, 49, 95, 96, 100} {
		k := strings.Repeat("0123456789", 10)[:n]
		add(k, hashOf(t, k))
	}
	add([0]int{}, hashOf(t, [0]int{}))
	add([1]uint64{42}, hashOf(t, [1]uint64{42}))
	add([2]uint64{1, 2}, hashOf(t, [2]uint64{1, 2}))
	add([4]byte{1, 2, 3, 4}, hashOf(t, [4]byte{1, 2, 3, 4}))
	add(struct{}{}, hashOf(t, struct{}{}))
	a := address{"example.org", 443, [2]string{"a", "b"}, [6]byte{1, 2, 3, 4, 5, 6}}
	add(a, hashOf(t, a))
	golden.File(t, "testdata/hash.txt", []byte(b.String()))
}

func TestHashFollowsFromTheDocument(t *testing.T) {
	if hashOf(t, userID(-7)) != Mix(^uint64(6)) || hashOf(t, int8(-7)) != Mix(^uint64(6)) || hashOf(t, true) != Mix(1) {
		t.Error("a number does not hash by Mix of its value")
	}
	if hashOf(t, name("x")) != HashString("x") || HashBytes([]byte("x")) != HashString("x") {
		t.Error("a string does not hash by wyhash")
	}
	if hashOf(t, [1]int16{-3}) != Mix(^uint64(2)) {
		t.Error("an array of one number is not one fold")
	}
	a := address{"h", 80, [2]string{"a", "b"}, [6]byte{1, 2, 3, 4, 5, 6}}
	h := uint64(0)
	for _, part := range []uint64{HashString("h"), 80, HashString("a"), HashString("b"), HashBytes(a.MAC[:])} {
		h = Mix(h ^ part)
	}
	if hashOf(t, a) != h {
		t.Error("a struct does not fold its parts")
	}
}

func TestKeyOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keyOf(t, rapid.Uint64().Draw(t, "u64"))
		keyOf(t, rapid.Int8().Draw(t, "i8"))
		keyOf(t, rapid.Int16().Draw(t, "i16"))
		keyOf(t, rapid.Uint32().Draw(t, "u32"))
		keyOf(t, userID(rapid.Int64().Draw(t, "named")))
		keyOf(t, rapid.Bool().Draw(t, "bool"))
	})
	if HashIsKey[string]() || HashIsKey[[1]uint64]() || HashIsKey[struct{ A int }]() || HashIsKey[float64]() || !HashIsKey[userID]() {
		t.Error("HashIsKey")
	}
}

func keyOf[K comparable](t *rapid.T, k K) {
	h, err := Hasher[K]()
	if err != nil || !HashIsKey[K]() {
		t.Fatalf("%T: %v, hash is key: %v", k, err, HashIsKey[K]())
	}
	if got := KeyOf[K](h(k)); got != k {
		t.Fatalf("KeyOf(hash(%v)) = %v", k, got)
	}
}

func TestRefusedKeys(t *testing.T) {
	type inner struct{ F float64 }
	for _, tc := range []struct {
		err  error
		want string
	}{
		{keyErr[float64](), "float64 is of type float64; a key is a bool, an integer, a string"},
		{keyErr[struct{ A [3]inner }](), "key.A[].F is of type float64"},
		{keyErr[time.Time](), "Time.wall is not exported"},
		{keyErr[struct{ At *int }](), "key.At is of type *int"},
		{keyErr[any](), "key is of type interface {}"},
		{keyErr[struct{ E error }](), "key.E is of type error"},
		{keyErr[struct{ a int }](), "key.a is not exported"},
		{keyErr[[0]chan int](), "key[] is of type chan int"},
		{keyErr[uintptr](), "uintptr is of type uintptr"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("got %v, want %q in it", tc.err, tc.want)
		}
	}
}

func keyErr[K comparable]() error { _, err := Hasher[K](); return err }

// TestEqualKeysHaveEqualHashes: padding and where strings lie do not count.
func TestEqualKeysHaveEqualHashes(t *testing.T) {
	type padded struct {
		A uint8
		B uint64
		C string
	}
	hash, _ := Hasher[padded]()
	rapid.Check(t, func(t *rapid.T) {
		k := padded{rapid.Uint8().Draw(t, "A"), rapid.Uint64().Draw(t, "B"), rapid.String().Draw(t, "C")}
		same := padded{k.A, k.B, strings.Clone(k.C)}
		if !reflect.DeepEqual(k, same) || hash(k) != hash(same) {
			t.Fatalf("%v: %#x and %#x", k, hash(k), hash(same))
		}
	})
	k := padded{1, 2, "three"}
	if n := testing.AllocsPerRun(100, func() { hash(k) }); n > 0 {
		t.Errorf("hashing allocates %v times", n)
	}
}

// TestHashesSpread: consecutive integers and short strings fall evenly into key groups and into the lines of tables.
func TestHashesSpread(t *testing.T) {
	const n, bins = 1 << 16, 256
	for what, hash := range map[string]func(i int) uint64{
		"integers": func(i int) uint64 { return Mix(uint64(i)) },
		"strings":  func(i int) uint64 { return HashString(fmt.Sprint("user", i)) },
	} {
		var high, low [bins]int
		for i := range n {
			h := hash(i)
			high[h>>56]++
			low[uint32(h)>>24]++
		}
		for i := range bins { // 256 expected, deviation 16
			if high[i] < 176 || high[i] > 336 || low[i] < 176 || low[i] > 336 {
				t.Errorf("%s: bin %d has %d and %d of %d", what, i, high[i], low[i], n)
			}
		}
	}
}

func BenchmarkHash(b *testing.B) {
	b.Run("uint64", func(b *testing.B) { benchmarkHash(b, func(i int) uint64 { return uint64(i) }) })
	b.Run("string", func(b *testing.B) { benchmarkHash(b, func(i int) string { return fmt.Sprint("some word", i) }) })
	b.Run("struct", func(b *testing.B) {
		benchmarkHash(b, func(i int) address { return address{Host: "host", Port: uint16(i)} })
	})
}

func benchmarkHash[K comparable](b *testing.B, key func(int) K) {
	hash, _ := BatchHasher[K]()
	keys, dst := make([]K, 1024), make([]uint64, 1024)
	for i := range keys {
		keys[i] = key(i)
	}
	b.ReportAllocs()
	for n := b.N; n > 0; n -= len(keys) {
		hash(dst, keys)
	}
}

func BenchmarkCodec(b *testing.B) {
	type rec struct {
		A, B uint64
		S    string
	}
	c := mustFor[rec](b)
	vs, got := make([]rec, 1024), make([]rec, 1024)
	for i := range vs {
		vs[i] = rec{uint64(i), 2, "sixteen letters."}
	}
	var buf []byte
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for n := b.N; n > 0; n -= len(vs) {
			buf, _ = c.Append(buf[:0], vs)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for n := b.N; n > 0; n -= len(vs) {
			c.Decode(buf, got)
		}
	})
}
