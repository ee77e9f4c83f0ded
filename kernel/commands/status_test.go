package commands

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

// A display of very many rows shows some, counts the rest and leaves out no failure.
func TestFoldedTables(t *testing.T) {
	view := newTable("t", column{"seed", right}, column{"state", left})
	view.folds = "x.seeds has them all"
	var why reasons
	for i := range 500 {
		st := jobs.Status{State: jobs.Done}
		if i == 123 || i == 124 || i == 300 {
			st = jobs.Status{State: jobs.Failed, Error: "out of luck"}
		}
		view.addCells(tableCell{text: strconv.Itoa(i)}, stateCell(st.State, false))
		why.below(view, "seed "+strconv.Itoa(i), st)
	}
	b := view.bundle()
	text, markup := b.Data["text/plain"].(string), b.Data["text/html"].(string)
	for _, s := range []string{text, markup} {
		if !strings.Contains(s, "473 of 500 rows are left out here: x.seeds has them all.") || !strings.Contains(s, "2 alike: out of luck") || strings.Count(s, "failed") != 2 {
			t.Errorf("the display is\n%s", s)
		}
	}
	if lines := strings.Count(text, "\n"); lines > 40 {
		t.Errorf("the display has %d lines", lines)
	}
	if n := strings.Count(view.markdown(), "\n|"); n < 500 {
		t.Errorf("what is saved has %d lines, want all 500", n)
	}
	view.rows = view.rows[:foldAbove]
	if text := view.bundle().Data["text/plain"].(string); strings.Contains(text, "left out") {
		t.Errorf("%d rows are folded", foldAbove)
	}
}

// TestFailedSeedsSayWhyInPlace: beneath the row of a seed stands what its worker said last,
// as text that can do nothing to the page.
func TestFailedSeedsSayWhyInPlace(t *testing.T) {
	traceback := "died 3 times; its last lines:\nTraceback (most recent call last):\n" + strings.Repeat("  File \"x.py\"\n", 20) + "\x1b[31mValueError: <script>alert(1)</script> & so on\x1b[0m\r"
	view := newTable("t", column{"seed", right}, column{"state", left})
	var why reasons
	for i, st := range []jobs.Status{
		{State: jobs.Failed, Error: traceback}, {State: jobs.Failed, Error: "no such table"}, {State: jobs.Failed, Error: traceback},
		{State: jobs.Checkpointed, Error: "its time limit came near"}, {State: jobs.Preempted, Error: "the worker was told to terminate"},
		{State: jobs.Pending, Error: "the worker died without a result"}, {State: jobs.Done, Error: "never shown"}, {State: jobs.Running},
	} {
		view.addCells(tableCell{text: fmt.Sprint(i)}, stateCell(st.State, false))
		why.below(view, fmt.Sprintf("seed %d", i), st)
	}
	want := `t
seed  state
   0  failed
    | died 3 times; its last lines:
    | …
    |   File "x.py"
    |   File "x.py"
    |   File "x.py"
    |   File "x.py"
    |   File "x.py"
    | ValueError: <script>alert(1)</script> & so on
   1  failed
    | no such table
   2  failed
    | as seed 0
   3  checkpointed
    | its time limit came near; it goes on from its saved state
   4  preempted
    | the worker was told to terminate; it begins anew
   5  pending
    | to be tried again: the worker died without a result
   6  done
   7  running`
	if got := view.text(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	html := view.html()
	if strings.Contains(html, "<script>") || !strings.Contains(html, `<td colspan="2"`) || strings.Count(html, "<pre ") != 6 || strings.Contains(html, "\x1b") {
		t.Errorf("the HTML is %s", html)
	}
}

// TestRowsThatFailAlikeSayItOnce: an unknown partition is the same for all tasks of an array.
func TestRowsThatFailAlikeSayItOnce(t *testing.T) {
	view := newTable("", column{"seed", right}, column{"state", left})
	var why reasons
	for i, text := range []string{"bad partition\nsubmission failed", "bad partition\nsubmission failed", "bad partition\nsubmission failed", "", "other", "other", "bad partition\nsubmission failed"} {
		state := jobs.Failed
		if text == "" {
			state = jobs.Done
		}
		view.addCells(tableCell{text: fmt.Sprint(i)}, stateCell(state, false))
		why.below(view, fmt.Sprintf("seed %d", i), jobs.Status{State: state, Error: text})
	}
	want := `seed  state
   0  failed
   1  failed
   2  failed
    | 3 alike: bad partition
    | submission failed
   3  done
   4  failed
   5  failed
    | 2 alike: other
   6  failed
    | as seed 0`
	if got := view.text(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}

func TestManyFailuresStayShort(t *testing.T) {
	view := newTable("", column{"seed", right})
	var why reasons
	for i := range 100 {
		view.add(fmt.Sprint(i))
		why.below(view, fmt.Sprintf("seed %d", i), jobs.Status{State: jobs.Failed, Error: fmt.Sprintf("died\n%ssaid %d", strings.Repeat(strings.Repeat("x", 1000)+"\n", 30), i)})
	}
	text := view.text()
	if n := strings.Count(text, "\n"); n > fullReasons*reasonLines+100*4 {
		t.Errorf("%d lines", n)
	}
	if !strings.Contains(text, "    | died\n    | …\n    | said 99") || strings.Contains(text, strings.Repeat("x", reasonWidth)) {
		t.Errorf("the last is %s", text[len(text)-200:])
	}
}

func TestStatesAndTries(t *testing.T) {
	statuses := []jobs.Status{
		{State: jobs.Pending, Held: true}, {State: jobs.Pending, Held: true}, {State: jobs.Checkpointed, Held: true, Attempt: 2}, {State: jobs.Checkpointed, Attempt: 3},
		{State: jobs.Running, Attempt: 1},
	}
	if got, want := jobs.StatesText(statuses), "1 running, 2 pending (held), 2 checkpointed (1 held)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := fmt.Sprintf("%q", triesTexts(statuses)), `["" "" "1" "2" "1"]`; got != want {
		t.Errorf("tries are %s, want %s", got, want)
	}
	if got, want := fmt.Sprintf("%q", triesTexts([]jobs.Status{{State: jobs.Done, Attempt: 1}, {State: jobs.Pending}})), `["" ""]`; got != want {
		t.Errorf("tries of what succeeds at once are %s, want %s", got, want)
	}
}

// TestWhatALiveTableSaysOfItsSeeds has one that fails and others that run and wait.
func TestWhatALiveTableSaysOfItsSeeds(t *testing.T) {
	t.Setenv("EVALNAS_SLOTS", "2")
	n := newNotebook(t)
	n.run(`found = search("enas", nasbench101(), params(), seeds=range(3), budget=100000)`)
	last, err := n.env.attachBatch(n.lastBatch())
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(text, "2 running") || !strings.Contains(text, "Cost so far: "); time.Sleep(20 * time.Millisecond) {
		view, _, err := last.render()
		if err != nil || time.Now().After(deadline) {
			t.Fatal(err, text)
		}
		text = view.Data["text/plain"].(string)
	}
	if !strings.Contains(text, "where") || !strings.Contains(text, "  core") || strings.Contains(text, "tries") {
		t.Errorf("while running:\n%s", text)
	}
	n.run("cancel(found)\nwait(found)")
	view, final, err := last.render()
	if err != nil || !final {
		t.Fatal(final, err)
	}
	text = view.Data["text/plain"].(string)
	if strings.Contains(text, "where") || !strings.Contains(text, "\nCost: ") || !strings.Contains(text, "(a device: one slot of this machine, or what SLURM gives a task)") {
		t.Errorf("at the end:\n%s", text)
	}
	if got := n.value(`[j["device_hours"] > 0 for j in jobs() if j["tries"] > 0]`); !strings.HasPrefix(got, "[True, True") {
		t.Errorf("the cost of what ran: %s", got)
	}
}

// failing makes a job of a search fail, in this process.
func failing(t *testing.T, j *jobs.Job, with string) {
	t.Helper()
	err := jobs.Worker{Handlers: map[string]jobs.Handler{nasapi.SearchKind: func(context.Context, *jobs.Task) (any, error) {
		return nil, fmt.Errorf("%s", with)
	}}}.Run(t.Context(), j.Paths.Dir)
	if err != nil {
		t.Fatal(err)
	}
}

// TestAJobOfTwoSearchesCountsOnce: it is listed with both.
func TestAJobOfTwoSearchesCountsOnce(t *testing.T) {
	n := newNotebook(t)
	n.run(`wait(search("random", nasbench101(4), params(), seeds=[1], budget=5))`)
	n.run(`wait(search("random", nasbench101(4), params(), seeds=[1, 2], budget=5))`)
	b, _ := n.run(`jobs()`)
	if text := b.Data["text/plain"].(string); !strings.Contains(text, "Study .evalnas: 2 done\n") {
		t.Errorf("the jobs of two searches are\n%s", text)
	}
	if got := n.value(`[j["seed"] for j in jobs()]`); got != "[1, 1, 2]" {
		t.Errorf("they have seeds %s", got)
	}
}

func TestJobsAcrossStudies(t *testing.T) {
	n := newNotebook(t)
	n.run(`found = search("random", nasbench101(4), params(), seeds=[1, 2], budget=5)` + "\nwait(found)")
	other := newNotebook(t) // another folder, and in a test another list of studies
	other.run(`found = search("evolution", nasbench101(4), params(), seeds=[3], budget=5)` + "\nwait(found)")
	if got := other.value(`[j["seed"] for j in jobs(all=True)]`); got != "[3]" {
		t.Errorf("one study has seeds %s", got)
	}
	// The first one again, now among those of this list.
	again := NewEnv(n.env.Dir)
	defer again.Close()
	n.env = again
	st, err := again.study("")
	if err != nil {
		t.Fatal(err)
	}
	// Whoever has this lock is the study's runner: the job is run here.
	runner := flock.New(st.Paths.Lock())
	if err := runner.Lock(); err != nil {
		t.Fatal(err)
	}
	defer runner.Unlock()
	h, err := st.Submit(jobs.Batch{Title: "broken", Specs: []jobs.Spec{{Kind: nasapi.SearchKind, Seed: 9}}})
	if err != nil {
		t.Fatal(err)
	}
	failing(t, h.Jobs()[0], "out of cheese")
	b, _ := other.run(`jobs(all=True)`)
	text := b.Data["text/plain"].(string)
	for _, want := range []string{"2 studies: 3 done, 1 failed", "\nstudy", n.env.Dir, ".evalnas", "evolution", "out of cheese", "Cost: ", "device-hours"} {
		if !strings.Contains(text, want) {
			t.Errorf("jobs(all=True) does not say %q:\n%s", want, text)
		}
	}
	if got := other.value(`[j["seed"] for j in jobs(all=True)]`); got != "[3, 1, 2, 9]" {
		t.Errorf("two studies have seeds %s", got)
	}
	if got := other.value(`[jobs() == jobs(), jobs() == [], [] == jobs(), jobs() == jobs(all=True)]`); got != "[True, False, False, False]" {
		t.Errorf("lists of jobs compare as %s", got)
	}
	if got := other.value(`len(jobs())`); got != "1" {
		t.Errorf("jobs() has %s", got)
	}
	if _, _, err := other.try(`jobs("x", all=True)`); err == nil || !strings.Contains(err.Error(), "not both") {
		t.Errorf("a study and all: %v", err)
	}
	if err := os.WriteFile(st.Paths.Version(), []byte(`{"schema": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	fresh := NewEnv(other.env.Dir) // a kernel that has not opened it yet
	defer fresh.Close()
	v, err := fresh.jobsOfAll()
	if err != nil {
		t.Fatal(err)
	}
	if text := v.(jobTable).view.text(); !strings.Contains(text, "newer version") || !strings.Contains(text, "evolution") {
		t.Errorf("with a study that cannot be read:\n%s", text)
	}
}
