// Package cpu is the engine's device on the processor's cores.
//
// New opens one. Its files follow the operators: conv.go and pool.go under block.go,
// which runs the convolutions and pools of a group together, sum.go and head.go.
// norm.go is the batch norm of any of them; grid.go places windows in padded copies
// of images, places.go their channels; workers.go runs tasks on threads,
// and package kernel below has the inner loops.
//
// A phase of a group is cut into chunks of images by the shape alone. A task takes a
// chunk image by image through a chain of kernels whose intermediate results stay in
// the worker's own memory, small enough for its cache; operators that read the same
// value share its copy and that of its gradient. Sums over pixels are kept for each
// chunk and joined in order afterwards, so no bit depends on threads.
//
// Nothing is allocated once every operator has run: buffers belong to the device and
// its workers and are reused by whatever runs next.
package cpu

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"

	"evalnas/nasapi/host"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// Device computes on threads of this process.
type Device struct {
	set     kernel.Set
	workers *workers
	tables  map[tableKey][]int32
	batch   batch
	jobs    jobs
	room    rooms

	reserved  reserved
	unchecked int64 // bytes given out since it was last seen what is free
}

// reserved are the float32s that the largest group needs, of all that were asked about:
// what grows as it is needed leaves garbage behind.
type reserved struct {
	worker  int // for each
	partial int // for the gradients of all chunks
}

// arenaBytes is how large memory is that a graph's tensors are in, not a parameter.
const arenaBytes = 64 << 20

// uncheckedBytes may be given out without a look at what is free.
const uncheckedBytes = 8 << 20

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
	d := &Device{set: set, tables: map[tableKey][]int32{}}
	d.workers = newWorkers(threads, &d.reserved.worker)
	d.batch.device = d
	return d, nil
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

// NewMemory is n zeros. It fails where the machine, or the control group that this
// process runs in, has less than that to give.
func (d *Device) NewMemory(n int) (nn.Memory, error) {
	if n < 0 || n > math.MaxInt/4 {
		return nil, fmt.Errorf("memory for %d numbers: give 0 to %d", n, math.MaxInt/4)
	}
	wanted := int64(n) * 4
	// What is free takes longer to find out than a small parameter to make.
	if d.unchecked += wanted; d.unchecked < uncheckedBytes {
		return make(memory, n), nil
	}
	d.unchecked = 0
	if wanted >= arenaBytes {
		// Garbage would lie beside it for long: a step makes none, so nothing is collected.
		debug.FreeOSMemory()
	}
	free, known := host.FreeMemory()
	if known && wanted > free {
		// Memory of graphs that nobody uses any more may not have been returned yet.
		d.forget()
		debug.FreeOSMemory()
		free, _ = host.FreeMemory()
	}
	if known && wanted > free {
		return nil, fmt.Errorf("%d bytes of memory are wanted and %d are free: %d are missing", wanted, free, wanted-free)
	}
	m := make(memory, n)
	useLargePages(m)
	return m, nil
}

// forget drops all references to graphs.
func (d *Device) forget() {
	d.batch.forget()
	d.room.linear.forget()
	for _, w := range d.workers.all {
		w.forget()
	}
}

func (d *Device) Read(dst []float32, src nn.Memory, at int) { copy(dst, src.(memory)[at:]) }
func (d *Device) Write(dst nn.Memory, at int, src []float32) {
	copy(dst.(memory)[at:at+len(src)], src)
}
func (d *Device) Zero(m nn.Memory, at, n int) { clear(m.(memory)[at : at+n]) }

// Forward computes a group's operators.
func (d *Device) Forward(mode nn.Mode, group []nn.Op) error {
	return eachRun(group, func(blocks []nn.Op) { d.batch.forward(mode, blocks) }, func(op nn.Op) error {
		switch o := op.(type) {
		case *nn.Sum:
			d.sumForward(o)
		case *nn.GlobalPool:
			d.globalPoolForward(o)
		case *nn.Linear:
			d.linearForward(o)
		case *nn.Dropout:
			d.dropoutForward(o)
		case *nn.CrossEntropy:
			return d.lossForward(o)
		default:
			return fmt.Errorf("cpu: no operator %T", op)
		}
		return nil
	})
}

// Backward works out a group's gradients.
func (d *Device) Backward(mode nn.Mode, group []nn.Op) error {
	return eachRun(group, func(blocks []nn.Op) { d.batch.backward(mode, blocks) }, func(op nn.Op) error {
		switch o := op.(type) {
		case *nn.Sum:
			d.sumBackward(o)
		case *nn.GlobalPool:
			d.globalPoolBackward(o)
		case *nn.Linear:
			d.linearBackward(mode, o)
		case *nn.Dropout:
			d.dropoutBackward(o)
		case *nn.CrossEntropy:
			d.lossBackward(o)
		default:
			return fmt.Errorf("cpu: no operator %T", op)
		}
		return nil
	})
}

// eachRun takes a group in order: convolutions and pools that follow each other
// together, other operators one by one.
func eachRun(group []nn.Op, blocks func([]nn.Op), other func(nn.Op) error) error {
	for len(group) > 0 {
		n := 0
		for n < len(group) && isBlock(group[n]) {
			n++
		}
		if n > 0 {
			blocks(group[:n])
			group = group[n:]
			continue
		}
		if err := other(group[0]); err != nil {
			return err
		}
		group = group[1:]
	}
	return nil
}

func isBlock(op nn.Op) bool {
	switch op.(type) {
	case *nn.Conv, *nn.Pool:
		return true
	}
	return false
}

// mostChunks is the largest number of chunks, and partialBytes what the partial
// gradients of a batch's weights may take: with larger weights there are fewer chunks.
// A chunk with such gradients has two images if it can: clearing and adding them up takes as
// long as one image's products do for small images.
const (
	mostChunks   = 16
	partialBytes = 64 << 20
)

// chunkCount depends on shapes alone.
func chunkCount(images, partial int) int {
	n := min(images, mostChunks)
	if partial > 0 {
		n = min((images+1)/2, n, max(1, partialBytes/4/partial))
	}
	return n
}

// images are those of a chunk, from the first to before the last.
func images(n, chunks, chunk int) (from, to int) { return chunk * n / chunks, (chunk + 1) * n / chunks }

// imageJob is work on every image of a batch.
type imageJob interface {
	image(w *worker, chunk, image int)
}

// eachImage is the job of doing it chunk by chunk.
type eachImage struct {
	n, chunks int
	job       imageJob
}

func (e *eachImage) task(w *worker, chunk int) {
	from, to := images(e.n, e.chunks, chunk)
	for image := from; image < to; image++ {
		w.giveBack(0)
		e.job.image(w, chunk, image)
	}
}

// eachImage does a job for every image of a tensor.
func (d *Device) eachImage(t *nn.Tensor, j imageJob) {
	chunks := chunkCount(t.N, 0)
	d.jobs.images = eachImage{t.N, chunks, j}
	d.workers.run(chunks, &d.jobs.images)
	d.jobs.images = eachImage{}
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
	// Nothing but a run of blocks needs memory that is worth counting, and no error
	// can come of leaving the others out.
	_ = eachRun(group, func(blocks []nn.Op) {
		d.batch.layOut(nn.Train, blocks)
		most = max(most, d.batch.scratch())
	}, func(nn.Op) error { return nil })
	return most
}

// jobs are the jobs that are not methods of anything else, kept so that they need not
// be made for every call.
type jobs struct {
	images     eachImage
	join       join
	sum        sumJob
	globalPool globalPoolJob
	norms      normJob
	update     updateJob
}

// rooms are buffers of the caller's goroutine, kept between calls.
type rooms struct {
	linear        layer
	places        []int
	probabilities []float64
}

// grow makes a buffer n long, in the same memory where that is enough.
func grow[T any](room *[]T, n int) []T {
	if cap(*room) < n {
		*room = make([]T, n)
	}
	*room = (*room)[:n]
	return *room
}
