//go:build !linux

package cpu

func freeBytes() (int64, bool) { return 0, false }

// useLargePages asks for nothing here.
func useLargePages([]float32) {}
