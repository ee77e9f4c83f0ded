package policy

import (
	"fmt"
	"hash"
	"slices"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// naoLossOp is the loss of a batch of NAO's model as one Gorgonia operation:
//
//	loss(weights, tokens, targets, masks)
//
// with the packed weights (float32 vector), rows x length tokens (matrix of int), the
// values to predict (float32 vector) and rows x maskSize factors of the predictor's units
// (dropout: 0, or one over the share that is kept). It is differentiable in the weights
// only. For why it is one operation see lossOp.
type naoLossOp struct {
	*naoBatch[float32]
	last *naoInputs // of the forward pass that the batch's memory holds
}

func newNAOLossOp(s *naoShape, rows int) naoLossOp {
	return naoLossOp{newNAOBatch[float32](s, rows, true), new(naoInputs)}
}

var (
	_ G.SDOp = naoLossOp{}
	_ G.Op   = naoGradOp{}
)

var (
	vector32Type = G.TensorType{Dims: 1, Of: tensor.Float32}
	matrix32Type = G.TensorType{Dims: 2, Of: tensor.Float32}
)

func (naoLossOp) Arity() int { return 4 }
func (naoLossOp) Type() hm.Type {
	return hm.NewFnType(vector32Type, matrixType, vector32Type, matrix32Type, tensor.Float32)
}
func (naoLossOp) InferShape(...G.DimSizer) (tensor.Shape, error) { return tensor.ScalarShape(), nil }
func (naoLossOp) ReturnsPtr() bool                               { return false }
func (naoLossOp) CallsExtern() bool                              { return false }
func (naoLossOp) OverwritesInput() int                           { return -1 }
func (op naoLossOp) String() string {
	return fmt.Sprintf("naoLoss(%+v, rows=%d)", *op.naoShape, op.rows)
}
func (op naoLossOp) WriteHash(h hash.Hash) { fmt.Fprint(h, op.String()) }
func (op naoLossOp) Hashcode() uint32      { return hashcode(op) }
func (naoLossOp) DiffWRT(int) []bool       { return []bool{true, false, false, false} }

func (op naoLossOp) Do(inputs ...G.Value) (G.Value, error) {
	in, err := op.read(inputs)
	if err != nil {
		return nil, err
	}
	return G.NewF32(op.forward(in)), nil
}

// forward runs the model, unless its memory holds this very pass: then the gradient after
// the loss does not run it again. It changes no result.
func (op naoLossOp) forward(in *naoInputs) float32 {
	if !op.last.equal(in) {
		in.loss = op.loss(in.packed, in.tokens, in.targets, in.masks)
		op.last.set(in)
	}
	return op.last.loss
}

func (op naoLossOp) SymDiff(inputs G.Nodes, _, grad *G.Node) (G.Nodes, error) {
	d, err := G.ApplyOp(naoGradOp{op}, append(inputs[:4:4], grad)...)
	if err != nil {
		return nil, err
	}
	return G.Nodes{d, nil, nil, nil}, nil
}

// naoGradOp is the gradient of naoLossOp in the weights, times the derivative of what
// follows the loss, its fifth input.
type naoGradOp struct{ naoLossOp }

func (naoGradOp) Arity() int { return 5 }
func (naoGradOp) Type() hm.Type {
	return hm.NewFnType(vector32Type, matrixType, vector32Type, matrix32Type, tensor.Float32, vector32Type)
}
func (op naoGradOp) InferShape(...G.DimSizer) (tensor.Shape, error) {
	return tensor.Shape{op.size()}, nil
}
func (op naoGradOp) String() string {
	return fmt.Sprintf("naoLossGrad(%+v, rows=%d)", *op.naoShape, op.rows)
}
func (op naoGradOp) WriteHash(h hash.Hash) { fmt.Fprint(h, op.String()) }
func (op naoGradOp) Hashcode() uint32      { return hashcode(op) }

// DiffWRT says that there is no second derivative.
func (naoGradOp) DiffWRT(int) []bool { return make([]bool, 5) }

func (op naoGradOp) Do(inputs ...G.Value) (G.Value, error) {
	if len(inputs) != 5 {
		return nil, fmt.Errorf("%s takes 5 inputs, not %d", op, len(inputs))
	}
	in, err := op.read(inputs[:4])
	if err != nil {
		return nil, err
	}
	out, ok := inputs[4].Data().(float32)
	if !ok {
		return nil, fmt.Errorf("%s: the derivative of the loss is %T, not a float32", op, inputs[4].Data())
	}
	op.forward(in)
	grad := make([]float32, len(in.packed))
	op.gradient(in.targets, out, grad)
	return tensor.New(tensor.WithShape(len(grad)), tensor.WithBacking(grad)), nil
}

// naoInputs are the inputs of both operations as slices, and the loss that they gave.
type naoInputs struct {
	packed         []float32
	tokens         []int
	targets, masks []float32
	loss           float32
}

func (in *naoInputs) equal(o *naoInputs) bool {
	return slices.Equal(in.packed, o.packed) && slices.Equal(in.tokens, o.tokens) &&
		slices.Equal(in.targets, o.targets) && slices.Equal(in.masks, o.masks)
}

// set copies o.
func (in *naoInputs) set(o *naoInputs) {
	in.packed = append(in.packed[:0], o.packed...)
	in.tokens = append(in.tokens[:0], o.tokens...)
	in.targets = append(in.targets[:0], o.targets...)
	in.masks = append(in.masks[:0], o.masks...)
	in.loss = o.loss
}

// read checks what the graph gave: sizes, and every token in its range.
func (op naoLossOp) read(inputs []G.Value) (*naoInputs, error) {
	if len(inputs) != 4 {
		return nil, fmt.Errorf("%s takes 4 inputs, not %d", op, len(inputs))
	}
	in := new(naoInputs)
	var ok [4]bool
	in.packed, ok[0] = inputs[0].Data().([]float32)
	in.tokens, ok[1] = inputs[1].Data().([]int)
	in.targets, ok[2] = inputs[2].Data().([]float32)
	in.masks, ok[3] = inputs[3].Data().([]float32)
	if ok != [4]bool{true, true, true, true} {
		return nil, fmt.Errorf("%s: inputs are %T, %T, %T and %T; want []float32, []int, []float32 and []float32",
			op, inputs[0].Data(), inputs[1].Data(), inputs[2].Data(), inputs[3].Data())
	}
	if len(in.packed) != op.size() || len(in.targets) != op.rows || len(in.tokens) != op.rows*op.length || len(in.masks) != op.rows*op.maskSize() {
		return nil, fmt.Errorf("%s: %d weights, %d tokens, %d targets and %d masks; want %d, %d, %d and %d", op,
			len(in.packed), len(in.tokens), len(in.targets), len(in.masks), op.size(), op.rows*op.length, op.rows, op.rows*op.maskSize())
	}
	for i, t := range in.tokens {
		if t < 0 || t >= op.vocab {
			return nil, fmt.Errorf("%s: token %d is %d, outside 0..%d", op, i, t, op.vocab-1)
		}
	}
	return in, nil
}
