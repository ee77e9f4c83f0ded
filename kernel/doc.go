// Package kernel is the Jupyter side: it serves the Jupyter messaging protocol
// and hands cells to a Language (language.go), of which it knows nothing else.
//
//	err := kernel.Run(ctx, kernel.Config{
//		ConnectionFile: os.Args[1],
//		Language:       lang,
//		Version:        "1.0",
//		OwnProcess:     true, // signals and the parent process
//	})
//
// How a request runs through the files:
//
//	connection.go  where to listen, and the key
//	wire/          ZeroMQ sockets that a bad peer cannot harm
//	message.go     frames <-> messages, signatures; session.go makes ours
//	server.go      Run: sockets, goroutines, shutdown
//	queue.go       what the shell socket received and nobody ran yet
//	dispatch.go    message types -> handlers, busy and idle around each
//	execute.go     cells; introspect.go the questions about code;
//	display.go     what cells publish through; input.go what they ask
//	iopub.go       everything that is published, in order; updates.go how often
//	               displays change, pace.go what Jupyter Server lets through
//	control.go     interrupt, shutdown, comms; info.go kernel_info
//	history.go     with glob.go; historyfile.go keeps it across sessions
//	parent.go      watches who started us
//	probe.go       the other side: start a kernel and try it
//
// Traps:
//   - Output order is what iopub's queue has: updates, then the reply, then
//     idle. Clients take idle for "all output is here".
//   - Only the executor goroutine runs handlers of the shell channel. Control
//     requests run beside it and must not touch what it owns.
//   - An execute_request's parent header is echoed as the bytes that came, so
//     that fields we do not know survive.
package kernel
