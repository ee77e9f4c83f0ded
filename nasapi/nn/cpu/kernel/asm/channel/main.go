// Command channel writes the AVX2 kernels that do one thing to every value of a region
// of pixels. Lanes are channels; a function branches to the code of its variant, which
// goes over all pixels of a panel of channels, four at a time. Roundings and their order
// are those of the plain Go twins.
package main

import (
	"fmt"

	"evalnas/nasapi/nn/cpu/kernel/asm/emit"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// channelCall are the fields of the arguments, for channel_amd64.go.
var channelCall = []string{
	"dst", "dstRow", "dstPix", "x", "xRow", "xPix", "g", "gRow", "gPix", "rows", "cols",
	"scale", "shift", "center", "a", "b", "d", "sum", "square", "lane", "weight", "variant",
}

// The bits of a variant, as in channel_amd64.go.
const (
	relu  = 1 // the view has one
	store = 2 // nothing is added
	four  = 4 // channels, not eight
)

// panel is a number of channels and the kind of register that holds them.
type panel struct {
	channels int
	vector   func() VecVirtual
}

var panels = []panel{{8, YMM}, {4, XMM}}

// greater is the comparison a > b, false for NaN, that signals nothing.
const greater = 0x1e

// unroll is how many pixels a loop does at once. Moments needs it to be the number of
// lanes, kernel.Lanes.
const unroll = 4

func main() {
	function("affine", relu, panel.affine)
	function("addScaled", relu|store, panel.addScaled)
	function("moments", 0, panel.moments)
	function("gradMoments", relu, panel.gradMoments)
	function("normGrad", relu, panel.normGrad)
	function("addMasked", relu|store, panel.addMasked)
	function("scalePixels", store, panel.scalePixels)
	Generate()
}

// function is one with the given bits, and that of the panels' width.
func function(name string, bits int, body func(l panel, c emit.Call, variant int)) {
	c := emit.Begin(name+"PanelAVX2", channelCall)
	variant := c.Load("variant")
	var all []int
	for v := range 2 * four {
		if v&^(bits|four) == 0 {
			all = append(all, v)
		}
	}
	for _, v := range all[1:] {
		CMPQ(variant, Imm(uint64(v)))
		JEQ(LabelRef(fmt.Sprintf("variant%d", v)))
	}
	for _, v := range all {
		prefix = fmt.Sprintf("variant%d", v)
		Label(prefix)
		l := panels[0]
		if v&four != 0 {
			l = panels[1]
		}
		body(l, c, v)
		VZEROUPPER()
		RET()
	}
}

// prefix is what the labels of the variant begin with.
var prefix string

func label(name string) string { return prefix + name }

// constant is the panel of a vector of channels.
func (l panel) constant(c emit.Call, field string) VecVirtual {
	v := l.vector()
	VMOVUPS(Mem{Base: c.Load(field)}, v)
	return v
}

func (l panel) zero() VecVirtual {
	v := l.vector()
	VXORPS(v, v, v)
	return v
}

// pixel is a function's access to one pixel: its place in each plane, and which of the
// pixels that are done at once it is.
type pixel struct {
	lane      int
	dst, x, g Mem
}

// each runs body for all pixels of the region. planes are the prefixes of the fields
// that place them; the pointers among the fields are moved on.
func each(c emit.Call, planes []string, body func(p pixel)) {
	at, pix, pix3 := map[string]GPVirtual{}, map[string]GPVirtual{}, map[string]GPVirtual{}
	for _, p := range planes {
		at[p], pix[p], pix3[p] = GP64(), c.Load(p+"Pix"), GP64()
		LEAQ(Mem{Base: pix[p], Index: pix[p], Scale: 2}, pix3[p])
	}
	place := func(p string, i int) Mem {
		base := at[p]
		switch {
		case base == nil || i == 0:
			return Mem{Base: base}
		case i == 3:
			return Mem{Base: base, Index: pix3[p], Scale: 1}
		}
		return Mem{Base: base, Index: pix[p], Scale: uint8(i)}
	}
	do := func(i int) {
		body(pixel{i, place("dst", i), place("x", i), place("g", i)})
	}
	cols := GP64()
	Label(label("row"))
	for _, p := range planes {
		MOVQ(c.Field(p), at[p])
	}
	MOVQ(c.Field("cols"), cols)
	SUBQ(Imm(unroll), cols)
	JLT(LabelRef(label("few")))
	Label(label("pixels"))
	for i := range unroll {
		do(i)
	}
	for _, p := range planes {
		LEAQ(Mem{Base: at[p], Index: pix[p], Scale: unroll}, at[p])
	}
	SUBQ(Imm(unroll), cols)
	JGE(LabelRef(label("pixels")))
	Label(label("few"))
	ADDQ(Imm(unroll), cols)
	for i := range unroll - 1 {
		JZ(LabelRef(label("next")))
		do(i)
		DECQ(cols)
	}
	Label(label("next"))
	for _, p := range planes {
		step := c.Load(p + "Row")
		ADDQ(step, c.Field(p))
	}
	DECQ(c.Field("rows"))
	JNZ(LabelRef(label("row")))
}

// view is how a function reads x.
type view struct {
	l                  panel
	relu               bool
	scale, shift, zero VecVirtual
}

func (l panel) view(c emit.Call, variant int) view {
	v := view{l: l, relu: variant&relu != 0, scale: l.constant(c, "scale"), shift: l.constant(c, "shift")}
	if v.relu {
		v.zero = l.zero()
	}
	return v
}

func (v view) affine(at Mem) VecVirtual {
	x := v.l.vector()
	VMOVUPS(at, x)
	VFMADD213PS(v.shift, v.scale, x)
	return x
}

func (v view) read(at Mem) VecVirtual {
	x := v.affine(at)
	if v.relu {
		VMAXPS(v.zero, x, x) // zero where x is not greater: of NaN too
	}
	return x
}

// pass is the gradient g where it passes the view's ReLU at x.
func (v view) pass(x, g Mem) VecVirtual {
	if !v.relu {
		m := v.l.vector()
		VMOVUPS(g, m)
		return m
	}
	m := v.affine(x)
	VCMPPS(Imm(greater), v.zero, m, m)
	VANDPS(g, m, m)
	return m
}

// gradView is a view whose scale is not used without a ReLU.
func (l panel) gradView(c emit.Call, variant int) view {
	if variant&relu == 0 {
		return view{l: l}
	}
	return l.view(c, variant)
}

func (l panel) affine(c emit.Call, variant int) {
	v := l.view(c, variant)
	each(c, []string{"dst", "x"}, func(p pixel) { VMOVUPS(v.read(p.x), p.dst) })
}

func (l panel) addScaled(c emit.Call, variant int) {
	v, weight := l.view(c, variant), l.vector()
	VBROADCASTSS(Mem{Base: c.Load("weight")}, weight)
	each(c, []string{"dst", "x"}, func(p pixel) {
		x := v.read(p.x)
		if variant&store != 0 {
			VMULPS(weight, x, x)
		} else {
			VFMADD213PS(p.dst, weight, x)
		}
		VMOVUPS(x, p.dst)
	})
}

// lanes are the two sums that a reduction keeps for each lane.
type lanes struct {
	c    emit.Call
	sums [2][unroll]VecVirtual
}

func (l panel) lanes(c emit.Call) lanes {
	s := lanes{c: c}
	s.each(func(sum *VecVirtual, at Mem) {
		*sum = l.vector()
		VMOVUPS(at, *sum)
	})
	return s
}

func (s *lanes) each(f func(sum *VecVirtual, at Mem)) {
	for k, field := range []string{"sum", "square"} {
		at, lane := s.c.Load(field), s.c.Load("lane")
		for i := range s.sums[k] {
			f(&s.sums[k][i], Mem{Base: at})
			ADDQ(lane, at)
		}
	}
}

// save writes the sums back.
func (s *lanes) save() { s.each(func(sum *VecVirtual, at Mem) { VMOVUPS(*sum, at) }) }

func (s *lanes) add(lane int, x, factor, other VecVirtual) {
	VADDPS(x, s.sums[0][lane], s.sums[0][lane])
	VFMADD231PS(factor, other, s.sums[1][lane])
}

func (l panel) moments(c emit.Call, _ int) {
	center, s := l.constant(c, "center"), l.lanes(c)
	each(c, []string{"x"}, func(p pixel) {
		d := l.distance(p.x, center)
		s.add(p.lane, d, d, d)
	})
	s.save()
}

// distance is x - center.
func (l panel) distance(x Mem, center VecVirtual) VecVirtual {
	d := l.vector()
	VMOVUPS(x, d)
	VSUBPS(center, d, d)
	return d
}

func (l panel) gradMoments(c emit.Call, variant int) {
	v, center, s := l.gradView(c, variant), l.constant(c, "center"), l.lanes(c)
	each(c, []string{"x", "g"}, func(p pixel) {
		m := v.pass(p.x, p.g)
		s.add(p.lane, m, m, l.distance(p.x, center))
	})
	s.save()
}

func (l panel) normGrad(c emit.Call, variant int) {
	v, center := l.gradView(c, variant), l.constant(c, "center")
	a, b, d := l.constant(c, "a"), l.constant(c, "b"), l.constant(c, "d")
	each(c, []string{"dst", "x", "g"}, func(p pixel) {
		m, y := v.pass(p.x, p.g), l.distance(p.x, center)
		VFMADD213PS(d, b, y)
		VFMADD231PS(a, m, y)
		VMOVUPS(y, p.dst)
	})
}

func (l panel) addMasked(c emit.Call, variant int) {
	v := l.gradView(c, variant)
	planes := []string{"dst", "g"}
	if v.relu {
		planes = append(planes, "x")
	}
	each(c, planes, func(p pixel) {
		m := v.pass(p.x, p.g)
		if variant&store == 0 {
			VADDPS(p.dst, m, m)
		}
		VMOVUPS(m, p.dst)
	})
}

// scalePixels has the weights in the plane g, one number a pixel.
func (l panel) scalePixels(c emit.Call, variant int) {
	each(c, []string{"dst", "x", "g"}, func(p pixel) {
		w := l.vector()
		VBROADCASTSS(p.g, w)
		if variant&store != 0 {
			VMULPS(p.x, w, w)
		} else {
			x := l.vector()
			VMOVUPS(p.x, x)
			VFMADD213PS(p.dst, x, w)
		}
		VMOVUPS(w, p.dst)
	})
}
