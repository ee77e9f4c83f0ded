package kernel_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/kernel/kerneltest"
)

// probed makes this test binary the kernel that a probe starts, in one of
// several characters.
func probed(t *testing.T, character string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KERNEL_TEST_CHARACTER", character)
	return []string{exe, "-test.run=^TestProbedKernel$", "{connection_file}"}
}

// TestProbedKernel is the process that the tests below start.
func TestProbedKernel(t *testing.T) {
	switch character := os.Getenv("KERNEL_TEST_CHARACTER"); character {
	case "":
		t.Skip("is no test by itself")
	case "honest", "plain":
		c, err := kernel.ReadConnection(flag.Arg(0))
		if err != nil {
			t.Fatal(err)
		}
		if character == "plain" {
			c.CurvePublicKey, c.CurveSecretKey = "", ""
		}
		err = kernel.Run(context.Background(), kernel.Config{
			Connection: &c, Language: &kerneltest.Language{}, Version: "7.8", OwnProcess: true,
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "dying":
		fmt.Fprintln(os.Stderr, "no licence to run")
		os.Exit(3)
	case "mute":
		if _, err := kernel.ReadConnection(flag.Arg(0)); err != nil {
			t.Fatal(err)
		}
		select {} // until it is killed
	}
}

func probe(t *testing.T, argv []string, cell string, limit time.Duration) (*kernel.Probed, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return kernel.Probe(ctx, kernel.Probing{Argv: argv, Cell: cell})
}

func TestProbe(t *testing.T) {
	got, err := probe(t, probed(t, "honest"), "value hello", 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "7.8" || got.Implementation == "" || got.Language == "" || got.Result != "hello" || got.Ready <= 0 || got.Cell <= 0 {
		t.Errorf("probed %+v", got)
	}
}

// TestProbeSpeaksCurve has a kernel that demands it, and one that knows nothing of it.
func TestProbeSpeaksCurve(t *testing.T) {
	for character, want := range map[string]string{"honest": "", "plain": "shell channel did not open in time"} {
		t.Run(character, func(t *testing.T) {
			argv := probed(t, character)
			patience := 30 * time.Second
			if want != "" {
				patience = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := kernel.Probe(ctx, kernel.Probing{Argv: argv, Cell: "value hello", Curve: true})
			if want == "" && (err != nil || got.Result != "hello") {
				t.Errorf("probed %+v, %v", got, err)
			}
			if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
}

func TestProbeReportsTheCellsError(t *testing.T) {
	_, err := probe(t, probed(t, "honest"), "error Boom too hot", 30*time.Second)
	if err == nil || !strings.Contains(err.Error(), "failed: error Boom: too hot") {
		t.Errorf("got %v", err)
	}
}

func TestProbeOfAKernelThatDies(t *testing.T) {
	_, err := probe(t, probed(t, "dying"), "1", 30*time.Second)
	if err == nil || !strings.Contains(err.Error(), "no licence to run") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}

func TestProbeOfAKernelThatIsMute(t *testing.T) {
	_, err := probe(t, probed(t, "mute"), "1", time.Second)
	if err == nil || !strings.Contains(err.Error(), "shell channel did not open in time") {
		t.Errorf("got %v", err)
	}
}

func TestProbeOfAMissingProgram(t *testing.T) {
	want := "no such file"
	if runtime.GOOS == "windows" {
		want = "cannot find"
	}
	_, err := probe(t, []string{"/does/not/exist", "{connection_file}"}, "1", time.Second)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}
