package policy

import (
	"fmt"
	"hash"
	"hash/fnv"
	"slices"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// lossOp is the controller's REINFORCE loss as one Gorgonia operation:
//
//	loss(weights, sequences, coefficients) = sum_b coefficient_b * nll(sequence_b)
//
// with the packed weights (float64 vector), a batch x length matrix of int and
// a float64 vector of length batch. Unrolled into Gorgonia's own operations
// the same sequence is some thousand nodes and an order of magnitude slower.
// It is differentiable in the weights only; rewards are constants to it.
type lossOp struct {
	*controllerShape
	known *memo // may be nil
}

// memo keeps the forward passes that sampling made, so that the loss and its
// gradient need not make them again: two thirds of the work of an update. It
// changes no result, because a pass is used only for the very weights and
// sequence that it was made with.
type memo struct {
	packed   []float64  // the weights of all passes
	rollouts []*rollout // by place in the batch; nil where there is none
}

// rollouts returns the forward pass of each sequence of a batch.
func (op lossOp) rollouts(in *lossInputs) []*rollout {
	w := op.cut(in.packed)
	list := make([]*rollout, len(in.coefficients))
	if op.known != nil && slices.Equal(op.known.packed, in.packed) {
		copy(list, op.known.rollouts)
	}
	for b, r := range list {
		seq := in.sequence(op.length, b)
		if r == nil || !slices.Equal(r.seq, seq) {
			list[b] = op.run(w, following(seq))
		}
	}
	return list
}

var (
	_ G.SDOp = lossOp{}
	_ G.Op   = lossGradOp{}
)

var (
	vectorType = G.TensorType{Dims: 1, Of: tensor.Float64}
	matrixType = G.TensorType{Dims: 2, Of: tensor.Int}
)

func (lossOp) Arity() int { return 3 }
func (lossOp) Type() hm.Type {
	return hm.NewFnType(vectorType, matrixType, vectorType, tensor.Float64)
}
func (lossOp) InferShape(...G.DimSizer) (tensor.Shape, error) { return tensor.ScalarShape(), nil }
func (lossOp) ReturnsPtr() bool                               { return false }
func (lossOp) CallsExtern() bool                              { return false }
func (lossOp) OverwritesInput() int                           { return -1 }
func (op lossOp) String() string                              { return fmt.Sprintf("enasLoss(hidden=%d)", op.hidden) }
func (op lossOp) WriteHash(h hash.Hash)                       { fmt.Fprint(h, op.String()) }
func (op lossOp) Hashcode() uint32                            { return hashcode(op) }
func (lossOp) DiffWRT(int) []bool                             { return []bool{true, false, false} }

func (op lossOp) Do(inputs ...G.Value) (G.Value, error) {
	in, err := op.read(inputs)
	if err != nil {
		return nil, err
	}
	loss := 0.0
	for b, r := range op.rollouts(in) {
		loss += float64(in.coefficients[b] * r.nll)
	}
	return G.NewF64(loss), nil
}

func (op lossOp) SymDiff(inputs G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	d, err := G.ApplyOp(lossGradOp{op}, append(inputs[:3:3], grad)...)
	if err != nil {
		return nil, err
	}
	return G.Nodes{d, nil, nil}, nil
}

// lossGradOp is the gradient of lossOp in the weights, times the derivative of
// what follows the loss, its fourth input.
type lossGradOp struct{ lossOp }

func (lossGradOp) Arity() int { return 4 }
func (lossGradOp) Type() hm.Type {
	return hm.NewFnType(vectorType, matrixType, vectorType, tensor.Float64, vectorType)
}
func (op lossGradOp) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{op.size()}, nil
}
func (op lossGradOp) String() string        { return fmt.Sprintf("enasLossGrad(hidden=%d)", op.hidden) }
func (op lossGradOp) WriteHash(h hash.Hash) { fmt.Fprint(h, op.String()) }
func (op lossGradOp) Hashcode() uint32      { return hashcode(op) }

// DiffWRT says that there is no second derivative.
func (lossGradOp) DiffWRT(int) []bool { return []bool{false, false, false, false} }

func (op lossGradOp) Do(inputs ...G.Value) (G.Value, error) {
	if len(inputs) != 4 {
		return nil, fmt.Errorf("%s takes 4 inputs, not %d", op, len(inputs))
	}
	in, err := op.read(inputs[:3])
	if err != nil {
		return nil, err
	}
	out, ok := inputs[3].Data().(float64)
	if !ok {
		return nil, fmt.Errorf("%s: the derivative of the loss is %T, not a float64", op, inputs[3].Data())
	}
	packed := make([]float64, len(in.packed))
	w, grad := op.cut(in.packed), op.cut(packed)
	for b, r := range op.rollouts(in) {
		op.backward(w, grad, r, float64(out*in.coefficients[b]))
	}
	return tensor.New(tensor.WithShape(len(packed)), tensor.WithBacking(packed)), nil
}

// lossInputs are the inputs of both operations as slices.
type lossInputs struct {
	packed       []float64
	sequences    []int
	coefficients []float64
}

func (in *lossInputs) sequence(length, b int) []int {
	return in.sequences[b*length : (b+1)*length]
}

// read checks what the graph gave: sizes, and every token in its range.
func (op lossOp) read(inputs []G.Value) (*lossInputs, error) {
	if len(inputs) != 3 {
		return nil, fmt.Errorf("%s takes 3 inputs, not %d", op, len(inputs))
	}
	in := new(lossInputs)
	var ok [3]bool
	in.packed, ok[0] = inputs[0].Data().([]float64)
	in.sequences, ok[1] = inputs[1].Data().([]int)
	in.coefficients, ok[2] = inputs[2].Data().([]float64)
	if ok != [3]bool{true, true, true} {
		return nil, fmt.Errorf("%s: inputs are %T, %T and %T; want []float64, []int and []float64",
			op, inputs[0].Data(), inputs[1].Data(), inputs[2].Data())
	}
	if len(in.packed) != op.size() || len(in.sequences) != op.length*len(in.coefficients) {
		return nil, fmt.Errorf("%s: %d weights, %d tokens and %d coefficients; want %d weights and %d tokens a coefficient",
			op, len(in.packed), len(in.sequences), len(in.coefficients), op.size(), op.length)
	}
	for b := range in.coefficients {
		if err := op.checkTokens(in.sequence(op.length, b)); err != nil {
			return nil, fmt.Errorf("%s: sequence %d: %w", op, b, err)
		}
	}
	return in, nil
}

func hashcode(op G.Op) uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}
