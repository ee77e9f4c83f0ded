package gpu

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	uuidA = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
	uuidB = "GPU-89f0aa11-0b8c-1a2b-3c4d-5e6f70819203"
)

var host = []GPU{
	{0, uuidA, "NVIDIA H100 80GB HBM3", 81559 << 20},
	{1, uuidB, "NVIDIA A100", 40 << 30},
	{3, "", "Orin (nvgpu)", 0},
}

// environment looks variables up in "NAME=VALUE" words.
func environment(words ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, word := range words {
			if value, ok := strings.CutPrefix(word, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

func TestOffered(t *testing.T) {
	a, b, c := uuidA, uuidB, "3"
	for _, test := range []struct {
		env  string
		want []string // ids
	}{
		{"", []string{a, b, c}},
		{"CUDA_VISIBLE_DEVICES=", nil},
		{"CUDA_VISIBLE_DEVICES=-1", nil},
		{"CUDA_VISIBLE_DEVICES=NoDevFiles", nil},
		{"CUDA_VISIBLE_DEVICES=all", []string{a, b, c}},
		{"CUDA_VISIBLE_DEVICES=1", []string{b}},
		{"CUDA_VISIBLE_DEVICES= 3, 0 ", []string{c, a}},
		{"CUDA_VISIBLE_DEVICES=1,0,1," + uuidB, []string{b, a}},
		{"CUDA_VISIBLE_DEVICES=1,-1,0", []string{b}},
		{"CUDA_VISIBLE_DEVICES=" + uuidB + ",0", []string{b, a}},
		{"CUDA_VISIBLE_DEVICES=GPU-8932", []string{a}},
		{"CUDA_VISIBLE_DEVICES=MIG-x,MIG-y", []string{"MIG-x", "MIG-y"}},
		{"EVALNAS_GPUS=0", nil},
		{"EVALNAS_GPUS=none", nil},
		{"EVALNAS_GPUS=", []string{a, b, c}},
		{"EVALNAS_GPUS=All", []string{a, b, c}},
		{"EVALNAS_GPUS=2", []string{a, b}},
		{"EVALNAS_GPUS=1 CUDA_VISIBLE_DEVICES=1,0", []string{b}},
		{"EVALNAS_GPUS=none CUDA_VISIBLE_DEVICES=9", nil}, // wrong, but it does not matter
	} {
		words := []string{test.env}
		if strings.HasPrefix(test.env, "EVALNAS_GPUS") {
			words = strings.Fields(test.env)
		}
		offered, err := Offered(host, environment(words...))
		var ids []string
		for _, g := range offered {
			ids = append(ids, g.id())
		}
		if err != nil || !slices.Equal(ids, test.want) {
			t.Errorf("%s: offered %q, %v; want %q", test.env, ids, err, test.want)
		}
	}
	if offered, err := Offered(nil, environment("CUDA_VISIBLE_DEVICES=0")); err != nil || len(offered) != 0 {
		t.Errorf("a host without GPUs offers %v, %v", offered, err)
	}
}

func TestOfferedRefuses(t *testing.T) {
	for env, want := range map[string]string{
		"CUDA_VISIBLE_DEVICES=2":        `is "2": no GPU here is "2"; there are 0 = ` + uuidA + ", 1 = " + uuidB + ", 3: list them",
		"CUDA_VISIBLE_DEVICES=0;1":      `no GPU here is "0;1"`,
		"CUDA_VISIBLE_DEVICES=GPU-89":   `2 GPUs begin with "GPU-89"`,
		"CUDA_VISIBLE_DEVICES=GPU-0":    `no GPU here is "GPU-0"`,
		"CUDA_VISIBLE_DEVICES=8932f937": `no GPU here`,
		"EVALNAS_GPUS=some":             `EVALNAS_GPUS is "some": set it to`,
		"EVALNAS_GPUS=-1":               `0 to 1024`,
		"EVALNAS_GPUS=9999":             `0 to 1024`,
	} {
		if offered, err := Offered(host, environment(env)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: offered %v, %v; want an error with %s", env, offered, err, want)
		}
	}
}

// What is offered belongs to whoever asked.
func TestOfferedIsACopy(t *testing.T) {
	offered, err := Offered(host, environment("EVALNAS_GPUS=1"))
	if err != nil {
		t.Fatal(err)
	}
	if _ = append(offered, GPU{}); host[1].UUID != uuidB {
		t.Error("appending to what was offered changed what was found")
	}
}

func TestPartOfASplitGPU(t *testing.T) {
	old := "MIG-" + uuidB + "/1/0"
	offered, err := Offered(host, environment("CUDA_VISIBLE_DEVICES="+old))
	if want := []GPU{{1, old, "part of NVIDIA A100", 0}}; err != nil || !slices.Equal(offered, want) {
		t.Fatalf("offered %+v, %v; want %+v", offered, err, want)
	}
	if got, want := offered[0].LockName(), "gpu-MIG-"+uuidB+"_1_0"; got != want {
		t.Errorf("its lock is %q, want %q", got, want)
	}
}

func TestBinding(t *testing.T) {
	for _, c := range []struct {
		gpu        GPU
		lock, text string
	}{
		{host[0], "gpu-" + uuidA, "0 NVIDIA H100 80GB HBM3 (79.6 GiB)"},
		{host[2], "gpu-3", "3 Orin (nvgpu)"},
	} {
		want := map[string]string{"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": strings.TrimPrefix(c.lock, "gpu-")}
		if got := Environment(c.gpu); !maps.Equal(got, want) {
			t.Errorf("%v is bound by %q, want %q", c.gpu, got, want)
		}
		if got := c.gpu.LockName(); got != c.lock || filepath.Base(got) != got {
			t.Errorf("the lock of %v is %q, want %q", c.gpu, got, c.lock)
		}
		if c.gpu.String() != c.text {
			t.Errorf("shown as %q, want %q", c.gpu, c.text)
		}
		// A job that looks for GPUs itself is offered the one that it is bound to.
		if offered, err := Offered(host, environment("CUDA_VISIBLE_DEVICES="+Environment(c.gpu)["CUDA_VISIBLE_DEVICES"])); err != nil || !slices.Equal(offered, []GPU{c.gpu}) {
			t.Errorf("what is bound to %v is offered %v, %v", c.gpu, offered, err)
		}
	}
}

// Where the user wants none, a driver that fails is not even asked.
func TestOfferLooksOnlyWhereGPUsAreWanted(t *testing.T) {
	t.Setenv("EVALNAS_GPUS", "none")
	ctx, cancel := contextThatEnded(t)
	defer cancel()
	if offered, err := Offer(ctx); err != nil || offered != nil {
		t.Errorf("offered %v, %v", offered, err)
	}
	t.Setenv("EVALNAS_GPUS", "many")
	if _, err := Offer(ctx); err == nil || errors.Is(err, ctx.Err()) {
		t.Errorf("EVALNAS_GPUS=many: %v", err)
	}
}

func TestBindingToSeveralAndToNone(t *testing.T) {
	if got := Environment(host[2], host[0])["CUDA_VISIBLE_DEVICES"]; got != "3,"+uuidA {
		t.Errorf("two are bound by %q", got)
	}
	if got, set := Environment()["CUDA_VISIBLE_DEVICES"]; got != "" || !set {
		t.Errorf("none is bound by %q, set %v", got, set)
	}
}
