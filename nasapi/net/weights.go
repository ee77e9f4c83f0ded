package net

import (
	"fmt"
	"io"
	"slices"

	"evalnas/nasapi/net/safetensors"
)

// Weights is the network's state under the names and in the layouts of PyTorch: the
// state_dict of the module that [ToPyTorch] writes, running statistics and their
// counts included.
func (n *Network) Weights() []safetensors.Tensor {
	var all []safetensors.Tensor
	pieces, names := n.pieces()
	for _, name := range names {
		whole := n.published(pieces[name][0])
		for _, t := range pieces[name][1:] {
			if t.batches == nil { // the pieces of a norm count the same batches
				piece := n.published(t)
				whole.Shape[0] += piece.Shape[0]
				whole.Floats = append(whole.Floats, piece.Floats...)
			}
		}
		all = append(all, whole)
	}
	return all
}

// published is a tensor or a piece of one in PyTorch's layout.
func (n *Network) published(t tensor) safetensors.Tensor {
	out := safetensors.Tensor{Name: t.name, Shape: slices.Clone(t.shape)}
	switch {
	case t.batches != nil:
		out.Ints = []int64{*t.batches}
	case t.statistic != nil:
		out.Floats = slices.Clone(t.statistic)
	default:
		out.Floats = t.toPyTorch(n.read(t.param))
	}
	return out
}

// WriteWeights writes Weights as a safetensors file, which names its architecture.
func (n *Network) WriteWeights(w io.Writer) error {
	about := map[string]string{"format": "pt"}
	if n.arch != nil { // a search network is not of one
		arch, err := n.arch.MarshalJSON()
		if err != nil {
			return err
		}
		about["architecture"] = string(arch)
	}
	return safetensors.Write(w, n.Weights(), about)
}

// ReadWeights takes the content of a safetensors file: see SetWeights.
func (n *Network) ReadWeights(data []byte) error {
	tensors, _, err := safetensors.Read(data)
	if err != nil {
		return err
	}
	return n.SetWeights(tensors)
}

// SetWeights takes the state that Weights gives, or PyTorch saved. Counts of batches
// may be missing, and so may the auxiliary head where this network has none. Anything
// else that is missing, unknown or of another shape is an error, which leaves the
// network as it was.
func (n *Network) SetWeights(tensors []safetensors.Tensor) error {
	given := map[string]safetensors.Tensor{}
	for _, t := range tensors {
		given[t.Name] = t
	}
	pieces, names := n.pieces()
	for _, t := range tensors {
		if pieces[t.Name] == nil && (n.cfg.Auxiliary || !isAuxiliary(t.Name)) {
			return fmt.Errorf("the weights have %.80q, which this network of %v has not: are they of another architecture or size?", t.Name, n.arch)
		}
	}
	for _, name := range names {
		if err := fitsPublished(pieces[name], given); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range names {
		n.take(pieces[name], given[name])
	}
	return nil
}

// pieces are the tensors by PyTorch's names, and the names in order.
func (n *Network) pieces() (pieces map[string][]tensor, names []string) {
	pieces = map[string][]tensor{}
	for _, t := range n.tensors {
		if pieces[t.name] == nil {
			names = append(names, t.name)
		}
		pieces[t.name] = append(pieces[t.name], t)
	}
	return pieces, names
}

func fitsPublished(pieces []tensor, given map[string]safetensors.Tensor) error {
	first := pieces[0]
	t, ok := given[first.name]
	switch {
	case !ok && first.layout == asCount:
		return nil
	case !ok:
		return fmt.Errorf("it is missing in the weights")
	case first.layout == asCount:
		if len(t.Ints) != 1 || len(t.Shape) != 0 {
			return fmt.Errorf("the weights have the shape %v; it is one integer", t.Shape)
		}
		return nil
	}
	shape := slices.Clone(first.shape)
	for _, more := range pieces[1:] {
		shape[0] += more.shape[0]
	}
	if !slices.Equal(t.Shape, shape) || t.Floats == nil {
		return fmt.Errorf("the weights have the shape %v; the network's is %v, of floats", t.Shape, shape)
	}
	return nil
}

// take puts a tensor that fits into its pieces.
func (n *Network) take(pieces []tensor, given safetensors.Tensor) {
	at := 0
	for _, t := range pieces {
		if t.batches != nil {
			if len(given.Ints) == 1 {
				*t.batches = given.Ints[0]
			}
			continue
		}
		count := product(t.shape)
		values := given.Floats[at : at+count]
		at += count
		if t.statistic != nil {
			copy(t.statistic, values)
			continue
		}
		n.dev.Write(t.param.Value, 0, t.fromPyTorch(values))
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// toPyTorch orders a parameter's numbers as PyTorch does.
func (t tensor) toPyTorch(values []float32) []float32 {
	out := make([]float32, len(values))
	t.each(func(published, own int) { out[published] = values[own] })
	return out
}

// fromPyTorch is the inverse.
func (t tensor) fromPyTorch(values []float32) []float32 {
	out := make([]float32, len(values))
	t.each(func(published, own int) { out[own] = values[published] })
	return out
}

// each visits all numbers of a parameter by their places in both layouts. Of PyTorch's
// shape [out][in][taps] ours is [taps][in][out], where a linear layer has one tap and a
// depthwise convolution one input.
func (t tensor) each(visit func(published, own int)) {
	out, in, taps := t.shape[0], 1, 1
	if len(t.shape) > 1 {
		in = t.shape[1]
		taps = product(t.shape[2:])
	}
	at := 0
	for o := range out {
		for i := range in {
			for tap := range taps {
				visit(at, (tap*in+i)*out+o)
				at++
			}
		}
	}
}
