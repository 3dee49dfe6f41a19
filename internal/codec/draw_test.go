package codec

import (
	"net/url"
	"time"

	"pgregory.net/rapid"
)

// Generators of random values, with nil and empty among the slices, maps and pointers.

func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		// Far beyond this range Go's own comparisons of times overflow.
		return time.Unix(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
}

func smalls() *rapid.Generator[small] {
	return rapid.Custom(func(t *rapid.T) small { return small{rapid.Int8().Draw(t, "A"), rapid.String().Draw(t, "B")} })
}

func slicesOf[T any](g *rapid.Generator[T]) *rapid.Generator[[]T] {
	return rapid.Custom(func(t *rapid.T) []T {
		if rapid.IntRange(0, 4).Draw(t, "nil") == 0 {
			return nil
		}
		return rapid.SliceOfN(g, 0, 4).Draw(t, "slice")
	})
}

func mapsOf[K comparable, V any](k *rapid.Generator[K], v *rapid.Generator[V]) *rapid.Generator[map[K]V] {
	return rapid.Custom(func(t *rapid.T) map[K]V {
		if rapid.IntRange(0, 4).Draw(t, "nil") == 0 {
			return nil
		}
		return rapid.MapOfN(k, v, 0, 4).Draw(t, "map")
	})
}

func everythings() *rapid.Generator[everything] {
	return rapid.Custom(func(t *rapid.T) (e everything) {
		e.Bool = rapid.Bool().Draw(t, "Bool")
		e.I, e.I8, e.I16 = rapid.Int().Draw(t, "I"), rapid.Int8().Draw(t, "I8"), rapid.Int16().Draw(t, "I16")
		e.I32, e.I64 = rapid.Int32().Draw(t, "I32"), rapid.Int64().Draw(t, "I64")
		e.U, e.U8, e.U16 = rapid.Uint().Draw(t, "U"), rapid.Uint8().Draw(t, "U8"), rapid.Uint16().Draw(t, "U16")
		e.U32, e.U64 = rapid.Uint32().Draw(t, "U32"), rapid.Uint64().Draw(t, "U64")
		e.F32, e.F64 = rapid.Float32().Draw(t, "F32"), rapid.Float64().Draw(t, "F64")
		e.Str, e.Bytes = rapid.String().Draw(t, "Str"), slicesOf(rapid.Byte()).Draw(t, "Bytes")
		for i := range e.Raw {
			e.Raw[i] = rapid.Byte().Draw(t, "Raw")
		}
		for i := range e.Grid {
			for j := range e.Grid[i] {
				e.Grid[i][j] = rapid.Int32().Draw(t, "Grid")
			}
		}
		e.Flags = [3]bool{rapid.Bool().Draw(t, "Flag"), true, false}
		e.Names = [2]string{rapid.String().Draw(t, "Name"), "x"}
		e.At, e.Ats = times().Draw(t, "At"), slicesOf(times()).Draw(t, "Ats")
		e.Tags, e.Ints = slicesOf(rapid.String()).Draw(t, "Tags"), slicesOf(rapid.Int64()).Draw(t, "Ints")
		e.Deep = slicesOf(slicesOf(smalls())).Draw(t, "Deep")
		e.Ptr, e.PtrS = rapid.Ptr(rapid.Int64(), true).Draw(t, "Ptr"), rapid.Ptr(smalls(), true).Draw(t, "PtrS")
		e.PtrP = rapid.Ptr(rapid.Ptr(rapid.String(), true), true).Draw(t, "PtrP")
		e.Map = mapsOf(rapid.String(), rapid.Int64()).Draw(t, "Map")
		e.MapS = mapsOf(smalls(), slicesOf(rapid.String())).Draw(t, "MapS")
		e.Inner = Inner{rapid.Int32().Draw(t, "X"), 7, rapid.Ptr(smalls(), true).Draw(t, "S")}
		e.Few = [2]small{smalls().Draw(t, "Few"), {}}
		e.URL = url.URL{Scheme: "https", Host: rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "Host")}
		e.Units = slicesOf(rapid.Just(struct{}{})).Draw(t, "Units")
		e.Color = color(rapid.Byte().Draw(t, "Color"))
		return e
	})
}
