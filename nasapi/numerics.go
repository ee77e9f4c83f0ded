package nasapi

import (
	"fmt"
	"strconv"
	"strings"
)

// NumericsVersions are the versions that results were made under, 0 where one does not
// matter or is not known: results of different ones are not of one experiment.
type NumericsVersions struct {
	Search int `json:"search,omitempty"` // Numerics
	Engine int `json:"engine,omitempty"` // EngineNumerics
}

// numericsOf reads the number that jobs of searches have.
func numericsOf(job int) NumericsVersions {
	return NumericsVersions{Search: job % 1000, Engine: job / 1000}
}

// numerics are the versions of a search's jobs, which all have the same; jobs that cannot be
// read have none.
func (s *Search) numerics() NumericsVersions {
	if s.batch == nil {
		return NumericsVersions{}
	}
	newest := 0
	for _, j := range s.Jobs() {
		newest = max(newest, j.Spec.Numerics)
	}
	return numericsOf(newest)
}

// differs tells whether two results were made under different versions of the same.
func (v NumericsVersions) differs(w NumericsVersions) bool {
	other := func(a, b int) bool { return a != 0 && b != 0 && a != b }
	return other(v.Search, w.Search) || other(v.Engine, w.Engine)
}

func (v NumericsVersions) String() string {
	var parts []string
	if v.Search != 0 {
		parts = append(parts, fmt.Sprintf("numerics %d", v.Search))
	}
	if v.Engine != 0 {
		parts = append(parts, fmt.Sprintf("engine %d", v.Engine))
	}
	if len(parts) == 0 {
		return "unknown"
	}
	return strings.Join(parts, ", ")
}

// checkNumerics refuses results of two versions of the program's arithmetic, unless the
// comparison may be unequal: then it says so. Draws, which are of this version, are never
// refused.
func (c *Comparison) checkNumerics() error {
	for i := range c.groups {
		g := &c.groups[i]
		for j := range c.groups[:i] {
			h := &c.groups[j]
			if !g.Numerics.differs(h.Numerics) {
				continue
			}
			if !c.Unequal && g.Kind != Drawn && h.Kind != Drawn {
				return fmt.Errorf("compare: %q was made under %s and %q under %s: the same configuration and seed can give other results, so run the older one again (unequal=True compares them all the same, and says so)",
					h.Name, h.Numerics, g.Name, g.Numerics)
			}
			c.note(fmt.Sprintf("TWO NUMERICS VERSIONS: %s was made under %s, %s under %s; the same configuration and seed can give other results.", h.Name, h.Numerics, g.Name, g.Numerics))
		}
	}
	return nil
}

// Marks are the warnings that belong on every output of the comparison: an oracle, a
// protocol smaller than published, conditions that were not equal.
func (c *Comparison) Marks() []string {
	var marks []string
	if c.Oracle {
		marks = append(marks, OracleMark)
	}
	if r := c.Reduced(); r != "" {
		marks = append(marks, ReducedMark(r))
	}
	if c.synthetic() {
		marks = append(marks, SyntheticMark)
	}
	return append(marks, c.Inequalities()...)
}

// What Marks say.
const (
	OracleMark    = "ORACLE: guided by the test column. A benchmark of optimisers, not evidence about accuracy."
	SyntheticMark = "SYNTHETIC images: made up, so accuracies on them say nothing about real ones."
)

// ReducedMark is the mark of protocols, in words, that are smaller than published.
func ReducedMark(protocols string) string {
	return "REDUCED: " + strings.NewReplacer(", REDUCED (preset ", " (preset ", ", REDUCED (", " (", " (SYNTHETIC)", "").Replace(protocols)
}

// synthetic tells whether values come from images that are made up.
func (c *Comparison) synthetic() bool {
	protocols := c.By.Protocol
	for _, g := range c.groups {
		if g.Objective != nil {
			protocols += g.Objective.Protocol
		}
	}
	return strings.Contains(protocols, "SYNTHETIC")
}

// Inequalities are those of the marks that say what the groups did not have alike.
func (c *Comparison) Inequalities() []string {
	var marks []string
	for _, n := range c.Notes {
		for _, start := range []string{"UNEQUAL ", "TWO NUMERICS VERSIONS: "} {
			if strings.HasPrefix(n, start) {
				marks = append(marks, n)
			}
		}
	}
	return marks
}

// parseNumerics reads what String wrote; nothing and "unknown" are no version.
func parseNumerics(text string) (NumericsVersions, error) {
	var v NumericsVersions
	if text == "" || text == (NumericsVersions{}).String() {
		return v, nil
	}
	for part := range strings.SplitSeq(text, ", ") {
		name, number, _ := strings.Cut(part, " ")
		n, err := strconv.Atoi(number)
		switch {
		case err != nil || n < 1:
			return v, fmt.Errorf("numerics %.60q: it is written such as %q", text, NumericsVersions{Search: 1, Engine: 2})
		case name == "numerics":
			v.Search = n
		case name == "engine":
			v.Engine = n
		default:
			return v, fmt.Errorf("numerics %.60q: it is written such as %q", text, NumericsVersions{Search: 1, Engine: 2})
		}
	}
	return v, nil
}
