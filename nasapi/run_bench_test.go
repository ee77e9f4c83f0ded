package nasapi

import (
	"context"
	"testing"
)

// BenchmarkEvolutionOnTable is a whole run of evolution guided by the embedded table.
func BenchmarkEvolutionOnTable(b *testing.B) {
	cfg := SearchConfig{Policy: "evolution", Space: full, Objective: oracle(b).Spec(), Budget: b.N}
	if _, err := RunSearch(context.Background(), cfg, 1268, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "evaluations/s")
}
