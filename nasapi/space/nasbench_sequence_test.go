package space

import (
	"errors"
	"slices"
	"testing"

	"evalnas/nasapi/rng"
)

// The shares that ENAS's and NAO's encoding can reach, computed with the
// reference for 4 to 7 vertices.
func TestReachable(t *testing.T) {
	for v, want := range map[int]int64{2: 1, 3: 3, 4: 15, 5: 82, 6: 495, 7: 3123} {
		if got := mustNASBench(t, v).Reachable().Int64(); got != want {
			t.Errorf("%d vertices: %d reachable, want %d", v, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	n := mustNASBench(t, 5)
	// 0 <- input conv1x1; 1 <- vertex 1 maxpool; 2 <- input conv3x3.
	a, err := n.Decode([]int{0, 1, 1, 2, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"matrix":[[0,1,0,1,0],[0,0,1,0,0],[0,0,0,0,1],[0,0,0,0,1],[0,0,0,0,0]],"ops":["input","conv1x1-bn-relu","maxpool3x3","conv3x3-bn-relu","output"]}`
	if got, err := a.MarshalJSON(); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

// At seven vertices 243 of the 29,160 sequences have ten edges.
func TestSequencesOutsideTheSpace(t *testing.T) {
	n := mustNASBench(t, 7)
	all, outside := 0, 0
	seq := make([]int, len(n.Choices()))
	for more := true; more; more = nextSequence(seq) {
		all++
		a, err := n.Decode(seq)
		switch {
		case errors.Is(err, ErrOutside):
			outside++
		case err != nil:
			t.Fatal(err)
		default:
			if _, ok := n.Index(a); !ok {
				t.Fatalf("%v decodes to %s, which is not in the space", seq, a)
			}
		}
	}
	if all != 29160 || outside != 243 {
		t.Errorf("%d sequences, %d outside; want 29,160 and 243", all, outside)
	}
}

func TestChoices(t *testing.T) {
	n := mustNASBench(t, 7)
	choices := n.Choices()
	if len(choices) != 10 || len(n.Operations()) != 3 {
		t.Fatalf("%d choices, %d operations", len(choices), len(n.Operations()))
	}
	for i, c := range choices {
		want := Choice{Node: i / 2, N: 3}
		if i%2 == 0 {
			want = Choice{Node: i / 2, Index: true, N: i/2 + 1}
		}
		if c != want {
			t.Errorf("choice %d is %+v, want %+v", i, c, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	n := mustNASBench(t, 4)
	for _, seq := range [][]int{nil, {0, 0}, {0, 0, 0, 0, 0}, {1, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 2, 0}, {0, 0, 0, -1}} {
		if a, err := n.Decode(seq); err == nil || errors.Is(err, ErrOutside) {
			t.Errorf("%v decodes to %v, %v", seq, a, err)
		}
	}
}

// Every architecture that a sequence reaches is encoded by one that decodes to the same
// matrix; the others of the space by none.
func TestEncode(t *testing.T) {
	for v := 2; v <= 6; v++ {
		n := mustNASBench(t, v)
		reached := map[string]bool{}
		seq := make([]int, len(n.Choices()))
		for more := true; more; more = nextSequence(seq) {
			a, err := n.Decode(seq)
			if errors.Is(err, ErrOutside) {
				continue
			}
			reached[a.Hash()] = true
			if got, err := n.Encode(a); err != nil || !slices.Equal(got, seq) {
				t.Fatalf("%v comes back as %v, %v", seq, got, err)
			}
		}
		for i := range n.Len() {
			a := n.At(i)
			seq, err := n.Encode(a)
			if !reached[a.Hash()] {
				if !errors.Is(err, ErrOutside) {
					t.Fatalf("%v, which no sequence reaches, is encoded as %v (%v)", a, seq, err)
				}
				continue
			}
			delete(reached, a.Hash())
			if err != nil {
				t.Fatalf("%v: %v", a, err)
			}
			if back, err := n.Decode(seq); err != nil || back.Hash() != a.Hash() {
				t.Fatalf("%v is encoded as %v, which is %v (%v)", a, seq, back, err)
			}
		}
		if len(reached) > 0 {
			t.Errorf("%d vertices: %d of the reached architectures are not listed", v, len(reached))
		}
	}
	seven := mustNASBench(t, 7)
	seq := make([]int, 10)
	for more := true; more; more = nextSequence(seq) {
		if a, err := seven.Decode(seq); err == nil {
			if got, err := seven.Encode(a); err != nil || !slices.Equal(got, seq) {
				t.Fatalf("%v comes back as %v, %v", seq, got, err)
			}
		}
	}
	if _, err := seven.Encode(mustDARTS(t, 4).Sample(rng.New(1))); !errors.Is(err, ErrOutside) {
		t.Errorf("a genotype: %v", err)
	}
}
