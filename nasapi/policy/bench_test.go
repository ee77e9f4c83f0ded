package policy

import (
	"context"
	"errors"
	"testing"

	"evalnas/nasapi/space"
)

// BenchmarkSearch is the cost of a policy itself: the objective is free.
func BenchmarkSearch(b *testing.B) {
	for _, s := range []space.Space{nasbench(b, 7), darts(b, 4)} {
		for _, info := range All() {
			if info.Shares == Must || info.Needs(s) != nil {
				continue
			}
			b.Run(info.Name+"/"+s.String(), func(b *testing.B) {
				pol, err := info.New(nil)
				if err != nil {
					b.Fatal(err)
				}
				left := b.N
				p := &Problem{Space: s, Budget: b.N, Seed: 1, Evaluate: func(a space.Arch) (float64, error) {
					if left--; left < 0 {
						return 0, ErrBudget
					}
					return float64(left*2654435761%1000) / 1000, nil
				}}
				withEpochs(p)
				b.ResetTimer()
				if err := pol.Search(context.Background(), p); !errors.Is(err, ErrBudget) {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "evaluations/s")
			})
		}
	}
}
