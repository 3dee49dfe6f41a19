package checkpoint

import "slices"

// Kind is what a key group of an operator is written as; 0 if it is not listed.
func (w *FileWriter) kind(uid string, group int) Kind {
	for _, o := range w.ops {
		if s := o.sections[group]; o.file.UID == uid && s != nil {
			return s.kind
		}
	}
	return 0
}

// Chain is the state that f, which w wrote, makes with the files of its base: those of before, with the sections that f has changes of, and then f.
// f is nil if there is nothing in it.
func (w *FileWriter) Chain(base []File, f *File) []File {
	var files []File
	for _, old := range base {
		kept := old
		kept.Operators = nil
		for _, o := range old.Operators {
			sections := slices.DeleteFunc(slices.Clone(o.Sections), func(s Section) bool { return w.kind(o.UID, s.Group) != Delta })
			if len(sections) > 0 {
				kept.Operators = append(kept.Operators, FileOperator{UID: o.UID, Tables: o.Tables, Sections: sections})
			}
		}
		if len(kept.Operators) > 0 {
			files = append(files, kept)
		}
	}
	if f != nil && hasSections(f) {
		files = append(files, *f)
	}
	return files
}

func hasSections(f *File) bool {
	return slices.ContainsFunc(f.Operators, func(o FileOperator) bool { return len(o.Sections) > 0 })
}

// How long chains of deltas may become. A group is written anew when its deltas are half as large as its base, an eighth of the groups at a time,
// the worst first, so that no checkpoint has to write everything; and whatever the oldest of too many files has is written anew.
const (
	mostFiles     = 64
	rebasedAtOnce = 8
	worthARebase  = 4 << 10
)

// Rebase decides which key groups of an operator are to be written as a base again.
func Rebase(files []File, uid string) func(group int) bool {
	type size struct {
		group       int
		base, delta int64
	}
	var sizes []size
	at := map[int]int{}
	chosen := map[int]bool{}
	for i := range files {
		for _, o := range files[i].Operators {
			if o.UID != uid {
				continue
			}
			for _, s := range o.Sections {
				if i == 0 && len(files) >= mostFiles {
					chosen[s.Group] = true
				}
				j, ok := at[s.Group]
				if !ok {
					j = len(sizes)
					at[s.Group] = j
					sizes = append(sizes, size{group: s.Group})
				}
				for _, e := range s.Blocks {
					if s.Kind == Base {
						sizes[j].base += e.Length
					} else {
						sizes[j].delta += e.Length
					}
				}
			}
		}
	}
	groups := len(sizes)
	sizes = slices.DeleteFunc(sizes, func(s size) bool { return s.delta < worthARebase || 2*s.delta < s.base })
	slices.SortFunc(sizes, func(a, b size) int { // delta/base, descending
		switch x, y := a.delta*(b.base+1), b.delta*(a.base+1); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return a.group - b.group
	})
	for i, s := range sizes {
		if i < groups/rebasedAtOnce+1 || s.delta > 2*s.base {
			chosen[s.group] = true
		}
	}
	return func(group int) bool { return chosen[group] }
}
