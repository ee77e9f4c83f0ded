package md5x8

import "golang.org/x/sys/cpu"

//go:generate go run ./asm -out md5x8_amd64.s -stubs md5x8_stub_amd64.go -pkg md5x8

var hasAVX2 = cpu.X86.HasAVX2
