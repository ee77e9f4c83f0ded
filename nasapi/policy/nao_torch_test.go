package policy

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	G "gorgonia.org/gorgonia"

	"evalnas/nasapi/detmath"
)

// torchNAO is testdata/nao.json; testdata/README.md says how it was made.
type torchNAO struct {
	Clip, Rate, Decay float64
	Models            []torchModel
}

type torchModel struct {
	Name                                             string
	Vocab, Length, Group, Embed, Hidden, Layer, Rows int
	Parameters                                       []struct {
		Name  string
		Shape []int
	}
	Tokens                   []int
	Legal                    [][2]int
	Losses, Norms, Gradients []float64
	AbsoluteSums             []float64 `json:"absolute_sums"`
	Predictions              []float64
	Decoded                  map[string][]int
	shape                    *naoShape
	packed, targets, masks   []float64
}

// torchNoise are n numbers of the generator that the README describes.
func torchNoise(n, start int) []float64 {
	x := make([]float64, n)
	for i := range x {
		k := int64(start + i)
		for _, f := range []int64{48271, 69621, 16807} {
			k = (k + 77) * f % 2147483647
		}
		x[i] = float64(k%4096-2048) / 2048
	}
	return x
}

func readTorchNAO(t *testing.T) *torchNAO {
	t.Helper()
	raw, err := os.ReadFile("testdata/nao.json")
	if err != nil {
		t.Fatal(err)
	}
	all := new(torchNAO)
	if err := json.Unmarshal(raw, all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Models {
		m := &all.Models[i]
		m.shape = &naoShape{vocab: m.Vocab, length: m.Length, group: m.Group, embed: m.Embed, hidden: m.Hidden, layer: m.Layer}
		m.packed = make([]float64, m.shape.size())
		at := 0
		for _, p := range m.Parameters {
			n := product(p.Shape)
			x := torchNoise(n, at)
			for i := range x {
				x[i] *= 0.8
			}
			m.place(p.Name, m.packed, func(to *float64, i int) { *to = x[i] })
			at += n
		}
		if at != len(m.packed) {
			t.Fatalf("%s: PyTorch has %d parameters, ours %d", m.Name, at, len(m.packed))
		}
		m.targets, m.masks = torchNoise(m.Rows, 2_000_000), torchNoise(m.Rows*m.shape.maskSize(), 3_000_000)
		for i, v := range m.targets {
			m.targets[i] = (1 + v) / 2
		}
		for i, v := range m.masks {
			if m.masks[i] = 0; v > -0.8 {
				m.masks[i] = 1 / 0.9
			}
		}
	}
	return all
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// place calls f for each element of PyTorch's parameter, with ours that is the same and
// its place in PyTorch's order.
func (m *torchModel) place(name string, packed []float64, f func(ours *float64, i int)) {
	w, h := cutNAO(m.shape, packed), m.Hidden
	plain := func(x []float64) {
		for i := range x {
			f(&x[i], i)
		}
	}
	// turned is inputs from..to-1 of a layer that has so many in PyTorch.
	turned := func(l naoLinear[float64], from, inputs int) {
		for in := range l.inputs {
			for out := range l.outputs {
				f(&l.w[in*l.outputs+out], out*inputs+from+in)
			}
		}
	}
	lstm := func(l *naoLSTM[float64]) map[string]func() {
		return map[string]func(){
			"_embedding.weight": func() { plain(l.embedding) },
			".weight_ih_l0":     func() { turned(l.in, 0, l.in.inputs) },
			".weight_hh_l0":     func() { turned(l.hid, 0, h) },
			".bias_ih_l0":       func() { plain(l.biasInput) },
			".bias_hh_l0":       func() { plain(l.biasHid) },
		}
	}
	all := map[string]func(){
		"attention.weight": func() { turned(w.attention, 0, h) },
		"join.weight": func() {
			turned(w.mixOut, 0, 2*h)
			turned(w.stateOut, h, 2*h)
		},
		"out.weight":   func() { turned(w.out, 0, h) },
		"out.bias":     func() { plain(w.out.bias) },
		"value.weight": func() { plain(w.predictor[naoLayers].w) },
		"value.bias":   func() { plain(w.predictor[naoLayers].bias) },
	}
	for suffix, g := range lstm(&w.encoder) {
		all["encoder"+suffix] = g
	}
	for suffix, g := range lstm(&w.decoder) {
		all["decoder"+suffix] = g
	}
	for i := range naoLayers {
		l := w.predictor[i]
		all["predictor."+strconv.Itoa(i)+".weight"] = func() { turned(l, 0, l.inputs) }
		all["predictor."+strconv.Itoa(i)+".bias"] = func() { plain(l.bias) }
	}
	all[name]()
}

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*(1+math.Abs(want))
}

// In double precision everything is PyTorch's, but for rounding: losses, gradients and
// their lengths, five steps of the solver, predictions, and what is decoded.
func TestNAOIsPyTorchs(t *testing.T) {
	all := readTorchNAO(t)
	for i := range all.Models {
		m := &all.Models[i]
		b := newNAOBatch[float64](m.shape, m.Rows, true)
		grad := make([]float64, len(m.packed))
		solver := &adam{rate: all.Rate, beta1: 0.9, beta2: 0.999, eps: 1e-8}
		for step, want := range m.Losses {
			if got := b.loss(m.packed, m.Tokens, m.targets, m.masks); !near(got, want, 1e-11) {
				t.Fatalf("%s, step %d: loss %v, PyTorch's %v", m.Name, step, got, want)
			}
			b.gradient(m.targets, 1, grad)
			if step == 0 {
				m.compareSums(t, grad, m.Gradients, func(v, noise float64) float64 { return v * noise })
			}
			norm := math.Sqrt(detmath.Dot(grad, grad))
			if !near(norm, m.Norms[step], 1e-10) {
				t.Errorf("%s, step %d: the gradient's length is %v, PyTorch's %v", m.Name, step, norm, m.Norms[step])
			}
			scale := min(1, all.Clip/(norm+1e-6))
			for i, w := range m.packed {
				grad[i] = grad[i]*scale + all.Decay*w
			}
			if err := solver.Step([]G.ValueGrad{&pair{m.packed, grad}}); err != nil {
				t.Fatal(err)
			}
		}
		m.compareSums(t, m.packed, m.AbsoluteSums, func(v, _ float64) float64 { return math.Abs(v) })
		c := newNAOClimb(m.shape, m.packed, m.Tokens)
		for i, v := range c.values() {
			if !near(v, m.Predictions[i], 1e-10) {
				t.Errorf("%s: prediction %d is %v, PyTorch's %v", m.Name, i, v, m.Predictions[i])
			}
		}
		moved := 0
		for key, want := range m.Decoded {
			step, err := strconv.Atoi(key)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.decode(float64(step), m.Legal); !slices.Equal(got, want) {
				t.Errorf("%s: after a step of %d %v is decoded, by PyTorch %v", m.Name, step, got, want)
			}
			if !slices.Equal(want, m.Decoded["0"]) {
				moved++
			}
		}
		if moved == 0 {
			t.Errorf("%s: no step changes what is decoded", m.Name)
		}
	}
}

// compareSums holds the sums of f over each parameter to PyTorch's.
func (m *torchModel) compareSums(t *testing.T, packed, want []float64, f func(v, noise float64) float64) {
	t.Helper()
	for i, p := range m.Parameters {
		noise, sum := torchNoise(product(p.Shape), 5_000_000), 0.0
		m.place(p.Name, packed, func(v *float64, i int) { sum += f(*v, noise[i]) })
		if !near(sum, want[i], 1e-9) {
			t.Errorf("%s, %s: sum %v, PyTorch's %v", m.Name, p.Name, sum, want[i])
		}
	}
}

// What is used, in single precision with its own solver, stays near.
func TestNAOLearnerIsNearPyTorch(t *testing.T) {
	all := readTorchNAO(t)
	for i := range all.Models {
		m := &all.Models[i]
		l := newNAOLearner(m.shape, single(m.packed), &naoAdam{rate: all.Rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: all.Decay, clip: all.Clip})
		batch, err := l.of(m.Rows)
		if err != nil {
			t.Fatal(err)
		}
		copy(batch.tokens, m.Tokens)
		copy(batch.targets, single(m.targets))
		copy(batch.masks, single(m.masks))
		for step, want := range m.Losses {
			if got, err := l.step(batch); err != nil || !near(got, want, 2e-6) {
				t.Errorf("%s, step %d: loss %v, PyTorch's %v; %v", m.Name, step, got, want, err)
			}
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
}

func single(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
