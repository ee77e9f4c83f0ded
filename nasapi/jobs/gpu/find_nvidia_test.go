//go:build nvidia

package gpu

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func find(t *testing.T) []GPU {
	t.Helper()
	found, err := Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// testdata/libcuda.c, which tests/run nvidia puts in the driver's place.
func TestFindOnTheStandIn(t *testing.T) {
	found := find(t)
	if len(found) == 0 || !strings.HasPrefix(found[0].Name, "Stand-in") {
		t.Skipf("no stand-in for the driver but a real GPU: %v", found)
	}
	want := []GPU{
		{0, "GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0", "Stand-in A", 16 << 30},
		{1, "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1", "Stand-in B", 32 << 30},
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %+v, want %+v", found, want)
	}
}

func TestFindAgreesWithNvidiaSMI(t *testing.T) {
	program, err := exec.LookPath("nvidia-smi")
	if err != nil {
		t.Skip("no nvidia-smi, so no real GPU")
	}
	told, err := ask(t.Context(), program, patience)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b GPU) bool { // the driver keeps some memory for itself
		return a.Index == b.Index && a.UUID == b.UUID && a.Name == b.Name && a.Memory <= b.Memory && a.Memory > b.Memory*9/10
	}
	if found := find(t); !slices.EqualFunc(found, told, same) {
		t.Errorf("the driver tells of %+v, nvidia-smi of %+v", found, told)
	}
}

// A program starts and sees all GPUs whatever is visible, and then has its
// environment back. The driver reads it before main, hence the second process.
func TestDriverDoesNotSeeWhatIsVisible(t *testing.T) {
	if os.Getenv("EVALNAS_TEST_FIND") != "" {
		fmt.Printf("%d GPUs", len(find(t)))
		for _, name := range []string{"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"} {
			value, set := os.LookupEnv(name)
			fmt.Printf(", %q %v", value, set)
		}
		fmt.Println()
		return
	}
	all := len(find(t))
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, `"" false, "" false`},
		{[]string{"CUDA_VISIBLE_DEVICES="}, `"" true, "" false`},
		{[]string{"CUDA_VISIBLE_DEVICES=0", "CUDA_DEVICE_ORDER=FASTEST_FIRST"}, `"0" true, "FASTEST_FIRST" true`},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		clean := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CUDA_") })
		cmd.Env = append(append(clean, "EVALNAS_TEST_FIND=1"), c.env...)
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("%d GPUs, %s\n", all, c.want); err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("with %q: %v, %s; want %s", c.env, err, out, want)
		}
	}
}
