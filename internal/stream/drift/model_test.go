package drift

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestGroupsStayTogether plays groups whose words travel at any speed, though in order: however late they are, nobody reads on who is further ahead of the
// slowest than the drift, unless one has come in behind of which not all have heard; and when all words have arrived, the slowest can go on.
func TestGroupsStayTogether(t *testing.T) {
	const seeds = 3000
	waited := 0
	for seed := range uint64(seeds) {
		g := newGame(seed)
		for range 400 {
			g.step(t)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		waited += g.waited
	}
	if waited < 10*seeds {
		t.Errorf("in %d games, readers had to wait %d times: this has shown little", seeds, waited)
	}
}

type game struct {
	random  *rand.Rand
	drift   int64
	group   *Group
	readers []*Reader
	at      []int64   // how far each has come
	largest []int64   // piece of time that it reads at once
	said    [][]int64 // on its way to the group
	told    [][]int64 // on its way to each reader
	fell    bool      // some reader has come in behind, or fallen back, and not everybody has heard yet
	waited  int
}

func newGame(seed uint64) *game {
	g := &game{random: rand.New(rand.NewPCG(seed, 9))}
	g.drift = 1 + g.random.Int64N([]int64{5, 100, 5000}[g.random.IntN(3)])
	n := 1 + g.random.IntN(5)
	g.group = NewGroup(g.drift, n)
	for range n {
		g.readers = append(g.readers, NewReader(g.drift))
		g.at = append(g.at, Unknown)
		g.largest = append(g.largest, 1+g.random.Int64N(3*g.drift))
	}
	g.said, g.told = make([][]int64, n), make([][]int64, n)
	return g
}

// read has a reader go on by a piece, if it may; it reports whether it did.
func (g *game) read(t *testing.T, i int) bool {
	if g.at[i] == Free {
		return false
	}
	if g.readers[i].Waits(g.at[i]) {
		g.waited++
		return false
	}
	if slowest := slices.Min(g.at); g.at[i] != Unknown && ahead(g.at[i], slowest) > uint64(g.drift) {
		if !g.fell {
			t.Errorf("reader %d reads at %d, and the slowest is at %d: the drift is %d", i, g.at[i], slowest, g.drift)
		}
	}
	if g.at[i] == Unknown {
		g.at[i] = g.random.Int64N(10 * g.drift)
	} else {
		g.at[i] += g.random.Int64N(g.largest[i] + 1)
	}
	g.say(i)
	return true
}

func (g *game) say(i int) {
	if g.readers[i].Come(g.at[i]) {
		g.said[i] = append(g.said[i], g.at[i])
	}
}

func (g *game) inFlight() bool {
	some := func(q []int64) bool { return len(q) > 0 }
	return slices.ContainsFunc(g.said, some) || slices.ContainsFunc(g.told, some)
}

// deliver has the first word of one queue arrive.
func (g *game) deliver(i int) {
	if g.random.IntN(2) == 0 && len(g.said[i]) > 0 {
		to := g.said[i][0]
		g.said[i] = g.said[i][1:]
		if slowest, news := g.group.Come(i, to); news {
			for r := range g.told {
				g.told[r] = append(g.told[r], slowest)
			}
		}
		return
	}
	if len(g.told[i]) > 0 {
		g.readers[i].Heard(g.told[i][0])
		g.told[i] = g.told[i][1:]
	}
}

func (g *game) step(t *testing.T) {
	i := g.random.IntN(len(g.at))
	switch g.random.IntN(80) {
	case 0: // falls silent, or wakes
		if g.at[i] == Free {
			g.at[i] = g.random.Int64N(10 * g.drift)
		} else {
			g.at[i] = Free
		}
		g.fell = true
		g.say(i)
	case 1: // is given something else
		if g.at[i] != Free {
			g.at[i], g.fell = Unknown, true
			g.say(i)
		}
	case 2: // all words arrive, and somebody goes on
		for g.inFlight() {
			g.deliver(g.random.IntN(len(g.at)))
		}
		g.fell = false
		g.goesOn(t)
	default:
		if g.random.IntN(2) == 0 {
			g.read(t, i)
		} else {
			g.deliver(i)
		}
	}
}

// goesOn: nothing is on its way, so the slowest must be able to read; and nobody is held who is not within a quarter of the drift of having to wait.
func (g *game) goesOn(t *testing.T) {
	slowest := slices.Min(g.at)
	for i, r := range g.readers {
		switch waits := r.Waits(g.at[i]); {
		case g.at[i] == Free:
		case waits && g.at[i] == slowest:
			t.Errorf("reader %d is the slowest, at %d, and waits", i, slowest)
		case waits && slowest != Unknown && ahead(g.at[i], slowest)+2*uint64(max(g.drift/steps, 1)) <= uint64(g.drift):
			t.Errorf("reader %d waits at %d, the slowest is at %d, and the drift is %d", i, g.at[i], slowest, g.drift)
		case !waits && g.at[i] > slowest && ahead(g.at[i], slowest) > uint64(g.drift):
			t.Errorf("reader %d may read at %d, the slowest is at %d, and the drift is %d", i, g.at[i], slowest, g.drift)
		}
	}
}
