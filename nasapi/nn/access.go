package nn

// Root is the tensor that owns t's memory: the concatenation that t is a slice of,
// or t itself. Two tensors share elements only if they have the same root.
func (t *Tensor) Root() *Tensor { return t.root() }
