package space

import (
	"strings"
	"testing"
)

func TestParseArchReadsWhatWasWritten(t *testing.T) {
	for _, name := range GenotypeNames() {
		g, err := NamedGenotype(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := g.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseArch(g.Space(), text)
		if err != nil || back.Hash() != g.Hash() {
			t.Errorf("%s became %v, %v", name, back, err)
		}
	}
	if _, err := ParseArch("ptb", nil); err == nil || !strings.Contains(err.Error(), "nasbench101, darts, cells or nasbench201") {
		t.Errorf("an unknown space: %v", err)
	}
}
