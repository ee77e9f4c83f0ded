// Command flat writes the AVX2 kernels of flat arrays, eight numbers at a time: n, a
// multiple of eight above zero, is how many.
package main

import (
	"evalnas/nasapi/nn/cpu/kernel/asm/emit"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// flatCall are the fields of the arguments, for flat_amd64.go.
var flatCall = []string{"w", "v", "g", "n", "rate", "momentum", "decay", "clip", "sums"}

func main() {
	sgd()
	add()
	sumSquares()
	Generate()
}

// each does eight numbers at a time; at is their place in an array.
func each(c emit.Call, body func(at func(array string) Mem), arrays ...string) {
	n, i := c.Load("n"), GP64()
	bases := map[string]GPVirtual{}
	for _, a := range arrays {
		bases[a] = c.Load(a)
	}
	XORQ(i, i)
	Label("eight")
	body(func(array string) Mem { return Mem{Base: bases[array], Index: i, Scale: 4} })
	ADDQ(Imm(8), i)
	CMPQ(i, n)
	JLT(LabelRef("eight"))
}

func end() {
	VZEROUPPER()
	RET()
}

func spread(c emit.Call, field string) VecVirtual {
	y := YMM()
	VBROADCASTSS(Mem{Base: c.Load(field)}, y)
	return y
}

func sgd() {
	c := emit.Begin("sgdAVX2x8", flatCall)
	rate, momentum, decay, clip := spread(c, "rate"), spread(c, "momentum"), spread(c, "decay"), spread(c, "clip")
	each(c, func(at func(string) Mem) {
		w, d, v := YMM(), YMM(), YMM()
		VMOVUPS(at("w"), w)
		VMULPS(at("g"), clip, d)
		VFMADD231PS(decay, w, d)
		VMOVUPS(at("v"), v)
		VFMADD213PS(d, momentum, v)
		VMOVUPS(v, at("v"))
		VFNMADD231PS(rate, v, w)
		VMOVUPS(w, at("w"))
	}, "w", "v", "g")
	end()
}

func add() {
	c := emit.Begin("addAVX2x8", flatCall)
	each(c, func(at func(string) Mem) {
		w := YMM()
		VMOVUPS(at("w"), w)
		VADDPS(at("g"), w, w)
		VMOVUPS(w, at("w"))
	}, "w", "g")
	end()
}

// sumSquares adds to eight float64 at sums.
func sumSquares() {
	c := emit.Begin("sumSquaresAVX2x8", flatCall)
	sums := c.Load("sums")
	halves := []VecVirtual{YMM(), YMM()}
	for i, s := range halves {
		VMOVUPD(Mem{Base: sums, Disp: 32 * i}, s)
	}
	each(c, func(at func(string) Mem) {
		for i, s := range halves {
			x := YMM()
			VCVTPS2PD(at("g").Offset(16*i), x)
			VFMADD231PD(x, x, s)
		}
	}, "g")
	for i, s := range halves {
		VMOVUPD(s, Mem{Base: sums, Disp: 32 * i})
	}
	end()
}
