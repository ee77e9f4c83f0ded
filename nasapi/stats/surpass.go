package stats

import (
	"fmt"
	"math"
)

// PBeatsRandom is the probability to surpass random search of Yu et al. (ICLR
// 2020): p = (1 - rank/cells)^runs, where rank is the best rank (1 = best)
// that n runs found. It is near the chance that none of as many uniform draws
// beats the found cell.
//
// For a policy that is itself random p is uniform on (0, 1), whatever the
// number of runs: print it beside PBeatsRandomBand and never as evidence by
// itself.
func PBeatsRandom(rank, cells, runs int) (float64, error) {
	return PBeatsRandomBudget(rank, cells, runs, 1)
}

// PBeatsRandomBudget is the same at equal cost: each run of random search may
// look at budget cells, p = (1 - rank/cells)^(runs*budget). It means something
// only where the search was guided by the very metric that ranks.
func PBeatsRandomBudget(rank, cells, runs, budget int) (float64, error) {
	switch {
	case cells < 1:
		return 0, fmt.Errorf("p to beat random: a space of %d cells; it must have at least one", cells)
	case rank < 1 || rank > cells:
		return 0, fmt.Errorf("p to beat random: rank %d; ranks of this space are 1 to %d", rank, cells)
	case runs < 1:
		return 0, fmt.Errorf("p to beat random: %d runs; there must be at least one", runs)
	case budget < 1:
		return 0, fmt.Errorf("p to beat random: budget %d; it must be at least 1", budget)
	}
	return math.Pow(1-float64(rank)/float64(cells), float64(runs)*float64(budget)), nil
}

// PBeatsRandomBand is the central interval in which PBeatsRandom of a random
// policy lies with probability level in (0, 1): 0.05 to 0.95 for 0.9, because
// it is uniform.
func PBeatsRandomBand(level float64) (low, high float64, err error) {
	if !(level > 0 && level < 1) {
		return 0, 0, fmt.Errorf("band of p to beat random: level %v; it lies between 0 and 1, such as 0.9", level)
	}
	return (1 - level) / 2, (1 + level) / 2, nil
}
