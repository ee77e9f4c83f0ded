package commands

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"evalnas/kernel"
	"evalnas/nasapi"
	"evalnas/nasapi/jobs/slurm/slurmtest"
)

func TestCostOfSearchInWords(t *testing.T) {
	const s, min, h = time.Second, time.Minute, time.Hour
	for want, c := range map[string]nasapi.SearchCost{
		"10 seeds, about 3 s each, 30 s of one core in all, 15 s on 2 slots (12,000 evaluations a second measured)": {
			Jobs: 10, Each: 3 * s, All: 30 * s, Slots: 2, Wall: 15 * s, PerSecond: 12_345},
		"2 seeds, more than 10 min each, 20 min of one core in all (0.5 evaluations a second measured)": {
			Jobs: 2, Each: 10 * min, All: 20 * min, Slots: 1, Wall: 20 * min, PerSecond: 0.5, AtLeast: true},
		"10 seeds, under 1 s in all":                               {Jobs: 10, Each: s / 50, All: s / 5, Slots: 2, Wall: s / 10, PerSecond: 1e6},
		"3 seeds, under 1 s of one core in all":                    {Jobs: 3, Each: s / 50, All: s / 15, PerSecond: 1e6},
		"1 seed, under 1 s in all":                                 {Jobs: 1, Each: s / 50, All: s / 50, Slots: 2, Wall: s / 50, PerSecond: 1e6},
		"1 seed, about 10 min (0.5 evaluations a second measured)": {Jobs: 1, Each: 10 * min, All: 10 * min, Slots: 2, Wall: 10 * min, PerSecond: 0.5},
		"3 seeds, about 2 h each, 6 device-hours in all, 2 h on 3 slots (7 evaluations a second measured)": {
			Jobs: 3, Each: 2 * h, All: 6 * h, Slots: 8, Wall: 2 * h, PerSecond: 7},
		"2 seeds, about 2 s each, 4 s of one core in all (99 evaluations a second measured)": {
			Jobs: 2, Each: 2 * s, All: 4 * s, Slots: 1, Wall: 4 * s, PerSecond: 99.2},
		"100 seeds, about 8 h each, 830 device-hours in all (340 evaluations a second measured on this machine)": {
			Jobs: 100, Each: 8*h + 20*min, All: 833 * h, PerSecond: 341},
	} {
		if got := costOfSearch(c); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

func TestSearchSaysWhatItTakes(t *testing.T) {
	n := newNotebook(t)
	say := func(code string) string {
		t.Helper()
		_, out := n.run(code)
		return out.stream.String()
	}
	const enas = `s = search("enas", nasbench101(), params(), budget=30000, seeds=`
	line := regexp.MustCompile(`^enas: 3 seeds, about \d+ (s|min|h) each, .* in all, .*\([\d,.]+ evaluations a second measured\)\n$`)
	if got := say(enas + `range(3))`); !line.MatchString(got) {
		t.Errorf("a long search says %q", got)
	}
	n.run(`cancel(s)`)

	const random = `s = search("random", nasbench101(), params(), budget=5, seeds=`
	if got, want := say(random+`range(3))`), "random: 3 seeds, under 1 s in all\n"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	n.run(`wait(s)`)
	if got, want := say(random+`range(5))`), "random: 2 seeds, under 1 s in all; 3 done already\n"; got != want {
		t.Errorf("of a part that is done it says %q, want %q", got, want)
	}
	n.run(`wait(s)`)
	if got, want := say(random+`range(5))`), "random: 5 seeds done before\n"; got != want {
		t.Errorf("of what is done it says %q, want %q", got, want)
	}
	if got, want := say(random+`range(5), fresh=True)`), "random: 5 seeds, under 1 s in all\n"; got != want {
		t.Errorf("anew it says %q, want %q", got, want)
	}
	n.run(`wait(s)`)
}

func TestLongSearchIsConfirmed(t *testing.T) {
	slurmtest.Setup(t)
	n := newNotebook(t)
	const long = `s = search("enas", nasbench101(), params(), seeds=range(10), budget=10**9`
	_, out, err := n.try(long + `)`)
	if err == nil || !strings.Contains(err.Error(), "device-hours of this machine: give confirm=True to start it") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(out.text(), "device-hours in all") {
		t.Errorf("it does not say how long: %s", out.text())
	}
	if got := n.value(`len(attach())`); got != "0" {
		t.Errorf("%s searches were submitted", got)
	}
	n.run(long + `, confirm=True)`)
	n.run(`cancel(s)`)
	n.run(`wait(s)`)
	_, out = n.run(long + `, fresh=True, on=slurm(options=["--hold"]))`)
	if !strings.Contains(out.text(), "measured on this machine") {
		t.Errorf("for a cluster it says %s", out.text())
	}
	n.run(`cancel(s)`)
	n.run(`wait(s)`)
}

func TestSearchInTheForeground(t *testing.T) {
	n := newNotebook(t)
	n.run(`space = nasbench101()`)
	_, out := n.run(`r = search("enas", space, nasbench101_table().metric("test"), seeds=[7, 8], budget=1000, debug=True)`)
	text := out.text()
	for _, want := range []string{"seed 7; REDUCED: 20 of 1,000 evaluations", oracleWatermark, "evaluation 20 of 20", ", the new incumbent", "controller: baseline"} {
		if !strings.Contains(text, want) {
			t.Errorf("debug does not say %q:\n%s", want, text)
		}
	}
	if got := strings.Count(text, "evaluation "); got != 20 {
		t.Errorf("%d evaluations are shown", got)
	}
	if got := n.value(`[r["seed"], r["evaluations"], r["config"]["budget"], len(attach())]`); got != "[7, 20, 20, 0]" {
		t.Errorf("the result is %s", got)
	}
	_, out = n.run(`search("random", space, params(), seeds=[1], budget=3, debug=True);`)
	if text := out.text(); strings.Contains(text, "REDUCED") || strings.Count(text, "evaluation ") != 3 || strings.Contains(text, "ORACLE") {
		t.Errorf("a search of three evaluations shows %s", text)
	}
	for code, want := range map[string]string{
		`search("random", space, params(), seeds=[], budget=3, debug=True)`:  "seeds is empty",
		`search("random", space, params(), seeds=[1], budget=0, debug=True)`: "budget is 0",
	} {
		if _, out, err := n.try(code); err == nil || !strings.Contains(err.Error(), want) || out.text() != "" {
			t.Errorf("%s: %v after %q, want %q", code, err, out.text(), want)
		}
	}
}

// TestInterruptsBeforeAnythingIsSubmitted: in the foreground and while the time that a
// search takes is measured. A controller of this size takes seconds for 20 evaluations.
func TestInterruptsBeforeAnythingIsSubmitted(t *testing.T) {
	n := newNotebook(t)
	for _, ending := range []string{`, debug=True)`, `)`} {
		ctx, interrupt := context.WithTimeout(t.Context(), 20*time.Millisecond)
		began := time.Now()
		_, err := n.in.Execute(ctx, &kernel.Cell{Count: 1, Out: &fakeOutput{}}, `search("enas", nasbench101(), params(), seeds=[1], budget=1000, hidden=512`+ending)
		interrupt()
		var cell *kernel.CellError
		if !errors.As(err, &cell) || cell.Name != "KeyboardInterrupt" {
			t.Errorf("%s: error %v", ending, err)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s: the cell ended %v after the interrupt", ending, d)
		}
	}
	if got := n.value(`len(attach())`); got != "0" {
		t.Errorf("%s searches were submitted", got)
	}
}
