package nasapi

import (
	"errors"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/stats"
)

// Interval is a confidence interval of a mean.
type Interval struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Level  float64 `json:"level"`
	Method string  `json:"method"`
}

// MeanTest is the outcome of Welch's t-test.
type MeanTest struct {
	T     float64  `json:"t"`
	DF    float64  `json:"df"`
	P     float64  `json:"p"` // two-sided
	PHolm *float64 `json:"p_holm,omitempty"`
}

// PermutationTest is the outcome of a permutation test of the difference of means.
type PermutationTest struct {
	P      float64  `json:"p"` // two-sided
	Method string   `json:"method"`
	PHolm  *float64 `json:"p_holm,omitempty"`
}

// leaveOut says why a field, by its name in JSON, has no number.
func (r *GroupRow) leaveOut(field, why string) {
	if r.Undefined == nil {
		r.Undefined = map[string]string{}
	}
	r.Undefined[field] = why
}

// interval is the bootstrap interval of the mean of a group's values, nil where it is
// undefined.
func (r *GroupRow) interval(field string, values []float64, resamples int) (*Interval, error) {
	i, err := stats.Bootstrap{Resamples: resamples, Stream: rng.New(0, "compare", "bootstrap", r.Name, field)}.MeanOf(values)
	if errors.Is(err, stats.ErrUndefined) {
		r.leaveOut(field, "undefined: it needs two runs")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Interval{Low: i.Low, High: i.High, Level: i.Level, Method: i.Method}, nil
}

// testMeans tests the mean against that of the draws, by Welch's t and by permutation.
func (r *GroupRow) testMeans(values, draws []float64, resamples int) error {
	w, err := stats.Welch(values, draws)
	switch {
	case errors.Is(err, stats.ErrUndefined):
		r.leaveOut("welch", stats.Reason(err))
	case err != nil:
		return err
	default:
		r.Welch = &MeanTest{T: w.T, DF: w.DF, P: w.TwoSided}
	}
	p, err := stats.Permutation{Resamples: resamples, Stream: rng.New(0, "compare", "permutation", r.Name)}.MeanDifference(values, draws)
	switch {
	case errors.Is(err, stats.ErrUndefined):
		r.leaveOut("permutation", stats.Reason(err))
	case err != nil:
		return err
	default:
		r.Permutation = &PermutationTest{P: p.TwoSided, Method: p.Method}
	}
	return nil
}

// adjustTests adjusts each test against the draws by Holm over the groups that have it.
func adjustTests(rows []GroupRow) error {
	tests := []func(*GroupRow) (p float64, adjusted **float64){
		func(r *GroupRow) (float64, **float64) {
			if r.MannWhitney == nil {
				return 0, nil
			}
			return r.MannWhitney.P, &r.MannWhitney.PHolm
		},
		func(r *GroupRow) (float64, **float64) {
			if r.Welch == nil {
				return 0, nil
			}
			return r.Welch.P, &r.Welch.PHolm
		},
		func(r *GroupRow) (float64, **float64) {
			if r.Permutation == nil {
				return 0, nil
			}
			return r.Permutation.P, &r.Permutation.PHolm
		},
	}
	for _, test := range tests {
		var ps []float64
		var to []**float64
		for i := range rows {
			if p, adjusted := test(&rows[i]); adjusted != nil {
				ps, to = append(ps, p), append(to, adjusted)
			}
		}
		adjusted, err := stats.Holm(ps)
		if err != nil {
			return err
		}
		for i := range adjusted {
			*to[i] = &adjusted[i]
		}
	}
	return nil
}

func (r *GroupRow) numericsText() string {
	if r.Numerics == nil {
		return ""
	}
	return r.Numerics.String()
}
