package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// SparseWidth is the width of a bin of true accuracy, a tenth of a percent, within
// which Yu et al. (ICLR 2020, section 4) call two architectures equal.
const SparseWidth = 0.001

// SparseTau is tau-b between scores and truth whose accuracies (0 to 1) are binned:
// architectures whose truth lies in the same bin, floor(truth/width), are tied. A truth
// on an edge, but for the rounding of its decimals, is in the bin above. Scores are not
// binned. Truths must not be negative; it is undefined where KendallTau is, so too where
// one bin holds all.
func SparseTau(score, truth []float64, width float64) (float64, error) {
	bins, err := sparseBins(score, truth, width, 1e-9)
	if err != nil {
		return 0, err
	}
	tau, err := KendallTau(score, bins)
	if err != nil {
		return 0, fmt.Errorf("sparse %w", err)
	}
	return tau, nil
}

// SparseTauPublished is the number that the reference implementation of Yu et al. prints
// as sparse tau. It does not correlate scores with bins, but two lists of bins, place by
// place: those in ascending order of truth, and those in ascending order of score. Places
// within a bin are tied on both sides, and equal scores are not: theirs is the order of
// the arguments here (in the reference it is undefined). It is for comparison with
// published numbers; SparseTau is what is meant.
func SparseTauPublished(score, truth []float64, width float64) (float64, error) {
	bins, err := sparseBins(score, truth, width, 0)
	if err != nil {
		return 0, err
	}
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(score[i], score[j]) })
	predicted := make([]float64, len(bins))
	for k, i := range order {
		predicted[k] = bins[i]
	}
	slices.Sort(bins)
	tau, err := KendallTau(bins, predicted)
	if err != nil {
		return 0, fmt.Errorf("published sparse %w", err)
	}
	return tau, nil
}

// sparseBins numbers the bin of each truth; values within slack of a bin's upper edge
// are above it.
func sparseBins(score, truth []float64, width, slack float64) ([]float64, error) {
	if err := paired("sparse tau", score, truth); err != nil {
		return nil, err
	}
	if !(width > 0 && width <= 1) {
		return nil, fmt.Errorf("sparse tau: bins of width %v; accuracies are shares of 1, so give a width such as %v", width, SparseWidth)
	}
	bins := make([]float64, len(truth))
	for i, v := range truth {
		if v < 0 || v > 1 {
			return nil, fmt.Errorf("sparse tau: a true accuracy of %v at place %d; accuracies are shares of 1", v, i+1)
		}
		// The reference multiplies by the inverse; so do we, to share its rounding.
		bins[i] = math.Floor(float64(v*(1/width)) + slack)
	}
	return bins, nil
}
