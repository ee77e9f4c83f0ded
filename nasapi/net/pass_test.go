package net

import (
	"math"
	"slices"
	"testing"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
)

func TestLabels(t *testing.T) {
	p := mustBuild(t, mustNew(t, paper{}, everything(t), Config{Cells: 3, Channels: 4, Auxiliary: true}), nn.Train, 3)
	if err := p.SetLabels([]int32{9, 0, 4}); err != nil {
		t.Fatal(err)
	}
	for _, loss := range []*nn.CrossEntropy{p.Loss, p.Auxiliary} {
		if !slices.Equal(loss.Labels, []int32{9, 0, 4}) {
			t.Errorf("labels %v", loss.Labels)
		}
	}
	for _, bad := range [][]int32{{1, 2}, {1, 2, 10}, {1, -1, 2}} {
		if err := p.SetLabels(bad); err == nil {
			t.Errorf("labels %v are taken", bad)
		}
	}
	if p.Loss.Weight != 1 || p.Auxiliary.Weight != 0.4 {
		t.Errorf("the losses weigh %v and %v, want 1 and 0.4", p.Loss.Weight, p.Auxiliary.Weight)
	}
	p.Loss.Loss, p.Auxiliary.Loss = 2, 5
	if got := p.TotalLoss(); got != 4 {
		t.Errorf("the total loss is %v, want 2 + 0.4*5", got)
	}
}

// Every edge but a skip of stride 1 can be dropped, for each image by itself, and
// what is kept makes up for it.
func TestDropPath(t *testing.T) {
	g := everything(t)
	n := mustNew(t, paper{}, g, Config{Cells: 6, Channels: 4})
	const batch = 50
	p := mustBuild(t, n, nn.Train, batch)
	// A normal cell has two skips of stride 1; a reduction cell one, from node 2; the
	// other skips there are reductions.
	if got, want := len(p.drops), 4*8+2*9; got != want {
		t.Errorf("%d edges can be dropped, want %d", got, want)
	}
	if err := p.SetDropPath(rng.New(1, "drop"), 0.2); err != nil {
		t.Fatal(err)
	}
	kept, masks := 0, map[string]bool{}
	for _, d := range p.drops {
		mask := d.sum.Keep[d.source]
		text := ""
		for _, k := range mask {
			if k != 0 && k != 1.25 {
				t.Fatalf("an edge counts %v times, want 0 or 1/0.8", k)
			}
			if k != 0 {
				kept++
			}
			text += string(rune('0' + int(k)))
		}
		masks[text] = true
	}
	total := float64(batch * len(p.drops))
	if share := float64(kept) / total; math.Abs(share-0.8) > 5*math.Sqrt(0.8*0.2/total) {
		t.Errorf("%.3f of the edges are kept, want 0.8", share)
	}
	if len(masks) < len(p.drops)*9/10 {
		t.Errorf("%d different masks for %d edges", len(masks), len(p.drops))
	}
	first := append([]float32(nil), p.drops[3].sum.Keep[p.drops[3].source]...)
	p.SetDropPath(rng.New(1, "drop"), 0.2)
	if !slices.Equal(first, p.drops[3].sum.Keep[p.drops[3].source]) {
		t.Error("one seed drops different edges")
	}
	if err := p.SetDropPath(nil, 0); err != nil {
		t.Fatal(err)
	}
	for _, d := range p.drops {
		if d.sum.Keep[d.source] != nil {
			t.Fatal("an edge is dropped with probability 0")
		}
	}
	for _, bad := range []float64{-0.1, 1, math.NaN()} {
		if err := p.SetDropPath(rng.New(1), bad); err == nil {
			t.Errorf("a probability of %v is taken", bad)
		}
	}
	if got := mustBuild(t, n, nn.Evaluate, batch).drops; len(got) != 0 {
		t.Errorf("%d edges can be dropped in evaluation", len(got))
	}
}

func TestBatchesThatAreTooSmall(t *testing.T) {
	n := mustNew(t, paper{}, everything(t), Config{Cells: 3, Channels: 4, Auxiliary: true})
	if _, err := n.Build(nn.Evaluate, 0); err == nil {
		t.Error("a batch of no images is built")
	}
	if _, err := n.Build(nn.Train, 1); err == nil {
		t.Error("the auxiliary head normalises over one number")
	}
	mustBuild(t, n, nn.Evaluate, 1)
}
