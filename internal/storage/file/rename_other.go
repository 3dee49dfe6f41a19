//go:build !linux

package file

func renameNoReplace(from, to string) error { return renameByLink(from, to) }
