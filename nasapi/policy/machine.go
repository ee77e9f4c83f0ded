package policy

import (
	"runtime"

	G "gorgonia.org/gorgonia"
)

// closeMachine ends a machine of Gorgonia's and lets its memory go. The machine has a
// finalizer, for CUDA alone, and is part of a cycle, and Go collects no cycle with a
// finalizer in it: without this every search in a kernel would leave its weights behind.
func closeMachine(vm G.VM) error {
	runtime.SetFinalizer(vm, nil)
	return vm.Close()
}
