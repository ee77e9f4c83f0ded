package space

import (
	"strings"
	"testing"
)

func TestNamedGenotypes(t *testing.T) {
	if n := len(GenotypeNames()); n != 47 {
		t.Fatalf("%d genotypes, want 47", n)
	}
	darts, err := NamedGenotype("darts_1268")
	if err != nil {
		t.Fatal(err)
	}
	if darts.Params() != 1370134 {
		t.Errorf("darts_1268 has %d parameters, want 1370134", darts.Params())
	}
	for given, want := range map[string]string{"darts_1267": "1268 to 1277", "Darts-V2": `did you mean "DARTS_V2"?`, "": "DARTS_V1"} {
		if _, err := NamedGenotype(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", given, err, want)
		}
	}
}
