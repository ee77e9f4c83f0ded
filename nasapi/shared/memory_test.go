package shared

import (
	"testing"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

var cifar = data.Shape{TrainN: 50_000, TestN: 10_000, H: 32, W: 32, C: 3, Classes: 10}

// TestMemoryOf: what is counted on paper is what a training really takes, and asking for
// it takes a moment, however large the supernet.
func TestMemoryOf(t *testing.T) {
	for _, c := range []struct {
		policy string
		spec   space.Spec
	}{
		{"spos", space.Spec{Name: "nasbench101", MaxVertices: 7}}, {"darts", space.Spec{Name: "nasbench101", MaxVertices: 7}},
		{"spos", space.Spec{Name: "darts", Nodes: 4}}, {"darts", space.Spec{Name: "darts", Nodes: 4}},
		{"enas", space.Spec{Name: "darts", Nodes: 5}}, {"nao", space.Spec{Name: "darts", Nodes: 5}},
	} {
		sp := spaceOf(t, c.spec)
		job := small(t, c.policy, sp)
		job.Config.Channels = 8
		trainer, err := New(job)
		if err != nil {
			t.Fatal(err)
		}
		m, err := MemoryOf(c.policy, sp, job.Config, job.Data.Shape)
		if err != nil {
			t.Fatal(err)
		}
		if want := 3 * 4 * countParams(trainer.net.Params()); m.Weights != want {
			t.Errorf("%s in %v: %d bytes of weights, want %d", c.policy, sp, m.Weights, want)
		}
		// Four times the batch, four times the graph.
		larger := job.Config
		larger.Batch *= 4
		more, err := MemoryOf(c.policy, sp, larger, job.Data.Shape)
		if err != nil {
			t.Fatal(err)
		}
		if share := float64(more.Graph) / float64(m.Graph); share < 3.5 || share > 4.5 {
			t.Errorf("%s in %v: a batch of %d takes %d bytes, one of %d %d", c.policy, sp, job.Config.Batch, m.Graph, larger.Batch, more.Graph)
		}
		if real := largestGraph(t, trainer); c.policy != "darts" && (real < m.Graph || real > 2*m.Graph+1<<21) { // with the device's scratch
			t.Errorf("%s in %v: the largest graph takes %d bytes, on paper %d", c.policy, sp, real, m.Graph)
		}

		set := &data.Set{Shape: cifar}
		published, err := Default(c.policy, sp, set)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		m, err = MemoryOf(c.policy, sp, published, cifar)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		t.Logf("%s in %v: %v: %.2f GB, of which %.2f for weights, %.2f for the graph, %.2f for checkpoints, %v",
			c.policy, sp, published, float64(m.Sum())/1e9, float64(m.Weights)/1e9, float64(m.Graph)/1e9, float64(m.Checkpoint)/1e9, took)
		if took > 5*time.Second {
			t.Errorf("%s in %v: that took %v", c.policy, sp, took)
		}
	}
}

func largestGraph(t *testing.T, trainer *Trainer) int64 {
	t.Helper()
	var most int64
	for _, a := range largePaths(trainer.Space) {
		p, err := trainer.net.path(a, nn.Train, trainer.Config.Batch)
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, p.Graph.Bytes())
	}
	return most
}

// TestChainIsLarge: what stands for the largest path of NASBench-101 needs no less than any
// of many drawn ones, but for a tenth.
func TestChainIsLarge(t *testing.T) {
	sp := spaceOf(t, space.Spec{Name: "nasbench101", MaxVertices: 6})
	trainer, err := New(small(t, "spos", sp))
	if err != nil {
		t.Fatal(err)
	}
	chain := largestGraph(t, trainer)
	draws := rng.New(1, "test")
	for range 300 {
		a := sp.Sample(draws)
		p, err := trainer.net.path(a, nn.Train, trainer.Config.Batch)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Graph.Bytes(); float64(got) > 1.1*float64(chain) {
			t.Errorf("%v takes %d bytes, the largest that was looked at %d", a, got, chain)
		}
	}
}
