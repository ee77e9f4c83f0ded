package nasapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
)

// maxStoredName bounds a group's name in a notebook, in letters.
const maxStoredName = 500

// StoredComparison is a Comparison that was read out of a notebook (ComparisonMIME).
type StoredComparison struct {
	Version  string
	Numerics int
	Engine   int // 0 if not known
	By       objective.Spec
	Metric   string
	Space    string
	Oracle   bool
	Unequal  bool
	Groups   []StoredGroup
}

// StoredGroup is one group of it.
type StoredGroup struct {
	Name    string
	Verdict string
	Runs    []StoredRun
	group   Group // without the notebook's name
}

// StoredRun is one seed.
type StoredRun struct {
	Seed  *int64
	State jobs.State
	Hash  string
	Value *float64
}

// stored is what a group remembers of the notebook that it was read from.
type stored struct {
	from             string // the notebook
	by               objective.Spec
	numerics, engine int
}

// storedForm is the part of a Comparison's JSON that is read again.
type storedForm struct {
	Schema   *int           `json:"schema"`
	Version  string         `json:"version"`
	Numerics int            `json:"numerics"`
	Engine   int            `json:"engine"`
	By       objective.Spec `json:"by"`
	Metric   string         `json:"metric"`
	Space    string         `json:"space"`
	Oracle   bool           `json:"oracle"`
	Unequal  bool           `json:"unequal"`
	Groups   []storedRow    `json:"groups"`
}

type storedRow struct {
	Name      string       `json:"name"`
	Kind      GroupKind    `json:"kind"`
	Policy    string       `json:"policy"`
	Objective string       `json:"objective"`
	Budget    int          `json:"budget"`
	Measure   string       `json:"measure"`
	Oracle    bool         `json:"oracle"`
	Reduced   string       `json:"reduced"`
	Space     string       `json:"space"`
	Verdict   string       `json:"verdict"`
	Seeds     []storedSeed `json:"seeds"`
}

type storedSeed struct {
	Seed  *int64          `json:"seed"`
	State jobs.State      `json:"state"`
	Error string          `json:"error"`
	Hash  string          `json:"hash"`
	Arch  json.RawMessage `json:"architecture"`
	Value *float64        `json:"value"`
}

// ReadComparison reads the JSON of a Comparison, as a notebook keeps it. Every
// architecture is built again and must have the hash that is written beside it.
func ReadComparison(raw []byte) (*StoredComparison, error) {
	var f storedForm
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("the result is damaged: %w", err)
	}
	switch {
	case f.Schema == nil:
		return nil, errors.New("the result is not of this program: it has no schema")
	case *f.Schema != ComparisonSchema:
		return nil, fmt.Errorf("the result is of schema %d, this program reads %d: use a program of its version %q", *f.Schema, ComparisonSchema, f.Version)
	case len(f.Groups) == 0:
		return nil, errors.New("the result has no groups")
	case f.By.Kind == "" || f.Space == "":
		return nil, errors.New("the result does not say by what it was judged, or in which space")
	}
	c := &StoredComparison{Version: f.Version, Numerics: f.Numerics, Engine: f.Engine, By: f.By, Metric: f.Metric, Space: f.Space, Oracle: f.Oracle, Unequal: f.Unequal}
	if c.Metric == "" {
		c.Metric = f.By.Describe()
	}
	runs := 0
	names := map[string]bool{}
	for i, row := range f.Groups {
		if runs += len(row.Seeds); runs > maxResultRows {
			return nil, fmt.Errorf("the result has more than %d runs", maxResultRows)
		}
		g, err := row.read(&f)
		if err != nil {
			return nil, fmt.Errorf("the result is damaged: group %d (%.60q): %w", i+1, row.Name, err)
		}
		if names[row.Name] {
			return nil, fmt.Errorf("the result is damaged: two groups are named %.60q", row.Name)
		}
		names[row.Name] = true
		c.Groups = append(c.Groups, g)
	}
	return c, nil
}

func (r *storedRow) read(f *storedForm) (StoredGroup, error) {
	out := StoredGroup{Name: r.Name, Verdict: r.Verdict}
	switch n := utf8.RuneCountInString(r.Name); {
	case n == 0 || n > maxStoredName:
		return out, fmt.Errorf("its name has %d letters: 1 to %d are allowed", n, maxStoredName)
	case !slices.Contains([]GroupKind{Searched, Drawn, Given}, r.Kind):
		return out, fmt.Errorf("kind %.40q: known are %s, %s and %s", r.Kind, Searched, Drawn, Given)
	case r.Budget < 0 || r.Budget > MaxBudget:
		return out, fmt.Errorf("budget %d: 0 to %d are allowed", r.Budget, MaxBudget)
	case r.Kind == Drawn && !slices.Contains(Measures(), r.Measure):
		return out, fmt.Errorf("measure %.40q: known are %v", r.Measure, Measures())
	case r.Kind != Drawn && r.Measure != "":
		return out, fmt.Errorf("it is no draw and has the measure %.40q", r.Measure)
	}
	named := f.Space
	if r.Space != "" {
		named = r.Space
	}
	sp, err := namedSpace(named)
	if err != nil {
		return out, err
	}
	g := Group{
		Name: r.Name, Kind: Given, Policy: r.Policy, Budget: r.Budget, Measure: r.Measure, Oracle: r.Oracle, Reduced: r.Reduced,
		Space: sp, guide: r.Objective, ofSpace: r.Kind != Given, Numerics: NumericsVersions{Search: f.Numerics},
		stored: &stored{by: f.By, numerics: f.Numerics, engine: f.Engine},
	}
	if r.Kind == Drawn {
		g.Kind = Drawn
	}
	for i, s := range r.Seeds {
		run, err := s.read(sp, f.By)
		if err != nil {
			return out, fmt.Errorf("run %d (seed %s): %w", i+1, optInt(s.Seed), err)
		}
		g.Runs = append(g.Runs, run)
		out.Runs = append(out.Runs, StoredRun{Seed: s.Seed, State: s.State, Hash: s.Hash, Value: s.Value})
	}
	out.group = g
	return out, checkOneRunASeed(g)
}

// read makes a run. Where the architecture can be looked up the value is only noted.
func (s *storedSeed) read(sp space.Space, by objective.Spec) (GroupRun, error) {
	run := GroupRun{State: s.State, Error: s.Error, noted: s.Value}
	if s.Seed != nil {
		run.Seed, run.HasSeed = *s.Seed, true
	}
	if !slices.Contains(jobs.States(), s.State) {
		return run, fmt.Errorf("state %.40q: known are %v", s.State, jobs.States())
	}
	if s.Value != nil && (*s.Value > 1e300 || *s.Value < -1e300) {
		return run, fmt.Errorf("value %v", *s.Value)
	}
	given := len(s.Arch) > 0 && string(s.Arch) != "null"
	switch {
	case s.State != jobs.Done:
		return run, nil
	case !given && s.Value == nil:
		return run, errors.New("it is done and has neither an architecture nor a value")
	case !given:
		run.Value = s.Value
		return run, nil
	}
	a, err := sp.Parse(s.Arch)
	if err != nil {
		return run, fmt.Errorf("architecture: %w", err)
	}
	if s.Hash != "" && s.Hash != a.Hash() {
		return run, fmt.Errorf("its architecture has the hash %s, and %.40q stands beside it: the notebook was edited", a.Hash(), s.Hash)
	}
	run.Arch = a
	if by.Kind == objective.Trained {
		run.Value = s.Value // of its networks: there is nothing to look up
	}
	return run, nil
}

// ForCompare are the groups as Compare takes them; from is the notebook's name, which
// tells them from groups of the same name.
func (c *StoredComparison) ForCompare(from string) []Group {
	var out []Group
	for _, g := range c.Groups {
		own := *g.group.stored
		own.from = from
		made := g.group
		made.stored = &own
		made.Runs = slices.Clone(made.Runs)
		out = append(out, made)
	}
	return out
}

// tellNotebooksApart adds the notebook to the names of groups that have the name of
// a group from somewhere else.
func tellNotebooksApart(groups []Group) {
	from := func(g Group) string {
		if g.stored == nil {
			return ""
		}
		return g.stored.from
	}
	places := map[string]map[string]bool{}
	for _, g := range groups {
		if places[g.Name] == nil {
			places[g.Name] = map[string]bool{}
		}
		places[g.Name][from(g)] = true
	}
	for i, g := range groups {
		if len(places[g.Name]) > 1 && from(g) != "" {
			groups[i].Name = fmt.Sprintf("%s (%s)", g.Name, from(g))
		}
	}
}

// checkStored refuses groups from notebooks that cannot be judged here: by another
// version of numerics, or measured by what is not the final evaluation.
func checkStored(groups []Group, by objective.Spec) error {
	for i := range groups {
		g := &groups[i]
		s := g.stored
		if s == nil {
			continue
		}
		where := fmt.Sprintf("compare: %q of %s", g.Name, s.from)
		if s.numerics != Numerics {
			return fmt.Errorf("%s is of numerics version %d and this program computes version %d: the same seeds give other results, so run it again (evalnas notebook run)", where, s.numerics, Numerics)
		}
		trained := s.by.Kind == objective.Trained
		if trained && by.Kind == objective.Trained && s.engine != 0 && s.engine != EngineNumerics {
			return fmt.Errorf("%s was trained by engine version %d, this program's is %d: train again", where, s.engine, EngineNumerics)
		}
		if s.by == by || trained && sameTrained(s.by, by) {
			continue
		}
		if trained && by.Kind == objective.Trained {
			return fmt.Errorf("%s was judged by %s, and here it is %s: what is compared is trained alike", where, s.by.Describe(), by.Describe())
		}
		if err := g.forget(); err != nil {
			return fmt.Errorf("%s was judged by %s, not by %s, and %w", where, s.by.Describe(), by.Describe(), err)
		}
	}
	return nil
}

// sameTrained compares but for the direction.
func sameTrained(a, b objective.Spec) bool {
	a.Minimise, b.Minimise = false, false
	return a == b
}

// forget drops values that were measured under another metric, where the architectures
// are known.
func (g *Group) forget() error {
	g.Runs = slices.Clone(g.Runs)
	for i := range g.Runs {
		r := &g.Runs[i]
		if r.Value != nil && r.Arch == nil {
			return fmt.Errorf("seed %d has no architecture to look up", r.Seed)
		}
		r.Value, r.noted = nil, nil
	}
	return nil
}

// checkValue refuses an architecture whose value in a notebook is not the one that it
// has here, by the same table.
func (g *Group) checkValue(r GroupRun, value float64, by objective.Spec) error {
	if g.stored == nil || r.noted == nil || g.stored.by != by || *r.noted == value {
		return nil
	}
	return fmt.Errorf("%s says %v and here it is %v by the same final evaluation: the notebook was edited", g.stored.from, *r.noted, value)
}
