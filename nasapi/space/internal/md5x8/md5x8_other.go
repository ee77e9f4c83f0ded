//go:build !amd64

package md5x8

const hasAVX2 = false

func run(*Sums, *byte, uint64, *[Lanes]uint32, uint64) { panic("md5x8: no vector code here") }
