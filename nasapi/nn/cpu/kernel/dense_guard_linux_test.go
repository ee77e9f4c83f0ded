package kernel

import (
	"os"
	"syscall"
	"testing"
	"unsafe"

	"evalnas/nasapi/rng"
)

// guarded is a copy of x in pages of its own, which end where x ends or begin where it
// begins; the pages before and behind cannot be read.
func guarded(t *testing.T, x []float32, atEnd bool) []float32 {
	t.Helper()
	page := os.Getpagesize()
	inner := (4*len(x) + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, inner+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{all[:page], all[page+inner:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	from := page
	if atEnd {
		from += inner - 4*len(x)
	}
	y := unsafe.Slice((*float32)(unsafe.Pointer(&all[from])), len(x))
	copy(y, x)
	return y
}

// TestDenseReadsNothingElse would end in a segmentation fault.
func TestDenseReadsNothingElse(t *testing.T) {
	s := rng.New(17, "guarded")
	for i, n := range []int{4, 8, 12, 16, 20, 28, 36, 48} {
		for pixels := 1; pixels <= 18; pixels++ {
			k, end := 1+s.IntN(19), (i+pixels)%2 == 0
			floats := func(n int) []float32 { return guarded(t, plain(s, n), end) }
			a := Dense{Out: floats(pixels * n), In: floats(pixels * k), Taps: []int32{0}, K: k, N: n, W: floats(k * n), Accumulate: end}
			for p := range pixels {
				a.OutOff, a.InOff = append(a.OutOff, int32(p*n)), append(a.InOff, int32(p*k))
			}
			g := DenseGrad{DW: floats(k * n), LD: n, A: Plane{a.In, pixels * k, k}, B: Plane{a.Out, pixels * n, n}, Rows: 1, Cols: pixels, K: k, N: n}
			for _, set := range others() {
				set.Dense(&a)
				set.DenseGrad(&g)
			}
		}
	}
}
