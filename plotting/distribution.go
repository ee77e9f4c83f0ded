package plotting

import (
	"fmt"
	"math"
	"slices"
)

// distribution is the values of a space, sorted in display units, worst first.
type distribution struct {
	sorted []float64
	lower  bool // lower values are better
}

// newDistribution checks and sorts values; factor turns them into display
// units.
func newDistribution(what string, values []float64, factor float64, lower bool) (distribution, error) {
	d := distribution{lower: lower}
	if err := finite(what, values); err != nil {
		return d, err
	}
	d.sorted = make([]float64, len(values))
	for i, v := range values {
		d.sorted[i] = v * factor
	}
	slices.Sort(d.sorted)
	return d, nil
}

func finite(what string, values []float64) error {
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > 1e100 {
			return fmt.Errorf("%s: value %d of %d is %v; only finite values can be drawn", what, i+1, len(values), v)
		}
	}
	return nil
}

// finiteOrMissing is finite for values of which NaN are missing ones.
func finiteOrMissing(what string, values []float64) error {
	for i, v := range values {
		if !math.IsNaN(v) {
			if err := finite(what, values[i:i+1]); err != nil {
				return fmt.Errorf("%s: value %d of %d is %v; give a finite one, or NaN where it is missing", what, i+1, len(values), v)
			}
		}
	}
	return nil
}

func (d distribution) n() int { return len(d.sorted) }

// at is the value at a percentile, where 100 is the best.
func (d distribution) at(percentile float64) float64 {
	if d.lower {
		percentile = 100 - percentile
	}
	i := int(math.Round(percentile / 100 * float64(len(d.sorted)-1)))
	return d.sorted[min(max(i, 0), len(d.sorted)-1)]
}

func (d distribution) best() float64 { return d.at(100) }

// outside counts the values below lo and above hi.
func (d distribution) outside(lo, hi float64) (below, above int) {
	below, _ = slices.BinarySearch(d.sorted, lo)
	upper, _ := slices.BinarySearch(d.sorted, math.Nextafter(hi, math.Inf(1)))
	return below, len(d.sorted) - upper
}

// histogram counts values in bins of equal width from start on.
type histogram struct {
	start, width float64
	counts       []int
}

// centred counts the values of lo..hi in about want bins, the median in the middle of one,
// so that values that are all equal stand where they are.
func (d distribution) centred(lo, hi float64, want int) histogram {
	want = min(want, max(16, int(2*math.Sqrt(float64(d.n())))))
	h := histogram{width: (hi - lo) / float64(want)}
	median := min(max(quantileOf(d.sorted, 0.5), lo), hi)
	before := math.Ceil((median - lo) / h.width)
	h.start = median - h.width*(before+0.5)
	h.counts = make([]int, int(math.Ceil((hi-h.start)/h.width)))
	for _, v := range d.sorted {
		if i := int((v - h.start) / h.width); v >= lo && v <= hi && i < len(h.counts) {
			h.counts[i]++
		}
	}
	return h
}

// bins counts the values of lo..hi in about want bins. Values measured on a
// lattice (k of 9,984 images) get bins of whole lattice steps that start
// between two values: others would beat against the lattice, unless that is much coarser.
func (d distribution) bins(lo, hi float64, want int) histogram {
	want = min(want, max(8, int(2*math.Sqrt(float64(d.n())))))
	h := histogram{start: lo, width: (hi - lo) / float64(want)}
	if gap := d.step(); gap < 4*h.width && (hi-lo)/gap < 40*float64(want) {
		h.width = gap * max(1, math.Round(h.width/gap))
		first, _ := slices.BinarySearch(d.sorted, lo)
		h.start = d.sorted[min(first, d.n()-1)] - gap/2
	}
	h.counts = make([]int, max(1, int(math.Ceil((hi-h.start)/h.width))))
	for _, v := range d.sorted {
		if i := math.Floor((v - h.start) / h.width); v >= lo && v <= hi && i >= 0 && i < float64(len(h.counts)) {
			h.counts[int(i)]++
		}
	}
	return h
}

// step is the smallest gap between distinct values: +Inf if there is one only.
func (d distribution) step() float64 {
	gap := math.Inf(1)
	for i := 1; i < len(d.sorted); i++ {
		if g := d.sorted[i] - d.sorted[i-1]; g > 1e-9*max(1, math.Abs(d.sorted[i])) {
			gap = min(gap, g)
		}
	}
	return gap
}

// clipRange is the part of an axis worth showing: from the given percentile of
// the space to its best value, a little air at both ends.
func (d distribution) clipRange(clip float64) (lo, hi float64) {
	worst, best := d.at(clip), d.best()
	lo, hi = widen(min(worst, best), max(worst, best))
	air := 0.02 * (hi - lo)
	if d.lower {
		return lo - air, hi
	}
	return lo, hi + air
}
