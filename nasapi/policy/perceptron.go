package policy

import (
	"math"

	"evalnas/nasapi/detmath"
	"evalnas/nasapi/rng"
)

// perceptron predicts a number: layers of one width with ReLU, then a linear one. It is
// written by hand, in single precision: so small a network takes Gorgonia longer to walk
// its graph than to compute.
type perceptron struct {
	inputs, width, layers int
	packed                []float32 // by layer: weights (inputs x outputs), then biases
}

// sizes are the inputs and outputs of a layer.
func (n *perceptron) sizes(layer int) (in, out int) {
	in, out = n.width, n.width
	if layer == 0 {
		in = n.inputs
	}
	if layer == n.layers {
		out = 1
	}
	return in, out
}

// cut is a layer's weights and biases in a vector like packed, and what comes after them.
func (n *perceptron) cut(packed []float32, layer int) (w detmath.Matrix[float32], bias, rest []float32) {
	in, out := n.sizes(layer)
	return detmath.Dense(in, out, packed), packed[in*out : in*out+out], packed[in*out+out:]
}

// newPerceptron draws the weights uniformly in +-sqrt(6/inputs), of the last layer
// +-sqrt(3/inputs) (He et al., ICCV 2015, section 2.2, as uniform numbers of that
// variance); biases are 0.
func newPerceptron(inputs, width, layers int, s *rng.Stream) *perceptron {
	n := &perceptron{inputs: inputs, width: width, layers: layers}
	size := 0
	for l := range layers + 1 {
		in, out := n.sizes(l)
		size += (in + 1) * out
	}
	n.packed = make([]float32, size)
	rest := n.packed
	for l := range layers + 1 {
		in, _ := n.sizes(l)
		var w detmath.Matrix[float32]
		w, _, rest = n.cut(rest, l)
		gain := 6.0
		if l == layers {
			gain = 3
		}
		bound := math.Sqrt(gain / float64(in))
		for i := range w.Data {
			w.Data[i] = float32(float64((float64(2*s.Float64()) - 1) * bound))
		}
	}
	return n
}

// pass is a perceptron's work on some rows.
type perceptronPass struct {
	*perceptron
	rows int
	x    [][]float32 // inputs of each layer, then the prediction
	// To learn:
	dx, dz, turned, grad []float32
}

func (n *perceptron) pass(rows int) *perceptronPass {
	p := &perceptronPass{perceptron: n, rows: rows, x: make([][]float32, n.layers+2)}
	p.x[0] = make([]float32, rows*n.inputs)
	for l := range n.layers + 1 {
		_, out := n.sizes(l)
		p.x[l+1] = make([]float32, rows*out)
	}
	return p
}

// forward predicts from p.x[0].
func (p *perceptronPass) forward() []float32 {
	rest := p.packed
	for l := range p.layers + 1 {
		var w detmath.Matrix[float32]
		var bias []float32
		w, bias, rest = p.cut(rest, l)
		y := p.x[l+1]
		for r := range p.rows {
			copy(y[r*len(bias):], bias)
		}
		detmath.AddProduct(detmath.Dense(p.rows, w.Cols, y), detmath.Dense(p.rows, w.Rows, p.x[l]), w)
		if l == p.layers {
			break
		}
		for i, v := range y {
			if v < 0 {
				y[i] = 0
			}
		}
	}
	return p.x[p.layers+1]
}

// backward is the gradient of the mean absolute error of what forward predicted.
func (p *perceptronPass) backward(targets []float32) []float32 {
	if p.grad == nil {
		wide := max(p.inputs, p.width)
		p.grad, p.dz, p.dx = make([]float32, len(p.packed)), make([]float32, p.rows*p.width), make([]float32, p.rows*wide)
		p.turned = make([]float32, wide*p.width)
	}
	clear(p.grad)
	share := 1 / float32(p.rows)
	dz := p.dz[:p.rows]
	for r, y := range p.x[p.layers+1] {
		switch {
		case y > targets[r]:
			dz[r] = share
		case y < targets[r]:
			dz[r] = -share
		default:
			dz[r] = 0
		}
	}
	end := len(p.packed)
	for l := p.layers; l >= 0; l-- {
		in, out := p.sizes(l)
		end -= (in + 1) * out
		w, _, _ := p.cut(p.packed[end:], l)
		dw, dbias, _ := p.cut(p.grad[end:], l)
		d := detmath.Dense(p.rows, out, dz)
		detmath.AddTransposedProduct(dw, detmath.Dense(p.rows, in, p.x[l]), d)
		for r := range p.rows {
			for i, v := range dz[r*out : (r+1)*out] {
				dbias[i] += v
			}
		}
		if l == 0 {
			break
		}
		turned := detmath.Dense(out, in, p.turned)
		detmath.Transpose(turned.Data, w)
		dx := p.dx[:p.rows*in]
		clear(dx)
		detmath.AddProduct(detmath.Dense(p.rows, in, dx), d, turned)
		for i, v := range p.x[l] {
			if v <= 0 {
				dx[i] = 0
			}
		}
		dz = p.dz[:p.rows*in]
		copy(dz, dx)
	}
	return p.grad
}

// fit trains on rows of x (each of p.inputs numbers) by Adam.
func (n *perceptron) fit(x [][]float32, y []float32, epochs, batch int, rate float64, s *rng.Stream, stop func() error) error {
	solver := &naoAdam{rate: rate, beta1: 0.9, beta2: 0.999, eps: 1e-8}
	passes := map[int]*perceptronPass{}
	targets := make([]float32, batch)
	for range epochs {
		if err := stop(); err != nil {
			return err
		}
		for order := s.Perm(len(x)); len(order) > 0; {
			rows := order[:min(batch, len(order))]
			order = order[len(rows):]
			p := passes[len(rows)]
			if p == nil {
				p = n.pass(len(rows))
				passes[len(rows)] = p
			}
			for i, at := range rows {
				copy(p.x[0][i*n.inputs:], x[at])
				targets[i] = y[at]
			}
			p.forward()
			grad := p.backward(targets)
			solver.begin(len(grad))
			solver.update(n.packed, grad, solver.m, solver.v, 1)
		}
	}
	return nil
}

// predict is the prediction for each row of x.
func (n *perceptron) predict(x [][]float32) []float32 {
	p := n.pass(len(x))
	for i, row := range x {
		copy(p.x[0][i*n.inputs:], row)
	}
	return p.forward()
}
