package starlark

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lib "go.starlark.net/starlark"
)

// A bulk is a value that tells when it is collected.
type bulk struct{ data []byte }

func (*bulk) String() string        { return "bulk" }
func (*bulk) Type() string          { return "bulk" }
func (*bulk) Freeze()               {}
func (*bulk) Truth() lib.Bool       { return true }
func (*bulk) Hash() (uint32, error) { return 0, nil }

// TestResetLetsResultsGo: Out and _ hold what cells ended in, until %reset.
func TestResetLetsResultsGo(t *testing.T) {
	var collected atomic.Int32
	nb := newNotebook(t, Options{Commands: []*Command{{Name: "bulk", Run: func(*Call) (lib.Value, error) {
		b := &bulk{make([]byte, 1<<16)}
		runtime.AddCleanup(b, func(int) { collected.Add(1) }, 0)
		return b, nil
	}}}})
	const cells = 10
	for range cells {
		if _, err := nb.run("kept = bulk()\nkept"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	if got := collected.Load(); got != 0 {
		t.Fatalf("%d results are gone that Out has", got)
	}
	for _, cell := range []string{"%reset", "1"} { // the second takes the place of the first as the last run
		if _, err := nb.run(cell); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); collected.Load() != cells; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d results are gone after %%reset", collected.Load(), cells)
		}
		runtime.GC()
	}
	runtime.KeepAlive(nb)
}

// TestTextsOfCellsAreForgotten, apart from those with functions, whose errors show a line of it.
func TestTextsOfCellsAreForgotten(t *testing.T) {
	nb := newNotebook(t, Options{})
	for range 100 {
		for _, cell := range []string{"1 + 1", "1 // 0", "x = = 1", "[i for i in range(3)]", "%%time\n2"} {
			_, _ = nb.run(cell) // some fail as they are to
		}
	}
	if n := len(nb.in.sources); n != 0 {
		t.Errorf("%d cells are kept", n)
	}
	for _, cell := range []string{"def f():\n    return 1 // 0", "g = [lambda: 1 // 0]", "1"} {
		if _, err := nb.run(cell); err != nil {
			t.Fatal(err)
		}
	}
	for cell, line := range map[string]string{"f()": "    return 1 // 0", "g[0]()": "g = [lambda: 1 // 0]"} {
		_, err := nb.run(cell)
		if trace := uncoloured(nb.cellError(err)); !strings.Contains(trace, line) {
			t.Errorf("%s: the traceback does not show %q:\n%s", cell, line, trace)
		}
	}
}
