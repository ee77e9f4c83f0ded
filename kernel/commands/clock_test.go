package commands

import (
	"errors"
	"strings"
	"testing"

	"evalnas/kernel"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
)

func TestBudgetsInWords(t *testing.T) {
	for want, c := range map[string]struct {
		budget  int
		seconds float64
	}{
		"1,000 evaluations":                                         {1000, 0},
		"5,000,000 simulated seconds":                               {0, 5e6},
		"1,234.5 simulated seconds":                                 {0, 1234.5},
		"0.25 simulated seconds":                                    {0, 0.25},
		"10 evaluations or 1,000,000,000,000,000 simulated seconds": {10, 1e15},
	} {
		if got := budgetText(c.budget, c.seconds); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

// TestProgressOnAClock: the bar is of what will be spent first, and the simulated time
// stands beside the look-ups.
func TestProgressOnAClock(t *testing.T) {
	status := func(state jobs.State, done int, values map[string]any) jobs.Status {
		st := jobs.Status{State: state}
		st.Done, st.Values = done, values
		return st
	}
	for name, c := range map[string]struct {
		budget                int
		seconds               float64
		st                    jobs.Status
		share, looked, passed string
	}{
		"look-ups":         {200, 0, status(jobs.Running, 50, nil), "25%", "50", ""},
		"on a timed table": {200, 0, status(jobs.Running, 50, map[string]any{"simulated": 7200.0}), "25%", "50", "2 h"},
		"clock":            {0, 1e6, status(jobs.Running, 5e5, map[string]any{"simulated": 5e5, "evaluations": 41.0}), "50%", "41", "5 days"},
		"both, by clock":   {200, 1e6, status(jobs.Running, 20, map[string]any{"simulated": 5e5}), "50%", "20", "5 days"},
		"both, done":       {200, 1e6, status(jobs.Done, 41, map[string]any{"simulated": 9.9e5}), "100%", "41", "11 days"},
		"not begun":        {0, 1e6, status(jobs.Pending, 0, nil), "0%", "0", ""},
		"a very long time": {0, 1e15, status(jobs.Running, 1, map[string]any{"simulated": 1e14, "evaluations": 9.0}), "10%", "9", "104166 days"},
	} {
		s := &nasapi.Search{Config: nasapi.SearchConfig{Budget: c.budget, Seconds: c.seconds}}
		cells := progressCells(s, c.st)
		got := cells[0].text[len(cells[0].text)-len(c.share):]
		if got != c.share || cells[1].text != c.looked || cells[2].text != c.passed {
			t.Errorf("%s: %q, %q, %q; want %q, %q, %q", name, cells[0].text, cells[1].text, cells[2].text, c.share, c.looked, c.passed)
		}
	}
}

// TestClocksThatCannotGo are refused before a job is made, and say what to do.
func TestClocksThatCannotGo(t *testing.T) {
	n := newNotebook(t)
	for args, want := range map[string]string{
		`"random", nasbench101(4), params(), seeds=[1], seconds=5e6`:                        "params() has no training times",
		`"random", nasbench101(4), truth.metric("test"), seeds=[1], seconds=5e6`:            "seconds=5000000: nasbench101_table()",
		`"random", nasbench101(4), params(), seeds=[1], seconds=0`:                          "seconds is 0",
		`"random", nasbench101(4), params(), seeds=[1], budget=5, seconds=-1`:               "seconds is -1",
		`"random", nasbench101(4), params(), seeds=[1], budget=5, seconds=float("nan")`:     "seconds is NaN",
		`"random", nasbench101(4), params(), seeds=[1], seconds="long"`:                     "a number",
		`"random", nasbench101(4), params(), seeds=[1]`:                                     "missing argument budget",
		`"successive_halving", nasbench101(4), truth.metric("test"), seeds=[1], budget=500`: "one number of epochs only",
	} {
		_, _, err := n.try("truth = nasbench101_table()\nsearch(" + args + ")")
		var cell *kernel.CellError
		if !errors.As(err, &cell) || !strings.Contains(cell.Value, want) {
			t.Errorf("search(%s): %v does not say %q", args, err, want)
		}
	}
	n.run(`found = search("random", nasbench101(4), params(), seeds=[3], budget=7)
wait(found)`)
	for expr, want := range map[string]string{
		`found.seconds`: "", `found.budget`: "7", `found.simulated[3]`: "0.0", `len(found.timed_traces[3]) == len(found.traces[3])`: "True",
	} {
		if got := n.value(expr); got != want {
			t.Errorf("%s is %q, want %q", expr, got, want)
		}
	}
}
