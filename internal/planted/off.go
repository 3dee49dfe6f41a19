//go:build !plantedbugs

package planted

// Available reports whether this build can plant bugs.
const Available = false

// On reports whether the bug of this name is planted.
func On(string) bool { return false }

// Choose plants a bug for the whole process, or none if the name is empty. It does nothing in this build.
func Choose(string) {}
