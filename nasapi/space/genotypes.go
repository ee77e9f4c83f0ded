package space

import (
	_ "embed" // the genotypes
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"evalnas/nasapi/nearest"
)

// The genotypes that the code of "Evaluating the search phase of neural architecture
// search" (ICLR 2020) holds: seven of earlier papers by name, and what four policies
// found (or drew) under ten seeds, as policy_seed.
//
//go:embed genotypes.json
var genotypesJSON []byte

// genotypes are the built-in genotypes by name. The text is the program's own, so an
// error in it is a fault of the program; a test reads them all.
var genotypes = sync.OnceValue(func() map[string]*Genotype {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(genotypesJSON, &raw); err != nil {
		panic(err)
	}
	all := make(map[string]*Genotype, len(raw))
	for name, text := range raw {
		g, err := genotypeFromJSON(text, checkDARTSOp)
		if err != nil {
			panic(fmt.Errorf("%s: %w", name, err))
		}
		all[name] = g
	}
	return all
})

// GenotypeNames lists the names of the built-in genotypes.
func GenotypeNames() []string { return slices.Sorted(maps.Keys(genotypes())) }

// NamedGenotype is the built-in genotype of a name: DARTS_V1, DARTS_V2 (Liu, Simonyan
// and Yang, 2019), NASNet, AmoebaNet, NAO, and {darts,enas,nao,random}_{1268..1277}.
func NamedGenotype(name string) (*Genotype, error) {
	if g := genotypes()[name]; g != nil {
		return g, nil
	}
	hint := ""
	if near := nearest.Name(name, GenotypeNames()); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return nil, fmt.Errorf("no genotype is called %.40q%s: there are NASNet, AmoebaNet, DARTS_V1, DARTS_V2, DARTS, NAO, TEST_NAONET_1276 and {darts, enas, nao, random}_1268 to 1277", name, hint)
}

// Name is what the genotype is called where it is a built-in one, else "": of several
// names the first in alphabetical order.
func (g *Genotype) Name() string { return genotypeNames()[g.Hash()] }

var genotypeNames = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for _, name := range GenotypeNames() {
		if hash := genotypes()[name].Hash(); names[hash] == "" {
			names[hash] = name
		}
	}
	return names
})
