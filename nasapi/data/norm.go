package data

import (
	"fmt"
	"math"
)

// Norm turns a pixel into a number a network reads: (pixel/Scale - Mean) / Std,
// worked out in float64 and rounded once to float32.
type Norm struct {
	Scale float64   `json:"scale"` // 255 or 1: the largest value on which Mean and Std are given
	Mean  []float64 `json:"mean"`  // one for each channel
	Std   []float64 `json:"std"`
}

// DARTSNorm normalises CIFAR-10 by the constants of DARTS's code (Liu et al.
// 2019), which search and training share, and any other set by its own Mean and
// Std. A channel that never varies is not divided.
func DARTSNorm(s *Set) Norm {
	if s.isKnown("cifar10") {
		return Norm{
			Scale: 255,
			Mean:  []float64{0.49139968, 0.48215827, 0.44653124},
			Std:   []float64{0.24703233, 0.24348505, 0.26158768},
		}
	}
	return ownNorm(s)
}

// NASBenchNorm normalises CIFAR-10 by the constants of NASBench-101 (Ying et al.
// 2019), on pixels of 0 to 255, and any other set by its own Mean and Std.
func NASBenchNorm(s *Set) Norm {
	if s.isKnown("cifar10") {
		return Norm{
			Scale: 1,
			Mean:  []float64{125.31, 122.95, 113.87},
			Std:   []float64{62.99, 62.09, 66.70},
		}
	}
	return ownNorm(s)
}

func ownNorm(s *Set) Norm {
	n := Norm{Scale: 255, Mean: append([]float64(nil), s.Mean...), Std: append([]float64(nil), s.Std...)}
	for c, v := range n.Std {
		if v == 0 {
			n.Std[c] = 1
		}
	}
	return n
}

// Validate says what of the norm cannot be used for images of c channels.
func (n Norm) Validate(c int) error {
	if len(n.Mean) != c || len(n.Std) != c {
		return fmt.Errorf("%d means and %d standard deviations for images of %d channels", len(n.Mean), len(n.Std), c)
	}
	if n.Scale != 1 && n.Scale != 255 {
		return fmt.Errorf("the scale of mean and standard deviation is %v; it is 1 (pixels of 0 to 255) or 255 (0 to 1)", n.Scale)
	}
	for i := range n.Mean {
		if math.IsNaN(n.Mean[i]) || math.IsInf(n.Mean[i], 0) || !(n.Std[i] > 0) || math.IsInf(n.Std[i], 0) {
			return fmt.Errorf("channel %d has mean %v and standard deviation %v: the mean is finite, the deviation finite and above 0", i, n.Mean[i], n.Std[i])
		}
	}
	return nil
}

// levels are the numbers of all 256 pixel values, for each channel.
func (n Norm) levels() [][256]float32 {
	all := make([][256]float32, len(n.Mean))
	for c := range all {
		for p := range all[c] {
			all[c][p] = float32((float64(p)/n.Scale - n.Mean[c]) / n.Std[c])
		}
	}
	return all
}
