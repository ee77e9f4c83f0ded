package net

import (
	"strings"

	"evalnas/nasapi/nn"
)

// layout is how the numbers of a tensor lie in PyTorch and in the engine.
type layout uint8

const (
	asVector    layout = iota // [c] in both
	asDense                   // [out][in][kh][kw]; [kh*kw][in][out]
	asDepthwise               // [c][1][kh][kw]; [kh*kw][c]
	asLinear                  // [out][in]; [in][out]
	asCount                   // a single integer
)

// role says how a parameter begins.
type role uint8

const (
	kernelRole role = iota // of a convolution
	linearRole
	biasRole // of a linear layer
	oneRole
	zeroRole
)

// tensor is one entry of the network's state as PyTorch names it, or one of several
// pieces of it, which follow each other along PyTorch's first axis.
type tensor struct {
	name   string
	layout layout
	shape  []int // in PyTorch

	// One of these.
	param     *nn.Param
	statistic []float32 // a batch norm's mean or variance
	batches   *int64

	role          role
	fanIn, fanOut int
}

// auxiliaryPrefix begins the names of all that the auxiliary head has.
const auxiliaryPrefix = "auxiliary_head."

func isAuxiliary(name string) bool { return strings.HasPrefix(name, auxiliaryPrefix) }

// maker makes a network's parameters in order. After its first error it makes no
// more; the error is looked at once, at the end.
type maker struct {
	n     *Network
	plain bool // batch norms have no parameters
	// untracked norms keep no running statistics: those of the batch are always used.
	untracked bool
	err       error
}

// add makes the parameter of a tensor. piece, unless it is "", tells the pieces of
// one tensor apart.
func (m *maker) add(t tensor, piece string, shape ...int) *nn.Param {
	p := &nn.Param{Name: t.name + piece, Shape: shape}
	if m.err == nil {
		p, m.err = nn.NewParam(m.n.dev, t.name+piece, shape...)
	}
	if m.err != nil {
		return &nn.Param{Name: t.name + piece, Shape: shape}
	}
	t.param = p
	m.n.params = append(m.n.params, p)
	m.n.tensors = append(m.n.tensors, t)
	return p
}

// dense is the weight of a dense convolution without a bias.
func (m *maker) dense(name, piece string, kh, kw, in, out int) nn.Weight {
	t := tensor{name: name + ".weight", layout: asDense, shape: []int{out, in, kh, kw}, role: kernelRole, fanIn: kh * kw * in, fanOut: kh * kw * out}
	return m.add(t, piece, kh*kw, in, out).Whole()
}

// depthwise is the weight of a depthwise convolution of c channels.
func (m *maker) depthwise(name string, k, c int) *nn.Weight {
	t := tensor{name: name + ".weight", layout: asDepthwise, shape: []int{c, 1, k, k}, role: kernelRole, fanIn: k * k, fanOut: k * k}
	w := m.add(t, "", k*k, c).Whole()
	return &w
}

// norm is a batch norm of c channels that keeps running statistics unless m is untracked,
// affine unless m is plain.
func (m *maker) norm(name, piece string, c int) *nn.BatchNorm {
	bn := &nn.BatchNorm{Name: name + piece, C: c, Momentum: m.n.cfg.NormMomentum, Eps: m.n.cfg.NormEps}
	if !m.plain {
		bn.Gamma = m.add(tensor{name: name + ".weight", shape: []int{c}, role: oneRole}, piece, c)
		bn.Beta = m.add(tensor{name: name + ".bias", shape: []int{c}, role: zeroRole}, piece, c)
	}
	m.n.norms = append(m.n.norms, bn)
	if m.untracked {
		return bn
	}
	bn.Mean, bn.Var = make([]float32, c), make([]float32, c)
	m.n.tensors = append(m.n.tensors,
		tensor{name: name + ".running_mean", shape: []int{c}, statistic: bn.Mean},
		tensor{name: name + ".running_var", shape: []int{c}, statistic: bn.Var},
		tensor{name: name + ".num_batches_tracked", layout: asCount, batches: &bn.Batches})
	return bn
}

// linear is a linear layer with a bias.
type linear struct{ weight, bias nn.Weight }

func (m *maker) linear(name string, in, out int) linear {
	w := m.add(tensor{name: name + ".weight", layout: asLinear, shape: []int{out, in}, role: linearRole, fanIn: in, fanOut: out}, "", in, out)
	b := m.add(tensor{name: name + ".bias", shape: []int{out}, role: biasRole, fanIn: in, fanOut: out}, "", out)
	return linear{w.Whole(), b.Whole()}
}

func (l linear) on(g *nn.Graph, x *nn.Var) *nn.Linear {
	return g.Linear(nn.Linear{X: x, W: l.weight, B: &l.bias})
}
