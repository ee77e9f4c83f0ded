package stats

import (
	"fmt"
	"math"
)

// Ceiling is how well the repeats of a measurement rank architectures as each other do:
// the tau that a ranking cannot be expected to surpass.
type Ceiling struct {
	Repeats int `json:"repeats"`
	// Pairs has the tau-b of each repeat with each later one, in order.
	Pairs []RepeatTau `json:"pairs,omitempty"`
	// Tau is their mean, undefined where no pair has one.
	Tau Number `json:"tau"`
	// Why says why it is undefined: "unknown: one repeat".
	Why string `json:"why_undefined,omitempty"`
}

// RepeatTau is the agreement of two repeats.
type RepeatTau struct {
	First  int    `json:"first"` // from 0
	Second int    `json:"second"`
	Tau    Number `json:"tau"`
	// Common is the number of architectures that both have a value for.
	Common int    `json:"common"`
	Why    string `json:"why_undefined,omitempty"`
}

// NoiseCeiling compares the repeats of a measurement of the same architectures: repeats[k][i]
// is that of architecture i in repeat k, NaN where it has none. With one repeat the ceiling
// is unknown, which is no error.
func NoiseCeiling(repeats [][]float64) (Ceiling, error) {
	c := Ceiling{Repeats: len(repeats)}
	for k, r := range repeats {
		if len(r) != len(repeats[0]) {
			return c, fmt.Errorf("noise ceiling: %d architectures in repeat 1 and %d in repeat %d; give NaN where one has no value", len(repeats[0]), len(r), k+1)
		}
	}
	switch len(repeats) {
	case 0:
		c.Why = "unknown: no repeat"
		return c, nil
	case 1:
		c.Why = "unknown: one repeat"
		return c, nil
	}
	var taus []float64
	for i, a := range repeats {
		for j := i + 1; j < len(repeats); j++ {
			p := repeatTau(a, repeats[j])
			p.First, p.Second = i, j
			if p.Tau.Defined {
				taus = append(taus, p.Tau.Value)
			}
			c.Pairs = append(c.Pairs, p)
		}
	}
	if len(taus) == 0 {
		c.Why = c.Pairs[0].Why
		return c, nil
	}
	c.Tau = Defined(mean(taus))
	return c, nil
}

func repeatTau(a, b []float64) RepeatTau {
	var x, y []float64
	for i, v := range a {
		if !math.IsNaN(v) && !math.IsNaN(b[i]) {
			x, y = append(x, v), append(y, b[i])
		}
	}
	p := RepeatTau{Common: len(x)}
	tau, err := KendallTau(x, y)
	if err != nil {
		p.Why = Reason(err)
		return p
	}
	p.Tau = Defined(tau)
	return p
}
