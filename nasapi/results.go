package nasapi

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/space"
)

// maxResultRows bounds a results file.
const maxResultRows = 1_000_000

// ReadResults reads runs that were made elsewhere: a CSV file with a header,
// one line for each policy and seed. Columns are `policy`, `seed`, and one of
// `architecture` (JSON with matrix and ops), `hash` (a NASBench-101 module
// hash) and `value` (in the unit of the metric: a fraction for an accuracy).
// What else Comparison.CSV writes is taken where it is there: `state`,
// `objective`, `budget`, `seconds`, `oracle`, `measure` (which makes the group a draw),
// `numerics` and
// `space` (nasbench101(max_vertices=7) if it is not). Other columns are
// ignored. It returns one group for each policy, in order of first appearance.
func ReadResults(path string) ([]Group, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	defer f.Close()
	groups, err := parseResults(f)
	if err != nil {
		return nil, fmt.Errorf("results: %s: %w", path, err)
	}
	return groups, nil
}

// resultColumns are the places of the columns in a file, -1 where missing.
type resultColumns struct {
	policy, seed, state, arch, hash, value, objective, budget, seconds, oracle, measure, space, numerics int
}

func parseResults(r io.Reader) ([]Group, error) {
	in := csv.NewReader(r)
	in.TrimLeadingSpace = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: it needs a header line with the columns policy, seed, and architecture, hash or value")
	}
	if err != nil {
		return nil, err
	}
	cols, err := findColumns(header)
	if err != nil {
		return nil, err
	}
	var groups []Group
	at := map[string]int{}
	seen := map[string]int{}
	for line := 0; ; line++ {
		rec, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if line >= maxResultRows {
			return nil, fmt.Errorf("more than %d lines", maxResultRows)
		}
		row, _ := in.FieldPos(0)
		described, err := cols.group(rec)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", row, err)
		}
		run, err := cols.run(rec, described.Space)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", row, err)
		}
		name := rec[cols.policy]
		key := fmt.Sprintf("%s\x00%d", name, run.Seed)
		if first, twice := seen[key]; twice && run.HasSeed {
			return nil, fmt.Errorf("line %d: policy %q has seed %d twice (first in line %d)", row, name, run.Seed, first)
		}
		seen[key] = row
		i, ok := at[name]
		if !ok {
			i = len(groups)
			at[name] = i
			groups = append(groups, described)
		}
		was := groups[i]
		if described.Space.Spec() != was.Space.Spec() || described.Budget != was.Budget || described.Seconds != was.Seconds || described.Measure != was.Measure || described.Numerics != was.Numerics {
			return nil, fmt.Errorf("line %d: policy %q has another space, budget, measure or numerics than in its first line: give it another name", row, name)
		}
		groups[i].Oracle = groups[i].Oracle || described.Oracle
		groups[i].Runs = append(groups[i].Runs, run)
	}
	if len(groups) == 0 {
		return nil, errors.New("the file has a header and no results")
	}
	return groups, nil
}

func findColumns(header []string) (resultColumns, error) {
	find := func(names ...string) int {
		return slices.IndexFunc(header, func(h string) bool {
			return slices.Contains(names, strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff"))))
		})
	}
	c := resultColumns{
		policy: find("policy"), seed: find("seed"), state: find("state"), arch: find("architecture", "arch"),
		hash: find("hash"), value: find("value"), objective: find("objective"), budget: find("budget"), seconds: find("seconds"), oracle: find("oracle"),
		measure: find("measure"), space: find("space"), numerics: find("numerics"),
	}
	var missing []string
	if c.policy < 0 {
		missing = append(missing, "policy")
	}
	if c.seed < 0 {
		missing = append(missing, "seed")
	}
	if c.arch < 0 && c.hash < 0 && c.value < 0 {
		missing = append(missing, "architecture (or hash, or value)")
	}
	if len(missing) > 0 {
		return c, fmt.Errorf("missing columns: %s; the header has %s", strings.Join(missing, ", "), strings.Join(header, ", "))
	}
	return c, nil
}

func (c resultColumns) field(rec []string, i int) string {
	if i < 0 || i >= len(rec) {
		return ""
	}
	return strings.TrimSpace(rec[i])
}

func (c resultColumns) flag(rec []string, i int) bool {
	v, err := strconv.ParseBool(c.field(rec, i))
	return err == nil && v
}

// group is what a line says of the group that it belongs to.
func (c resultColumns) group(rec []string) (Group, error) {
	name := rec[c.policy]
	g := Group{Name: name, Kind: Given, Policy: name, Oracle: c.flag(rec, c.oracle), Measure: c.field(rec, c.measure), guide: c.field(rec, c.objective)}
	switch {
	case g.Measure == "":
	case slices.Contains(Measures(), g.Measure):
		g.Kind = Drawn
	default:
		return g, fmt.Errorf("measure %q: allowed are %s for draws, and nothing for all else", g.Measure, strings.Join(Measures(), ", "))
	}
	if s := c.field(rec, c.budget); s != "" {
		budget, err := strconv.Atoi(s)
		if err != nil || budget < 1 || budget > MaxBudget {
			return g, fmt.Errorf("budget %q: it is the number of evaluations for each seed, 1 to %d", s, MaxBudget)
		}
		g.Budget = budget
	}
	if s := c.field(rec, c.seconds); s != "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || !(seconds > 0 && seconds <= MaxSeconds) {
			return g, fmt.Errorf("seconds %q: it is the time on the virtual clock for each seed, above 0 to %v", s, float64(MaxSeconds))
		}
		g.Seconds = seconds
	}
	named := c.field(rec, c.space)
	g.ofSpace = named != ""
	var err error
	if g.Numerics, err = parseNumerics(c.field(rec, c.numerics)); err != nil {
		return g, err
	}
	g.Space, err = namedSpace(named)
	return g, err
}

// namedSpace finds the space whose expression is given, by default the whole of
// NASBench-101.
func namedSpace(text string) (space.Space, error) {
	if text == "" {
		text = "nasbench101(max_vertices=7)"
	}
	return space.FromText(text)
}

// run reads one line. An architecture is preferred to a hash, a hash to a
// value: a value is taken as it is only where nothing can be looked up.
func (c resultColumns) run(rec []string, sp space.Space) (GroupRun, error) {
	r := GroupRun{State: jobs.Done}
	if s := c.field(rec, c.seed); s != "" {
		seed, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return r, fmt.Errorf("seed %q is not an integer", s)
		}
		r.Seed, r.HasSeed = seed, true
	}
	if s := c.field(rec, c.state); s != "" && s != string(jobs.Done) {
		if r.State = jobs.State(s); !slices.Contains(jobs.States(), r.State) {
			return r, fmt.Errorf("state %q: allowed are %v", s, jobs.States())
		}
		return r, nil
	}
	switch arch, hash, value := c.field(rec, c.arch), c.field(rec, c.hash), c.field(rec, c.value); {
	case arch != "":
		a, err := sp.Parse(json.RawMessage(arch))
		if err != nil {
			return r, fmt.Errorf("architecture: %w", err)
		}
		r.Arch = a
	case hash != "":
		cells, ok := sp.(*space.NASBench)
		if !ok {
			return r, fmt.Errorf("hash %q: architectures of %s are not found by hash; give the architecture", hash, sp)
		}
		a, err := cells.ByHash(hash)
		if err != nil {
			return r, err
		}
		r.Arch = a
	case value != "":
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || v != v || v > 1e300 || v < -1e300 {
			return r, fmt.Errorf("value %q is not a finite number", value)
		}
		r.Value = &v
	default:
		return r, errors.New("has neither architecture, hash nor value")
	}
	return r, nil
}
