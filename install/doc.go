// Package install makes the kernel known to Jupyter: it writes, finds, checks
// and removes kernelspecs, the folders in which Jupyter reads how a kernel is
// started.
//
//	env, err := install.HostEnv()
//	dir, err := env.KernelsDir(install.Target{SysPrefix: true})
//	done, err := install.Install(dir, install.Spec{Name: "evalnas", Executable: exe})
//
// Target and Env (paths.go) say where Jupyter looks, Spec (spec.go) what is
// written, Doctor (doctor.go) checks an installation from Jupyter down to one
// executed cell. The package knows no kernel: who calls Doctor hands it the
// function that runs one.
//
// Nothing here needs Python. The places are those of jupyter_core 5
// (docs.jupyter.org, "Jupyter's Common Directories and File Locations").
package install
