// Package notebook reads notebook files, executes them in this process, and
// compares and writes them. It needs neither Python nor a Jupyter server.
//
//	nb, err := notebook.Read("x.ipynb")
//	nb.Inject(parameters)
//	report, err := nb.Execute(ctx, notebook.Options{Language: lang})
//	err = nb.Write("x.executed.ipynb")
//
// How it runs through the files:
//
//	notebook.go    the types, and reading any nbformat 4
//	write.go       writing nbformat 4.5
//	parameters.go  the cells of papermill's parameters
//	execute.go     cells, one after the other
//	outputs.go     what they publish, as a front end keeps it
//	data.go        the machine-readable data among the outputs
//	verify.go      the outputs of two runs of one notebook, held against each other
//	tokens.go      how texts are compared
//
// Traps:
//   - A Notebook keeps what nbformat 4.5 has a place for: unknown fields of
//     metadata stay, unknown fields elsewhere would make the file invalid and go.
//   - Outputs are changed by background work (an update of a display) until
//     Execute returns, and not after.
package notebook
