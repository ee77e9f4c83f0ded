package gpu

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func contextThatEnded(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []GPU
	}{
		{"nothing", "", nil},
		{"one", "0, " + uuidA + ", NVIDIA H100 80GB HBM3, 81559\n", host[:1]},
		{"line ends of Windows", "0, " + uuidA + ", NVIDIA H100 80GB HBM3, 81559\r\n1, " + uuidB + ", NVIDIA A100, 40960\r\n", host[:2]},
		{"no line end", "1, " + uuidB + ", NVIDIA A100, 40960", host[1:2]},
		{"memory shared with the processor", "0, " + uuidA + ", NVIDIA GB10, [N/A]\n", []GPU{{0, uuidA, "NVIDIA GB10", 0}}},
		{"memory forbidden", "0, " + uuidA + ", NVIDIA A100, [Insufficient Permissions]\n", []GPU{{0, uuidA, "NVIDIA A100", 0}}},
		{"a board without UUID", "3, [N/A], Orin (nvgpu), [N/A]\n", host[2:]},
		{"comma in the name", "0, " + uuidA + ", Tesla, the old one, 1\n", []GPU{{0, uuidA, "Tesla, the old one", 1 << 20}}},
		{"a warning among them", "WARNING: infoROM is corrupted at gpu 0000:3B:00.0\n1, " + uuidB + ", NVIDIA A100, 40960\nWARNING: infoROM, again, and, again\n", host[1:2]},
		{"one fell off the bus", "0, [GPU is lost], [GPU is lost], [GPU is lost]\n1, " + uuidB + ", NVIDIA A100, 40960\n", host[1:2]},
		{"absurd memory", "0, " + uuidA + ", X, 99999999999999999999\n", []GPU{{0, uuidA, "X", 0}}},
		{"absurd index", "-1, " + uuidA + ", X, 1\n70000, " + uuidA + ", X, 1\n", nil},
		{"no name", "0, " + uuidA + ", , 1\n", nil},
		{"too short", "0, " + uuidA + ", 1\n", nil},
	} {
		if got := parse(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// FuzzParse reads anything as the answer of nvidia-smi.
func FuzzParse(f *testing.F) {
	f.Add("0, " + uuidA + ", NVIDIA H100 80GB HBM3, 81559\n1, [N/A], a, b, [N/A]\n")
	f.Add("0, GPU-../../x, [GPU is lost], 4294967295\nNo devices were found")
	f.Fuzz(func(t *testing.T, text string) {
		found := parse(text)
		if len(found) > strings.Count(text, "\n")+1 {
			t.Fatalf("%d GPUs in %q", len(found), text)
		}
		for _, g := range found {
			if g.Index < 0 || g.Memory < 0 || g.Name == "" || strings.ContainsAny(g.Name, "\n") {
				t.Errorf("%+v in %q", g, text)
			}
			if lock := g.LockName(); filepath.Base(lock) != lock || strings.ContainsAny(lock, `/\.:`) {
				t.Errorf("the lock of %+v is %q", g, lock)
			}
		}
	})
}

// fakeSMI is an nvidia-smi that runs a script, alone on the PATH with the shell's programs.
func fakeSMI(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the fake is a shell script: no test by itself on Windows")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func askFake(ctx context.Context, t *testing.T, limit time.Duration) ([]GPU, error) {
	t.Helper()
	program, err := exec.LookPath("nvidia-smi")
	if err != nil {
		t.Fatal(err)
	}
	return ask(ctx, program, limit)
}

func TestAsk(t *testing.T) {
	one := "echo '0, " + uuidA + ", NVIDIA H100 80GB HBM3, 81559'\n"
	for _, c := range []struct {
		name, script string
		want         []GPU
		fault        string // "" for none
	}{
		{"one GPU, by the words that it knows", `[ "$*" = "--query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits" ] || exit 2` + "\n" + one, host[:1], ""},
		{"no GPU", "exit 0", nil, ""},
		{"no GPU, in words", "echo No devices were found; exit 6", nil, ""},
		{"one of them ails", one + "echo 'WARNING: infoROM is corrupted at gpu 0000:3B:00.0'; exit 14", host[:1], ""},
		{"no driver", `echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`, nil, `failed (exit status 9) and said "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; run nvidia-smi by hand and repair the driver, or set EVALNAS_GPUS=none`},
		{"complains elsewhere", "echo 'Failed to initialize NVML' >&2; exit 255", nil, "Failed to initialize NVML"},
		{"says nothing", "exit 1", nil, "failed (exit status 1)"},
		{"is another program", "echo usage: nvidia-smi FILE", nil, `tells of no GPU; it said "usage: nvidia-smi FILE"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakeSMI(t, c.script)
			got, err := askFake(t.Context(), t, patience)
			if !slices.Equal(got, c.want) {
				t.Errorf("found %+v, want %+v", got, c.want)
			}
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("the error is %v, want %q", err, c.fault)
			}
		})
	}
}

func TestAskDoesNotWaitForever(t *testing.T) {
	fakeSMI(t, "exec sleep 600")
	if _, err := askFake(t.Context(), t, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not answer in 50ms; run nvidia-smi by hand") {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := askFake(ctx, t, patience); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "driver") {
		t.Errorf("when the caller's time is up the error is %v", err)
	}
}
