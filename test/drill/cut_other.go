//go:build !linux

package main

import "errors"

func cut(int, int) (int, error) {
	return 0, errors.New("row 17 takes socket filters, which only Linux has")
}
