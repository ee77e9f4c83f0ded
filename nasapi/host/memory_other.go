//go:build !linux

package host

// FreeMemory knows nothing here but Go's own limit.
func FreeMemory() (bytes int64, known bool) { return leftOfGo() }

// Memory is not known here.
func Memory() (bytes int64, known bool) { return 0, false }
