package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// largePage is the size of the processor's next larger page.
const largePage = 2 << 20

// useLargePages asks for large pages for what m holds whole ones of: tensors are read
// in streams that would otherwise cross a page every few hundred pixels.
func useLargePages(m []float32) {
	if len(m) < 2*largePage/4 {
		return
	}
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(m)))
	skip := (largePage - begin%largePage) % largePage / 4
	whole := (uintptr(len(m)) - skip) * 4 / largePage * largePage / 4
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&m[skip])), 4*whole)
	// Advice: a kernel that has no large pages, or forbids them, goes on with small ones.
	_ = unix.Madvise(bytes, unix.MADV_HUGEPAGE)
}
