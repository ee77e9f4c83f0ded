package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi"
	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
)

// given is a group of values that were made elsewhere, nil for a seed that failed.
func given(name string, values ...*float64) nasapi.Group {
	g := nasapi.Group{Name: name, Kind: nasapi.Given, Policy: name}
	for i, v := range values {
		r := nasapi.GroupRun{Seed: int64(i), HasSeed: true, State: jobs.Done, Value: v}
		if v == nil {
			r.State, r.Error = jobs.Failed, "first line\nit ran out of memory"
		}
		g.Runs = append(g.Runs, r)
	}
	return g
}

func madeOf(t *testing.T, groups ...nasapi.Group) *Report {
	t.Helper()
	by, err := objective.OfTrained("test", "two epochs")
	if err != nil {
		t.Fatal(err)
	}
	sp, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	half := 0.5
	random := given("draws", &half, &half)
	random.Kind, random.Measure, random.Space = nasapi.Drawn, nasapi.MeasureUnique, sp
	c, err := nasapi.Compare(append(groups, random), nasapi.CompareOptions{By: by, Resamples: 200})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Make(Input{Comparison: c, Made: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever is compared: no NaN, every row as wide as its table, and what is missing says
// why.
func TestReportsAreWhole(t *testing.T) {
	a, b := 0.5, 0.25
	for name, groups := range map[string][]nasapi.Group{
		"some":         {given("one", &a, &b, &a), given("two", &b, &b, &a)},
		"one value":    {given("one", &a)},
		"equal values": {given("one", &a, &a, &a), given("two", &a, &a)},
		"failures":     {given("one", nil, nil)},
		"a failure":    {given("one", &a, nil, &b)},
	} {
		r := madeOf(t, groups...)
		raw, err := r.JSON()
		if err != nil || !json.Valid(raw) || strings.Contains(string(raw), "NaN") {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range r.Sections {
			for _, table := range s.Tables {
				for i, row := range table.Rows {
					if len(row) != len(table.Columns) {
						t.Errorf("%s: row %d of %s has %d cells for %d columns", name, i+1, table.ID, len(row), len(table.Columns))
					}
				}
			}
		}
		if len(r.Outputs) != 15 || len(r.Check) != 16 {
			t.Errorf("%s: %d outputs, %d entries of the checklist", name, len(r.Outputs), len(r.Check))
		}
		for _, o := range r.Outputs {
			if (o.State == Filled) != (len(o.Why) == 0) {
				t.Errorf("%s: output %d is %s: %q", name, o.Number, o.State, o.Why)
			}
		}
	}
}

func TestFailuresAreCounted(t *testing.T) {
	a, b := 0.5, 0.25
	r := madeOf(t, given("one", &a, nil, &b))
	for _, s := range r.Sections {
		for _, table := range s.Tables {
			switch table.ID {
			case "states":
				if got := table.Rows[0]; len(got) != 4 || got[1].Values[0] != 3 || got[2].Values[0]+got[3].Values[0] != 3 {
					t.Errorf("states %+v", got)
				}
			case "seeds":
				if len(table.Rows) != 5 || len(table.Notes) != 1 || table.Notes[0] != "one, seed 1: it ran out of memory" {
					t.Errorf("%d seeds, notes %q", len(table.Rows), table.Notes)
				}
			}
		}
	}
}

func TestChecklistSaysWhatIsNotKnown(t *testing.T) {
	a, b := 0.5, 0.25
	r := madeOf(t, given("one", &a, &b))
	byHand := 0
	for _, i := range r.Check {
		if i.Answer == NotKnown {
			byHand++
			if !strings.HasPrefix(i.Evidence, "fill in by hand: ") {
				t.Errorf("%s: %s", i.Question, i.Evidence)
			}
		}
	}
	if byHand < 4 { // the method's code and parameters, ablations, tuning
		t.Errorf("of results made elsewhere only %d entries are left to fill in", byHand)
	}
	if len(r.Cite) != 4 { // they were judged in NASBench-101
		t.Errorf("%d things to cite", len(r.Cite))
	}
}

func TestSeedsAreListedAsRanges(t *testing.T) {
	var g nasapi.GroupRow
	for _, s := range []int64{5, 1, 2, 3, 9} {
		g.Seeds = append(g.Seeds, nasapi.SeedRow{Seed: new(s)})
	}
	if got := seedList(&g); got != "1 to 3; 5; 9" {
		t.Errorf("seeds %q", got)
	}
	if got := grouped(423624) + " " + grouped(12) + " " + grouped(1000); got != "423,624 12 1,000" {
		t.Error(got)
	}
	if _, err := Make(Input{}); err == nil {
		t.Error("a report of nothing")
	}
}
