package nasapi

import (
	"strings"
	"testing"
)

func TestNumericsAreReadAsTheyAreWritten(t *testing.T) {
	for _, v := range []NumericsVersions{{}, {Search: 1}, {Engine: 2}, {Search: 1, Engine: 12}} {
		if got, err := parseNumerics(v.String()); err != nil || got != v {
			t.Errorf("%q is read as %+v (%v)", v, got, err)
		}
	}
	for _, bad := range []string{"1", "numerics", "numerics 0", "engine x", "kernel 1", "numerics 1,engine 2", strings.Repeat("numerics ", 1e4)} {
		if v, err := parseNumerics(bad); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40q is read as %+v (%v)", bad, v, err)
		}
	}
}

// What another version computed is refused from a file as from a study.
func TestResultsOfAnotherVersionAreRefused(t *testing.T) {
	groups, err := parseResults(strings.NewReader("policy,seed,value,numerics\nold,1,0.9,numerics 99\nold,2,0.91,numerics 99\n"))
	if err != nil {
		t.Fatal(err)
	}
	if groups[0].Numerics.Search != 99 {
		t.Errorf("read %+v", groups[0].Numerics)
	}
	more, err := parseResults(strings.NewReader("policy,seed,value,numerics\nnew,1,0.9,numerics 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	groups = append(groups, more...)
	if _, err := Compare(groups, CompareOptions{By: tableTruth(t)}); err == nil || !strings.Contains(err.Error(), "numerics") {
		t.Errorf("they are compared: %v", err)
	}
	if _, err := Compare(groups, CompareOptions{By: tableTruth(t), Unequal: true, Resamples: 100}); err != nil {
		t.Errorf("with unequal: %v", err)
	}
}
