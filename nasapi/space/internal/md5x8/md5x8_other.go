//go:build !amd64

package md5x8

const hasAVX2 = false

func run(*Sums, *byte, uint64, *[Lanes]uint32, uint64, *[scratchLen]byte) {
	panic("md5x8: no vector code here")
}

func runPair(sumsA, sumsB *Sums, lanesA, lanesB *byte, stride uint64, blocksA, blocksB *[Lanes]uint32, most uint64, scratch *[scratchLen]byte) {
	panic("md5x8: no vector code here")
}
