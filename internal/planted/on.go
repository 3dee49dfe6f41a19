//go:build plantedbugs

package planted

// Available reports whether this build can plant bugs.
const Available = true

var chosen string

// On reports whether the bug of this name is planted.
func On(name string) bool { return name == chosen && chosen != "" }

// Choose plants a bug for the whole process, or none if the name is empty. It is not safe while a core is stepping.
func Choose(name string) { chosen = name }
