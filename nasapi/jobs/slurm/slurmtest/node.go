// Package slurmtest starts a SLURM of one node for tests.
package slurmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var node struct {
	once   sync.Once
	folder string
	absent string // why there is none
	failed string
}

func script() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../../../tests/slurm/node")
}

// Setup has SLURM's programs reach a node on this machine, which is started for the first
// test of the program. Without SLURM, or for a user who may not run a node, the test is
// skipped. The folder is the node's, for Control.
func Setup(t *testing.T) (folder string) {
	t.Helper()
	if os.Getenv("EVALNAS_QUICK") != "" {
		t.Skip("a minute of SLURM is not at hand: EVALNAS_QUICK is set")
	}
	node.once.Do(start)
	if node.absent != "" {
		t.Skip(node.absent)
	}
	if node.failed != "" {
		t.Fatal(node.failed)
	}
	t.Setenv("SLURM_CONF", filepath.Join(node.folder, "slurm.conf"))
	return node.folder
}

func start() {
	for _, tool := range []string{"sbatch", "/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged"} {
		if _, err := exec.LookPath(tool); err != nil {
			node.absent = "no SLURM on this machine (Debian: apt-get install slurm-wlm munge)"
			return
		}
	}
	if os.Getuid() != 0 {
		node.absent = "a node of SLURM needs root, this user is not"
		return
	}
	dir, err := os.MkdirTemp("", "slurm-node")
	if err != nil {
		node.failed = err.Error()
		return
	}
	node.folder = dir
	cmd := exec.Command(script(), "start", dir)
	cmd.Env = append(os.Environ(), "SLURM_NODE_CPUS=16") // of jobs that do next to nothing
	if out, err := cmd.CombinedOutput(); err != nil {
		node.failed = "the node does not start: " + err.Error() + ": " + string(out)
	}
}

// Unshared is a folder that this machine has and the node does not see. Where the node has no
// view of the disk of its own, the test is skipped.
func Unshared(t *testing.T, folder string) string {
	t.Helper()
	unshared := filepath.Join(folder, "unshared")
	pid, err := os.ReadFile(filepath.Join(folder, "slurmd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(unshared, "mark")
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("/proc", strings.TrimSpace(string(pid)), "root", mark)); err == nil {
		t.Skip("a name space of its own for the node's mounts is not at hand")
	}
	return unshared
}

// Control stops or starts the node's controller.
func Control(t *testing.T, folder, what string) {
	t.Helper()
	if out, err := exec.Command(script(), "controller", folder, what).CombinedOutput(); err != nil {
		t.Fatalf("controller %s: %v: %s", what, err, out)
	}
}

// Main runs the tests and stops the node.
func Main(m *testing.M) int {
	code := m.Run()
	if node.folder != "" {
		_ = exec.Command(script(), "stop", node.folder).Run() // its folder is removed all the same
		_ = os.RemoveAll(node.folder)
	}
	return code
}
