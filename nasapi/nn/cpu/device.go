// Package cpu is the engine's device on the processor's cores.
//
// New opens one. Its files follow the operators: conv.go, pool.go, sum.go and
// head.go, over norm.go, which every operator with a batch norm shares; workers.go
// runs tasks on threads, and package kernel below has the inner loops.
//
// A phase of an operator is cut into chunks of images by the shape alone. A task
// takes a chunk image by image through a chain of kernels whose intermediate results
// stay in the worker's own memory, small enough for its cache. Sums over pixels are
// kept for each chunk and joined in order afterwards, so no bit depends on threads.
package cpu

import (
	"fmt"
	"runtime"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// Device computes on threads of this process.
type Device struct {
	set     kernel.Set
	workers *workers
	tables  map[tableKey][]int32
	room    rooms
}

// New opens a device of so many threads, with the fastest kernels of this processor
// or those that EVALNAS_KERNELS names.
func New(threads int) (*Device, error) {
	set, err := kernel.Best()
	if err != nil {
		return nil, err
	}
	return NewWith(set, threads)
}

// NewWith opens a device with a given set of kernels.
func NewWith(set kernel.Set, threads int) (*Device, error) {
	if most := 4096; threads < 1 || threads > most {
		return nil, fmt.Errorf("a device of %d threads; give 1 to %d, such as the %d of this machine", threads, most, runtime.NumCPU())
	}
	return &Device{set: set, workers: newWorkers(threads), tables: map[tableKey][]int32{}}, nil
}

// Name says what computes.
func (d *Device) Name() string { return fmt.Sprintf("cpu (%s, %d threads)", d.set, d.Threads()) }

// Threads is their number.
func (d *Device) Threads() int { return len(d.workers.all) }

// Close ends the threads.
func (d *Device) Close() error {
	d.workers.close()
	return nil
}

// memory is nn.Memory.
type memory []float32

func (m memory) Len() int { return len(m) }

// NewMemory is n zeros. It fails where the machine has less than that to give.
func (d *Device) NewMemory(n int) (nn.Memory, error) {
	if free, known := freeBytes(); known && int64(n)*4 > free {
		return nil, fmt.Errorf("%d bytes of memory are wanted and %d are free", int64(n)*4, free)
	}
	return make(memory, n), nil
}

func (d *Device) Read(dst []float32, src nn.Memory, at int) { copy(dst, src.(memory)[at:]) }
func (d *Device) Write(dst nn.Memory, at int, src []float32) {
	copy(dst.(memory)[at:at+len(src)], src)
}
func (d *Device) Zero(m nn.Memory, at, n int) { clear(m.(memory)[at : at+n]) }

// Forward computes a group's operators.
func (d *Device) Forward(mode nn.Mode, group []nn.Op) error {
	for _, op := range group {
		switch o := op.(type) {
		case *nn.Conv:
			d.convForward(mode, o)
		case *nn.Pool:
			d.poolForward(mode, o)
		case *nn.Sum:
			d.sumForward(o)
		case *nn.GlobalPool:
			d.globalPoolForward(o)
		case *nn.Linear:
			d.linearForward(o)
		case *nn.Dropout:
			d.dropoutForward(o)
		case *nn.CrossEntropy:
			if err := d.lossForward(o); err != nil {
				return err
			}
		default:
			return fmt.Errorf("cpu: no operator %T", op)
		}
	}
	return nil
}

// Backward works out a group's gradients.
func (d *Device) Backward(mode nn.Mode, group []nn.Op) error {
	for _, op := range group {
		switch o := op.(type) {
		case *nn.Conv:
			d.convBackward(mode, o)
		case *nn.Pool:
			d.poolBackward(mode, o)
		case *nn.Sum:
			d.sumBackward(o)
		case *nn.GlobalPool:
			d.globalPoolBackward(o)
		case *nn.Linear:
			d.linearBackward(o)
		case *nn.Dropout:
			d.dropoutBackward(o)
		case *nn.CrossEntropy:
			d.lossBackward(o)
		default:
			return fmt.Errorf("cpu: no operator %T", op)
		}
	}
	return nil
}

// most is the largest number of chunks, and partialBytes what the partial gradients
// of one operator's weights may take: with larger weights there are fewer chunks.
const (
	mostChunks   = 16
	partialBytes = 64 << 20
)

// chunkCount depends on shapes alone.
func chunkCount(images, partial int) int {
	n := min(images, mostChunks)
	for n > 1 && n*partial*4 > partialBytes {
		n--
	}
	return n
}

// eachImage runs do for every image, chunk by chunk.
func (d *Device) eachImage(images, chunks int, do func(w *worker, chunk, image int)) {
	d.workers.run(chunks, func(w *worker, chunk int) {
		for image := chunk * images / chunks; image < (chunk+1)*images/chunks; image++ {
			w.used = 0
			do(w, chunk, image)
		}
	})
}

// plane is an image of a tensor.
func plane(t *nn.Tensor, image int) kernel.Plane {
	return kernel.Plane{Data: t.Mem.(memory)[t.Off+image*t.Image():], Row: t.W * t.Pix, Pix: t.Pix}
}

// view is how a value is read, with a ReLU on top if relu.
func view(v *nn.Var, relu bool) kernel.View {
	k := kernel.View{ReLU: v.ReLU || relu}
	if v.Norm != nil {
		k.Scale, k.Shift = v.Norm.Scale, v.Norm.Shift
	}
	return k
}

// Scratch is an upper bound: every worker's largest chain, and the partial gradients.
func (d *Device) Scratch(group []nn.Op) int64 {
	var most int64
	for _, op := range group {
		if c, ok := op.(*nn.Conv); ok {
			most = max(most, d.convScratch(c))
		}
	}
	return most
}

// rooms are buffers of the caller's goroutine, kept between calls.
type rooms struct {
	weights, transposed, depth, partial, moments []float32
	sums                                         []float64
}

// grow is a buffer of n, reused where it is large enough.
func grow[T float32 | float64](room *[]T, n int) []T {
	if cap(*room) < n {
		*room = make([]T, n)
	}
	return (*room)[:n]
}
