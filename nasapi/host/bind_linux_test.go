package host

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests bind and limit processes of their own, each of which plays one part.
func TestMain(m *testing.M) {
	play, ok := map[string]func() error{"bind": playBound, "limit": playLimited}[os.Getenv("EVALNAS_TEST_PART")]
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func part(t *testing.T, name string) (string, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EVALNAS_TEST_PART="+name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// playBound binds itself to its last processor and looks at all its threads, new ones
// among them.
func playBound() error {
	all := Cores()
	last := all[len(all)-1:]
	var busy sync.WaitGroup
	defer busy.Wait()
	for range 8 {
		busy.Go(func() { exec.Command("sleep", "0.05").Run() }) // holds a thread for a while
	}
	if err := Bind(last); err != nil {
		return err
	}
	if got := Cores(); !slices.Equal(got, last) {
		return fmt.Errorf("this thread runs on %v, not %v", got, last)
	}
	out, err := exec.Command("nproc").Output()
	if err != nil || strings.TrimSpace(string(out)) != "1" {
		return fmt.Errorf("a child has %s processors (%v)", out, err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		status, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/status")
		if err == nil && !strings.Contains(string(status), fmt.Sprintf("Cpus_allowed_list:\t%d\n", last[0])) {
			return fmt.Errorf("thread %s is free: %s", thread.Name(), status)
		}
	}
	return nil
}

func TestBind(t *testing.T) {
	if len(Cores()) < 2 {
		t.Skip("one processor is not at hand twice")
	}
	if out, err := part(t, "bind"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := Bind(nil); err == nil {
		t.Error("a process that may run nowhere")
	}
}

// playLimited takes more than it may.
func playLimited() error {
	if err := LimitMemory(512 << 20); err != nil {
		return err
	}
	free, known := FreeMemory()
	if !known || free > 512<<20 || free < 256<<20 {
		return fmt.Errorf("%d bytes are free (%v) of 512 MiB", free, known)
	}
	fmt.Println("limited")
	var kept [][]byte
	for range 64 {
		b := make([]byte, 64<<20)
		for i := 0; i < len(b); i += unix.Getpagesize() {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	fmt.Println("took", len(kept))
	return nil
}

func TestLimitMemory(t *testing.T) {
	out, err := part(t, "limit")
	if err == nil || !strings.HasPrefix(out, "limited\n") || !OutOfMemory(out) {
		t.Errorf("%v: %.2000s", err, out)
	}
}
