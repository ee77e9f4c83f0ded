package nasapi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
)

// GroupKind says where the runs of a group come from.
type GroupKind string

// Kinds of groups.
const (
	Searched GroupKind = "search"  // a search of this study
	Drawn    GroupKind = "draw"    // SampleRandom
	Given    GroupKind = "results" // made elsewhere, or architectures by hand
)

// Group is a set of runs that a comparison treats as one: a policy and its
// seeds.
type Group struct {
	Name      string
	Kind      GroupKind
	Policy    string
	Objective *objective.Spec // what guided a search, nil if not known
	Budget    int             // evaluations of the objective a run, 0 if not known or not bounded
	Seconds   float64         // a run's on the virtual clock, 0 if not known or not bounded
	Measure   string          // of a draw
	Oracle    bool            // guided by a test column
	Space     space.Space     // nil if not known
	Runs      []GroupRun
	// Reduced says what of the protocol of shared weights is less than what was
	// published; "" where nothing is.
	Reduced string
	// Numerics are the versions under which the runs were made.
	Numerics NumericsVersions

	jobs    []*jobs.Job // that made the runs, where they are known
	guide   string      // what guided it, in words, where Objective is not known
	ofSpace bool        // Space was searched or drawn from; else it only has the architectures
	details []detail
	stored  *stored // where it was read from a notebook
}

// searched tells whether the group comes out of a search of its Space.
func (g *Group) searched() bool { return g.Kind == Searched || g.Kind == Given && g.ofSpace }

// Guide says what guided the group, in words, "" where that is not known.
func (g *Group) Guide() string {
	if g.Objective != nil {
		return guideText(*g.Objective, g.Objective.Label())
	}
	return g.guide
}

// GroupRun is one seed of a group. A run that is not done has neither
// architecture nor value; it is shown and counted all the same.
type GroupRun struct {
	Seed    int64
	HasSeed bool
	State   jobs.State
	Error   string
	Arch    space.Arch // nil if only a value is known
	Value   *float64   // a value measured elsewhere, nil if the architecture is to be looked up
	Trace   []TracePoint
	// Evaluations that the run made in all, 0 if not known.
	Evaluations int
	// Seconds that the run took on the virtual clock, 0 if not known.
	Seconds float64
	// Trained are the values of each training of the architecture, where that is what
	// Value is the mean of.
	Trained []float64

	noted *float64 // the value that a notebook says it has
}

// searchDetail is the key of the detail that is never the same for two searches.
const searchDetail = "search"

// detail is something that can tell two groups of one policy apart.
type detail struct{ key, value string }

// GroupOfSearch makes a group of a search as it stands.
func GroupOfSearch(s *Search) Group {
	cfg := s.Config
	g := Group{
		Name: cfg.Policy, Kind: Searched, Policy: cfg.Policy, Objective: &cfg.Objective,
		Budget: cfg.Budget, Seconds: cfg.Seconds, Oracle: cfg.Objective.Oracle(), Space: s.Space,
		Numerics: s.numerics(), jobs: s.Jobs(),
		details: []detail{
			{"guided by", cfg.Objective.String()},
			{"minimise", fmt.Sprint(cfg.Objective.Minimise)},
			{"budget", optCount(cfg.Budget)},
			{"seconds", optSeconds(cfg.Seconds)},
			{"space", s.Space.String()},
		},
	}
	if cfg.Shared != nil {
		g.details = append(g.details, detail{"protocol", cfg.Shared.Protocol.String()})
		if cfg.Shared.Protocol.Reduced() {
			g.Reduced = cfg.Shared.String()
		}
	}
	for _, k := range sortedKeys(cfg.Params) {
		g.details = append(g.details, detail{k, fmt.Sprint(cfg.Params[k])})
	}
	for _, r := range s.Runs() {
		run := GroupRun{Seed: r.Seed, HasSeed: true, State: r.Status.State, Error: r.Status.Error}
		if r.Found != nil {
			run.Arch, run.Trace, run.Evaluations, run.Seconds = r.Found.Arch, r.Result.Trace, r.Result.Evaluations, r.Result.Seconds
		}
		g.Runs = append(g.Runs, run)
	}
	return g
}

func sortedKeys(c policy.Config) []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// GroupsOfFound makes one group for each origin in a list of architectures,
// in order of first appearance. sp is the space of those that have none.
func GroupsOfFound(found []Found, sp space.Space) []Group {
	var out []Group
	at := map[Origin]int{}
	for _, f := range found {
		i, ok := at[f.Origin]
		if !ok {
			i = len(out)
			at[f.Origin] = i
			out = append(out, groupOfOrigin(f.Origin, sp))
		}
		out[i].Runs = append(out[i].Runs, GroupRun{Seed: f.Seed, HasSeed: f.Origin.Policy != "", State: jobs.Done, Arch: f.Arch})
	}
	return out
}

// GroupsOfTraining makes one group for each origin of the trained architectures, in
// order of first appearance: their values are the accuracies of the trained networks
// on the images that metric names (objective.TrainedValid or TrainedTest), the mean
// over the seeds of training.
func GroupsOfTraining(t *Training, metric string) ([]Group, error) {
	type key struct {
		origin Origin
		seed   int64
		hash   string
	}
	var found []Found
	all := map[key][]TrainedRun{}
	for _, r := range t.Runs() {
		k := key{r.Origin, r.Seed, r.Hash()}
		if all[k] == nil {
			found = append(found, r.Found)
		}
		all[k] = append(all[k], r)
	}
	sp, err := largestSpace(found)
	if err != nil {
		return nil, err
	}
	groups := GroupsOfFound(found, sp)
	at := map[Origin]int{}
	next := map[Origin]int{}
	for _, f := range found {
		i, known := at[f.Origin]
		if !known {
			i = len(at)
			at[f.Origin] = i
		}
		run := &groups[i].Runs[next[f.Origin]]
		next[f.Origin]++
		trained := all[key{f.Origin, f.Seed, f.Hash()}]
		run.judge(trained, metric)
		if t.Trainer == nil {
			groups[i].Numerics.Engine = EngineNumerics // jobs of another version are not found
		}
		for _, r := range trained {
			if r.Job != nil {
				groups[i].jobs = append(groups[i].jobs, r.Job)
			}
		}
	}
	return groups, nil
}

// judge fills in the mean accuracy of a run's trainings, if all have ended well.
func (r *GroupRun) judge(trained []TrainedRun, metric string) {
	sum := 0.0
	var values []float64
	for _, t := range trained {
		if r.State, r.Error = t.Status.State, t.Status.Error; r.State != jobs.Done {
			r.Arch = nil // without a value it is counted by its state alone
			return
		}
		value := t.Result.Test
		if metric == objective.TrainedValid {
			value = t.Result.Valid
		}
		if value == nil {
			r.State, r.Error, r.Arch = jobs.Failed, fmt.Sprintf("it was trained without %s images", metric), nil
			return
		}
		sum += *value
		values = append(values, *value)
	}
	r.Trained = values
	r.Value = new(sum / float64(len(trained)))
}

// largestSpace is the largest space that one of the architectures was searched in or
// drawn from, or the whole of the family of the first where none was.
func largestSpace(found []Found) (space.Space, error) {
	var largest space.Space
	for _, f := range found {
		if sp, err := space.FromSpec(f.Origin.Space); err == nil && (largest == nil || sp.Size().Cmp(largest.Size()) > 0) {
			largest = sp
		}
	}
	if largest != nil {
		return largest, nil
	}
	if g, ok := found[0].Arch.(*space.Genotype); ok {
		return space.SpaceOf(g)
	}
	return space.NASBench101(7)
}

func groupOfOrigin(o Origin, sp space.Space) Group {
	if own, err := space.FromSpec(o.Space); err == nil { // else it was given by hand
		sp = own
	}
	g := Group{
		Name: cmp.Or(o.Policy, "architectures"), Kind: Given, Policy: o.Policy, Budget: o.Budget, Seconds: o.Seconds,
		Measure: o.Measure, Oracle: o.Oracle, Space: sp, Numerics: o.Numerics, guide: o.Objective, ofSpace: o.Space != space.Spec{},
		details: []detail{{"measure", o.Measure}, {"guided by", o.Objective}, {"budget", optCount(o.Budget)}, {"seconds", optSeconds(o.Seconds)}, {"space", sp.String()}, {searchDetail, o.Search}},
	}
	if o.Policy == SampleRandomPolicy {
		g.Kind = Drawn
		g.Numerics.Search = Numerics // draws are made when they are asked for
	}
	return g
}

// nameGroups makes names unique: groups of one policy are told apart by the
// first details in which they differ, else by a number.
func nameGroups(groups []Group) {
	tellNotebooksApart(groups)
	byName := map[string][]int{}
	for i, g := range groups {
		byName[g.Name] = append(byName[g.Name], i)
	}
	for _, same := range byName {
		if len(same) > 1 {
			distinguish(groups, same)
		}
	}
	seen := map[string]int{}
	for i := range groups {
		seen[groups[i].Name]++
		if n := seen[groups[i].Name]; n > 1 {
			groups[i].Name = fmt.Sprintf("%s #%d", groups[i].Name, n)
		}
	}
}

func distinguish(groups []Group, same []int) {
	values := map[string]map[string]bool{}
	for _, i := range same {
		for _, d := range groups[i].details {
			if values[d.key] == nil {
				values[d.key] = map[string]bool{}
			}
			values[d.key][d.value] = true
		}
	}
	for _, i := range same {
		var parts []string
		for _, d := range groups[i].details {
			// The id of a search is for where nothing else differs.
			if d.key == searchDetail && len(parts) > 0 {
				continue
			}
			if len(values[d.key]) > 1 && d.value != "" {
				parts = append(parts, d.key+" "+d.value)
			}
		}
		if len(parts) > 0 {
			groups[i].Name += " (" + strings.Join(parts, ", ") + ")"
		}
	}
}
