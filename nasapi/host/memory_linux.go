package host

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// FreeMemory is what this process can still get without swapping, in bytes: what the system
// has, what the control groups that it runs in leave it, and what Go's own limit does.
func FreeMemory() (bytes int64, known bool) {
	free, known := freeUnder("/")
	if left, limited := leftOfGo(); limited {
		free, known = min(free, left), true
	}
	return free, known
}

// Memory is what the jobs of this host may have in all, in bytes: what it has, or what the
// control groups that this process runs in allow.
func Memory() (bytes int64, known bool) { return memoryUnder("/") }

func memoryUnder(root string) (int64, bool) {
	kib, known := field(path.Join(root, "proc/meminfo"), "MemTotal:")
	all := int64(math.MaxInt64)
	if known {
		all = kib << 10
	}
	for _, g := range memoryGroups(root) {
		if limit, limited := number(g.limit); limited && limit < all {
			all, known = limit, true
		}
	}
	return all, known
}

// freeUnder is FreeMemory of the system whose files are under root.
func freeUnder(root string) (int64, bool) {
	free, known := available(path.Join(root, "proc/meminfo"))
	for _, g := range memoryGroups(root) {
		if left, limited := g.left(); limited {
			free, known = min(free, left), true
		}
	}
	return free, known
}

func available(file string) (int64, bool) {
	kib, ok := field(file, "MemAvailable:")
	if !ok {
		return math.MaxInt64, false
	}
	return kib << 10, true
}

// memoryGroup is a control group's files: of version 2 (kernel documentation,
// admin-guide/cgroup-v2) or of version 1's memory controller.
type memoryGroup struct{ limit, usage, stat, reclaimable string }

// left is the limit less what is in use; pages of files that can be dropped at once
// are not counted as in use.
func (g memoryGroup) left() (int64, bool) {
	limit, limited := number(g.limit)
	usage, known := number(g.usage)
	if !limited || !known {
		return 0, false
	}
	cached, _ := field(g.stat, g.reclaimable)
	return max(0, limit-max(0, usage-cached)), true
}

// memoryGroups are those of this process and all above, each of which may have a
// limit. A path that is not to be seen from here, as in a container, leaves the
// container's own group at the top.
func memoryGroups(root string) []memoryGroup {
	var groups []memoryGroup
	text, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil // no control groups on this system
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			switch {
			case parts[0] == "0" && parts[1] == "":
				dir := path.Join(root, "sys/fs/cgroup", at)
				groups = append(groups, memoryGroup{dir + "/memory.max", dir + "/memory.current", dir + "/memory.stat", "inactive_file"})
			case parts[1] == "memory":
				dir := path.Join(root, "sys/fs/cgroup/memory", at)
				groups = append(groups, memoryGroup{dir + "/memory.limit_in_bytes", dir + "/memory.usage_in_bytes", dir + "/memory.stat", "total_inactive_file"})
			}
			if at == "/" {
				break
			}
		}
	}
	return groups
}

// number is a file's only number. A file that is missing or says "max" has none.
func number(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// field is the number behind a name at the beginning of a line.
func field(file, name string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) >= 2 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
