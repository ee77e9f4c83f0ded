package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFreeMemory(t *testing.T) {
	const meminfo = "MemTotal:  8000 kB\nMemAvailable:   4000 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
		known bool
	}{
		{"nothing is known", nil, 0, false},
		{"no control groups", map[string]string{"proc/meminfo": meminfo}, 4000 << 10, true},
		{"a group without a limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "1000\n",
		}, 4000 << 10, true},
		{"a limit above", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "100000\n", "sys/fs/cgroup/a/memory.current": "70000\n",
			"sys/fs/cgroup/a/memory.stat":  "anon 5\ninactive_file 20000\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "60000\n",
		}, 50000, true},
		{"a container that sees its own group at the top", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/not/here\n",
			"sys/fs/cgroup/memory.max": "3000\n", "sys/fs/cgroup/memory.current": "1000\n",
		}, 2000, true},
		{"version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "12:cpu,cpuacct:/a\n5:memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9000\n", "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "10000\n",
			"sys/fs/cgroup/memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 3000\n",
		}, 2000, true},
		{"more in use than the limit", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "3000\n", "sys/fs/cgroup/memory.current": "4000\n",
		}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, known := freeUnder(root)
			if known != c.known || known && got != c.want {
				t.Errorf("%d bytes, known %v; want %d, %v", got, known, c.want, c.known)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/meminfo": "MemTotal: 8000 kB\n", "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "3000\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, known := memoryUnder(root); got != 3000 || !known {
		t.Errorf("%d, known %v, want the 3000 that the group allows", got, known)
	}
	if _, known := memoryUnder(t.TempDir()); known {
		t.Error("a machine without files has memory")
	}
}
