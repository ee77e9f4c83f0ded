//go:build !windows

package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/host"
)

func TestWhatAJobNeeds(t *testing.T) {
	s := Slots{N: 4, cores: []int{0, 1, 2, 3, 4, 5, 6, 7}, memory: 16 << 30}
	for _, c := range []struct {
		l    Local
		want int
		why  string
	}{
		{Local{}, 1, ""},
		{Local{Cores: 2}, 1, ""},
		{Local{Cores: 3}, 2, ""},
		{Local{Cores: 8}, 4, ""},
		{Local{Cores: 9}, 0, "cores=9: this machine has 4 slots of 2 cores: give at most 8"},
		{Local{Memory: "4G"}, 1, ""},
		{Local{Memory: "5G"}, 2, ""},
		{Local{Memory: "300M"}, 1, ""},
		{Local{Cores: 3, Memory: "16GB"}, 4, ""},
		{Local{Memory: "17G"}, 0, `mem="17G": this machine has 16 GiB`},
		{Local{Cores: math.MaxInt}, 0, "this machine has 4 slots of 2 cores: give at most 8"},
		{Local{Memory: "8388608T"}, 0, "this machine has 16 GiB"}, // 2^63 bytes
		{Local{Memory: "lots"}, 0, `mem is "lots"`},
		{Local{Memory: "10M"}, 0, "needs 256 MiB to begin with"},
	} {
		n, err := s.Need(c.l)
		if n != c.want || (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %d slots (%v), want %d (%s)", c.l, n, err, c.want, c.why)
		}
	}
	for _, c := range []struct {
		s     Slots
		slots []int
		want  []int
	}{
		{s, []int{1}, []int{2, 3}},
		{s, []int{0, 3}, []int{0, 1, 6, 7}},
		{Slots{N: 4, cores: []int{5, 9}}, []int{0, 1, 2}, []int{5, 9}},
		{Slots{N: 2, cores: []int{0, 1, 2}}, []int{1}, []int{1}},
		{Slots{N: 2}, []int{1}, nil},
	} {
		if got := (&Share{Slots: c.slots, of: c.s}).Cores(); !slices.Equal(got, c.want) {
			t.Errorf("slots %v of %+v are cores %v, want %v", c.slots, c.s, got, c.want)
		}
	}
}

// TestAShareIsKeptTo has workers say what they may use.
func TestAShareIsKeptTo(t *testing.T) {
	all := host.Cores()
	if len(all) < 2 {
		t.Skip("two cores are not at hand")
	}
	processes(t, len(all))
	st := studyIn(t)
	share := func(seed int64, on Place) (r shareResult, o Outcome) {
		t.Helper()
		h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Mode: "share"}, seed), On: on})
		mustWait(t, h)
		o, err := h.jobs[0].Outcome()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(o.Result, &r); err != nil {
			t.Fatal(err)
		}
		return r, o
	}
	one, o := share(1, Place{})
	if one.Threads != 1 || len(one.Cores) != 1 || len(o.Slots) != 1 || o.Threads != 1 {
		t.Errorf("one slot is %+v, slots %v", one, o.Slots)
	}
	if bytes, known := host.Memory(); known && (one.Memory == 0 || one.Memory > uint64(bytes)/uint64(len(all))) {
		t.Errorf("its memory is %d of %d", one.Memory, bytes)
	}
	two, o := share(2, Place{Local: Local{Cores: 2, Memory: "1G"}})
	if two.Threads != 2 || len(two.Cores) != 2 || len(o.Slots) != 2 || two.Memory != 1<<30 {
		t.Errorf("two cores and a GiB are %+v, slots %v", two, o.Slots)
	}
	if st := (Place{Local: Local{Cores: 1000}}).Check(); st == nil || !strings.Contains(st.Error(), "cores=1000") {
		t.Errorf("a thousand cores: %v", st)
	}
}

// TestWantOfMemory: a job that takes more than it may ends at once and is not tried again.
func TestWantOfMemory(t *testing.T) {
	processes(t, 2)
	st := studyIn(t)
	h := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Mode: "hungry"}, 1), On: Place{Local: Local{Memory: "512M"}}})
	mustWait(t, h)
	if s := h.jobs[0].Status(); s.State != Failed || s.Attempt != 1 || !strings.Contains(s.Error, "want of memory") || !strings.Contains(s.Error, "mem=") {
		t.Errorf("%+v", s)
	}
}

// TestKilledAfterWantOfMemory: what an earlier attempt died of is not blamed for the end of one
// that printed nothing.
func TestKilledAfterWantOfMemory(t *testing.T) {
	st := mustOpen(t, t.TempDir())
	spec := countSpecs(countConfig{Steps: 1}, 1)[0]
	j, err := st.writeSpec(spec, spec.ID(), Place{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, j.Paths.Log(), "fatal error: runtime: out of memory\n")
	if err := j.record(evStart, startData{Host: hostname(), Log: sizeOf(j.Paths.Log())}); err != nil {
		t.Fatal(err)
	}
	r := runnerOf(t, st, nil)
	r.options.Retries = 2
	r.consider(j)
	if s := j.Status(); s.State != Pending || strings.Contains(s.Error, "memory") {
		t.Errorf("%+v, want it tried again", s)
	}
}

// TestWideJobs mixes jobs of one and of all slots: nobody starves, and no core is promised twice.
func TestWideJobs(t *testing.T) {
	processes(t, 3)
	st := studyIn(t)
	var all []*BatchHandle
	for i := range 3 {
		all = append(all,
			mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 2, Pause: 5}, seedRange(int64(100*i), 6)...)}),
			mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 2, Pause: 5}, seedRange(int64(100*i+50), 2)...), On: Place{Local: Local{Cores: 3 * slotCores(t)}}}))
	}
	type span struct {
		from, to time.Time
		slots    []int
	}
	var spans []span
	for _, h := range all {
		mustWait(t, h)
		wantCounts(t, h, 2)
		for _, j := range h.Jobs() {
			s := j.Status()
			spans = append(spans, span{s.Started, s.Ended, s.Slots})
		}
	}
	wide := 0
	for i, a := range spans {
		if len(a.slots) == 3 {
			wide++
		}
		for _, b := range spans[:i] {
			shared := slices.ContainsFunc(a.slots, func(s int) bool { return slices.Contains(b.slots, s) })
			if shared && a.from.Before(b.to) && b.from.Before(a.to) {
				t.Errorf("slots %v and %v were in use at once", a.slots, b.slots)
			}
		}
	}
	if wide != 6 {
		t.Errorf("%d jobs had three slots, want 6", wide)
	}
}

// TestWaitingInVain: a worker that gathers slots lets go of them and of the door as soon as its
// job is not to be started any more.
func TestWaitingInVain(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*Study, *Job) error
		want error
	}{
		"cancelled": {func(_ *Study, j *Job) error { return j.Cancel() }, nil},
		"held":      {func(st *Study, j *Job) error { return writeAtomic(st.disk, j.Paths.Hold(), nil, false) }, nil},
		"started by another worker": {func(_ *Study, j *Job) error {
			lock, err := takeLock(t.Context(), j.Paths.Lock(), lockPatience)
			if err == nil {
				t.Cleanup(func() { _ = lock.release() })
				err = j.record(evStart, startData{Host: hostname()})
			}
			return err
		}, ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			processes(t, 2)
			slots, err := HostSlots()
			if err != nil {
				t.Fatal(err)
			}
			st := mustOpen(t, t.TempDir())
			spec := countSpecs(countConfig{Steps: 1}, 1)[0]
			j, err := st.writeSpec(spec, spec.ID(), Place{Local: Local{Cores: 2 * slotCores(t)}})
			if err != nil {
				t.Fatal(err)
			}
			other, err := slots.Acquire(t.Context(), 1, Wanted{})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- Worker{Handlers: testHandlers, Slots: &slots}.Run(t.Context(), j.Paths.Dir) }()
			eventually(t, "it to have one of its slots", func() bool {
				held, err := isHeld(filepath.Join(slots.Dir, "slot-1"))
				return err == nil && held
			})
			if err := c.do(st, j); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("it waits on")
			}
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			defer stop()
			next, err := slots.Acquire(ctx, 1, Wanted{})
			if err != nil {
				t.Fatalf("nobody else comes in: %v", err)
			}
			if err := errors.Join(next.Release(), other.Release()); err != nil {
				t.Error(err)
			}
		})
	}
}

// slotCores is how many cores a slot of this test has.
func slotCores(t *testing.T) int {
	t.Helper()
	s, err := HostSlots()
	if err != nil {
		t.Fatal(err)
	}
	return s.Threads()
}

// TestPriorities: of what waits the higher goes first.
func TestPriorities(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2) // one runs, one waits for the slot: they were first
	first := mustSubmit(t, st, b)
	untilStarted(t, file, 1)
	submit := func(seed int64, priority int) *BatchHandle {
		return mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Steps: 1, Trace: file}, seed), On: Place{Local: Local{Priority: priority}}})
	}
	all := []*BatchHandle{first, submit(10, 0), submit(11, 5), submit(12, -1), submit(13, 5)}
	// The runner reads the queue in one go with the last of them.
	runnerPID(t, st)
	eventually(t, "the queue to be read", func() bool {
		return strings.Count(tail(st.Paths.Queue(), 1<<16), "\n") == 6
	})
	time.Sleep(4 * runnerTick)
	open()
	for _, h := range all {
		mustWait(t, h)
	}
	var order []int64
	for _, line := range starts(t, file)[2:] {
		for seed := int64(10); seed < 14; seed++ {
			if all[seed-9].jobs[0].ID == line[0] {
				order = append(order, seed)
			}
		}
	}
	if want := []int64{11, 13, 10, 12}; !slices.Equal(order, want) {
		t.Errorf("they started in the order %v, want %v", order, want)
	}
}

func TestHold(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2, 3, 4)
	h := mustSubmit(t, st, b)
	untilStarted(t, file, 1)
	if err := h.Hold(); err != nil {
		t.Fatal(err)
	}
	open()
	// One's worker waits for the slot already: it finds that it must not begin.
	eventually(t, "the runner to leave", func() bool { held, err := isHeld(st.Paths.Lock()); return err == nil && !held })
	done := 0
	for _, j := range h.jobs {
		switch s := j.Status(); {
		case s.State == Done:
			done++
		case s.State != Pending || !s.Held:
			t.Errorf("%+v", s)
		}
	}
	if done != 1 {
		t.Errorf("%d are done while all that waited were held", done)
	}
	if _, err := h.Statuses(); err != nil {
		t.Error(err)
	}
	if held, err := isHeld(st.Paths.Lock()); err != nil || held {
		t.Errorf("a look at what is held started a runner: %v", err)
	}
	if err := mustBatch(t, st, h).Release(); err != nil {
		t.Fatal(err)
	}
	mustWait(t, h)
	wantCounts(t, h, 4)
	if n := len(starts(t, file)); n != 4 {
		t.Errorf("%d starts of 4 jobs", n)
	}
}

// TestHeldAndAskedForAgain: cancelled jobs that were held run when they are asked for.
func TestHeldAndAskedForAgain(t *testing.T) {
	processes(t, 1)
	st := studyIn(t)
	b, file, open := gated(t, 1, 2)
	h := mustSubmit(t, st, b)
	untilStarted(t, file, 1)
	for _, f := range []func() error{h.Hold, h.Cancel} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	mustWait(t, h)
	open()
	mustWait(t, mustSubmit(t, st, b))
	wantCounts(t, h, 4)
}

func mustBatch(t *testing.T, st *Study, h *BatchHandle) *BatchHandle {
	t.Helper()
	found, err := mustOpen(t, st.Dir()).Batch(h.ID)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestInterruptedWithItsStateSaved goes on from there; without, it begins anew.
func TestInterruptedWithItsStateSaved(t *testing.T) {
	for mode, want := range map[string]State{"save": Checkpointed, "": Preempted} {
		dir := t.TempDir()
		gate := filepath.Join(dir, "gate")
		_, all, err := submitted(t, osDisk{}, filepath.Join(dir, "study"), countSpecs(countConfig{Steps: 3, Mode: mode, Gate: gate}, 5))
		if err != nil {
			t.Fatal(err)
		}
		j := all[0]
		interrupt(t, j)
		s := j.Status()
		if s.State != want || s.Attempt != 2 || !s.State.Waiting() || s.Error == "" || s.Spent <= 0 {
			t.Errorf("%q: %+v, want %s", mode, s, want)
		}
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := (Worker{Handlers: testHandlers}).Run(t.Context(), j.Paths.Dir); err != nil {
			t.Fatal(err)
		}
		wantCounts(t, &BatchHandle{jobs: all}, 3)
		o, err := j.Outcome()
		if err != nil || o.Spent <= o.Seconds || o.Waited <= 0 || o.Seed != 5 || o.Kind != "count" || o.Numerics != 1 || len(o.Config) < 3 {
			t.Errorf("%q: %+v, %v", mode, o, err)
		}
	}
}

// interrupt runs a job's worker in this process until its gate, and has it stop there.
func interrupt(t *testing.T, j *Job) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Worker{Handlers: testHandlers}.Run(ctx, j.Paths.Dir) }()
	eventually(t, "all steps to be done", func() bool { return j.Status().Done == 3 })
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestTheTellingPartOfALog(t *testing.T) {
	goCrash := "working\npanic: out of cheese\n\ngoroutine 1 [running]:\nmain.main()\n" + strings.Repeat("\t/go/src/x.go:1\n", 40)
	for text, want := range map[string]string{
		"": "", "a\nb\nc\n": "b\nc", goCrash: "panic: out of cheese",
		"x\nfatal error: runtime: out of memory\ny\nz\n": "fatal error: runtime: out of memory\ny",
	} {
		if got := telling(text, 2); got != want {
			t.Errorf("%.30q tells %q, want %q", text, got, want)
		}
	}
}

// TestGPUsAreOneJobsAtATime has a stand-in for nvidia-smi tell of two GPUs.
func TestGPUsAreOneJobsAtATime(t *testing.T) {
	processes(t, 4)
	dir := t.TempDir()
	text := "#!/bin/sh\necho 0, GPU-aaaaaaaa-0000-0000-0000-000000000000, Stand-in, 1000\necho 1, GPU-bbbbbbbb-0000-0000-0000-000000000000, Stand-in, 1000\n"
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	st := studyIn(t)
	specs := countSpecs(countConfig{Mode: "gpu"}, seedRange(1, 5)...)
	on := Place{Local: Local{GPUs: 1}}
	if _, err := st.Submit(Batch{Specs: specs, On: on}); !errors.Is(err, ErrNoUseForGPUs) || !strings.HasPrefix(err.Error(), "gpus=1: ") {
		t.Errorf("GPUs for work that cannot use them: %v", err)
	}
	if _, err := st.Submit(Batch{Specs: specs, On: Place{Local: Local{GPUs: 3}}, UsesGPUs: true}); err == nil || !strings.Contains(err.Error(), "gpus=3: this machine offers 2") {
		t.Errorf("three of two: %v", err)
	}
	h := mustSubmit(t, st, Batch{Specs: specs, On: on, UsesGPUs: true})
	none := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Mode: "gpu"}, 100)})
	both := mustSubmit(t, st, Batch{Specs: countSpecs(countConfig{Mode: "gpu"}, 101), On: Place{Local: Local{GPUs: 2}}, UsesGPUs: true})
	seen := map[string][]Status{}
	for _, b := range []*BatchHandle{h, none, both} {
		mustWait(t, b)
		for _, j := range b.Jobs() {
			raw, err := j.Result()
			if err != nil {
				t.Fatal(err)
			}
			var ids string
			if err := json.Unmarshal(raw, &ids); err != nil {
				t.Fatal(err)
			}
			for id := range strings.SplitSeq(ids, ",") {
				for _, s := range seen[id] {
					if now := j.Status(); id != "" && now.Started.Before(s.Ended) && s.Started.Before(now.Ended) {
						t.Errorf("%s had two jobs at once", id)
					}
				}
				seen[id] = append(seen[id], j.Status())
			}
		}
	}
	if len(seen[""]) != 1 || len(seen) != 3 {
		t.Errorf("jobs saw the GPUs %v", slices.Collect(maps.Keys(seen)))
	}
	if s := both.jobs[0].Status(); len(s.GPUs) != 2 || len(s.Slots) != 1 {
		t.Errorf("a job of two GPUs has %v", s.GPUs)
	}
}
