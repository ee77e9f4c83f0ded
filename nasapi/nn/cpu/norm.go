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
}

// usesBatch says whether a norm takes the batch's statistics.
func usesBatch(mode nn.Mode, bn *nn.BatchNorm) bool { return mode != nn.Evaluate || bn.Mean == nil }

// statistics gathers an output's moments chunk by chunk, each around the first pixel
// of its own first image, so that a mean far from zero costs no digits.
type statistics struct {
	c, chunks int
	centers   []float32 // [chunks][c]
	sums      []float32 // [chunks][2][lanes][c]
}

func (d *Device) newStatistics(t *nn.Tensor, chunks int) *statistics {
	c := t.Channels.Padded()
	room := grow(&d.room.moments, chunks*c*(1+2*kernel.Lanes))
	clear(room)
	return &statistics{c: c, chunks: chunks, centers: room[:chunks*c], sums: room[chunks*c:]}
}

func (s *statistics) lanes(chunk int) (sum, square []float32) {
	n := kernel.Lanes * s.c
	all := s.sums[chunk*2*n:]
	return all[:n], all[n : 2*n]
}

// add takes an image that was just written.
func (s *statistics) add(d *Device, w *worker, t *nn.Tensor, chunk, image int) {
	center := s.centers[chunk*s.c : (chunk+1)*s.c]
	p := plane(t, image)
	if image == chunk*t.N/s.chunks {
		copy(center, p.Data)
	}
	a := &w.args.moments
	a.Sum, a.Square = s.lanes(chunk)
	a.X, a.Rows, a.Cols, a.C, a.Center = p, t.H, t.W, s.c, center
	d.set.Moments(a)
}

// finish joins the chunks (Chan, Golub and LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances", 1979) and makes the norm's view.
func (s *statistics) finish(mode nn.Mode, v *nn.Var) {
	t, norm := v.Values, v.Norm
	bn := norm.BN
	for c := range t.Channels.Padded() {
		norm.Scale[c], norm.Shift[c], norm.Center[c], norm.InvStd[c] = 0, 0, 0, 0
	}
	pixels := t.H * t.W
	for i, c := range places(t.Channels) {
		var n, mean, m2 float64
		for chunk := range s.chunks {
			images := (chunk+1)*t.N/s.chunks - chunk*t.N/s.chunks
			k := float64(images * pixels)
			sum, square := s.lanes(chunk)
			a, b := joinLanes(sum, s.c, c), joinLanes(square, s.c, c)
			chunkMean := float64(s.centers[chunk*s.c+c]) + a/k
			chunkM2 := b - float64(a*a)/k
			delta := chunkMean - mean
			m2 += chunkM2 + float64(float64(delta*delta)*n)*k/(n+k)
			mean += float64(delta*k) / (n + k)
			n += k
		}
		variance := max(0, m2/n)
		if mode == nn.Train && bn.Mean != nil {
			move(&bn.Mean[i], mean, bn.Momentum)
			move(&bn.Var[i], m2/max(1, n-1), bn.Momentum)
		}
		setView(norm, i, c, mean, variance)
	}
	if mode == nn.Train && bn.Mean != nil {
		bn.Batches++
	}
}

func joinLanes(lanes []float32, stride, c int) float64 {
	return (float64(lanes[c]) + float64(lanes[stride+c])) + (float64(lanes[2*stride+c]) + float64(lanes[3*stride+c]))
}

func move(running *float32, batch, momentum float64) {
	old := float64(*running)
	*running = float32(old + float64(momentum*(batch-old)))
}

// setView makes scale and shift of channel i, at place c.
func setView(norm *nn.Norm, i, c int, mean, variance float64) {
	bn := norm.BN
	gamma, beta := 1.0, 0.0
	if bn.Gamma != nil {
		gamma, beta = float64(bn.Gamma.Value.(memory)[i]), float64(bn.Beta.Value.(memory)[i])
	}
	inv := 1 / math.Sqrt(variance+bn.Eps)
	scale := float32(gamma * inv)
	norm.Center[c], norm.InvStd[c] = float32(mean), float32(inv)
	norm.Scale[c] = scale
	norm.Shift[c] = float32(beta - float64(float64(scale)*mean))
}

// running makes the view of a norm that uses its running statistics.
func running(v *nn.Var) {
	norm := v.Norm
	for c := range norm.Scale {
		norm.Scale[c], norm.Shift[c], norm.Center[c], norm.InvStd[c] = 0, 0, 0, 0
	}
	for i, c := range places(v.Values.Channels) {
		setView(norm, i, c, float64(norm.BN.Mean[i]), float64(norm.BN.Var[i]))
	}
}

// places is where each logical channel lies among the padded ones.
func places(channels nn.Channels) []int {
	var at []int
	begin := 0
	for _, width := range channels {
		for c := range width {
			at = append(at, begin+c)
		}
		begin += nn.Pad(width)
	}
	return at
}

// upstream is the gradient with respect to what is read of an operator's output.
type upstream struct {
	v      *nn.Var
	t      *nn.Tensor
	weight float32
	keep   []float32
}

func upstreamOf(v *nn.Var) upstream {
	if v.Via == nil {
		return upstream{v: v, t: v.Grad, weight: 1}
	}
	u := upstream{v: v, t: v.Via.Out.Grad, weight: 1}
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

// normGrad is what the second phase of an operator's backward pass needs to turn the
// upstream gradient into that of the stored values.
type normGrad struct {
	upstream
	a, b, d, zero []float32 // [padded channels]; a without the image's factor
}

// prepareGrad is the first phase: the sums over the batch, the gradients of the
// norm's parameters and of the mixture's weight.
func (d *Device) prepareGrad(v *nn.Var) *normGrad {
	u := upstreamOf(v)
	c := v.Values.Channels.Padded()
	g := &normGrad{upstream: u, a: make([]float32, c), b: make([]float32, c), d: make([]float32, c), zero: make([]float32, c)}
	wantsWeight := v.Via != nil && v.Via.DWeights != nil
	for i := range g.a {
		g.a[i] = u.weight
	}
	if v.Norm == nil && !wantsWeight {
		return g
	}
	sum, dot := d.gradSums(u, v)
	if wantsWeight {
		v.Via.DWeights[v.ViaIndex] = float32(weightGrad(v, sum, dot))
	}
	if v.Norm != nil {
		g.fold(v.Norm, sum, dot)
	}
	return g
}

// gradSums adds up, for each padded channel over the batch, m and m*d of
// kernel.GradMoments, times each image's keep.
func (d *Device) gradSums(u upstream, v *nn.Var) (sum, dot []float64) {
	t := v.Values
	c := t.Channels.Padded()
	chunks := chunkCount(t.N, 0)
	all := grow(&d.room.sums, chunks*2*c)
	clear(all)
	center := make([]float32, c)
	if v.Norm != nil {
		center = v.Norm.Center
	}
	d.eachImage(t.N, chunks, func(w *worker, chunk, image int) {
		lanes := w.takeZero(2 * kernel.Lanes * c)
		a := &w.args.gradMoments
		a.Sum, a.Dot = lanes[:kernel.Lanes*c], lanes[kernel.Lanes*c:]
		a.G, a.X, a.Rows, a.Cols, a.C, a.Center, a.View = plane(u.t, image), plane(t, image), t.H, t.W, c, center, view(v, false)
		d.set.GradMoments(a)
		keep := float64(u.kept(image))
		mine := all[chunk*2*c:]
		for i := range c {
			mine[i] += float64(keep * joinLanes(a.Sum, c, i))
			mine[c+i] += float64(keep * joinLanes(a.Dot, c, i))
		}
	})
	sum, dot = make([]float64, c), make([]float64, c)
	for chunk := range chunks {
		for i := range c {
			sum[i] += all[chunk*2*c+i]
			dot[i] += all[chunk*2*c+c+i]
		}
	}
	return sum, dot
}

// weightGrad is the sum of gradient times what is read: scale*x + shift where the
// mask of the ReLU lets it through.
func weightGrad(v *nn.Var, sum, dot []float64) float64 {
	total := 0.0
	for c := range sum {
		if v.Norm == nil {
			total += dot[c]
			continue
		}
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
func (g *normGrad) fold(norm *nn.Norm, sum, dot []float64) {
	bn, t := norm.BN, g.v.Values
	weight, values := float64(g.weight), float64(t.N*t.H*t.W)
	clear(g.a)
	for i, c := range places(t.Channels) {
		inv, scale := float64(norm.InvStd[c]), float64(norm.Scale[c])
		if bn.Gamma != nil {
			bn.Gamma.Grad.(memory)[i] += float32(float64(weight*inv) * dot[c])
			bn.Beta.Grad.(memory)[i] += float32(weight * sum[c])
		}
		g.a[c] = float32(scale * weight)
		g.b[c] = float32(-float64(scale*weight) * inv * inv * dot[c] / values)
		g.d[c] = float32(-float64(scale*weight) * sum[c] / values)
	}
	if bn.Gamma != nil {
		touch(bn.Gamma)
		touch(bn.Beta)
	}
}

func touch(p *nn.Param) { p.Touched, p.Trained = true, true }

// write puts the gradient of an image's stored values into dst.
func (g *normGrad) write(d *Device, w *worker, dst kernel.Plane, image int) {
	v := g.v
	t := v.Values
	c := t.Channels.Padded()
	keep := g.kept(image)
	if v.Norm == nil && !v.ReLU {
		a := &w.args.addScaled
		*a = kernel.AddScaled{Dst: dst, X: plane(g.t, image), Rows: t.H, Cols: t.W, C: c, Weight: g.weight * keep, Store: true}
		d.set.AddScaled(a)
		return
	}
	coefficients := g.a
	if keep != 1 {
		coefficients = w.take(c)
		for i, x := range g.a {
			coefficients[i] = x * keep
		}
	}
	a := &w.args.normGrad
	*a = kernel.NormGrad{Dst: dst, G: plane(g.t, image), X: plane(t, image), Rows: t.H, Cols: t.W, C: c,
		Center: g.zero, A: coefficients, B: g.b, D: g.d, View: view(v, false)}
	if v.Norm != nil {
		a.Center = v.Norm.Center
	}
	d.set.NormGrad(a)
}
