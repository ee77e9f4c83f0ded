package cpu

import (
	"math"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// arguments are the kernels' argument structs, kept so that they need not be made
// for every call.
type arguments struct {
	dense         kernel.Dense
	denseGrad     kernel.DenseGrad
	depthwise     kernel.Depthwise
	depthwiseGrad kernel.DepthwiseGrad
	affine        kernel.Affine
	addScaled     kernel.AddScaled
	moments       kernel.Moments
	gradMoments   kernel.GradMoments
	normGrad      kernel.NormGrad
	addMasked     kernel.AddMasked
	scalePixels   kernel.ScalePixels
	maxPool       kernel.MaxPool
	maxPoolGrad   kernel.MaxPoolGrad
	sgd           kernel.SGD
}

// usesBatch says whether a norm takes the batch's statistics.
func usesBatch(mode nn.Mode, norm *nn.Norm) bool {
	return norm != nil && (mode != nn.Evaluate || norm.BN.Mean == nil)
}

// statistics gathers an output's moments chunk by chunk, each around the first pixel
// of its own first image, so that a mean far from zero costs no digits.
type statistics struct {
	c, chunks int
	room      []float32 // [chunks][1+2*lanes][c]: center, sums, sums of squares
}

func (s *statistics) reset(c, chunks int) {
	s.c, s.chunks = c, chunks
	grow(&s.room, chunks*c*(1+2*kernel.Lanes))
}

func (s *statistics) chunk(i int) (center, sum, square []float32) {
	all := s.room[i*s.c*(1+2*kernel.Lanes):]
	n := kernel.Lanes * s.c
	return all[:s.c], all[s.c : s.c+n], all[s.c+n : s.c+2*n]
}

// add takes an image that was just written; first says that it is its chunk's first.
func (s *statistics) add(d *Device, w *worker, t *nn.Tensor, chunk, image int, first bool) {
	center, sum, square := s.chunk(chunk)
	p := plane(t, image)
	if first {
		copy(center, p.Data)
		clear(sum)
		clear(square)
	}
	a := &w.args.moments
	*a = kernel.Moments{Sum: sum, Square: square, X: p, Rows: t.H, Cols: t.W, C: s.c, Center: center}
	d.set.Moments(a)
}

// finish joins the chunks (Chan, Golub and LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances", 1979) and makes the norm's view. places
// are the channels'.
func (s *statistics) finish(mode nn.Mode, v *nn.Var, places []int) {
	norm := v.Norm
	bn := norm.BN
	moves := mode == nn.Train && bn.Mean != nil
	clearView(norm)
	for i, c := range places {
		n, mean, m2 := s.join(v.Values, c)
		if moves {
			move(&bn.Mean[norm.First+i], mean, bn.Momentum)
			move(&bn.Var[norm.First+i], m2/max(1, n-1), bn.Momentum)
		}
		setView(norm, i, c, mean, m2/n)
	}
	if moves && norm.First == 0 {
		bn.Batches++
	}
}

// join is a channel's number of values, their mean and the sum of the squares of
// their distances from it.
func (s *statistics) join(t *nn.Tensor, c int) (n, mean, m2 float64) {
	for chunk := range s.chunks {
		from, to := images(t.N, s.chunks, chunk)
		k := float64((to - from) * t.H * t.W)
		center, sum, square := s.chunk(chunk)
		a, b := joinLanes(sum, s.c, c), joinLanes(square, s.c, c)
		chunkMean := float64(center[c]) + a/k
		chunkM2 := b - float64(a*a)/k
		delta := chunkMean - mean
		m2 += chunkM2 + float64(float64(delta*delta)*n)*k/(n+k)
		mean += float64(delta*k) / (n + k)
		n += k
	}
	return n, mean, max(0, m2)
}

func joinLanes(lanes []float32, stride, c int) float64 {
	return (float64(lanes[c]) + float64(lanes[stride+c])) + (float64(lanes[2*stride+c]) + float64(lanes[3*stride+c]))
}

func move(running *float32, batch, momentum float64) {
	old := float64(*running)
	*running = float32(old + float64(momentum*(batch-old)))
}

func clearView(norm *nn.Norm) {
	clear(norm.Scale)
	clear(norm.Shift)
	clear(norm.Center)
	clear(norm.InvStd)
}

// setView makes scale and shift of the tensor's channel i, at place c.
func setView(norm *nn.Norm, i, c int, mean, variance float64) {
	bn := norm.BN
	gamma, beta := 1.0, 0.0
	if bn.Gamma != nil {
		gamma, beta = float64(bn.Gamma.Value.(memory)[norm.First+i]), float64(bn.Beta.Value.(memory)[norm.First+i])
	}
	inv := 1 / math.Sqrt(variance+bn.Eps)
	scale := float32(gamma * inv)
	norm.Center[c], norm.InvStd[c] = float32(mean), float32(inv)
	norm.Scale[c] = scale
	norm.Shift[c] = float32(beta - float64(float64(scale)*mean))
}

// running makes the view of a norm that uses its running statistics.
func running(norm *nn.Norm, places []int) {
	clearView(norm)
	for i, c := range places {
		setView(norm, i, c, float64(norm.BN.Mean[norm.First+i]), float64(norm.BN.Var[norm.First+i]))
	}
}

// upstream is the gradient with respect to what is read of an operator's output.
type upstream struct {
	t      *nn.Tensor
	weight float32
	keep   []float32
}

func upstreamOf(v *nn.Var) upstream {
	if v.Via == nil {
		return upstream{t: v.Grad, weight: 1}
	}
	u := upstream{t: v.Via.Out.Grad, weight: 1}
	if v.Via.Weights != nil {
		u.weight = v.Via.Weights[v.ViaIndex]
	}
	if v.Via.Keep != nil {
		u.keep = v.Via.Keep[v.ViaIndex]
	}
	return u
}

func (u upstream) kept(image int) float32 {
	if u.keep == nil {
		return 1
	}
	return u.keep[image]
}

// normGrad turns the upstream gradient of an output into that of its stored values,
// in two phases: sums over the batch, which are those of the norm's parameters and of
// the mixture's weight too, and then every value by itself.
type normGrad struct {
	upstream
	v        *nn.Var
	constant bool // the norm's statistics are
	frozen   bool // the norm's parameters are
	chunks   int  // 0: no sums are wanted
	c        int
	sums     []float64 // [chunks][2][c]: m and m*d of kernel.GradMoments, times keep
	summed   bool      // in Norm.GradSums, by the reader
	room     []float32
	a, b, d  []float32 // [c]; a without the image's factor
	center   []float32
}

func (g *normGrad) reset(mode nn.Mode, v *nn.Var) {
	c := v.Values.Channels.Padded()
	g.v, g.c, g.upstream, g.chunks, g.summed = v, c, upstreamOf(v), 0, false
	g.constant, g.frozen = !usesBatch(mode, v.Norm), mode == nn.Frozen
	if g.t == nil {
		return // in a frozen graph: nobody asks
	}
	room := grow(&g.room, 4*c)
	clear(room)
	g.a, g.b, g.d, g.center = room[:c], room[c:2*c], room[2*c:3*c], room[3*c:]
	if v.Norm != nil {
		g.center = v.Norm.Center
	} else {
		fill(g.a, g.weight)
	}
	switch {
	case v.Norm == nil:
	case v.Norm.SumChunks > 0:
		g.summed, g.chunks, v.Norm.SumChunks = true, v.Norm.SumChunks, 0
	default:
		g.chunks = chunkCount(v.Values.N, 0)
		grow(&g.sums, g.chunks*2*c)
	}
}

// tasks is how many chunks are still to be summed.
func (g *normGrad) tasks() int {
	if g.summed {
		return 0
	}
	return g.chunks
}

// wantsWeight says whether the mixture's weight gets its gradient here: from a norm's
// sums. That of a source without a norm is the sum's to work out.
func wantsWeight(v *nn.Var) bool {
	return v.Norm != nil && v.Via != nil && v.Via.DWeights != nil
}

// sum adds up a chunk's images.
func (g *normGrad) sum(d *Device, w *worker, chunk int) {
	mine := g.sums[chunk*2*g.c : (chunk+1)*2*g.c]
	clear(mine)
	from, to := images(g.v.Values.N, g.chunks, chunk)
	for image := from; image < to; image++ {
		addGradSums(d, w, g.v, g.t, g.kept(image), mine, image)
	}
}

// addGradSums adds an image's sums of m and m*d of kernel.GradMoments, times keep, to
// those in sums.
func addGradSums(d *Device, w *worker, v *nn.Var, gradient *nn.Tensor, keep float32, sums []float64, image int) {
	t := v.Values
	c := t.Channels.Padded()
	mark := w.used
	lanes := w.takeZero(2 * kernel.Lanes * c)
	a := &w.args.gradMoments
	*a = kernel.GradMoments{Sum: lanes[:kernel.Lanes*c], Dot: lanes[kernel.Lanes*c:], G: plane(gradient, image), X: plane(t, image),
		Rows: t.H, Cols: t.W, C: c, Center: v.Norm.Center, View: view(v, false)}
	d.set.GradMoments(a)
	for i := range c {
		sums[i] += float64(float64(keep) * joinLanes(a.Sum, c, i))
		sums[c+i] += float64(float64(keep) * joinLanes(a.Dot, c, i))
	}
	w.giveBack(mark)
}

// finish joins the sums of all chunks into those of the first and takes what follows
// from them.
func (g *normGrad) finish(places []int) {
	if g.chunks == 0 {
		return
	}
	sums := g.sums
	if g.summed {
		sums = g.v.Norm.GradSums
	}
	total := sums[:2*g.c]
	for chunk := 1; chunk < g.chunks; chunk++ {
		for i, x := range sums[chunk*2*g.c : (chunk+1)*2*g.c] {
			total[i] += x
		}
	}
	sum, dot := total[:g.c], total[g.c:]
	if wantsWeight(g.v) {
		g.v.Via.DWeights[g.v.ViaIndex] = float32(weightGrad(g.v, sum, dot))
	}
	g.fold(places, sum, dot)
}

// weightGrad is the sum of gradient times what is read: scale*x + shift where the
// mask of the ReLU lets it through.
func weightGrad(v *nn.Var, sum, dot []float64) float64 {
	total := 0.0
	for c := range sum {
		scale := float64(v.Norm.Scale[c])
		base := float64(scale*float64(v.Norm.Center[c])) + float64(v.Norm.Shift[c])
		total += float64(scale*dot[c]) + float64(base*sum[c])
	}
	return total
}

// fold adds the gradients of gamma and beta and makes the coefficients of
// kernel.NormGrad: with xhat = d*invstd and M values a channel,
//
//	gradient = scale * (m - sum/M - xhat*invstd*dot/M)
//
// and no more than scale*m where the statistics are constants.
func (g *normGrad) fold(places []int, sum, dot []float64) {
	norm, t := g.v.Norm, g.v.Values
	bn := norm.BN
	weight, values := float64(g.weight), float64(t.N*t.H*t.W)
	for i, c := range places {
		inv, scale := float64(norm.InvStd[c]), float64(norm.Scale[c])
		if bn.Gamma != nil && !g.frozen {
			bn.Gamma.Grad.(memory)[norm.First+i] += float32(float64(weight*inv) * dot[c])
			bn.Beta.Grad.(memory)[norm.First+i] += float32(weight * sum[c])
		}
		g.a[c] = float32(scale * weight)
		if !g.constant {
			g.b[c] = float32(-float64(scale*weight) * inv * inv * dot[c] / values)
			g.d[c] = float32(-float64(scale*weight) * sum[c] / values)
		}
	}
	if bn.Gamma != nil && !g.frozen {
		touch(bn.Gamma)
		touch(bn.Beta)
	}
}

func touch(p *nn.Param) { p.Touched, p.Trained = true, true }

// write puts the gradient of an image's stored values into dst.
func (g *normGrad) write(d *Device, w *worker, dst kernel.Plane, image int) {
	v, keep := g.v, g.kept(image)
	t := v.Values
	if v.Norm == nil && !v.ReLU {
		a := &w.args.addScaled
		*a = kernel.AddScaled{Dst: dst, X: plane(g.t, image), Rows: t.H, Cols: t.W, C: g.c, Weight: g.weight * keep, Store: true}
		d.set.AddScaled(a)
		return
	}
	coefficients := g.a
	if keep != 1 {
		coefficients = w.take(g.c)
		for i, x := range g.a {
			coefficients[i] = x * keep
		}
	}
	a := &w.args.normGrad
	*a = kernel.NormGrad{Dst: dst, G: plane(g.t, image), X: plane(t, image), Rows: t.H, Cols: t.W, C: g.c,
		Center: g.center, A: coefficients, B: g.b, D: g.d, View: view(v, false)}
	d.set.NormGrad(a)
}
