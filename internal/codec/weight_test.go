package codec

import (
	"testing"

	"pgregory.net/rapid"
)

type parcel struct {
	N     int32
	Name  string
	Raw   []byte
	Items []parcelItem
	Near  *parcelItem
	Tags  map[string]string
	Sizes map[int64]int8
	Pair  [2]string
}

type parcelItem struct {
	Label string
	Count uint16
}

// lengthColumns is how many columns of parcel begin with a byte that says how wide their lengths are.
const lengthColumns = 11

func parcels() *rapid.Generator[parcel] {
	items := rapid.Custom(func(t *rapid.T) parcelItem { return parcelItem{rapid.String().Draw(t, "label"), 1} })
	return rapid.Custom(func(t *rapid.T) (p parcel) {
		p.Name, p.Raw = rapid.String().Draw(t, "name"), slicesOf(rapid.Byte()).Draw(t, "raw")
		p.Items, p.Tags = slicesOf(items).Draw(t, "items"), mapsOf(rapid.String(), rapid.String()).Draw(t, "tags")
		p.Sizes = mapsOf(rapid.Int64(), rapid.Int8()).Draw(t, "sizes")
		if rapid.Bool().Draw(t, "near") {
			i := items.Draw(t, "item")
			p.Near = &i
		}
		p.Pair[1] = rapid.String().Draw(t, "pair")
		return p
	})
}

// TestWeightIsTheEncodedSize but for the bytes that a column has and not a value.
func TestWeightIsTheEncodedSize(t *testing.T) {
	c, err := For[parcel]()
	if err != nil {
		t.Fatal(err)
	}
	w := WeightsOf(c)
	if _, even := w.Each(); even {
		t.Fatal("strings weigh the same")
	}
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(parcels(), 1, 8).Draw(t, "values")
		weights := make([]int, len(vs))
		for i := range weights {
			weights[i] = 1 << 30 // of what was there before
		}
		w.Of(weights, vs)
		for i, v := range vs {
			b, err := c.Append(nil, []parcel{v})
			if err != nil {
				t.Fatal(err)
			}
			if over := len(b) - weights[i]; over < 0 || over > lengthColumns {
				t.Fatalf("value %d of %+v weighs %d and takes %d bytes", i, v, weights[i], len(b))
			}
		}
	})
}

func TestEvenWeights(t *testing.T) {
	type point struct {
		X, Y int64
		On   bool
		At   [3]float32
	}
	c, err := For[point]()
	if err != nil {
		t.Fatal(err)
	}
	w := WeightsOf(c)
	b, err := c.Append(nil, make([]point, 5))
	if err != nil {
		t.Fatal(err)
	}
	if each, even := w.Each(); !even || each != len(b)/5 {
		t.Errorf("%d bytes each, even: %v; 5 take %d", each, even, len(b))
	}
	weights := make([]int, 5)
	w.Of(weights, make([]point, 5))
	if weights[0] != len(b)/5 || weights[4] != len(b)/5 {
		t.Errorf("weights %v", weights)
	}
	if n := testing.AllocsPerRun(10, func() { w.Of(weights, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
