package cpu

import (
	"math"
	"slices"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// block is a convolution or a pool: an operator that reads windows of one value.
type block interface {
	base() *common
	// layOut works the block's shapes out, but for what depends on its reading.
	layOut()
	// place works out what depends on the reading's grid.
	place(d *Device, g grid)
	// pack brings the weights into the order of the kernels.
	pack(backward bool)
	// overwrites says whether backward can store every number of the gradient of what is
	// read, and not only add to it.
	overwrites() bool
	// forward computes an image's output from copies of what is read.
	forward(d *Device, w *worker, from copied, image int)
	// backward adds an image's gradient of the weights, unless they are frozen, to partial
	// and that of what is read to the copy of the gradient, if there is one.
	backward(d *Device, w *worker, from copied, partial []float32, image int)
	// addGrads adds the weights' gradients of the whole batch to the parameters'.
	addGrads(total []float32)
	// scratch is what a worker needs for an image, in float32s.
	scratch() int
}

// common is what all blocks have.
type common struct {
	x, out      *nn.Var
	relu        bool
	store       bool      // the gradient of x is not there yet
	max         bool      // padding is -Inf
	frozen      bool      // the weights are constants
	again       bool      // the backward pass needs what was read
	window      nn.Window // of what is read
	down, right int       // by which parts of it are moved
	c           int       // padded channels of x
	outC        int       // and of out
	inPlaces    []int
	outPlaces   []int
	bundle      *bundle
	reading     int  // of the bundle
	first       bool // block of its reading
	origin      int  // of the first window in the reading's copies
	stats       statistics
	grad        normGrad
	weights     int // float32s of the gradient of its weights
	partial     int // where they begin in a chunk's
}

func (c *common) base() *common { return c }

// begin sets what follows from the operands.
func (c *common) begin(x, out *nn.Var, relu bool) {
	c.x, c.out, c.relu, c.max = x, out, relu, false
	c.c, c.outC = x.Values.Channels.Padded(), out.Values.Channels.Padded()
	c.inPlaces = places(c.inPlaces[:0], x.Values.Channels)
	c.outPlaces = places(c.outPlaces[:0], out.Values.Channels)
	c.down, c.right, c.weights = 0, 0, 0
}

// passesBack says whether the backward pass has more to do than sums of the output's
// gradient: there is a gradient, and somebody to have it.
func (c *common) passesBack() bool {
	return c.hasGrad() && (!c.frozen && c.weights > 0 || c.x.Grad != nil)
}

// hasGrad says whether the output has a gradient; in a frozen graph not all have.
func (c *common) hasGrad() bool { return c.out.Grad != nil || c.out.Via != nil }

// adds says whether the gradient of what is read has numbers already.
func (c *common) adds() bool { return !c.first || !c.bundle.readings[c.reading].stored }

// outGrid is a copy of the output without padding.
func (c *common) outGrid() grid {
	t := c.out.Values
	return grid{h: t.H, w: t.W, c: c.outC}
}

// reading is a value as some blocks of a bundle read it: with or without a ReLU of
// their own. They share its copies.
type reading struct {
	x         *nn.Var
	relu      bool
	grid      grid
	zero, inf bool // borders that are wanted
	again     bool // in the backward pass too
	store     bool // of the first of them
	blocks    int
	stored    bool // its first block stores the gradient, the others add to it
	sums      bool // it leaves the sums of the gradient for the operator of x
}

// copied is an image of a reading in a worker's memory: surrounded by zeros or by
// -Inf, and the gradient.
type copied struct{ zero, inf, grad []float32 }

// bundle is blocks that read the same memory. A task takes all of them through an
// image, so what they read is prepared once and the gradient of it written once, by
// one worker.
type bundle struct {
	root     *nn.Tensor
	blocks   []block
	readings []reading
	weights  int       // float32s of a chunk's gradients
	partial  []float32 // [chunks][weights]
	chunks   int
}

// batch is a run of blocks in a group, laid out.
type batch struct {
	mode     nn.Mode
	device   *Device
	chains   []*chain
	poolings []*pooling
	blocks   []block
	bundles  []*bundle
	tasks    []blockTask
	used     struct{ chains, poolings int }
	partial  []float32 // of all bundles
	sharing  bool      // blocks have parameters or norms in common
	params   map[any]bool
}

// blockTask is a chunk of a bundle, or of a block of it.
type blockTask struct {
	bundle *bundle
	block  block
	chunk  int
}

// next is the i-th of reused things.
func next[T any](all *[]*T, i *int) *T {
	if *i == len(*all) {
		*all = append(*all, new(T))
	}
	*i++
	return (*all)[*i-1]
}

// layOut makes blocks of operators and bundles of the blocks.
func (b *batch) layOut(mode nn.Mode, group []nn.Op) {
	b.mode = mode
	b.forget()
	for _, op := range group {
		var k block
		switch o := op.(type) {
		case *nn.Conv:
			c := next(&b.chains, &b.used.chains)
			c.op, k = o, c
		case *nn.Pool:
			p := next(&b.poolings, &b.used.poolings)
			p.op, k = o, p
		}
		k.base().frozen = mode == nn.Frozen
		k.layOut()
		b.blocks = append(b.blocks, k)
		b.bundleOf(k.base().x.Values.Root()).add(k)
	}
	for _, bundle := range b.bundles {
		bundle.place(b.device)
	}
	b.findSharing()
}

// findSharing looks for parameters and norms of more than one block.
func (b *batch) findSharing() {
	b.sharing = false
	if b.params == nil {
		b.params = map[any]bool{}
	}
	clear(b.params)
	for _, k := range b.blocks {
		if norm := k.base().out.Norm; norm != nil {
			b.share(norm.BN)
		}
		if chain, ok := k.(*chain); ok {
			chain.eachParam(b)
		}
	}
	clear(b.params)
}

func (b *batch) share(thing any) {
	b.sharing = b.sharing || b.params[thing]
	b.params[thing] = true
}

// forget drops all references to a graph but keeps the memory of the layout.
func (b *batch) forget() {
	for _, c := range b.chains[:b.used.chains] {
		c.op, c.x, c.out, c.bundle, c.grad.v, c.grad.upstream, c.grad.center = nil, nil, nil, nil, nil, upstream{}, nil
	}
	for _, p := range b.poolings[:b.used.poolings] {
		p.op, p.x, p.out, p.bundle, p.grad.v, p.grad.upstream, p.grad.center = nil, nil, nil, nil, nil, upstream{}, nil
	}
	for _, bundle := range b.bundles {
		bundle.root, bundle.partial = nil, nil
		clear(bundle.readings)
	}
	b.used.chains, b.used.poolings = 0, 0
	b.blocks, b.tasks, b.bundles = b.blocks[:0], b.tasks[:0], b.bundles[:0]
}

func (b *batch) bundleOf(root *nn.Tensor) *bundle {
	for _, bundle := range b.bundles {
		if bundle.root == root {
			return bundle
		}
	}
	if len(b.bundles) < cap(b.bundles) {
		b.bundles = b.bundles[:len(b.bundles)+1]
	} else {
		b.bundles = append(b.bundles, nil)
	}
	last := &b.bundles[len(b.bundles)-1]
	if *last == nil {
		*last = &bundle{}
	}
	(*last).reset(root)
	return *last
}

func (u *bundle) reset(root *nn.Tensor) {
	u.root, u.blocks, u.readings, u.weights = root, u.blocks[:0], u.readings[:0], 0
}

// add finds the block its reading.
func (u *bundle) add(k block) {
	c := k.base()
	c.bundle, c.partial = u, u.weights
	u.weights += c.weights
	u.blocks = append(u.blocks, k)
	c.reading = -1
	for i, r := range u.readings {
		if r.x == c.x && r.relu == c.relu {
			c.reading = i
		}
	}
	if c.reading < 0 {
		c.reading = len(u.readings)
		t := c.x.Values
		u.readings = append(u.readings, reading{x: c.x, relu: c.relu, grid: grid{h: t.H, w: t.W, c: c.c}})
	}
	r := &u.readings[c.reading]
	c.first = r.blocks == 0
	r.blocks++
	r.grid.pad(c.window, c.down, c.right)
	r.zero, r.inf, r.again = r.zero || !c.max, r.inf || c.max, r.again || c.again
	// The first block of all that read x stores its gradient; so does the first reading.
	if c.store {
		r.store = true
	}
}

func (u *bundle) place(d *Device) {
	for _, k := range u.blocks {
		c := k.base()
		g := u.readings[c.reading].grid
		c.origin = g.origin(c.window)
		k.place(d, g)
		if c.first {
			u.readings[c.reading].stored = k.overwrites()
		}
	}
}

// passesBack says whether any of its blocks does.
func (u *bundle) passesBack() bool {
	return slices.ContainsFunc(u.blocks, func(k block) bool { return k.base().passesBack() })
}

// part is a block's share of a chunk's gradients, none if there are none.
func (c *common) part(partial []float32) []float32 {
	if c.frozen {
		return nil
	}
	return partial[c.partial : c.partial+c.weights]
}

// images is the number of images of a bundle.
func (u *bundle) images() int { return u.root.N }

// cut makes a task of every chunk of every bundle; weights is the number of float32s
// that each chunk's gradients take, in all bundles.
func (b *batch) cut(weights int) {
	b.tasks = b.tasks[:0]
	for _, u := range b.bundles {
		u.chunks = chunkCount(u.images(), weights)
		for i := range u.chunks {
			b.tasks = append(b.tasks, blockTask{bundle: u, chunk: i})
		}
	}
}

func (b *batch) weights() int {
	n := 0
	for _, u := range b.bundles {
		n += u.weights
	}
	return n
}

func (b *batch) forward(mode nn.Mode, group []nn.Op) {
	b.layOut(mode, group)
	b.cut(0)
	b.eachBlock((*packForward)(b))
	for _, k := range b.blocks {
		if c := k.base(); usesBatch(mode, c.out.Norm) {
			c.stats.reset(c.outC, c.bundle.chunks)
		}
	}
	b.device.workers.run(len(b.tasks), (*forwardPass)(b))
	b.eachBlock((*momentsJoined)(b))
}

// eachBlock does a job whose tasks are the blocks. Blocks that have a parameter or a norm in
// common take their turns.
func (b *batch) eachBlock(j job) {
	if !b.sharing {
		b.device.workers.run(len(b.blocks), j)
		return
	}
	for i := range b.blocks {
		b.device.workers.all[0].do(j, i)
	}
}

// The passes of a batch, as jobs.
type (
	packForward    batch // a block
	forwardPass    batch // blockTask: a chunk of a bundle
	momentsJoined  batch // a block
	gradSumPass    batch // a chunk of a block
	gradSumsJoined batch // a block
	packBackward   batch // a block
	backwardPass   batch // a chunk of a bundle
	gradsAdded     batch // a block
)

func (p *packForward) task(_ *worker, i int) { p.blocks[i].pack(false) }
func (p *packBackward) task(_ *worker, i int) {
	if k := p.blocks[i]; k.base().passesBack() {
		k.pack(true)
	}
}

func (p *momentsJoined) task(_ *worker, i int) {
	c := p.blocks[i].base()
	switch {
	case usesBatch(p.mode, c.out.Norm):
		c.stats.finish(p.mode, c.out, c.outPlaces)
	case c.out.Norm != nil:
		running(c.out.Norm, c.outPlaces)
	}
}

func (p *gradSumsJoined) task(_ *worker, i int) {
	c := p.blocks[i].base()
	c.grad.finish(c.outPlaces)
}

func (p *gradsAdded) task(_ *worker, i int) {
	k := p.blocks[i]
	c := k.base()
	k.addGrads(c.bundle.partial[c.partial : c.partial+c.weights])
}

func (p *forwardPass) task(w *worker, i int) {
	t := p.tasks[i]
	from, to := images(t.bundle.images(), t.bundle.chunks, t.chunk)
	for image := from; image < to; image++ {
		w.giveBack(0)
		t.bundle.read(p.device, w, image, false)
		for _, k := range t.bundle.blocks {
			c, mark := k.base(), w.used
			k.forward(p.device, w, w.copies[c.reading], image)
			w.giveBack(mark)
			if usesBatch(p.mode, c.out.Norm) {
				c.stats.add(p.device, w, c.out.Values, t.chunk, image, image == from)
			}
		}
	}
}

// read makes a worker's copies of an image.
func (u *bundle) read(d *Device, w *worker, image int, backward bool) {
	grow(&w.copies, len(u.readings))
	for i := range u.readings {
		r := &u.readings[i]
		c := copied{}
		wanted := !backward || r.again
		if wanted && r.zero {
			c.zero = r.copy(d, w, image, 0)
		}
		if wanted && r.inf {
			c.inf = r.copy(d, w, image, float32(math.Inf(-1)))
		}
		if backward && r.x.Grad != nil {
			c.grad = w.take(r.grid.size())
			if !r.stored {
				clear(c.grad)
			}
		}
		w.copies[i] = c
	}
}

func (r *reading) copy(d *Device, w *worker, image int, border float32) []float32 {
	data := w.take(r.grid.size())
	r.grid.border(data, border)
	a := &w.args.affine
	*a = kernel.Affine{Dst: r.grid.inner(data), X: plane(r.x.Values, image), Rows: r.grid.h, Cols: r.grid.w, C: r.grid.c, View: view(r.x, r.relu)}
	d.set.Affine(a)
	return data
}

func (b *batch) backward(mode nn.Mode, group []nn.Op) {
	b.layOut(mode, group)
	b.sumGrads()
	b.cut(b.weights()) // the same chunks where no gradients of weights are made
	frozen := mode == nn.Frozen
	if !frozen {
		b.sharePartial()
	}
	for _, u := range b.bundles {
		u.beginSums()
	}
	b.eachBlock((*packBackward)(b))
	b.device.workers.run(len(b.tasks), (*backwardPass)(b))
	if frozen {
		return
	}
	for _, u := range b.bundles {
		b.device.joinChunks(u.partial, u.weights, u.chunks)
	}
	b.eachBlock((*gradsAdded)(b))
}

// beginSums makes room for the sums that readings leave.
func (u *bundle) beginSums() {
	for i := range u.readings {
		r := &u.readings[i]
		if r.sums = r.sumsGradients(); r.sums {
			norm := r.x.Norm
			norm.SumChunks = u.chunks
			clear(grow(&norm.GradSums, u.chunks*2*r.grid.c))
		}
	}
}

// sharePartial gives every bundle room for its chunks' gradients.
func (b *batch) sharePartial() {
	total := b.partialSize()
	if len(b.partial) < total {
		b.partial = make([]float32, max(total, b.device.reserved.partial))
	}
	at := 0
	for _, u := range b.bundles {
		u.partial = b.partial[at : at+u.chunks*u.weights]
		at += u.chunks * u.weights
	}
}

func (b *batch) partialSize() int {
	n := 0
	for _, u := range b.bundles {
		n += u.chunks * u.weights
	}
	return n
}

// sumGrads is the first phase of all blocks' outputs.
func (b *batch) sumGrads() {
	b.tasks = b.tasks[:0]
	most := 0
	for _, k := range b.blocks {
		g := &k.base().grad
		g.reset(b.mode, k.base().out)
		most = max(most, g.tasks())
	}
	// Chunk by chunk: the sources of a sum read the same gradient.
	for i := range most {
		for _, k := range b.blocks {
			if i < k.base().grad.tasks() {
				b.tasks = append(b.tasks, blockTask{block: k, chunk: i})
			}
		}
	}
	b.device.workers.run(len(b.tasks), (*gradSumPass)(b))
	b.eachBlock((*gradSumsJoined)(b))
}

func (p *gradSumPass) task(w *worker, i int) {
	t := p.tasks[i]
	t.block.base().grad.sum(p.device, w, t.chunk)
}

func (p *backwardPass) task(w *worker, i int) {
	t := p.tasks[i]
	u := t.bundle
	if !u.passesBack() {
		return
	}
	partial := u.partial
	if p.mode != nn.Frozen {
		partial = partial[t.chunk*u.weights : (t.chunk+1)*u.weights]
		clear(partial)
	}
	from, to := images(u.images(), u.chunks, t.chunk)
	for image := from; image < to; image++ {
		w.giveBack(0)
		u.read(p.device, w, image, true)
		for _, k := range u.blocks {
			c, mark := k.base(), w.used
			if !c.passesBack() {
				continue
			}
			k.backward(p.device, w, w.copies[c.reading], c.part(partial), image)
			w.giveBack(mark)
		}
		for j := range u.readings {
			u.readings[j].addGrad(p.device, w, w.copies[j].grad, t.chunk, image)
		}
	}
}

// addGrad passes an image's gradient on to the value that was read.
func (r *reading) addGrad(d *Device, w *worker, grad []float32, chunk, image int) {
	if grad == nil {
		return
	}
	addMasked(d, w, r.x, r.relu, r.store, r.grid.inner(grad), image)
	if r.sums {
		n := 2 * r.grid.c
		addGradSums(d, w, r.x, r.x.Grad, 1, r.x.Norm.GradSums[chunk*n:(chunk+1)*n], image)
	}
}

// sumsGradients says whether the sums that the operator of x needs of its gradient can be
// taken here, while an image of it is in a cache: where nobody else adds to it.
func (r *reading) sumsGradients() bool {
	return r.store && r.x.Grad != nil && r.x.OneReader() && r.x.Via == nil && r.x.Norm != nil
}

// addMasked adds an image of a gradient to that of x, through a ReLU of the reader's.
// Without one the values are not looked at: others may lie in their place by now.
func addMasked(d *Device, w *worker, x *nn.Var, relu, store bool, g kernel.Plane, image int) {
	t := x.Grad
	a := &w.args.addMasked
	*a = kernel.AddMasked{Dst: plane(t, image), G: g, X: g, Rows: t.H, Cols: t.W, C: t.Channels.Padded(), Store: store}
	if relu {
		a.X, a.View = plane(x.Values, image), view(x, true)
	}
	d.set.AddMasked(a)
}

// joinBlock is how many numbers of the chunks' gradients a task joins.
const joinBlock = 1 << 12

// join adds up chunks of n numbers.
type join struct {
	device    *Device
	partial   []float32
	n, chunks int
}

// joinChunks adds the partial sums of all chunks, in order, to those of the first.
func (d *Device) joinChunks(partial []float32, n, chunks int) {
	if chunks < 2 {
		return
	}
	d.jobs.join = join{d, partial, n, chunks}
	d.workers.run((n+joinBlock-1)/joinBlock, &d.jobs.join)
	d.jobs.join = join{}
}

func (j *join) task(_ *worker, i int) {
	from, to := i*joinBlock, min((i+1)*joinBlock, j.n)
	for chunk := 1; chunk < j.chunks; chunk++ {
		j.device.set.Add(j.partial[from:to], j.partial[chunk*j.n+from:chunk*j.n+to])
	}
}

// scratch is an upper bound of the bytes that the batch needs. Memory is made for
// the largest batch that was asked about.
func (b *batch) scratch() int64 {
	b.cut(b.weights())
	most, shared := 0, 0
	for _, u := range b.bundles {
		copies, chain := 0, 0
		for _, r := range u.readings {
			copies += 3 * r.grid.size()
		}
		for _, k := range u.blocks {
			chain = max(chain, k.scratch())
		}
		most = max(most, copies+chain)
		shared += (u.chunks + 2) * u.weights
	}
	reserved := &b.device.reserved
	reserved.worker, reserved.partial = max(reserved.worker, most), max(reserved.partial, b.partialSize())
	return 4 * int64(b.device.Threads()*most+shared)
}
