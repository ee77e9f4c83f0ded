//go:build !windows

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// windowSize is how many columns and rows the terminal has that a file is, if it is one.
func windowSize(f *os.File) (columns, rows int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 || size.Row == 0 {
		return 0, 0, false
	}
	return int(size.Col), int(size.Row), true
}
