package nasapi

import (
	"math"
	"strings"
	"testing"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
	"evalnas/nasapi/table"
)

func correlation(t *testing.T, maxVertices, draws int, truth *objective.Objective) *Correlation {
	t.Helper()
	sp, err := space.NASBench101(maxVertices)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Correlate(CorrelateOptions{
		Scores: []Score{{"parameters", objective.OfParams()}, {"small", objective.OfParams().Minimised(true)}, {"truth", truth}},
		Truth:  truth, Space: sp, Draws: draws, Seed: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tableTruth(t *testing.T) *objective.Objective {
	t.Helper()
	tab, err := table.NASBench101()
	if err != nil {
		t.Fatal(err)
	}
	m, err := tab.Find(table.Query{Name: table.Test})
	if err != nil {
		t.Fatal(err)
	}
	return objective.OfTable(tab, m)
}

// The number of parameters alone ranks the cells of 7 vertices with a tau of 0.304, above the
// 0.195 that the paper reports of shared weights. The figure is that of scipy.stats.kendalltau.
func TestParametersRankCells(t *testing.T) {
	c := correlation(t, 7, 0, tableTruth(t))
	if c.Pool != 423624 || c.N != c.Pool {
		t.Errorf("%d of %d cells", c.Pool, c.N)
	}
	if tau := c.Rows[0].Tau; math.Abs(tau.OrNaN()-0.30373076012973477) > 1e-12 {
		t.Errorf("tau of parameters is %v", tau)
	}
}

func TestCorrelateTurnsWhatIsMinimised(t *testing.T) {
	c := correlation(t, 5, 0, tableTruth(t))
	large, small, truth := c.Rows[0].Tau, c.Rows[1].Tau, c.Rows[2].Tau
	if large.Value <= 0 || math.Abs(large.Value+small.Value) > 1e-12 || math.Abs(truth.Value-1) > 1e-12 {
		t.Errorf("tau of parameters %v, minimised %v, of the truth %v", large, small, truth)
	}
	// The largest cells are the best by the first score, the smallest by the second.
	first, _ := c.Ranks(0)
	second, _ := c.Ranks(1)
	for i := range first {
		if first[i]+second[i] != float64(len(first)+1) {
			t.Fatalf("cell %d has the ranks %v and %v", i, first[i], second[i])
		}
	}
	turned := correlation(t, 5, 0, tableTruth(t).Minimised(true))
	if turned.Rows[0].Tau.Value != -large.Value {
		t.Errorf("with the truth minimised tau is %v, else %v", turned.Rows[0].Tau, large)
	}
}

func TestCorrelateDraws(t *testing.T) {
	one, again := correlation(t, 7, 200, tableTruth(t)), correlation(t, 7, 200, tableTruth(t))
	if one.Pool != 200 || one.Rows[0].Tau != again.Rows[0].Tau || *one.Seed != 3 {
		t.Errorf("%d cells under seed %d, tau %v and again %v", one.Pool, *one.Seed, one.Rows[0].Tau, again.Rows[0].Tau)
	}
	// 200 cells have a tau within some deviations (1/25) of the whole space's.
	if tau := one.Rows[0].Tau.OrNaN(); math.Abs(tau-0.30) > 0.2 {
		t.Errorf("tau of 200 cells is %v", tau)
	}
}

func TestCorrelateRefuses(t *testing.T) {
	sp, err := space.NASBench101(4)
	if err != nil {
		t.Fatal(err)
	}
	truth := tableTruth(t)
	for want, o := range map[string]CorrelateOptions{
		"no score":         {Truth: truth, Space: sp},
		"91 architectures": {Scores: []Score{{"p", objective.OfParams()}}, Truth: truth, Space: sp, Draws: 92},
	} {
		if _, err := Correlate(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
