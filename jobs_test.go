package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"evalnas/nasapi/jobs"
)

// jobsStudy has one job of each way to end, run in this process.
func jobsStudy(t *testing.T) (dir string, ids map[string]string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("EVALNAS_SLOT_DIR", t.TempDir())
	t.Setenv("EVALNAS_STUDIES_FILE", filepath.Join(t.TempDir(), "studies"))
	// Nothing is left to run in the background when handlers run here.
	t.Setenv("EVALNAS_EXE", "/nonexistent/evalnas")
	handlers := map[string]jobs.Handler{"work": func(ctx context.Context, task *jobs.Task) (any, error) {
		task.Progress(3, 4, map[string]any{"incumbent": 0.9466146})
		if task.Seed == 2 {
			return nil, errors.New("no such table\nsecond line")
		}
		return task.Seed, nil
	}}
	st, err := jobs.OpenStudy(dir)
	if err != nil {
		t.Fatal(err)
	}
	specs := []jobs.Spec{
		{Kind: "work", Seed: 1268}, {Kind: "work", Seed: 2}, {Kind: "work", Seed: 123456789},
	}
	if _, err := st.Submit(jobs.Batch{Title: "evolution on nasbench101", Specs: specs}); err == nil {
		t.Fatal("a runner that does not exist was started")
	}
	ids = map[string]string{"done": specs[0].ID(), "failed": specs[1].ID(), "cancelled": specs[2].ID()}
	for _, state := range []string{"done", "failed"} {
		if err := jobs.Work(t.Context(), filepath.Join(dir, "jobs", ids[state]), handlers); err != nil {
			t.Fatal(err)
		}
	}
	j, err := st.Job(ids["cancelled"])
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Cancel(); err != nil {
		t.Fatal(err)
	}
	return dir, ids
}

func runJobs(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := newJobsCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestJobsTable(t *testing.T) {
	dir, ids := jobsStudy(t)
	out, err := runJobs(t, "--study", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		ids["done"][:8] + "  evolution on nasbench101       1268  done       ███████···    0.94661\n",
		ids["failed"][:8] + " failed: no such table\n  … second line\n", "  123456789  cancelled",
		"3 jobs: 1 done, 1 failed, 1 cancelled; under 0.1 device-seconds\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	watched, err := runJobs(t, "watch", "--study", dir)
	if err != nil || watched != out {
		t.Errorf("watching what has ended shows\n%s\n%v", watched, err)
	}
}

func TestJobsJSON(t *testing.T) {
	dir, ids := jobsStudy(t)
	out, err := runJobs(t, "--study", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if !strings.Contains(out, `"retries":0`) || !strings.Contains(out, `"spent":0`) || !strings.Contains(out, `"held":false`) || !strings.Contains(out, `"slots":[`) {
		t.Errorf("the JSON is %s", out)
	}
	for line := range strings.Lines(out) {
		var row jobRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		got[string(row.State)] = row.ID
	}
	for state, id := range ids {
		if got[state] != id {
			t.Errorf("%s: %q, want %q", state, got[state], id)
		}
	}
}

func TestJobsErrors(t *testing.T) {
	dir, ids := jobsStudy(t)
	for _, c := range []struct{ args, want string }{
		{"--study " + filepath.Join(dir, "none"), "no study at"},
		{"logs abc --study " + dir, `no job "abc" in the study`},
		{"cancel --study " + dir, "give the ids of jobs or batches, or --all"},
		{"cancel --all x --study " + dir, "not both"},
		{"retry zzz --study " + dir, "the nearest are"},
		{"retry --study " + dir + " " + ids["failed"], "cannot start the runner"},
	} {
		if _, err := runJobs(t, strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
	out, err := runJobs(t, "cancel", "--study", dir, "--all")
	if err != nil || !strings.Contains(out, "1 job was asked to stop, 2 had ended already") {
		t.Errorf("%q, %v", out, err) // the one that retry set pending
	}
	if _, err := runJobs(t, "logs", "--study", dir, ids["done"][:8]); err != nil {
		t.Error(err)
	}
}

func TestJobsLeaveOtherFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	if out, err := runJobs(t, "--study", dir); err == nil || !strings.Contains(err.Error(), "no study at") {
		t.Errorf("a folder that is no study: %q, %v", out, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("looking made %v, %v", left, err)
	}
}

func TestJobNumbers(t *testing.T) {
	for _, c := range []struct {
		row        jobRow
		rate, left string
	}{
		{jobRow{State: jobs.Running, Rate: 123456, Remaining: 59.6}, "1.2e+05/s", "1m00s"},
		{jobRow{State: jobs.Running, Rate: 42.4, Remaining: 12.3}, "42/s", "12s"},
		{jobRow{State: jobs.Running, Rate: 1.25, Remaining: 3700}, "1.2/s", "1h01m"},
		{jobRow{State: jobs.Running, Rate: 0.01, Remaining: 200000}, "36/h", "2d07h"},
		{jobRow{State: jobs.Done, Rate: 0, Remaining: 5}, "", ""},
	} {
		if r, l := rateText(c.row), leftText(c.row); r != c.rate || l != c.left {
			t.Errorf("%+v: %q and %q, want %q and %q", c.row, r, l, c.rate, c.left)
		}
	}
	for _, c := range []struct {
		value any
		want  string
	}{{nil, ""}, {0.9466146, "0.94661"}, {float64(2694282), "2694282"}, {1e300, "1e+300"}, {"a long string", "a long s…"}} {
		if got := valueText(c.value); got != c.want {
			t.Errorf("%v: %q, want %q", c.value, got, c.want)
		}
	}
}

// TestTablesFitTheirWindow: names are cut first, then columns go, and no line is wider.
func TestTablesFitTheirWindow(t *testing.T) {
	var l jobList
	for i, st := range []jobs.Status{
		{State: jobs.Running, Attempt: 3, Retries: 2, Done: 4, Total: 8, Rate: 42, Remaining: time.Minute, Values: map[string]any{"incumbent": 0.9466146}},
		{State: jobs.Checkpointed, Held: true, Error: "its time limit came near"}, {State: jobs.Failed, Error: strings.Repeat("long ", 100) + "\nlast"},
		{State: jobs.Done, Spent: time.Hour}, {State: jobs.Done}, {State: jobs.Done},
	} {
		row := jobRow{ID: strings.Repeat("0123456789"[i:i+1], 20), Name: "evolution on nasbench101, and more", Seed: 1268, State: st.State, Held: st.Held, Retries: st.Retries,
			Done: st.Done, Total: st.Total, Rate: st.Rate, Remaining: st.Remaining.Seconds(), Values: st.Values, Error: st.Error, Where: "node07, SLURM 1234_56", Study: "/a/study", status: st}
		if i > 3 {
			row.Study = "/another/study"
		}
		l.rows = append(l.rows, row)
	}
	l.studies = 2
	for _, c := range []struct {
		width  int
		titles string
	}{
		{100, "id name seed state where tries progress rate left incumbent"}, {90, "id name seed state where progress rate left incumbent"},
		{70, "id name seed state progress left"}, {60, "id name seed state left"}, {30, "id state"}, {1, "id state"},
	} {
		table := jobTable(l.rows, c.width, true)
		head, _, _ := strings.Cut(table, "\n")
		if got := strings.Join(strings.Fields(head), " "); got != c.titles {
			t.Errorf("%d columns: %s\n%s", c.width, got, table)
		}
		for height := range 30 {
			text := l.window(c.width, height)
			if n := strings.Count(text, "\n"); n >= height && height > 15 {
				t.Errorf("%d lines in a window of %d:\n%s", n, height, text)
			}
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > c.width {
					t.Errorf("%d columns: %d in %s", c.width, n, line)
				}
			}
		}
	}
	text := l.text(100)
	for _, want := range []string{"checkpointed, held", "\n/another/study\n44444444", "11111111 checkpointed: its time limit came near", "\n  … last\n", "6 jobs: 1 running, 1 checkpointed (held), 3 done, 1 failed; 1.0 device-hours"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if text := l.window(100, 14); !strings.Contains(text, "running") || !strings.Contains(text, "not shown)") {
		t.Errorf("a small window shows\n%s", text)
	}
}

// TestScreenDrawsOverItself, and anew where the window has another width.
func TestScreenDrawsOverItself(t *testing.T) {
	var out strings.Builder
	columns := 80
	s := &screen{out: &out, terminal: true, size: func() (int, int, bool) { return columns, 24, true }}
	list := func(n int) (l jobList) {
		for i := range n {
			l.rows = append(l.rows, jobRow{ID: strings.Repeat("0123456789"[i:i+1], 20), State: jobs.Done})
		}
		return l
	}
	drawn := func(l jobList) string {
		t.Helper()
		out.Reset()
		if err := s.draw(l); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := drawn(list(2)); strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 5 {
		t.Errorf("the first is %q", got)
	}
	if got := drawn(list(2)); got != "" {
		t.Errorf("the same again is %q", got)
	}
	if got := drawn(list(3)); !strings.HasPrefix(got, "\x1b[5A\x1b[Jid") {
		t.Errorf("the next is %q", got)
	}
	columns = 40
	if got := drawn(list(3)); !strings.HasPrefix(got, "\x1b[H\x1b[2Jid") {
		t.Errorf("in a narrower window it is %q", got)
	}
}

func TestHoldAndReleaseJobs(t *testing.T) {
	dir, ids := jobsStudy(t)
	if _, err := runJobs(t, "retry", "--study", dir, ids["failed"]); err == nil {
		t.Fatal("a runner that does not exist was started")
	}
	for _, c := range []struct{ args, want string }{
		{"hold --all", "1 job is held, 2 run or have ended"},
		{"", "pending, held"},
		{"release " + ids["failed"][:8], "1 job is released, 0 were not held"},
		{"release --all", "0 jobs are released, 3 were not held"},
	} {
		out, err := runJobs(t, append(strings.Fields(c.args), "--study", dir)...)
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: %q, want %q (%v)", c.args, out, c.want, err)
		}
	}
}

func TestJobsOfAllStudies(t *testing.T) {
	dir, _ := jobsStudy(t)
	t.Chdir(t.TempDir())
	out, err := runJobs(t, "--all")
	if err != nil || !strings.Contains(out, "3 jobs: 1 done") {
		t.Errorf("one study: %q, %v", out, err)
	}
	t.Setenv("EVALNAS_STUDY", filepath.Join(t.TempDir(), "here"))
	if _, err := jobs.OpenStudy(os.Getenv("EVALNAS_STUDY")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--all"}, {"watch", "--all"}} {
		out, err := runJobs(t, args...)
		if err != nil || !strings.Contains(out, "\n"+dir+"\n") || !strings.Contains(out, "3 jobs: 1 done, 1 failed, 1 cancelled") {
			t.Errorf("%v: %q, %v", args, out, err)
		}
	}
	if _, err := runJobs(t, "--all", "--study", dir); err == nil || !strings.Contains(err.Error(), "not both") {
		t.Errorf("a study and all: %v", err)
	}
	t.Setenv("EVALNAS_STUDIES_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("EVALNAS_STUDY", t.TempDir())
	if _, err := runJobs(t, "--all"); err == nil || !strings.Contains(err.Error(), "no study is known") {
		t.Errorf("no study: %v", err)
	}
}

func TestJobsGC(t *testing.T) {
	dir, ids := jobsStudy(t)
	gc := func(args string) string {
		t.Helper()
		out, err := runJobs(t, append(strings.Fields("gc "+args), "--study", dir)...)
		if err != nil {
			t.Fatalf("%s: %v", args, err)
		}
		return out
	}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, "jobs", ids[name]))
		return err == nil
	}
	for _, c := range []struct{ args, want string }{
		{"", "finished jobs (--done)"}, {"", "nothing is asked for"}, {"--yes", "removed nothing\n"},
		{"--failed --done --older 1d", "failed jobs, 0 of them to be removed"}, {"--failed --done --older 1d", "nothing that is asked for ended so long ago"},
		{"--done", ids["done"][:8] + "  done       evolution on nasbench101, seed 1268, "}, {"--done", "; --yes removes it"},
		{"--json --failed", `{"kind":"failed","path":"` + filepath.Join(dir, "jobs", ids["failed"]) + `","bytes":`},
	} {
		if out := gc(c.args); !strings.Contains(out, c.want) {
			t.Errorf("gc %s: %s\nlacks %q", c.args, out, c.want)
		}
	}
	if !there("done") || !there("failed") || !there("cancelled") {
		t.Fatal("something finished was removed without --yes")
	}
	if out := gc("--failed --yes"); !strings.HasPrefix(out, "removed 1 failed jobs; ") || there("failed") || !there("done") {
		t.Errorf("%s", out)
	}
	if out := gc("--done --cancelled --yes"); !strings.Contains(out, "1 leftovers of what died, 1 cancelled jobs, 1 finished jobs") {
		t.Errorf("the batch does not go with its jobs: %s", out)
	}
	if out := gc(""); !strings.HasPrefix(out, "nothing can be removed") {
		t.Errorf("%s", out)
	}
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "1.5d": 36 * time.Hour, "90m": 90 * time.Minute} {
		var d days
		if err := d.Set(text); err != nil || time.Duration(d) != want {
			t.Errorf("%s is %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "d", "-3d", "soon", "-1h", "NaNd"} {
		if err := new(days).Set(text); err == nil || !strings.Contains(err.Error(), "such as 30d") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
