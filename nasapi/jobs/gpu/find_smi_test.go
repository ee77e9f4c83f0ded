//go:build !nvidia

package gpu

import (
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if found, err := Find(t.Context()); found != nil || err != nil {
		t.Errorf("without nvidia-smi: %v, %v", found, err)
	}
}

func TestFindAndOffer(t *testing.T) {
	fakeSMI(t, "echo '0, "+uuidA+", NVIDIA H100 80GB HBM3, 81559'\necho '1, "+uuidB+", NVIDIA A100, 40960'\n")
	t.Setenv("EVALNAS_GPUS", "")
	t.Setenv("CUDA_VISIBLE_DEVICES", "1")
	if found, err := Find(t.Context()); err != nil || !slices.Equal(found, host[:2]) {
		t.Errorf("found %+v, %v", found, err)
	}
	if offered, err := Offer(t.Context()); err != nil || !slices.Equal(offered, host[1:2]) {
		t.Errorf("offered %+v, %v", offered, err)
	}
}

func TestOfferPassesTheFaultOn(t *testing.T) {
	fakeSMI(t, "exit 9")
	t.Setenv("EVALNAS_GPUS", "")
	if offered, err := Offer(t.Context()); err == nil {
		t.Errorf("offered %v by a driver that fails", offered)
	}
}
