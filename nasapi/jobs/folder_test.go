package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// finishedStudy has jobs that were run in this process.
func finishedStudy(t testing.TB, specs ...Spec) (*Study, []*Job) {
	t.Helper()
	st := mustOpen(t, t.TempDir())
	var all []*Job
	for _, s := range specs {
		j, _, err := st.submitJob(s, s.ID(), Place{}, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Worker{Handlers: testHandlers}).Run(context.Background(), j.Paths.Dir); err != nil {
			t.Fatal(err)
		}
		all = append(all, j)
	}
	return st, all
}

func TestDamagedFolders(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(p Paths)
		state  State
		says   string
		mended bool // a worker brings it to its result again
	}{
		"job.json cut":      {func(p Paths) { write(t, p.Spec(), `{"kind":`) }, Done, "", false},
		"job.json empty":    {func(p Paths) { write(t, p.Spec(), "") }, Done, "", false},
		"result.json empty": {func(p Paths) { write(t, p.Result(), "") }, Lost, "result.json is empty", true},
		"result.json cut":   {func(p Paths) { write(t, p.Result(), `{"schema":1,"res`) }, Lost, "result.json is damaged", true},
		"result.json gone":  {func(p Paths) { os.Remove(p.Result()) }, Lost, "result.json is missing", true},
		"another's result":  {func(p Paths) { write(t, p.Result(), `{"schema":1,"id":"x","attempt":1,"result":1}`) }, Lost, "belongs to job", true},
		"a newer result":    {func(p Paths) { write(t, p.Result(), `{"schema":99}`) }, Failed, "use a newer one", false},
		"events gone":       {func(p Paths) { os.Remove(p.Events()) }, Done, "", true},
		"events a folder":   {func(p Paths) { os.Remove(p.Events()); os.Mkdir(p.Events(), 0o755) }, Failed, "events of job", false},
		"events garbled": {func(p Paths) {
			data, err := os.ReadFile(p.Events())
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.SplitAfter(data, []byte("\n"))
			lines[1] = []byte("\x00\xff{{{\n[]\n{\"event\":3}\n")
			write(t, p.Events(), string(bytes.Join(lines, nil)))
		}, Done, "", true},
	} {
		st, all := finishedStudy(t, countSpecs(countConfig{Steps: 3}, 1, 2)...)
		c.damage(all[0].Paths)
		jobs, err := mustOpen(t, st.Dir()).Jobs()
		if err != nil || len(jobs) != 2 {
			t.Fatalf("%s: %d jobs, %v", name, len(jobs), err)
		}
		for _, j := range jobs {
			s := j.Status()
			if j.ID == all[1].ID {
				if s.State != Done {
					t.Errorf("%s: hurts the other job: %+v", name, s)
				}
				continue
			}
			if s.State != c.state || !strings.Contains(s.Error, c.says) {
				t.Errorf("%s: %+v", name, s)
			}
			if c.mended {
				if err := (Worker{Handlers: testHandlers}).Run(context.Background(), j.Paths.Dir); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				wantCounts(t, &BatchHandle{jobs: []*Job{j}}, 3)
			}
		}
	}
}

func TestDamagedSpecIsMendedBySubmitting(t *testing.T) {
	spec := countSpecs(countConfig{Steps: 3}, 1)[0]
	st, all := finishedStudy(t, countSpecs(countConfig{Steps: 3}, 2)...)
	write(t, st.Paths.Job(spec.ID()).Spec(), "")
	j := st.job(spec.ID())
	if s := j.Status(); s.State != Failed || !strings.Contains(s.Error, "job.json is empty") {
		t.Errorf("%+v", s)
	}
	j, waiting, err := st.submitJob(spec, spec.ID(), Place{}, false)
	if err != nil || !waiting || j.Err != nil || j.Status().State != Pending {
		t.Errorf("%v, %v, %+v", err, waiting, j.Status())
	}
	wantCounts(t, &BatchHandle{jobs: all}, 3)
}

// TestSeedsOutliveDamagedSpecs: a seed that cannot be read from its job must
// not turn into seed 0.
func TestSeedsOutliveDamagedSpecs(t *testing.T) {
	specs := countSpecs(countConfig{Steps: 3}, 5, 6, 7)
	st, all := finishedStudy(t, specs...)
	if _, err := st.Submit(Batch{Title: "x", Specs: specs}); err != nil {
		t.Fatal(err)
	}
	write(t, all[1].Paths.Spec(), "garbage")
	st, err := OpenStudy(st.Paths.Dir)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := st.Batches()
	if err != nil || len(batches) != 1 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	if got, err := batches[0].Seeds(); err != nil || !slices.Equal(got, []int64{5, 6, 7}) {
		t.Errorf("seeds %v, %v; want 5, 6 and 7", got, err)
	}
	batches[0].seeds = nil // as a batch that was written before seeds were kept
	if got, err := batches[0].Seeds(); err == nil || !strings.Contains(err.Error(), all[1].ID) {
		t.Errorf("seeds %v, %v; want an error that names the job", got, err)
	}
}

func TestDamagedBatches(t *testing.T) {
	st, all := finishedStudy(t, countSpecs(countConfig{Steps: 3}, 1)...)
	good := &BatchHandle{Title: "good", study: st, jobs: all}
	if err := st.keepBatch(good, jobIDs(all)); err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"", "{", `{"schema":1,"id":"b3","jobs":["../../x"]}`, `{"schema":9,"id":"b4"}`, `{"schema":1,"id":"other","jobs":[]}`} {
		write(t, st.Paths.Batch(fmt.Sprintf("b%d", i+1)), text)
	}
	batches, err := st.Batches()
	if err != nil || len(batches) != 6 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	for _, b := range batches {
		if (b.Err == nil) != (b.Title == "good") {
			t.Errorf("%s %q: %v", b.ID, b.Title, b.Err)
		}
	}
	found, err := st.Batch(good.ID[:4])
	if err != nil || found.ID != good.ID {
		t.Fatal(err)
	}
	wantCounts(t, found, 3)
}

func TestStudyVersions(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema":99}`: "written by a newer version",
		`{`:             "is damaged: remove it",
		`{}`:            "is damaged: remove it",
	} {
		dir := t.TempDir()
		write(t, StudyPaths{dir}.Version(), text)
		if _, err := OpenStudy(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	dir := t.TempDir()
	write(t, StudyPaths{dir}.Version(), "") // after a power failure
	mustOpen(t, dir)
	mustOpen(t, dir)
	if _, err := OpenStudy(""); err == nil {
		t.Error("no folder is a study")
	}
	if _, err := OpenStudy(filepath.Join(StudyPaths{dir}.Version(), "x")); err == nil {
		t.Error("a study below a file")
	}
}

func TestUnknownIDs(t *testing.T) {
	st, all := finishedStudy(t, countSpecs(countConfig{Steps: 1}, 1, 2, 3, 4)...)
	id := all[0].ID
	for _, typed := range []string{id, id[:6]} {
		if j, err := st.Job(typed); err != nil || j.ID != id {
			t.Errorf("%q: %v", typed, err)
		}
	}
	wrong := id[:3] + "x" + id[4:9]
	if _, err := st.Job(wrong); err == nil || !strings.Contains(err.Error(), "the nearest are "+id) {
		t.Errorf("%v", err)
	}
	if _, err := st.Job(""); err == nil {
		t.Error("the empty id is a job")
	}
	if _, err := mustOpen(t, t.TempDir()).Job("abc"); err == nil || !strings.Contains(err.Error(), "has none") {
		t.Errorf("%v", err)
	}
	for typed, want := range map[string]int{"abc": 0, "axc": 1, "": 0, "xyz": 3, "bcd": 1} {
		if got := idDistance(typed, "abcdef"); got != want {
			t.Errorf("distance of %q is %d, want %d", typed, got, want)
		}
	}
}

func TestDefaultStudy(t *testing.T) {
	t.Setenv("EVALNAS_STUDY", "")
	if got, want := DefaultStudy("notes"), filepath.Join("notes", ".evalnas"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := DefaultStudy(""); got != ".evalnas" {
		t.Errorf("%q", got)
	}
	t.Setenv("EVALNAS_STUDY", "/data/study")
	if got := DefaultStudy("notes"); got != "/data/study" {
		t.Errorf("%q", got)
	}
}

// TestProgressIsThrottled reports a hundred thousand times.
func TestProgressIsThrottled(t *testing.T) {
	st := mustOpen(t, t.TempDir())
	spec := Spec{Kind: "fast"}
	j, _, err := st.submitJob(spec, spec.ID(), Place{}, false)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100_000
	fast := func(ctx context.Context, task *Task) (any, error) {
		for i := range n {
			task.Progress(i+1, n, map[string]any{"incumbent": float64(i), "bad": 1 / (float64(i) - float64(i))})
		}
		return nil, task.Event("trace", []int{1, 2, 3})
	}
	if err := (Worker{Handlers: map[string]Handler{"fast": fast}}).Run(context.Background(), j.Paths.Dir); err != nil {
		t.Fatal(err)
	}
	events, _, err := j.Events(0)
	if err != nil {
		t.Fatal(err)
	}
	progress, traces := 0, 0
	for _, e := range events {
		switch e.Kind {
		case evProgress:
			progress++
		case "trace":
			traces++
		}
	}
	s := j.Status()
	if most := 4*int(s.Ended.Sub(s.Started)/time.Second+1) + 2; progress > most || progress < 2 || traces != 1 {
		t.Errorf("%d progress events, %d traces", progress, traces)
	}
	if s.State != Done || s.Done != n || s.Values["incumbent"] != float64(n-1) || s.Values["bad"] != "+Inf" || s.Skipped != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEventsGrow(t *testing.T) {
	st, all := finishedStudy(t, countSpecs(countConfig{Steps: 3}, 1)...)
	j := all[0]
	data, err := os.ReadFile(j.Paths.Events())
	if err != nil {
		t.Fatal(err)
	}
	want, end, err := j.Events(0)
	if err != nil || end != int64(len(data)) || len(want) < 3 {
		t.Fatalf("%d events up to %d of %d, %v", len(want), end, len(data), err)
	}
	grown := st.Paths.Job("grown")
	var got []Event
	var at int64
	for n := range len(data) + 1 { // byte by byte, as a slow disk shows it
		write(t, grown.Events(), string(data[:n]))
		more, next, err := newJob(osDisk{}, grown, "grown").Events(at)
		if err != nil {
			t.Fatal(err)
		}
		got, at = append(got, more...), next
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := os.Truncate(grown.Events(), 0); err != nil {
		t.Fatal(err)
	}
	if more, next, err := newJob(osDisk{}, grown, "grown").Events(at); err != nil || next != 0 || len(more) != 0 {
		t.Errorf("after a truncation: %v up to %d, %v", more, next, err)
	}
}

func TestReservedEvents(t *testing.T) {
	task := &Task{}
	for _, kind := range []string{"", evDone, evProgress, evStart} {
		if err := task.Event(kind, nil); err == nil || !strings.Contains(err.Error(), "choose another") {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func TestCheckpoint(t *testing.T) {
	st := mustOpen(t, t.TempDir())
	spec := Spec{Kind: "steps"}
	j, _, err := st.submitJob(spec, spec.ID(), Place{}, false)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	steps := func(ctx context.Context, task *Task) (any, error) {
		data, err := task.Restore()
		if err != nil {
			return nil, err
		}
		found = append(found, string(data))
		if len(found) == 1 {
			if err := task.Checkpoint([]byte("half")); err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("not this time")
		}
		return string(data), nil
	}
	work := func() {
		t.Helper()
		if err := (Worker{Handlers: map[string]Handler{"steps": steps}}).Run(context.Background(), j.Paths.Dir); err != nil {
			t.Fatal(err)
		}
	}
	work()
	if err := j.requeue(false); err != nil {
		t.Fatal(err)
	}
	work()
	if err := j.requeue(true); err != nil { // fresh: from the beginning
		t.Fatal(err)
	}
	work()
	if want := []string{"", "half", ""}; !reflect.DeepEqual(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
}

func TestStubbornHandler(t *testing.T) {
	st := mustOpen(t, t.TempDir())
	spec := countSpecs(countConfig{Mode: "stubborn"}, 1)[0]
	j, _, err := st.submitJob(spec, spec.ID(), Place{}, false)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- Worker{Handlers: testHandlers, Grace: time.Millisecond}.Run(context.Background(), j.Paths.Dir)
	}()
	eventually(t, "the job to run", func() bool { return j.Status().State == Running })
	if err := j.Cancel(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := j.Status(); s.State != Cancelled {
		t.Errorf("%+v", s)
	}
}

func TestLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	p := Paths{dir}
	write(t, p.Log(), strings.Repeat("0123456789\n", 1000)+"last words\n")
	if err := boundFile(p.Log(), p.OldLog(), 1000); err != nil {
		t.Fatal(err)
	}
	j := newJob(osDisk{}, p, "x")
	if log := j.Log(3); !strings.Contains(log, "last words\n[the log grew past") {
		t.Errorf("%q", log)
	}
	for _, path := range []string{p.Log(), p.OldLog()} {
		if info, err := os.Stat(path); err != nil || info.Size() > 1000 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if got := j.Log(1); strings.Contains(got, "\n") || got == "" {
		t.Errorf("%q", got)
	}
	if got := newJob(osDisk{}, Paths{t.TempDir()}, "x").Log(10); got != "" {
		t.Errorf("%q", got)
	}
}

// FuzzFolder reads folders whose files hold anything: in one go, and while
// events.jsonl grows.
func FuzzFolder(f *testing.F) {
	spec := countSpecs(countConfig{Steps: 3}, 1)[0]
	_, all := finishedStudy(f, spec)
	var seeds [3][]byte
	for i, path := range []string{all[0].Paths.Spec(), all[0].Paths.Events(), all[0].Paths.Result()} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		seeds[i] = data
	}
	f.Add(seeds[0], seeds[1], seeds[2], 100)
	f.Add(seeds[0], seeds[1], []byte{}, 7)
	f.Add([]byte("{}"), []byte("{\"attempt\":1,\"event\":\"start\"}\nxx\n{\"attempt\":9,\"event\":\"failed\",\"data\":3}"), []byte("{"), 30)
	p := Paths{filepath.Join(f.TempDir(), spec.ID())}
	f.Fuzz(func(t *testing.T, specFile, events, result []byte, cut int) {
		cut = min(max(cut, 0), len(events))
		write(t, p.Spec(), string(specFile))
		write(t, p.Result(), string(result))
		write(t, p.Events(), string(events[:cut]))
		grown := openJob(osDisk{}, p, spec.ID())
		checkStatus(t, grown, grown.Status())
		write(t, p.Events(), string(events))
		whole := openJob(osDisk{}, p, spec.ID())
		got, want := grown.Status(), whole.Status()
		checkStatus(t, whole, want)
		if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
			t.Errorf("read twice: %s\nread once:  %s", a, b)
		}
		if _, next, err := whole.Events(0); err != nil || next > int64(len(events)) {
			t.Errorf("events up to %d of %d: %v", next, len(events), err)
		}
	})
}

func checkStatus(t *testing.T, j *Job, s Status) {
	t.Helper()
	known := false
	for _, state := range allStates {
		known = known || s.State == state
	}
	if !known || s.Attempt < 0 {
		t.Errorf("%+v", s)
	}
	raw, err := j.Result()
	if (err == nil) != (s.State == Done) || err == nil && !json.Valid(raw) {
		t.Errorf("%+v, result %q, %v", s, raw, err)
	}
	if s.State == Failed && s.Error == "" && j.Err != nil {
		t.Errorf("%+v says nothing", s)
	}
}

// BenchmarkStatuses polls a thousand jobs, as a kernel does several times a
// second while somebody waits.
func BenchmarkStatuses(b *testing.B) {
	st := mustOpen(b, b.TempDir())
	h := &BatchHandle{study: st}
	for _, spec := range countSpecs(countConfig{Steps: 3}, seedRange(0, 1000)...) {
		j, _, err := st.submitJob(spec, spec.ID(), Place{}, false)
		if err != nil {
			b.Fatal(err)
		}
		h.jobs = append(h.jobs, j)
	}
	for name, n := range map[string]int{"pending": 0, "done": 200} {
		for _, j := range h.jobs[:n] {
			if err := (Worker{Handlers: testHandlers}).Run(b.Context(), j.Paths.Dir); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, j := range h.jobs {
					j.Status()
				}
			}
		})
	}
}
