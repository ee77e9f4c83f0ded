package policy

import (
	"math/big"
	"testing"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Numbers of section 0 of the audit for sequences of 4 to 7 vertices; those of the
// relaxed encoding are in TestRelaxedReachable.
func TestEncodings(t *testing.T) {
	want := map[string][]int{"sequence": {15, 82, 495, 3123}, "relaxed": {19, 101, 596, 3386}}
	for _, e := range Encodings() {
		for i, n := range want[e.Name] {
			s := nasbench(t, 4+i)
			if !e.Fits(s) || e.Reachable(s).Cmp(big.NewInt(int64(n))) != 0 {
				t.Errorf("%s encoding of %s: fits %v, reaches %d, want %d", e.Name, s, e.Fits(s), e.Reachable(s), n)
			}
			a, err := e.Draw(s, rng.New(1, "draw"))
			if err != nil || s.Contains(a) != nil {
				t.Errorf("%s encoding of %s: drew %v, %v", e.Name, s, a, err)
			}
		}
		if len(want[e.Name]) == 0 || e.Doc == "" || e.Fits(darts(t, 4)) {
			t.Errorf("%s: doc %q, fits DARTS %v", e.Name, e.Doc, e.Fits(darts(t, 4)))
		}
	}
	for name, want := range map[string]*Encoding{"enas": sequenceEncoding, "darts": relaxedEncoding, "fbnet": relaxedEncoding, "spos": nil, "random": nil} {
		info, err := Lookup(name)
		if err != nil || info.Encoding != want {
			t.Errorf("%s: encoding %v, %v", name, info.Encoding, err)
		}
	}
	if relaxedEncoding.Fits(nasbench(t, 2)) || relaxedEncoding.Fits(plainSpace{space.Space(nasbench(t, 4))}) {
		t.Error("a space without choices fits")
	}
}
