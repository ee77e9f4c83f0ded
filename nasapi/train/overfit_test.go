package train

import (
	"context"
	"testing"

	"evalnas/nasapi/data"
	"evalnas/nasapi/space"
)

// overfit trains on 64 images until the network knows them all.
func overfit(t *testing.T, set *data.Set) {
	t.Helper()
	g, err := space.NamedGenotype("darts_1268")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DARTS(set)
	cfg.Epochs, cfg.Batch, cfg.Channels, cfg.Cells, cfg.Auxiliary = 100, 32, 12, 3, false
	cfg.Rate, cfg.Decay, cfg.DropPath = 0.05, 0, 0
	cfg.Augment.Pad, cfg.Augment.Flip, cfg.Augment.Cutout = 0, false, 0
	cfg.Split = data.Split{TrainN: 64}
	r, err := Run(context.Background(), Job{Device: openCPU(t, 2), Arch: g, Data: set, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Curve[len(r.Curve)-1]
	if last.Accuracy != 1 {
		t.Errorf("after %d epochs it knows %.1f %% of 64 images, with a loss of %v", last.Epoch, 100*last.Accuracy, last.Loss)
	}
	t.Logf("loss %.4f, accuracy %v", last.Loss, last.Accuracy)
}

func TestOverfitsSyntheticImages(t *testing.T) {
	set, err := data.Synthetic(data.SyntheticSpec{TestN: 16})
	if err != nil {
		t.Fatal(err)
	}
	overfit(t, set)
}

func TestOverfitsRealImages(t *testing.T) {
	entry, err := data.Resolve("cifar10")
	if err != nil {
		t.Skipf("the real images are not at hand: %v", err)
	}
	set, err := data.Open(t.Context(), entry.Spec())
	if err != nil {
		t.Fatal(err)
	}
	overfit(t, set)
}
