package plotting

import (
	"math"
	"strconv"
)

// scale maps data to pixels along one direction.
type scale struct {
	lo, hi   float64 // data
	from, to float64 // pixels of lo and hi
	log      bool
}

// at is the pixel of v; NaN never arises, since data are finite and lo < hi.
func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log(max(v, math.SmallestNonzeroFloat64)), math.Log(lo), math.Log(hi)
	}
	return s.from + (v-lo)/(hi-lo)*(s.to-s.from)
}

// clamped is the pixel of v, held on the axis.
func (s scale) clamped(v float64) float64 { return s.at(min(max(v, s.lo), s.hi)) }

// part is the value at a part of the axis, 0 for lo and 1 for hi.
func (s scale) part(f float64) float64 {
	if s.log {
		return s.lo * math.Pow(s.hi/s.lo, f)
	}
	return s.lo + float64(f*(s.hi-s.lo))
}

// widen makes a range that has some extent: around a single value a span that
// suits its size.
func widen(lo, hi float64) (float64, float64) {
	if hi > lo && hi-lo > 1e-12*max(math.Abs(lo), math.Abs(hi)) {
		return lo, hi
	}
	d := max(math.Abs(lo)*0.01, 1e-6)
	return lo - d, hi + d
}

type tick struct {
	v     float64
	label string // empty for a minor tick
}

// linearTicks are about n round values in lo..hi.
func linearTicks(lo, hi float64, n int) []tick {
	raw := (hi - lo) / float64(max(n, 1))
	base := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * base
	for _, m := range []float64{1, 2, 5} {
		if m*base >= raw*0.999 {
			step = m * base
			break
		}
	}
	decimals := decimalsFor(step)
	var out []tick
	// Multiples are counted, not added up, so that 0.3 is not 0.30000000000000004.
	first, last := math.Ceil(lo/step-1e-9), math.Floor(hi/step+1e-9)
	for k := first; k <= last && len(out) < 100; k++ {
		out = append(out, tick{k * step, fixed(k*step, decimals)})
	}
	return out
}

// logTicks are the powers of ten in lo..hi with minor ticks between; where the
// axis has no more decades than detail, the 2s and 5s are labelled too.
func logTicks(lo, hi, detail float64) []tick {
	var out []tick
	few := math.Log10(hi/lo) <= detail
	sparse := 1 + int(math.Log10(hi/lo)/9) // label every sparse-th decade of very long axes
	for e := int(math.Floor(math.Log10(lo) + 1e-9)); e <= int(math.Ceil(math.Log10(hi)-1e-9)); e++ {
		for m := 1; m <= 9; m++ {
			v := float64(m) * math.Pow10(e)
			if v < lo*(1-1e-9) || v > hi*(1+1e-9) {
				continue
			}
			t := tick{v: v}
			if (m == 1 && e%sparse == 0) || (few && (m == 2 || m == 5)) {
				t.label = logLabel(v, e)
			}
			out = append(out, t)
		}
	}
	return out
}

func logLabel(v float64, exponent int) string {
	if exponent >= 7 || exponent < -5 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return fixed(v, max(-exponent, 0))
}

// bottomAxis draws ticks and their labels under a panel, and its grid over it.
func (p *pen) bottomAxis(s scale, ticks []tick, top, base float64) {
	p.group("axis x-axis", "", func() {
		p.line(s.from, base, s.to, base, 1, axisColor)
		for _, t := range ticks {
			x := s.at(t.v)
			if t.label == "" {
				p.line(x, base, x, base+3, 1, axisColor)
				continue
			}
			p.line(x, top, x, base, 1, gridColor)
			p.line(x, base, x, base+5, 1, axisColor)
			p.text(x, base+18, t.label, tickText, centre)
		}
	})
}

// leftAxis is the same beside a panel from x to end.
func (p *pen) leftAxis(s scale, ticks []tick, x, end float64) {
	p.group("axis y-axis", "", func() {
		for _, t := range ticks {
			y := s.at(t.v)
			if t.label == "" {
				p.line(x-3, y, x, y, 1, axisColor)
				continue
			}
			p.line(x, y, end, y, 1, gridColor)
			p.line(x-5, y, x, y, 1, axisColor)
			p.middle(x-8, y, t.label, tickText, right)
		}
		p.line(x, s.from, x, s.to, 1, axisColor)
	})
}

// rightAxis draws ticks and labels beside a panel that ends at x, without a grid.
func (p *pen) rightAxis(s scale, ticks []tick, x float64, style textStyle) {
	p.group("axis right-axis", "", func() {
		for _, t := range ticks {
			y := s.at(t.v)
			p.line(x, y, x+5, y, 1, style.color)
			p.middle(x+8, y, t.label, style, left)
		}
		p.line(x, s.from, x, s.to, 1, style.color)
	})
}

// rankTicks are rank 1 and about n round ranks up to last.
func rankTicks(last, n int) []tick {
	out := []tick{{1, "1"}}
	gap := 0.4 * float64(last) / float64(max(n, 1))
	for _, t := range linearTicks(0, float64(last), n) {
		if t.v > 1 && t.v == math.Trunc(t.v) && t.v-1 >= gap {
			out = append(out, tick{t.v, fixed(t.v, 0)})
		}
	}
	return out
}

// percentileTicks places percentiles of a space along an axis of its values:
// the telling ones first, others where at least gap pixels are free.
func percentileTicks(s scale, d distribution, gap float64) []tick {
	order := []struct {
		p     float64
		label string
	}{{50, "50"}, {99, "99"}, {90, "90"}, {99.9, "99.9"}, {10, "10"}, {75, "75"}, {25, "25"}, {5, "5"}, {95, "95"},
		{99.99, "99.99"}, {1, "1"}}
	var out []tick
	for _, o := range order {
		if float64(d.n())*min(o.p, 100-o.p)/100 < 1 {
			continue // finer than the cells of the space
		}
		v := d.at(o.p)
		x := s.at(v)
		free := v >= s.lo && v <= s.hi
		for _, t := range out {
			free = free && math.Abs(s.at(t.v)-x) >= gap
		}
		if free {
			out = append(out, tick{v, o.label})
		}
	}
	return out
}
