package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// windowSize is how many columns and rows the terminal has that a file is, if it is one.
func windowSize(f *os.File) (columns, rows int, ok bool) {
	var info windows.ConsoleScreenBufferInfo
	if err := windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info); err != nil {
		return 0, 0, false
	}
	w := info.Window
	return int(w.Right-w.Left) + 1, int(w.Bottom-w.Top) + 1, true
}
