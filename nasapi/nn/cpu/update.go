package cpu

import (
	"math"

	"evalnas/nasapi/nn"
	"evalnas/nasapi/nn/cpu/kernel"
)

// block is how many numbers of a parameter one task updates.
const block = 1 << 14

// SquaredNorm adds the parameters' sums in their order.
func (d *Device) SquaredNorm(params []*nn.Param) float64 {
	sums := make([]float64, len(params))
	d.workers.run(len(params), func(_ *worker, i int) { sums[i] = d.set.SumSquares(params[i].Grad.(memory)) })
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}

// Update applies the rule to blocks of all parameters.
func (d *Device) Update(rule nn.Rule, updates []nn.Update) {
	type task struct {
		u        *nn.Update
		from, to int
	}
	var tasks []task
	for i := range updates {
		n := updates[i].Param.Len()
		for from := 0; from < n; from += block {
			tasks = append(tasks, task{&updates[i], from, min(from+block, n)})
		}
	}
	d.workers.run(len(tasks), func(_ *worker, i int) {
		t := tasks[i]
		w, g := t.u.Param.Value.(memory)[t.from:t.to], t.u.Param.Grad.(memory)[t.from:t.to]
		var s [2][]float32
		for j, slot := range t.u.Slots {
			if slot != nil {
				s[j] = slot.(memory)[t.from:t.to]
			}
		}
		step(d.set, rule, t.u, w, g, s)
	})
}

// step is the arithmetic of nn.Rule in float32, every product and sum rounded by
// itself but where kernel.SGD fuses them.
func step(set kernel.Set, rule nn.Rule, u *nn.Update, w, g []float32, s [2][]float32) {
	rate, decay, clip, momentum := float32(u.Rate), float32(u.Decay), float32(u.Clip), float32(u.Momentum)
	if rule == nn.SGD {
		set.SGD(&kernel.SGD{W: w, V: s[0], G: g, Rate: rate, Momentum: momentum, Decay: decay, Clip: clip})
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
