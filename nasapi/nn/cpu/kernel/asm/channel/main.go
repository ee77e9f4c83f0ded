// Command channel writes the AVX2 kernels that do one thing to every value of a region
// of pixels. Lanes are channels. A function branches to the code of its variant, which
// goes over the region in the order of its memory, pixel after pixel and the channels
// of each: so the processor fetches ahead. Roundings and their order are those of the
// plain Go twins.
package main

import (
	"fmt"

	"evalnas/nasapi/nn/cpu/kernel/asm/emit"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// channelCall are the fields of the arguments, for channel_amd64.go. bytes are those of
// a pixel's channels, lane those from one lane's sums to the next.
var channelCall = []string{
	"dst", "dstRow", "dstPix", "x", "xRow", "xPix", "g", "gRow", "gPix", "rows", "cols", "bytes",
	"scale", "shift", "center", "a", "b", "d", "sum", "square", "lane", "lanes", "weight", "variant",
}

// The bits of a variant, as in channel_amd64.go.
const (
	relu  = 1 // the view has one
	store = 2 // nothing is added
	scale = 4 // the view has a scale and a shift
	all   = 8
)

// greater is the comparison a > b, false for NaN, that signals nothing.
const greater = 0x1e

func main() {
	function("affine", relu|scale, affine)
	function("addScaled", relu|store|scale, addScaled)
	function("moments", 0, moments)
	function("gradMoments", relu|scale, gradMoments)
	function("normGrad", relu|scale, normGrad)
	function("addMasked", relu|store|scale, addMasked)
	function("scalePixels", store, scalePixels)
	Generate()
}

// function is one with the given bits.
func function(name string, bits int, body func(k *kernel)) {
	c := emit.Begin(name+"RegionAVX2", channelCall)
	variant := c.Load("variant")
	var variants []int
	for v := range all {
		if v&^bits == 0 {
			variants = append(variants, v)
		}
	}
	for _, v := range variants[1:] {
		CMPQ(variant, Imm(uint64(v)))
		JEQ(LabelRef(fmt.Sprintf("variant%d", v)))
	}
	for _, v := range variants {
		k := &kernel{call: c, variant: v, prefix: fmt.Sprintf("variant%d", v), bases: map[string]GPVirtual{}}
		Label(k.prefix)
		body(k)
		VZEROUPPER()
		RET()
	}
}

// kernel is one variant of a function.
type kernel struct {
	call    emit.Call
	variant int
	prefix  string // of its labels
	bases   map[string]GPVirtual
	channel GPVirtual         // bytes from a pixel's first channel
	vector  func() VecVirtual // of as many channels as are done at once
	zero    map[int]Register  // by size
}

func (k *kernel) is(bit int) bool          { return k.variant&bit != 0 }
func (k *kernel) label(name string) string { return k.prefix + name }
func (k *kernel) ref(name string) LabelRef { return LabelRef(k.label(name)) }

// wide is how many channels, in bytes, two vectors hold.
const wide = 64

// ahead is how far before its use x is fetched, in bytes. The processor's own
// prefetching falls behind with two streams: normGrad and gradMoments over memory beyond
// the caches are 1.2 to 1.4 times as fast with it.
const ahead = 2048

// each runs body for the channels of all pixels of the region. planes are the prefixes
// of the fields that place them, coefficients the fields of what is there for each
// channel; each pixel begins with pixel, each row with row.
func (k *kernel) each(planes, coefficients []string, row, pixel, body func()) {
	for _, name := range append(planes, coefficients...) {
		k.bases[name] = GP64()
	}
	for _, name := range coefficients {
		MOVQ(k.call.Field(name), k.bases[name])
	}
	if k.is(relu) {
		k.zero = map[int]Register{}
		z := YMM()
		VXORPS(z, z, z)
		k.zero[32], k.zero[16] = z, z.AsX()
	}
	k.channel = GP64()
	left, cols := GP64(), GP64()
	Label(k.label("row"))
	for _, p := range planes {
		MOVQ(k.call.Field(p), k.bases[p])
	}
	MOVQ(k.call.Field("cols"), cols)
	row()
	Label(k.label("pixel"))
	pixel()
	XORQ(k.channel, k.channel)
	MOVQ(k.call.Field("bytes"), left)
	SUBQ(Imm(wide), left)
	JLT(k.ref("few"))
	Label(k.label("wide"))
	if k.bases["x"] != nil {
		PREFETCHT0(k.at("x").Offset(ahead))
	}
	for range 2 {
		k.body(32, body)
	}
	SUBQ(Imm(wide), left)
	JGE(k.ref("wide"))
	Label(k.label("few"))
	for _, size := range []int{32, 16} {
		rest := k.label(fmt.Sprint("no", size))
		TESTQ(U32(uint32(size)), left)
		JZ(LabelRef(rest))
		k.body(size, body)
		Label(rest)
	}
	for _, p := range planes {
		ADDQ(k.call.Field(p+"Pix"), k.bases[p])
	}
	DECQ(cols)
	JNZ(k.ref("pixel"))
	for _, p := range planes {
		step := k.call.Load(p + "Row")
		ADDQ(step, k.call.Field(p))
	}
	DECQ(k.call.Field("rows"))
	JNZ(k.ref("row"))
}

// size is that of the vectors at hand, in bytes.
var size int

func (k *kernel) body(bytes int, body func()) {
	size = bytes
	k.vector = YMM
	if bytes == 16 {
		k.vector = XMM
	}
	body()
	ADDQ(Imm(uint64(bytes)), k.channel)
}

// at is the place of the channels at hand in a plane or in coefficients.
func (k *kernel) at(name string) Mem {
	return Mem{Base: k.bases[name], Index: k.channel, Scale: 1}
}

func (k *kernel) load(name string) VecVirtual {
	v := k.vector()
	VMOVUPS(k.at(name), v)
	return v
}

func nothing() {}

// viewed are the coefficients of the view, if it has any.
func (k *kernel) viewed() []string {
	if k.is(scale) {
		return []string{"scale", "shift"}
	}
	return nil
}

func (k *kernel) affine() VecVirtual {
	x := k.load("x")
	if k.is(scale) {
		s := k.load("scale")
		VFMADD213PS(k.at("shift"), s, x)
	}
	return x
}

// read is x through the view.
func (k *kernel) read() VecVirtual {
	x := k.affine()
	if k.is(relu) {
		VMAXPS(k.zero[size], x, x) // zero where x is not greater: of NaN too
	}
	return x
}

// pass is the gradient g where it passes the view's ReLU at x.
func (k *kernel) pass() VecVirtual {
	if !k.is(relu) {
		return k.load("g")
	}
	m := k.affine()
	VCMPPS(Imm(greater), k.zero[size], m, m)
	VANDPS(k.at("g"), m, m)
	return m
}

// passing are the coefficients that pass needs.
func (k *kernel) passing() []string {
	if k.is(relu) {
		return k.viewed()
	}
	return nil
}

func affine(k *kernel) {
	k.each([]string{"dst", "x"}, k.viewed(), nothing, nothing, func() { VMOVUPS(k.read(), k.at("dst")) })
}

func addScaled(k *kernel) {
	weight := YMM()
	VBROADCASTSS(Mem{Base: k.call.Load("weight")}, weight)
	k.each([]string{"dst", "x"}, k.viewed(), nothing, nothing, func() {
		w := Register(weight)
		if size == 16 {
			w = weight.AsX()
		}
		x := k.read()
		if k.is(store) {
			VMULPS(w, x, x)
		} else {
			VFMADD213PS(k.at("dst"), w, x)
		}
		VMOVUPS(x, k.at("dst"))
	})
}

// laned runs body with "sum" and "square" at the lane of each pixel.
func (k *kernel) laned(planes, coefficients []string, body func()) {
	lane := GP64()
	k.each(planes, append(coefficients, "sum", "square"), func() {
		MOVQ(k.call.Field("lane"), lane)
		SHLQ(Imm(2), lane) // past the last: the first pixel begins anew
	}, func() {
		next := k.prefix + "lane"
		for _, name := range []string{"sum", "square"} {
			ADDQ(k.call.Field("lane"), k.bases[name])
		}
		ADDQ(k.call.Field("lane"), lane)
		CMPQ(lane, k.call.Field("lanes"))
		JLT(LabelRef(next))
		XORQ(lane, lane)
		for _, name := range []string{"sum", "square"} {
			MOVQ(k.call.Field(name), k.bases[name])
		}
		Label(next)
	}, body)
}

// add adds to the sums of the pixel's lane.
func (k *kernel) add(x, factor, other VecVirtual) {
	sum, square := k.vector(), k.load("square")
	VADDPS(k.at("sum"), x, sum)
	VMOVUPS(sum, k.at("sum"))
	VFMADD231PS(factor, other, square)
	VMOVUPS(square, k.at("square"))
}

// distance is x - center.
func (k *kernel) distance() VecVirtual {
	d := k.load("x")
	VSUBPS(k.at("center"), d, d)
	return d
}

func moments(k *kernel) {
	k.laned([]string{"x"}, []string{"center"}, func() {
		d := k.distance()
		k.add(d, d, d)
	})
}

func gradMoments(k *kernel) {
	k.laned([]string{"x", "g"}, append(k.passing(), "center"), func() {
		m := k.pass()
		k.add(m, m, k.distance())
	})
}

func normGrad(k *kernel) {
	k.each([]string{"dst", "x", "g"}, append(k.passing(), "center", "a", "b", "d"), nothing, nothing, func() {
		m, y, b := k.pass(), k.distance(), k.load("b")
		VFMADD213PS(k.at("d"), b, y)
		VFMADD231PS(k.at("a"), m, y)
		VMOVUPS(y, k.at("dst"))
	})
}

func addMasked(k *kernel) {
	planes := []string{"dst", "g"}
	if k.is(relu) {
		planes = append(planes, "x")
	}
	k.each(planes, k.passing(), nothing, nothing, func() {
		m := k.pass()
		if !k.is(store) {
			VADDPS(k.at("dst"), m, m)
		}
		VMOVUPS(m, k.at("dst"))
	})
}

// scalePixels has the weights in the plane g, one number a pixel.
func scalePixels(k *kernel) {
	weight := YMM()
	k.each([]string{"dst", "x", "g"}, nil, nothing, func() {
		VBROADCASTSS(Mem{Base: k.bases["g"]}, weight)
	}, func() {
		w := Register(weight)
		if size == 16 {
			w = weight.AsX()
		}
		x := k.load("x")
		if k.is(store) {
			VMULPS(w, x, x)
		} else {
			VFMADD213PS(k.at("dst"), w, x)
		}
		VMOVUPS(x, k.at("dst"))
	})
}
