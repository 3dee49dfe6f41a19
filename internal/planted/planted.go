// Package planted switches bugs on, to test the tests: a core that is asked whether a named bug is planted behaves wrongly on
// purpose, and a layer of the tests must notice. It owns the choice of one bug for the whole process and nothing else. Without
// the build tag "plantedbugs" On is the constant false, so that the hooks cost nothing and no binary that people run has them.
package planted

// Bug is one planted bug.
type Bug struct {
	Name      string
	What      string // what the code then does
	Violation string // the invariants of docs/reliability that it breaks; where one of them is reported, it is caught
}
