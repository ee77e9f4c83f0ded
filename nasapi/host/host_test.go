package host

import "testing"

func TestOutOfMemory(t *testing.T) {
	for text, want := range map[string]bool{
		"fatal error: out of memory\n":                                                         true,
		"fatal error: runtime: cannot allocate memory":                                         true,
		"runtime: out of memory: cannot allocate 4 bytes":                                      true,
		"fatal error: out of memory allocating heap arena metadata":                            true,
		"fatal error: pageAlloc: out of memory":                                                true,
		"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort": true,
		"==11280==ERROR: ThreadSanitizer failed to allocate 0x8000000 (134217728) bytes":       true,
		"x\nSIGSEGV: segmentation violation\nPC=0x43161d m=0 sigcode=1 addr=0x0\n\ngoroutine 0 gp=0x709fc0 m=0 [idle]:\nruntime.(*spanQueue).tryDrain": true,
		"SIGSEGV: segmentation violation\nPC=0x43161d m=0 sigcode=1 addr=0x0\n\ngoroutine 7 [running]:\nmain.main()":                                   false,
		"SIGSEGV: segmentation violation\nPC=0x43161d m=0 sigcode=1 addr=0x7f\n\ngoroutine 0 [idle]:\n":                                                false,
		"I ran out of memory":                    false,
		"fatal error: all goroutines are asleep": false,
	} {
		if OutOfMemory(text) != want {
			t.Errorf("%q: for want of memory %v", text, !want)
		}
	}
}
