//go:build nvidia

// Package cudaenv hides from CUDA's driver which devices the user left visible,
// while the driver initialises.
//
// gorgonia.org/cu initialises the driver in its own init and ends the program if
// that fails, which it does when CUDA_VISIBLE_DEVICES leaves no device. A kernel
// that is to offer none would not even start. Hidden, the driver
// shows every device, numbered as nvidia-smi does, and package gpu restricts
// them as it does with nvidia-smi.
//
// It rests on the order that the Go specification gives to packages: of those
// that can be initialised, the first by import path. This package imports os
// alone, which cu reaches too, and its path comes before cu's.
package cudaenv

import "os"

type variable struct {
	name, value string
	set         bool
}

var hidden = []variable{hide("CUDA_VISIBLE_DEVICES"), hide("CUDA_DEVICE_ORDER")}

func init() {
	set("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
}

func hide(name string) variable {
	v := variable{name: name}
	if v.value, v.set = os.LookupEnv(name); v.set {
		must(os.Unsetenv(name))
	}
	return v
}

// Restore gives the variables back. Who imports this package and cu calls it in
// an init, which runs after both.
func Restore() {
	for _, v := range hidden {
		if v.set {
			set(v.name, v.value)
		} else {
			must(os.Unsetenv(v.name))
		}
	}
}

func set(name, value string) { must(os.Setenv(name, value)) }

// must: names and values are fit for an environment, being constants or from one.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
