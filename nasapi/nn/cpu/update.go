package cpu

import (
	"math"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// updateSize is how many numbers of a parameter one task updates.
const updateSize = 1 << 14

// normJob is the sums of squares of parameters' gradients, a parameter a task.
type normJob struct {
	set    kernel.Set
	params []*nn.Param
	sums   []float64
}

func (j *normJob) task(_ *worker, i int) {
	j.sums[i] = j.set.SumSquares(j.params[i].Grad.(memory))
}

// SquaredNorm adds the parameters' sums in their order.
func (d *Device) SquaredNorm(params []*nn.Param) float64 {
	j := &d.jobs.norms
	j.set, j.params = d.set, params
	grow(&j.sums, len(params))
	d.workers.run(len(params), j)
	j.params = nil
	total := 0.0
	for _, s := range j.sums {
		total += s
	}
	return total
}

// updateJob is an optimiser step, a block of a parameter a task.
type updateJob struct {
	set    kernel.Set
	rule   nn.Rule
	blocks []updateBlock
}

type updateBlock struct {
	update   *nn.Update
	from, to int
}

// Update applies the rule to blocks of all parameters.
func (d *Device) Update(rule nn.Rule, updates []nn.Update) {
	j := &d.jobs.update
	j.set, j.rule, j.blocks = d.set, rule, j.blocks[:0]
	for i := range updates {
		n := updates[i].Param.Len()
		for from := 0; from < n; from += updateSize {
			j.blocks = append(j.blocks, updateBlock{&updates[i], from, min(from+updateSize, n)})
		}
	}
	d.workers.run(len(j.blocks), j)
	clear(j.blocks)
}

func (j *updateJob) task(w *worker, i int) {
	b := j.blocks[i]
	u := b.update
	var s [2][]float32
	for k, slot := range u.Slots {
		if slot != nil {
			s[k] = slot.(memory)[b.from:b.to]
		}
	}
	gradient := noGradient[:b.to-b.from]
	if u.Param.Touched {
		gradient = u.Param.Grad.(memory)[b.from:b.to]
	}
	step(j.set, w, j.rule, u, u.Param.Value.(memory)[b.from:b.to], gradient, s)
}

// noGradient is that of a parameter that no backward pass used: of a supernet most are
// not, and this lies in a cache.
var noGradient [updateSize]float32

// step is the arithmetic of nn.Rule in float32, every product and sum rounded by
// itself but where kernel.SGD fuses them.
func step(set kernel.Set, worker *worker, rule nn.Rule, u *nn.Update, w, g []float32, s [2][]float32) {
	rate, decay, clip, momentum := float32(u.Rate), float32(u.Decay), float32(u.Clip), float32(u.Momentum)
	if rule == nn.SGD {
		a := &worker.args.sgd
		*a = kernel.SGD{W: w, V: s[0], G: g, Rate: rate, Momentum: momentum, Decay: decay, Clip: clip}
		set.SGD(a)
		return
	}
	alpha, eps := float32(u.Alpha), float32(u.Eps)
	b1, b2 := float32(u.Beta1), float32(u.Beta2)
	adamRate, adamScale := float32(u.Rate*u.Correction1), float32(u.Correction2)
	for i := range w {
		d := float32(g[i]*clip) + float32(decay*w[i])
		switch rule {
		case nn.Adam:
			s[0][i] = float32(b1*s[0][i]) + float32((1-b1)*d)
			s[1][i] = float32(b2*s[1][i]) + float32(float32((1-b2)*d)*d)
			w[i] -= float32(adamRate * s[0][i] / (float32(root(s[1][i])*adamScale) + eps))
		case nn.RMSProp:
			s[1][i] = float32(alpha*s[1][i]) + float32(float32((1-alpha)*d)*d)
			s[0][i] = float32(momentum*s[0][i]) + d/(root(s[1][i])+eps)
			w[i] -= float32(rate * s[0][i])
		case nn.RMSPropTF:
			s[1][i] = float32(alpha*s[1][i]) + float32(float32((1-alpha)*d)*d)
			s[0][i] = float32(momentum*s[0][i]) + float32(rate*d)/root(s[1][i]+eps)
			w[i] -= s[0][i]
		}
	}
}

// root is the float32 square root, correctly rounded: that of float64 rounded again
// is (Figueroa, "When is double rounding innocuous?", 1995).
func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }
