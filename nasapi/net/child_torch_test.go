package net

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/space"
)

// childCase is a path of a child whose losses PyTorch has worked out.
type childCase struct {
	kind     string
	genotype *space.Genotype
	cfg      Config
}

// childCases: the normal cell of enas_1268 concatenates an input, the reduction cell of
// nao_1269 a single node.
func childCases(t testing.TB) map[string]childCase {
	all := map[string]childCase{}
	for kind := range children {
		for name, cfg := range map[string]Config{
			"enas_1268": {Height: 16, Width: 16, Channels: 4, Cells: 4, Classes: 5},
			"nao_1269":  {Height: 13, Width: 10, Channels: 6, Cells: 5, Classes: 7},
			"enas_1273": {Height: 12, Width: 12, Channels: 4, Cells: 8, Classes: 10},
		} {
			all[kind+"-"+name] = childCase{kind, genotypes(t)[name], cfg}
		}
	}
	return all
}

const childBatch = 4

// prepare gives the child numbers that exercise its norms too, exact in float32.
func (c childCase) prepare(t testing.TB, dev nn.Device) *Child {
	t.Helper()
	child := newTestChild(t, c.kind, dev, c.cfg)
	for _, bn := range child.BatchNorms() {
		scale, shift := make([]float32, bn.C), make([]float32, bn.C)
		for i := range bn.C {
			scale[i], shift[i] = float32(6+i%7)/8, float32(i%4-1)/16
		}
		dev.Write(bn.Gamma.Value, 0, scale)
		dev.Write(bn.Beta.Value, 0, shift)
	}
	return child
}

// TestWriteChildrenForTorch writes what testdata/torch_children.py runs, where a folder
// is named.
func TestWriteChildrenForTorch(t *testing.T) {
	folder := *torchFolder
	if folder == "" {
		folder = t.TempDir()
	}
	for name, c := range childCases(t) {
		var weights strings.Builder
		if err := c.prepare(t, fakeDevice{}).WriteWeights(&weights); err != nil {
			t.Fatal(err)
		}
		about, err := json.Marshal(map[string]any{
			"kind": c.kind, "genotype": c.genotype, "batch": childBatch,
			"height": c.cfg.Height, "width": c.cfg.Width, "channels": c.cfg.Channels, "cells": c.cfg.Cells, "classes": c.cfg.Classes,
		})
		if err != nil {
			t.Fatal(err)
		}
		for ending, text := range map[string]string{".safetensors": weights.String(), ".json": string(about)} {
			if err := os.WriteFile(filepath.Join(folder, name+ending), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The constants are PyTorch's, in float64: see testdata/torch_children.py.
func TestPathsOfChildrenArePyTorchs(t *testing.T) {
	var want map[string]map[string]float64
	readJSON(t, "testdata/torch_children.json", &want)
	for kind, params := range want["published"] {
		if got, _ := newTestChild(t, kind, paper{}, Config{}).Count(); got != int64(params) {
			t.Errorf("%s: %d parameters, PyTorch's has %v", kind, got, params)
		}
	}
	dev := openCPU(t, 2)
	cases := childCases(t)
	if len(want) != len(cases)+1 {
		t.Fatalf("%d cases, %d of PyTorch's", len(cases), len(want)-1)
	}
	for name, c := range cases {
		child := c.prepare(t, dev)
		near := func(what string, got, tolerance float64) {
			if w, known := want[name][what]; !known || !(math.Abs(got-w) <= tolerance*(1+math.Abs(w))) {
				t.Errorf("%s: %s is %v, PyTorch's %v", name, what, got, w)
			}
		}
		for mode, what := range map[nn.Mode]string{nn.Evaluate: "evaluate", nn.Train: "train"} {
			p, err := child.Path(c.genotype, mode, childBatch)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Graph.Plan(); err != nil {
				t.Fatal(err)
			}
			torchCase{}.load(t, child.Network, p, 0)
			run(t, p)
			near(what, p.Loss.Loss, 1e-5)
		}
		params, _ := child.Count()
		near("parameters", float64(params), 0)
		near("gradient", math.Sqrt(dev.SquaredNorm(child.Params())), 2e-4)
		near("touched", float64(len(gradients(child.Network))), 0)
	}
}
