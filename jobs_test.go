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
	"unicode/utf8"

	"evalnas/nasapi/jobs"
)

// jobsStudy has one job of each way to end, run in this process.
func jobsStudy(t *testing.T) (dir string, ids map[string]string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("EVALNAS_SLOT_DIR", t.TempDir())
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
		ids["done"][:8] + " evolution on n…   1268  done      ███████···", "0.94661",
		ids["failed"][:8] + " failed: no such table …", "123456789"[:5] + "…  cancelled",
		"3 jobs: 1 done, 1 failed, 1 cancelled",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
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
