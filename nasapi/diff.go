package nasapi

import (
	"fmt"
	"strconv"
)

// ResultDiff is what two notebooks' results have not in common.
type ResultDiff struct {
	Differences []ResultDifference `json:"differences"`
	Both        int                `json:"both"` // runs that both have
	Same        int                `json:"same"` // of those, with one state, architecture and value
}

// ResultDifference is one line of it.
type ResultDifference struct {
	Comparison int    `json:"comparison"` // in the order of the notebooks, from 1
	Group      string `json:"group,omitempty"`
	Seed       string `json:"seed,omitempty"`
	What       string `json:"what"`
	A          string `json:"a"`
	B          string `json:"b"`
}

// absent stands for what one side does not have.
const absent = "-"

// DiffResults compares comparisons that were read from two notebooks: the first of one
// with the first of the other and so on, in each group by group and seed by seed.
func DiffResults(a, b []*StoredComparison) *ResultDiff {
	d := &ResultDiff{Differences: []ResultDifference{}}
	for i := range max(len(a), len(b)) {
		at := differ{d, i + 1}
		switch {
		case i >= len(b):
			at.say("", "", "only in A", a[i].Metric, absent)
		case i >= len(a):
			at.say("", "", "only in B", absent, b[i].Metric)
		default:
			at.comparisons(a[i], b[i])
		}
	}
	return d
}

// differ compares one pair.
type differ struct {
	d  *ResultDiff
	at int
}

func (d differ) say(group, seed, what, a, b string) {
	d.d.Differences = append(d.d.Differences, ResultDifference{d.at, group, seed, what, a, b})
}

func (d differ) text(group, seed, what, a, b string) bool {
	if a != b {
		d.say(group, seed, what, orAbsent(a), orAbsent(b))
	}
	return a == b
}

func orAbsent(s string) string {
	if s == "" {
		return absent
	}
	return s
}

func (d differ) comparisons(a, b *StoredComparison) {
	d.text("", "", "judged by", a.Metric, b.Metric)
	d.text("", "", "space", a.Space, b.Space)
	d.text("", "", "numerics version", strconv.Itoa(a.Numerics), strconv.Itoa(b.Numerics))
	others := map[string]*StoredGroup{}
	for i := range b.Groups {
		others[b.Groups[i].Name] = &b.Groups[i]
	}
	for i := range a.Groups {
		g := &a.Groups[i]
		other := others[g.Name]
		delete(others, g.Name)
		if other == nil {
			d.say(g.Name, "", "only in A", runsText(len(g.Runs)), absent)
			continue
		}
		d.groups(g, other)
	}
	for i := range b.Groups {
		if g := &b.Groups[i]; others[g.Name] == g {
			d.say(g.Name, "", "only in B", absent, runsText(len(g.Runs)))
		}
	}
}

func runsText(n int) string {
	if n == 1 {
		return "1 run"
	}
	return fmt.Sprintf("%d runs", n)
}

func (d differ) groups(a, b *StoredGroup) {
	d.text(a.Name, "", "verdict", a.Verdict, b.Verdict)
	d.text(a.Name, "", "guided by", a.group.guide, b.group.guide)
	d.text(a.Name, "", "budget", optCount(a.group.Budget), optCount(b.group.Budget))
	others := map[string]*StoredRun{}
	for i := range b.Runs {
		others[b.Runs[i].key(i)] = &b.Runs[i]
	}
	for i := range a.Runs {
		key := a.Runs[i].key(i)
		other := others[key]
		delete(others, key)
		if other == nil {
			d.say(a.Name, key, "only in A", a.Runs[i].outcome(), absent)
			continue
		}
		d.d.Both++
		if d.runs(a.Name, key, &a.Runs[i], other) {
			d.d.Same++
		}
	}
	for i := range b.Runs {
		if r := &b.Runs[i]; others[r.key(i)] == r {
			d.say(b.Name, r.key(i), "only in B", absent, r.outcome())
		}
	}
}

// key is the seed; a run without one is known by its place.
func (r *StoredRun) key(i int) string {
	if r.Seed == nil {
		return fmt.Sprintf("#%d", i+1)
	}
	return strconv.FormatInt(*r.Seed, 10)
}

func (r *StoredRun) outcome() string {
	if r.Value == nil {
		return string(r.State)
	}
	return optFloat(r.Value)
}

func (d differ) runs(group, seed string, a, b *StoredRun) bool {
	if !d.text(group, seed, "state", string(a.State), string(b.State)) {
		return false
	}
	same := d.text(group, seed, "architecture", a.Hash, b.Hash)
	return d.text(group, seed, "value", optFloat(a.Value), optFloat(b.Value)) && same
}
