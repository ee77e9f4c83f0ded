package nasapi

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"testing"

	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
)

var update = flag.Bool("update", false, "rewrite golden files")

// traceSum is a Watcher that sums up what a search evaluates.
type traceSum struct{ sum hash.Hash }

func (traceSum) Progress(int, int, map[string]any) {}

func (s traceSum) Event(kind string, payload any) error {
	return json.NewEncoder(s.sum).Encode([]any{kind, payload})
}

func (s traceSum) Evaluated(e Evaluation) error {
	raw, err := e.Arch.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.sum, "%d %s %v %v\n", e.Number, raw, e.Value, e.Improved)
	return err
}

// TestTracesStay holds what a seed evaluates, in what order and written in which way, to
// what it always did. A difference is a reason to raise Numerics.
func TestTracesStay(t *testing.T) {
	table, params := oracle(t).Spec(), objective.OfParams().Spec()
	got := map[string]string{}
	for _, c := range []struct {
		policy string
		space  space.Spec
		guide  objective.Spec
		budget int
	}{
		{"random", full, table, 2000},
		{"evolution", full, table, 5000},
		{"evolution", space.Spec{Name: "nasbench101", MaxVertices: 5}, table, 1000},
		{"evolution", space.Spec{Name: "darts", Nodes: 4}, params, 500},
		{"local_search", full, table, 1000},
		{"local_search", space.Spec{Name: "darts", Nodes: 5}, params, 500},
		{"enas", full, table, 300},
	} {
		cfg := SearchConfig{Policy: c.policy, Space: c.space, Objective: c.guide, Budget: c.budget}
		w := traceSum{sha256.New()}
		r, err := RunSearch(t.Context(), cfg, 1268, w)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(w.sum).Encode(r); err != nil {
			t.Fatal(err)
		}
		sp, err := space.FromSpec(c.space)
		if err != nil {
			t.Fatal(err)
		}
		got[fmt.Sprintf("%s, %s, %s, %d", c.policy, sp, c.guide.Kind, c.budget)] = fmt.Sprintf("%x", w.sum.Sum(nil))
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "traces.json")
	if *update {
		if err := os.WriteFile(path, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(text)+"\n" {
		t.Errorf("%s has\n%s\nnow it is\n%s", path, want, text)
	}
}
