package plotting

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestMarkLabelsStayApart: however close the marks lie, no label covers
// another one or the line of a mark that rises past it. Marks at the left edge
// have their labels on the other side and are left out here.
func TestMarkLabelsStayApart(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 5000)
	for i := range values {
		values[i] = r.Float64()
	}
	for trial := range 200 {
		data := SpaceHistogramData{Metric: "value", Values: values, Clip: -1}
		for i := range 1 + r.IntN(maxMarks) {
			data.Marks = append(data.Marks, Mark{Name: fmt.Sprintf("seed %d", 1268+i), Value: 0.3 + 0.7*r.Float64()})
		}
		d, err := newDistribution("test", data.Values, 1, false)
		if err != nil {
			t.Fatal(err)
		}
		h := &spaceHistogram{data: data, space: d}
		h.layout()
		for i := range data.Marks {
			from, to, _ := h.labelSpan(i)
			for j := range data.Marks {
				f, u, _ := h.labelSpan(j)
				if i < j && h.rows[i] == h.rows[j] && f < to && from < u {
					t.Errorf("trial %d: labels %d and %d overlap in row %d", trial, i, j, h.rows[i])
				}
				if line := h.x.clamped(data.Marks[j].Value); h.rows[j] > h.rows[i] && line > from && line < to {
					t.Errorf("trial %d: the line of mark %d crosses label %d", trial, j, i)
				}
			}
		}
	}
}
