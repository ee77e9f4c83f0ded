package detmath

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./asm -out avx2_amd64.s -stubs avx2_stub_amd64.go -pkg detmath

var hasAVX2 = cpu.X86.HasAVX2

// addTiles does the columns that fill vectors and says how many those are.
func addTiles(c, a, b *float32, rows, terms, columns, cRow, aRow, aTerm, bTerm int) int {
	whole := columns &^ 7
	if terms == 0 {
		return whole
	}
	cRow, aRow, aTerm, bTerm = 4*cRow, 4*aRow, 4*aTerm, 4*bTerm
	for j := 0; j < whole; {
		width, four, one := 8, tile4x8AVX2, tile1x8AVX2
		if whole-j >= 16 {
			width, four, one = 16, tile4x16AVX2, tile1x16AVX2
		}
		i := 0
		for ; i+4 <= rows; i += 4 {
			four(at(c, i*cRow+4*j), at(a, i*aRow), at(b, 4*j), terms, cRow, aRow, aTerm, bTerm)
		}
		for ; i < rows; i++ {
			one(at(c, i*cRow+4*j), at(a, i*aRow), at(b, 4*j), terms, cRow, aRow, aTerm, bTerm)
		}
		j += width
	}
	return whole
}

// at is the number so many bytes on; addProduct has checked that it is inside.
func at(p *float32, bytes int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), bytes)) }

// curveVectors does the numbers that fill vectors and says how many those are.
func curveVectors(x []float32, sigmoid bool) int {
	n := len(x) &^ 7
	switch {
	case n == 0 || !hasAVX2:
		return 0
	case sigmoid:
		sigmoidAVX2(&x[0], n)
	default:
		tanhAVX2(&x[0], n)
	}
	return n
}
