package kernel

import "golang.org/x/sys/cpu"

// The operating system's part (saving the wide registers) is in these flags too.
var (
	hasAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL
)
