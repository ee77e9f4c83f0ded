package cpu

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// freeBytes is what the kernel says can be had without swapping.
func freeBytes() (int64, bool) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !ok {
			continue
		}
		var kib int64
		if _, err := fmt.Sscan(rest, &kib); err != nil {
			return 0, false
		}
		return kib << 10, true
	}
	return 0, false
}
