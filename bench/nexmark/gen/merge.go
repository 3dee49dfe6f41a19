package gen

import (
	"cmp"
	"iter"
	"slices"
)

// InTime gives the events of all splits in order of their time: of the same millisecond, those of a lower split first. It is one of the orders
// in which readers of the splits may see them.
func InTime(c Config) (iter.Seq[Event], error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return func(yield func(Event) bool) {
		var running []*Generator // those with events left, by split
		for split := range c.Splits {
			g, err := New(c, split, 0)
			if err != nil {
				panic(err) // of the configuration, which has been checked
			}
			if g.Left() > 0 {
				running = append(running, g)
			}
		}
		var e Event
		for len(running) > 0 {
			g := slices.MinFunc(running, func(a, b *Generator) int { return cmp.Compare(a.time, b.time) })
			if g.Next(&e); !yield(e) {
				return
			}
			if g.Left() == 0 {
				running = slices.DeleteFunc(running, func(other *Generator) bool { return other == g })
			}
		}
	}, nil
}
