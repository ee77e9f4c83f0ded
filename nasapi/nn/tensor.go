package nn

import "fmt"

// Channels are the widths of the segments that a tensor's channels come in: one
// segment for what an operator wrote, several for a concatenation. Each segment is
// padded with zeros to a multiple of 4 in memory, so a concatenation is a stride.
type Channels []int

// Count is the number of channels.
func (c Channels) Count() int {
	n := 0
	for _, w := range c {
		n += w
	}
	return n
}

// Padded is the number of float32s that a pixel takes.
func (c Channels) Padded() int {
	n := 0
	for _, w := range c {
		n += Pad(w)
	}
	return n
}

// Pad is n rounded up to a multiple of 4, the channels that n channels take in memory.
func Pad(n int) int { return (n + 3) &^ 3 }

// Tensor is an array of N images of H x W pixels of Channels, in memory that the
// plan assigns: channel c (padded) of pixel (row, col) of image n is element
// Off + ((n*H+row)*W+col)*Pix + c of Mem. Padding channels hold zeros.
type Tensor struct {
	N, H, W  int
	Channels Channels

	Mem Memory
	Off int
	Pix int // float32s from pixel to pixel: more than the channels take in a slice of a concatenation

	parent *Tensor // the concatenation that this is a slice of, from padded channel at
	at     int
}

func newTensor(n, h, w int, c Channels) *Tensor {
	return &Tensor{N: n, H: h, W: w, Channels: c, Pix: c.Padded()}
}

// slice is width channels of t from padded channel at.
func (t *Tensor) slice(at, width int) *Tensor {
	return &Tensor{N: t.N, H: t.H, W: t.W, Channels: Channels{width}, Pix: t.Pix, parent: t, at: at}
}

// root is the tensor that owns the memory: the concatenation of a slice.
func (t *Tensor) root() *Tensor {
	if t.parent != nil {
		return t.parent
	}
	return t
}

// place puts a tensor where its root is.
func (t *Tensor) place(m Memory, off int) { t.Mem, t.Off = m, off+t.at }

// Image is the number of float32s from one image to the next.
func (t *Tensor) Image() int { return t.H * t.W * t.Pix }

func (t *Tensor) String() string {
	return fmt.Sprintf("%dx%dx%dx%d", t.N, t.H, t.W, t.Channels.Count())
}

// Var is a value of a graph: stored numbers and how they are read,
// act(norm(Values)), where act is the ReLU or nothing.
type Var struct {
	Values *Tensor
	Norm   *Norm // nil: as stored
	ReLU   bool  // after the norm

	// Grad holds the gradient with respect to what is read (after norm and ReLU).
	// It is nil where no gradient is wanted (an input), and where the gradient is a
	// multiple of another one, which is then not stored: see Via.
	Grad *Tensor
	// Via is the only reader of this value where that is a Sum: the gradient is then
	// Via.Out.Grad * Via.Weights[ViaIndex] * Via.Keep[ViaIndex][n].
	Via      *Sum
	ViaIndex int

	variable bool
	asked    bool // a gradient is, but of a Frozen graph not all of them are worked out
	wanted   bool // a gradient is, by the plan
	readers  int
	alone    bool
}

// OneReader says whether a single operator reads these values and no slice of them is
// read: what that operator stores in Grad is all of it.
func (v *Var) OneReader() bool { return v.alone }

// WantsGrad says whether the backward pass must work out this value's gradient, once the
// graph is planned.
func (v *Var) WantsGrad() bool { return v.wanted }

// Norm is a batch norm applied to one stored tensor of a graph. Its arrays have a
// float32 for each padded channel of the tensor; the device fills them.
type Norm struct {
	BN *BatchNorm
	// First is the channel of BN that the tensor's first one is normalised by: those of
	// the weight that wrote the tensor. The next ones follow.
	First int
	// The view: value*Scale + Shift.
	Scale, Shift []float32
	// Center and InvStd are the batch's mean, rounded to float32, and 1/sqrt(variance+eps).
	Center, InvStd []float32
	// GradSums are the device's between two operators of a backward pass: what the
	// values' only reader summed for the one that computes them, in so many chunks.
	GradSums  []float64
	SumChunks int
}
