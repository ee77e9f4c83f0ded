package net

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"evalnas/nasapi/net/safetensors"
	"evalnas/nasapi/space"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func small(t testing.TB, arch space.Arch, cfg Config) *Network {
	cfg.Channels, cfg.Cells = 7, 3
	return mustNew(t, fakeDevice{}, arch, cfg)
}

func TestFirstWeights(t *testing.T) {
	for _, rule := range []Start{PyTorch, TensorFlow} {
		n := mustNew(t, fakeDevice{}, everything(t), Config{Cells: 3, Channels: 24, Start: rule, Auxiliary: true})
		n.Initialise(5)
		for _, tensor := range n.tensors {
			if tensor.param != nil {
				checkStart(t, rule, tensor, n.read(tensor.param))
			}
		}
		for _, bn := range n.norms {
			if slices.Max(bn.Mean) != 0 || slices.Min(bn.Var) != 1 || slices.Max(bn.Var) != 1 {
				t.Errorf("%s starts at %v, %v", bn.Name, bn.Mean, bn.Var)
			}
		}
	}
}

// checkStart compares bound and variance with the rule's.
func checkStart(t *testing.T, rule Start, tensor tensor, x []float32) {
	t.Helper()
	in, out := float64(tensor.fanIn), float64(tensor.fanOut)
	var bound, variance float64
	switch {
	case strings.HasSuffix(tensor.name, ".weight") && len(tensor.shape) == 1:
		if slices.Min(x) != 1 || slices.Max(x) != 1 {
			t.Errorf("%s: the scale starts at %v", tensor.name, x)
		}
		return
	case in == 0 || rule == TensorFlow && tensor.role == biasRole:
		if slices.Min(x) != 0 || slices.Max(x) != 0 {
			t.Errorf("%s: starts at %v, want 0", tensor.name, x)
		}
		return
	case rule == PyTorch:
		bound = 1 / math.Sqrt(in)
		variance = bound * bound / 3
	case tensor.role == linearRole:
		bound = math.Sqrt(6 / (in + out))
		variance = bound * bound / 3
	default:
		bound, variance = 2/math.Sqrt(in)/truncatedDeviation, 1/in
	}
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
		if math.Abs(float64(v)) > bound*(1+1e-6) {
			t.Fatalf("%s has %v, beyond %v", tensor.name, v, bound)
		}
	}
	count := float64(len(x))
	if tolerance := 6 * math.Sqrt(variance/count); math.Abs(sum/count) > tolerance {
		t.Errorf("%s: mean %v of %v numbers", tensor.name, sum/count, count)
	}
	if got := squares / count; math.Abs(got-variance) > 6*variance/math.Sqrt(count) {
		t.Errorf("%s: variance %v, want %v", tensor.name, got, variance)
	}
}

// The values are pinned: they are part of every result. Each parameter's depend on
// the seed and its name alone, so a head more or less changes no other.
func TestFirstWeightsAreReproducible(t *testing.T) {
	for _, c := range []struct {
		arch space.Arch
		want uint32
	}{{everything(t), 0x7ad6741f}, {residual(t), 0x5fa6cfd8}} {
		n := small(t, c.arch, Config{})
		n.Initialise(1268)
		if got := checksum(n); got != c.want {
			t.Errorf("%v: the first weights have the checksum %#08x, want %#08x", c.arch, got, c.want)
		}
	}
	plain, headed := small(t, everything(t), Config{}), small(t, everything(t), Config{Auxiliary: true})
	plain.Initialise(3)
	headed.Initialise(3)
	for _, p := range plain.Params() {
		if !slices.Equal(plain.read(p), headed.read(headed.Param(p.Name))) {
			t.Errorf("%s differs with an auxiliary head", p.Name)
		}
	}
	before := plain.State()
	plain.Initialise(4)
	if reflect.DeepEqual(before, plain.State()) {
		t.Error("two seeds give the same weights")
	}
	plain.BatchNorms()[0].Mean[0], plain.BatchNorms()[0].Batches = 3, 7
	plain.Initialise(3)
	if !reflect.DeepEqual(before, plain.State()) {
		t.Error("the weights of one seed differ the second time")
	}
}

func checksum(n *Network) uint32 {
	sum := crc32.NewIEEE()
	for _, p := range n.Params() {
		for _, v := range n.read(p) {
			fmt.Fprintf(sum, "%08x", math.Float32bits(v))
		}
	}
	return sum.Sum32()
}

// scramble gives every number of a network's state a value of its own.
func scramble(n *Network) {
	next := float32(0)
	number := func() float32 { next++; return next }
	for _, p := range n.Params() {
		values := make([]float32, p.Len())
		for i := range values {
			values[i] = number()
		}
		n.dev.Write(p.Value, 0, values)
	}
	for i, bn := range n.BatchNorms() {
		for c := range bn.Mean {
			bn.Mean[c], bn.Var[c] = number(), number()
		}
		bn.Batches = int64(i)
	}
}

func TestStatesComeBack(t *testing.T) {
	n := small(t, everything(t), Config{})
	scramble(n)
	state := n.State()
	n.Initialise(1)
	if reflect.DeepEqual(n.State(), state) {
		t.Fatal("nothing changed")
	}
	if err := n.Restore(state); err != nil || !reflect.DeepEqual(n.State(), state) {
		t.Errorf("the restored state differs (%v)", err)
	}
	n.BatchNorms()[0].Mean[0]++
	if state.Norms[0].Mean[0] == n.BatchNorms()[0].Mean[0] {
		t.Error("a state shares memory with its network")
	}
	before := n.State()
	for _, spoil := range []func(*State){
		func(s *State) { s.Params = s.Params[1:] },
		func(s *State) { s.Norms = nil },
		func(s *State) { s.Params[3] = s.Params[3][1:] },
		func(s *State) { s.Norms[len(s.Norms)-1].Var = nil },
	} {
		bad := small(t, everything(t), Config{}).State()
		spoil(&bad)
		if err := n.Restore(bad); err == nil || !reflect.DeepEqual(n.State(), before) {
			t.Errorf("a state that does not fit: %v", err)
		}
	}
}

// The layouts by hand: PyTorch's [out][in][height][width] of ours.
func TestPyTorchLayouts(t *testing.T) {
	n := small(t, everything(t), Config{})
	scramble(n)
	weights := map[string]safetensors.Tensor{}
	for _, w := range n.Weights() {
		weights[w.Name] = w
	}
	at := func(w safetensors.Tensor, index ...int) float32 {
		i := 0
		for d, x := range index {
			i = i*w.Shape[d] + x
		}
		return w.Floats[i]
	}
	own := func(name string, index int) float32 { return n.read(n.Param(name))[index] }
	for _, c := range []struct {
		name  string
		shape []int
		index []int
		own   int
	}{
		// Normal cells have 7 channels until the reduction of cell 1.
		{"stem.0.weight", []int{21, 3, 3, 3}, []int{20, 2, 1, 0}, ((1*3+0)*3+2)*21 + 20},
		{"cells.0._ops.3.op.1.weight", []int{7, 1, 3, 3}, []int{5, 0, 2, 1}, (2*3+1)*7 + 5},
		{"cells.0._ops.3.op.2.weight", []int{7, 7, 1, 1}, []int{5, 3, 0, 0}, 3*7 + 5},
		{"cells.0._ops.8.1.weight", []int{7, 7, 1, 7}, []int{5, 3, 0, 6}, (6*7+3)*7 + 5},
		{"cells.0._ops.8.2.weight", []int{7, 7, 7, 1}, []int{5, 3, 6, 0}, (6*7+3)*7 + 5},
		{"cells.0._ops.3.op.7.bias", []int{7}, []int{6}, 6},
		{"cells.0.preprocess0.op.1.weight", []int{7, 21, 1, 1}, []int{2, 20, 0, 0}, 20*7 + 2},
		{"cells.1._ops.2.conv_2.weight", []int{7, 14, 1, 1}, []int{2, 13, 0, 0}, 13*7 + 2},
		{"classifier.weight", []int{10, 112}, []int{3, 100}, 100*10 + 3},
	} {
		w := weights[c.name]
		if !slices.Equal(w.Shape, c.shape) {
			t.Errorf("%s has the shape %v, want %v", c.name, w.Shape, c.shape)
			continue
		}
		if got, want := at(w, c.index...), own(c.name, c.own); got != want {
			t.Errorf("%s%v is %v, want %v", c.name, c.index, got, want)
		}
	}
	last := n.BatchNorms()[len(n.BatchNorms())-1]
	if !slices.Equal(weights[last.Name+".running_var"].Floats, last.Var) || weights[last.Name+".num_batches_tracked"].Ints[0] != last.Batches {
		t.Errorf("the statistics of %s are not in the weights", last.Name)
	}
}

// A projection in pieces is one tensor outside.
func TestPiecesOfAProjectionAreOneTensor(t *testing.T) {
	n := small(t, residual(t), Config{})
	scramble(n)
	for _, w := range n.Weights() {
		switch w.Name {
		case "cells.2.projections.4.0.weight":
			if !slices.Equal(w.Shape, []int{28, 14, 1, 1}) {
				t.Errorf("%s has the shape %v", w.Name, w.Shape)
			}
			// Pieces of 10, 9 and 9: channel 12 is the third of the second.
			if got, want := w.Floats[12*14+5], n.read(n.Param("cells.2.projections.4.0.weight[10:19]"))[5*9+2]; got != want {
				t.Errorf("channel 12 has %v for input 5, want %v", got, want)
			}
		case "cells.2.projections.4.1.running_mean":
			if !slices.Equal(w.Shape, []int{28}) || len(w.Floats) != 28 {
				t.Errorf("%s has the shape %v", w.Name, w.Shape)
			}
		}
		if strings.Contains(w.Name, "[") {
			t.Errorf("%s is no name of PyTorch's", w.Name)
		}
	}
}

func TestWeightsComeBack(t *testing.T) {
	for _, arch := range []space.Arch{everything(t), residual(t), inception(t)} {
		n := small(t, arch, Config{})
		scramble(n)
		state := n.State()
		if arch.Space() == "nasbench101" { // pieces of a norm count the same batches
			for i := range state.Norms {
				state.Norms[i].Batches = 4
			}
			n.Restore(state)
		}
		var file bytes.Buffer
		if err := n.WriteWeights(&file); err != nil {
			t.Fatal(err)
		}
		n.Initialise(1)
		if err := n.ReadWeights(file.Bytes()); err != nil || !reflect.DeepEqual(n.State(), state) {
			t.Errorf("%v: the weights that were read differ (%v)", arch, err)
		}
		if err := n.ReadWeights(file.Bytes()[:file.Len()-3]); err == nil {
			t.Error("a file that is cut short is read")
		}
	}
}

func TestWeightsThatDoNotFit(t *testing.T) {
	n := small(t, everything(t), Config{})
	n.Initialise(1)
	before := n.State()
	for _, c := range []struct {
		name, want string
		spoil      func([]safetensors.Tensor) []safetensors.Tensor
	}{
		{"missing", "stem.0.weight: it is missing", func(w []safetensors.Tensor) []safetensors.Tensor { return w[1:] }},
		{"unknown", `"stem.9.weight", which this network`, func(w []safetensors.Tensor) []safetensors.Tensor {
			return append(w, safetensors.Tensor{Name: "stem.9.weight", Floats: []float32{1}})
		}},
		{"shape", "have the shape [3 21 3 3]; the network's is [21 3 3 3]", func(w []safetensors.Tensor) []safetensors.Tensor {
			w[0].Shape = []int{3, 21, 3, 3}
			return w
		}},
		{"integers", "of floats", func(w []safetensors.Tensor) []safetensors.Tensor {
			w[0].Ints, w[0].Floats = make([]int64, len(w[0].Floats)), nil
			return w
		}},
		{"count", "one integer", func(w []safetensors.Tensor) []safetensors.Tensor {
			for i := range w {
				if strings.HasSuffix(w[i].Name, "tracked") {
					w[i].Ints, w[i].Shape = []int64{1, 2}, []int{2}
				}
			}
			return w
		}},
	} {
		err := n.SetWeights(c.spoil(small(t, everything(t), Config{}).Weights()))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", c.name, err, c.want)
		}
		if !reflect.DeepEqual(n.State(), before) {
			t.Errorf("%s: the network changed", c.name)
		}
	}
	// A trained network's head is not needed to evaluate it; nor are counts.
	headed := small(t, everything(t), Config{Auxiliary: true}).Weights()
	headed = slices.DeleteFunc(headed, func(w safetensors.Tensor) bool { return strings.HasSuffix(w.Name, "tracked") })
	if err := n.SetWeights(headed); err != nil {
		t.Error(err)
	}
	if err := small(t, everything(t), Config{Auxiliary: true}).SetWeights(n.Weights()); err == nil {
		t.Error("a network with a head takes weights without one")
	}
}

// PyTorch 1.13 has run the files: the same names, shapes and logits as the engine.
func TestPyTorchModules(t *testing.T) {
	for name, c := range map[string]struct {
		arch space.Arch
		cfg  Config
	}{
		"darts_v2.py":   {genotypes(t)["DARTS_V2"], Config{Auxiliary: true}},
		"everything.py": {everything(t), Config{Channels: 7, Cells: 3, Height: 97, Width: 70, Auxiliary: true}},
		"residual.py":   {residual(t), Config{Channels: 8, Cells: 6, Height: 130, Width: 130, AsPublished: true}},
	} {
		got, err := ToPyTorch(c.arch, c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the module of %s differs from the file; look at the difference after -update", name)
		}
	}
}
