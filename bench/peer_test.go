package main

import (
	"context"
	"os/exec"
	"testing"

	"evalnas/nasapi/space"
)

// The twin answers what the space knows; it checks itself on the hash vectors
// when it says hello.
func TestTwinAgrees(t *testing.T) {
	if err := exec.Command(python(), "-c", "import numpy").Run(); err != nil {
		t.Skipf("%s has no NumPy (%v): the peers cannot run here", python(), err)
	}
	t.Setenv("NASBENCH_REF", "")
	p, err := startNASBenchPeer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if p.kind != "twin" {
		t.Errorf("the peer is a %s", p.kind)
	}
	var found struct{ Unique int }
	if err := p.ask(map[string]any{"do": "enumerate", "vertices": 4}, &found); err != nil || found.Unique != 91 {
		t.Errorf("the twin found %d graphs of at most 4 vertices, want 91 (%v)", found.Unique, err)
	}
	whole, err := space.NASBench101(7)
	if err != nil {
		t.Fatal(err)
	}
	in := &cellInput{whole: whole, label: "test"}
	if err := p.giveCells(in.of(0)[:20]); err != nil {
		t.Fatal(err)
	}
	var answer struct{ Answers []string }
	if err := p.ask(map[string]any{"do": "hash"}, &answer); err != nil || len(answer.Answers) != 20 {
		t.Fatalf("%d hashes, %v", len(answer.Answers), err)
	}
	for i, want := range answer.Answers {
		c, err := space.NewCell(in.cells[i].Matrix, in.cells[i].Ops)
		if err != nil || c.Hash() != want {
			t.Errorf("cell %d: %v, the twin says %s (%v)", i, c, want, err)
		}
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
}
