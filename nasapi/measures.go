package nasapi

import "evalnas/nasapi/stats"

// Summary describes the values of a group's finished runs.
type Summary struct {
	N      int      `json:"n"`
	Mean   float64  `json:"mean"`
	SD     *float64 `json:"sd,omitempty"` // of the sample, nil for one value
	Median float64  `json:"median"`
	Q1     float64  `json:"q1"`
	Q3     float64  `json:"q3"`
	Min    float64  `json:"min"`
	Max    float64  `json:"max"`
}

func summarise(values []float64) (*Summary, error) {
	d, err := stats.Describe(values)
	if err != nil {
		return nil, err
	}
	s := &Summary{N: d.N, Mean: d.Mean, Median: d.Median, Q1: d.Q1, Q3: d.Q3, Min: d.Min, Max: d.Max}
	if d.HasSD {
		s.SD = &d.SD
	}
	return s, nil
}

// Difference is the difference of two means with a bootstrap interval.
type Difference struct {
	Mean         float64 `json:"mean"`
	Low          float64 `json:"low"`
	High         float64 `json:"high"`
	Level        float64 `json:"level"` // confidence
	Method       string  `json:"method"`
	Runs         int     `json:"runs"`
	BaselineRuns int     `json:"baseline_runs"`
}

// RankTest is the outcome of a Mann-Whitney test.
type RankTest struct {
	U      float64 `json:"u"`
	P      float64 `json:"p"` // two-sided
	Method string  `json:"method"`
	// PHolm is P adjusted over the groups that are tested against draws.
	PHolm *float64 `json:"p_holm,omitempty"`
}
