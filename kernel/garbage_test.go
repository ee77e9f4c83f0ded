package kernel

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

var bulk []byte // escapes

// setGC has the test begin with GOGC and the percentage that it makes.
func setGC(t *testing.T, env string, percent int) {
	t.Setenv("GOGC", env)
	before := debug.SetGCPercent(percent)
	t.Cleanup(func() { debug.SetGCPercent(before) })
}

func forced() uint32 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.NumForcedGC
}

// TestGarbageIsCollectedAtRest: once, and only if there may be some.
func TestGarbageIsCollectedAtRest(t *testing.T) {
	setGC(t, "", 100)
	g := newGarbage()
	until := func(n uint32) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); forced() < n; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing is collected at rest")
			}
		}
	}
	n := forced()
	for i := range uint32(2) {
		bulk = make([]byte, restWorth)
		g.worked()
		until(n + i + 1)
	}
	bulk = nil
	g.worked()
	time.Sleep(2 * restAfter)
	if got := forced(); got != n+2 {
		t.Errorf("%d collections, want 2: the last time there was nothing to collect", got-n)
	}
	g.close()
	g.worked()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("the percentage is %d afterwards, want 100 as before", got)
	}
}

// TestHeapsThatGrowAreCollectedAsEver: only a small heap may have several times its size in garbage.
func TestHeapsThatGrowAreCollectedAsEver(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 4 << 20: 400, 8 << 20: 200, 16 << 20: 100, 1 << 30: 100, 1 << 40: 100} {
		if got := percent(live); got != want {
			t.Errorf("of %d bytes alive %d %%, want %d %%", live, got, want)
		}
	}
	setGC(t, "", 100)
	g := newGarbage()
	defer g.close()
	bulk = make([]byte, 64<<20)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		got := debug.SetGCPercent(100) // the only way to ask
		debug.SetGCPercent(got)
		if got == 100 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("with 64 MB alive %d %%, want 100 %%", got)
		}
	}
	bulk = nil
}

func TestGarbageIsTheUsersToSet(t *testing.T) {
	setGC(t, "70", 70)
	g := newGarbage()
	g.worked()
	if got := debug.SetGCPercent(70); got != 70 {
		t.Errorf("the percentage is %d, want 70 as GOGC says", got)
	}
	g.close()
}
