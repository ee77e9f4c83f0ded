package stats

import (
	"fmt"
	"math"
	"slices"
)

// MidRanks are the ranks of values, 1 the highest (so the best, of accuracies), equal ones
// at their mean rank. A value that is not finite is missing and has no rank: NaN; the
// others are ranked among themselves.
func MidRanks(values []float64) []float64 {
	var present []float64
	for _, v := range values {
		if Defined(v).Defined {
			present = append(present, v)
		}
	}
	ranks2, _ := pooledRanks(present, nil) // twice the ranks, 1 the lowest
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = math.NaN()
		if Defined(v).Defined {
			out[i] = float64(2*len(present)+2-ranks2[0]) / 2
			ranks2 = ranks2[1:]
		}
	}
	return out
}

// Disorder is the ranks of the same architectures by two values.
type Disorder struct {
	Score, Truth []float64 // ranks, 1 the best, equal ones at their mean rank
	// Mean and Max are of the distance between an architecture's two ranks.
	Mean, Max float64
	// Chance is the mean of Mean over all orders: (n^2 - 1) / 3n without ties.
	Chance float64
}

// RankDisorder compares the ranks of architectures by their scores with those by their
// truth, of both the higher the better. All values must be finite; one architecture is
// enough.
func RankDisorder(scores, truth []float64) (Disorder, error) {
	if len(scores) != len(truth) {
		return Disorder{}, fmt.Errorf("rank disorder: %d scores and %d truths; they must be pairs", len(scores), len(truth))
	}
	if err := twoSamples("rank disorder", scores, truth); err != nil {
		return Disorder{}, err
	}
	d := Disorder{Score: MidRanks(scores), Truth: MidRanks(truth)}
	distances := make([]float64, len(scores))
	for i, s := range d.Score {
		distances[i] = math.Abs(s - d.Truth[i])
	}
	d.Mean, d.Max = mean(distances), slices.Max(distances)
	n := float64(len(scores))
	d.Chance = (float64(n*n) - 1) / (3 * n)
	return d, nil
}

// RankChanges is how ranks move while shared weights are trained.
type RankChanges struct {
	// Ranks[k][i] is the rank of architecture i at save point k among those that have a
	// score there: 1 the best, NaN where it has none.
	Ranks [][]float64
	// Step[k] is the mean distance between ranks at save point k and at k+1, over the
	// architectures of both, and undefined where there are none: one less than Ranks.
	Step []Number
}

// RankMovement ranks the architectures of a pool at each of its save points: scores[k][i]
// is that of architecture i at save point k, NaN where it was not in the pool then. Ranks
// of pools that differ are ranks among different architectures; keep to one fixed pool to
// compare them.
func RankMovement(scores [][]float64) (RankChanges, error) {
	var c RankChanges
	for k, s := range scores {
		if len(s) != len(scores[0]) {
			return RankChanges{}, fmt.Errorf("rank movement: %d architectures at save point 1 and %d at %d; give NaN where one has no score", len(scores[0]), len(s), k+1)
		}
		c.Ranks = append(c.Ranks, MidRanks(s))
		if k > 0 {
			c.Step = append(c.Step, meanDistance(c.Ranks[k-1], c.Ranks[k]))
		}
	}
	return c, nil
}

func meanDistance(a, b []float64) Number {
	var distances []float64
	for i, v := range a {
		if d := math.Abs(v - b[i]); !math.IsNaN(d) {
			distances = append(distances, d)
		}
	}
	if len(distances) == 0 {
		return Number{}
	}
	return Defined(mean(distances))
}
