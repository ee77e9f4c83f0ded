package net

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// genotypes are the 47 published ones.
func genotypes(t testing.TB) map[string]*space.Genotype {
	t.Helper()
	var raw map[string]json.RawMessage
	readJSON(t, "../space/testdata/darts_genotypes.json", &raw)
	all := map[string]*space.Genotype{}
	for name, text := range raw {
		g, err := space.ParseGenotype(string(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = g
	}
	return all
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The counts come from running the reference's networks (36 channels, 20 cells).
func TestParametersOfThePublishedGenotypes(t *testing.T) {
	var want struct {
		Networks map[string]struct {
			Params    int64 `json:"params"`
			AuxParams int64 `json:"aux_params"`
		}
	}
	readJSON(t, "../space/testdata/darts_params.json", &want)
	all := genotypes(t)
	if len(all) != 47 || len(want.Networks) != 47 {
		t.Fatalf("%d genotypes and %d counts, want 47 of each", len(all), len(want.Networks))
	}
	for name, g := range all {
		got, err := Measure(g, Config{Auxiliary: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w := want.Networks[name]
		if got.Params != w.Params || got.AuxParams != w.AuxParams {
			t.Errorf("%s: %d parameters and %d of the head, want %d and %d", name, got.Params, got.AuxParams, w.Params, w.AuxParams)
		}
		// The formula counts every edge; the network leaves out what reaches no loss.
		whole := !slices.Contains(liveStates(g.Normal()), false) && !slices.Contains(liveStates(g.Reduce()), false)
		if whole != (got.MultAdds == g.FLOPs()) || got.MultAdds > g.FLOPs() {
			t.Errorf("%s: %d multiply-adds, the space's formula says %d", name, got.MultAdds, g.FLOPs())
		}
		n, err := New(paper{}, g, Config{Auxiliary: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []nn.Mode{nn.Train, nn.Evaluate, nn.Recalibrate} {
			p, err := n.Build(mode, 4)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := p.Graph.Plan(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
